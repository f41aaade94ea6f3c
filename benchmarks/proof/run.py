"""The run: what is due is done, moment by moment, and then everything must come to its end."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.proof.asked import Asked, Happening
from benchmarks.proof.databases import Database
from benchmarks.proof.house import House, opened, write_credentials
from benchmarks.proof.ordering import Ordering
from benchmarks.proof.street import RunningStreet, Truth, running
from benchmarks.proof.worker import Worker
from headend.faults import StoreUnavailableError
from storage.errors import DatabaseUnavailableError
from vending.errors import VendingError
from vending.shop.faults import DatabaseUnavailableError as ShopUnavailableError

_NAMES: Final = ("north", "south", "east", "west")
_AGAIN_S: Final = 0.5
_LOOK_S: Final = 1.0
_DRAIN_S: Final = 240
_MINUTE_S: Final = 60
_COULD_NOT_BEGIN: Final = (3, 5)
"""Exit statuses of what was refused, and of an installation that is at fault."""
_AWAY: Final = (StoreUnavailableError, DatabaseUnavailableError, ShopUnavailableError)
Progress = Callable[[str, float, float], None]
"""Told what is done, how many seconds of it have passed, and how many it lasts."""


class ProofError(Exception):
    """Something does not hold."""


def untold(_what: str, _done_s: float, _of_s: float) -> None:
    """No progress is shown."""


@dataclass
class Found:
    """How it went."""

    truth: Truth
    ordering: Ordering
    kills: int
    workers_begun: int
    database: str
    begun_at: float
    """When the first hour began, since 1970."""
    lasted_s: float
    drained_s: float
    left: int
    """What had not ended in the end."""
    fell: int
    """Workers that could not begin, and ended."""
    refused: int
    """Times that the head-end could not take something, and was asked again."""
    workers_cpu_s: float


@dataclass
class Run:
    """A proof."""

    asked: Asked
    database: Database
    folder: Path
    progress: Progress = untold
    _kills: int = 0
    _refused: int = 0
    _fell: int = 0
    _workers: list[Worker] = field(default_factory=list)

    def all(self, look: Callable[[House, Found], None]) -> None:
        """Do everything that is due, and have somebody look at it while the house is open.

        Raises:
            ProofError: a worker fell by itself.
        """
        if self.asked.workers > len(_NAMES):
            raise ProofError(f"There are names for {len(_NAMES)} workers.")
        ports = [_free_port() for _ in range(self.asked.workers)]
        self.progress("building the street", 0, 1)
        with ExitStack() as stack:
            street = stack.enter_context(running(self.asked, ports))
            house = stack.enter_context(opened(self.database.url, self.asked, street))
            passwords = write_credentials(self.folder)
            for name, port in zip(_NAMES, ports, strict=False):
                worker = Worker(name, self.database.url, port, passwords, self.folder)
                stack.callback(worker.close)
                self._workers.append(worker)
            look(house, self._done(house, street))

    def _done(self, house: House, street: RunningStreet) -> Found:
        ordering = Ordering(house, self.asked.dead)
        for worker in self._workers:
            worker.begin()
        self._until_serving()
        self._until_the_hour(ordering.plan_hours(self.asked.hour_s).timestamp() - time.time())
        begun_at, start = time.time(), time.monotonic()
        self._happen(ordering, start)
        self._until_over(ordering, start)
        lasted_s = time.monotonic() - start
        left = self._drain(ordering)
        found = Found(
            truth=street.truth(),
            ordering=ordering,
            kills=self._kills,
            workers_begun=sum(worker.begun for worker in self._workers),
            database=self.database.how if self.asked.database_away_s else "never away",
            begun_at=begun_at,
            lasted_s=lasted_s,
            drained_s=time.monotonic() - start - lasted_s,
            left=left,
            fell=self._fell,
            refused=self._refused,
            workers_cpu_s=0,
        )
        before = os.times().children_user + os.times().children_system
        statuses = {worker.name: worker.stop() for worker in self._workers}
        found.workers_cpu_s = os.times().children_user + os.times().children_system - before
        if any(statuses.values()):
            raise ProofError(f"Workers did not stop as they should: {statuses}.")
        return found

    # Beginning

    def _until_serving(self) -> None:
        deadline = time.monotonic() + _DRAIN_S
        waiting = list(self._workers)
        while waiting:
            self._require_alive()
            waiting = [each for each in waiting if '"serving"' not in each.log.read_text("utf-8")]
            if time.monotonic() > deadline:
                raise ProofError(f"Worker {waiting[0].name} did not begin to serve.")
            time.sleep(_AGAIN_S)

    def _until_the_hour(self, left_s: float) -> None:
        """The plan's first due moment."""
        end = time.monotonic() + left_s
        while (rest := end - time.monotonic()) > 0:
            self.progress("waiting for the hour", left_s - rest, left_s)
            time.sleep(min(rest, _AGAIN_S))

    @property
    def _by_hand(self) -> bool:
        return self.asked.hour_s % _MINUTE_S != 0

    # Happening

    def _happen(self, ordering: Ordering, start: float) -> None:
        due = list(self.asked.happenings)
        looked = 0.0
        while due:
            now_s = time.monotonic() - start
            self.progress("reading and commanding", now_s, self.asked.lasts_s)
            while due and due[0].at_s <= now_s:
                each = due.pop(0)
                if not self._tried(partial(self._act, ordering, each)):
                    due.insert(0, Happening(now_s + _AGAIN_S, each.what, each.which))
                    due.sort()
            if now_s - looked >= _LOOK_S:
                looked = now_s
                self._require_alive()
                self._tried(ordering.close_again)
            time.sleep(0.05)

    def _act(self, ordering: Ordering, each: Happening) -> None:
        if each.what == "kill":
            self._kills += self._workers[each.which].kill()
        elif each.what == "begin":
            self._workers[each.which].begin()
        elif each.what == "database":
            self.database.away(self.asked.database_away_s)
        elif each.what == "hour":
            if self._by_hand and len(ordering.rounds) <= each.which:
                ordering.read_hour()
        else:
            {"trip": ordering.trip, "sell": ordering.sell, "read": ordering.read}[each.what](
                each.which
            )

    def _tried(self, act: Callable[[], None]) -> bool:
        """Whether the head-end took it; it does not while its database is away."""
        try:
            act()
        except _AWAY:
            self._refused += 1
            return False
        except VendingError as fault:
            raise ProofError(f"The shop refused: {fault}") from fault
        return True

    def _require_alive(self) -> None:
        """Begin a worker again that could not begin, as whoever keeps services alive does.

        It found no database, or its dead predecessor's name still taken: by the server, which has
        not seen its death, or by the worker that takes over what it had in hand.
        """
        for worker in self._workers:
            if worker.fell in _COULD_NOT_BEGIN:
                self._fell += 1
                worker.begin()
            elif worker.fell is not None:
                raise ProofError(
                    f"Worker {worker.name} fell ({worker.fell}):\n{worker.last_words()}"
                )

    # Ending

    def _until_over(self, ordering: Ordering, start: float) -> None:
        """The last hour's time passes, and no further one begins."""
        while (now_s := time.monotonic() - start) < self.asked.lasts_s - 1:
            self.progress("reading and commanding", now_s, self.asked.lasts_s)
            self._tried(ordering.close_again)
            time.sleep(_AGAIN_S)
        for worker in self._workers:
            worker.begin()
        while not self._tried(ordering.end_hours):
            time.sleep(_AGAIN_S)

    def _drain(self, ordering: Ordering) -> int:
        """Wait until all has ended; what has not by then is lost."""
        start = time.monotonic()
        left = [1]

        def look() -> None:
            ordering.close_again()
            left[0] = ordering.left()

        while (now_s := time.monotonic() - start) < _DRAIN_S:
            self.progress("letting it end", now_s, _DRAIN_S)
            self._require_alive()
            if self._tried(look) and not left[0]:
                return 0
            time.sleep(_LOOK_S)
        return left[0]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
