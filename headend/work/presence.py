"""A worker's name, held by a lock while it lives, and the others' that are not.

A lock that is lost (the database was restarted, the network was cut) is taken again as soon as
possible.  Until then others may believe this worker dead: so what it has in hand is broken off
after half of the time that they wait.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import ClassVar, Final, NoReturn

import structlog
from sqlalchemy import Connection, delete, exists, insert, select, update

from headend.faults import HeadEndError, StoreUnavailableError
from headend.station import Station
from headend.work import turns, upkeep
from headend.work.durable import DurableWork
from headend.work.locks import FileLocks, locks_of
from headend.work.queues import queue_of_worker
from headend.work.tables import line_owners, line_turns, workers

log = structlog.get_logger("headend.work")

BEAT_S: Final = 1.0
DEAD_AFTER_S: Final = 10.0
_NAMES_MAX: Final = 64
_NAME_CHARACTERS_MAX: Final = 100
_SEEN_EVERY: Final = timedelta(seconds=30)


class WorkerNameError(HeadEndError):
    """This worker's name is taken, or is none."""

    code: ClassVar[str] = "worker_name"


class AlreadyServedError(HeadEndError):
    """Another process serves this SQLite file."""

    code: ClassVar[str] = "already_served"


class Presence:
    """One worker among the others."""

    def __init__(
        self,
        station: Station,
        work: DurableWork,
        *,
        beat_s: float = BEAT_S,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        self._station = station
        self._work = work
        self._locks = locks_of(station.engine)
        self._beat_s = beat_s
        self._dead_after_s = dead_after_s
        self._free_since: dict[str, float] = {}
        self._seen_at: datetime | None = None
        self._taken_since: float | None = None
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="meterhouse-presence")
        self._beating: asyncio.Future[None] | None = None
        self._looking: asyncio.Future[None] | None = None
        self.name = ""
        self.lost_since: float | None = None
        """When this worker's lock was found to be lost, monotonic; None: it is held."""
        self.sweeps = False
        """Whether this worker is the one that sweeps."""

    def enter(self, name: str | None) -> None:
        """Take a name; without one given, that of this machine, with a number if need be.

        Raises:
            WorkerNameError: another process works under this name.
            AlreadyServedError: another process serves this SQLite file.
            StoreUnavailableError: the database gives no answer.
        """
        self.name = self._taken(name)
        now = self._station.now()
        with self._station.writing() as connection:
            # Whatever had called this worker before it began anew has been cut off.
            connection.execute(delete(line_owners).where(line_owners.c.worker == self.name))
            connection.execute(delete(workers).where(workers.c.name == self.name))
            self._write_down(connection, now)
        self._seen_at = now

    async def keep(self, on_lost: Callable[[], None]) -> None:
        """Hold the name, and look for the dead, until cancelled.

        Raises:
            WorkerNameError: another process has taken the name while it was lost.
        """
        told = False
        while True:
            await asyncio.sleep(self._beat_s)
            began = time.monotonic()
            try:
                await self._beat_in_time()
            except StoreUnavailableError as fault:
                if self.lost_since is None:
                    self.lost_since, told = began, False
                    log.warning("worker.lock_lost", worker=self.name, fault=str(fault))
            if self.lost_since is None:
                self._look_around()
                continue
            self.sweeps = False
            if not told and time.monotonic() - self.lost_since >= self._dead_after_s / 2:
                told = True
                log.error("worker.breaks_off", worker=self.name)
                on_lost()

    async def _beat_in_time(self) -> None:
        """A cut network does not say that it is one: no answer in time is a lost lock, too."""
        if self._beating is None:
            self._beating = self._in_thread(self._beat)
        done, _ = await asyncio.wait({self._beating}, timeout=self._dead_after_s / 2)
        if not done:
            raise StoreUnavailableError(
                f"The database has not answered for {self._dead_after_s / 2:g} s."
            )
        beaten, self._beating = self._beating, None
        await beaten

    def _look_around(self) -> None:
        """Look for the dead, beside the beats: to take over from them may take long."""
        if self._looking is None or self._looking.done():
            self._looking = self._in_thread(self._look)

    async def leave(self) -> None:
        """Give the name back; nobody need take anything over."""
        if self._looking is not None:
            await asyncio.wait({self._looking})
        try:
            await self._off_loop(self._leave)
        except StoreUnavailableError as fault:
            log.warning("worker.left_without_a_word", worker=self.name, fault=str(fault))
        await self._off_loop(self._locks.close)
        self._threads.shutdown(wait=False)

    async def _off_loop(self, act: Callable[[], None]) -> None:
        await self._in_thread(act)

    def _in_thread(self, act: Callable[[], None]) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._threads, act)

    def _taken(self, name: str | None) -> str:
        if name is not None and not 0 < len(name) <= _NAME_CHARACTERS_MAX:
            raise WorkerNameError(
                f"A worker's name has 1 to {_NAME_CHARACTERS_MAX} characters, e.g. --worker north."
            )
        host = socket.gethostname()[:_NAME_CHARACTERS_MAX] or "worker"
        names = [name] if name else [host, *(f"{host}-{n}" for n in range(2, _NAMES_MAX + 1))]
        for each in names:
            if self._locks.take(each):
                return each
            if isinstance(self._locks, FileLocks):
                raise AlreadyServedError(
                    "Another process serves this database already. A SQLite file is served by "
                    "one process; stop the other one, or use PostgreSQL for several."
                )
        raise WorkerNameError(
            f"A worker named {names[0]} is at work already: give this one another name "
            "with --worker."
        )

    def _beat(self) -> None:
        """Make sure of our own lock.  It asks the lock's own session and nothing else."""
        if not self._locks.held({self.name}):
            # The session is another one: the server had been restarted, or cut us off.
            if not self._locks.take(self.name):
                self._taken_by_another()
            self._taken_since = self._seen_at = None
            log.info("worker.lock_taken_again", worker=self.name)
        self.lost_since = None
        self.sweeps = self._locks.sweeps()

    def _look(self) -> None:
        try:
            with self._station.reading() as connection:
                known = set(connection.execute(select(workers.c.name)).scalars())
            self._tell_that_we_live()
            self._look_for_the_dead(known - self._locks.held(known) - {self.name})
        except StoreUnavailableError as fault:
            log.warning("worker.sees_no_others", worker=self.name, fault=str(fault))

    def _taken_by_another(self) -> NoReturn:
        """For a moment it may be whoever thinks us dead; for longer it is another worker."""
        now = time.monotonic()
        if self._taken_since is None:
            self._taken_since = now
        if now - self._taken_since > self._dead_after_s:
            raise WorkerNameError(
                f"Another process has taken the name {self.name} while the database was away "
                "from this one; this worker ends. Give each its own with --worker."
            )
        raise StoreUnavailableError(f"Another process holds the name {self.name}.")

    def _write_down(self, connection: Connection, now: datetime) -> None:
        connection.execute(
            insert(workers).values(name=self.name, since=now, seen_at=now, process=os.getpid())
        )

    def _tell_that_we_live(self) -> None:
        now = self._station.now()
        if self._seen_at is not None and now - self._seen_at < _SEEN_EVERY:
            return
        self._seen_at = now
        with self._station.writing() as connection:
            known = connection.execute(
                update(workers).where(workers.c.name == self.name).values(seen_at=now)
            )
            if not known.rowcount:  # others had held us for dead
                self._write_down(connection, now)

    def _look_for_the_dead(self, dead: set[str]) -> None:
        now = time.monotonic()
        self._free_since = {name: self._free_since.get(name, now) for name in dead}
        if not self.sweeps:
            return
        for name, since in sorted(self._free_since.items()):
            wait_s = 0 if isinstance(self._locks, FileLocks) else self._dead_after_s
            if now - since < wait_s or not self._locks.take(name):
                continue
            try:
                upkeep.take_over(self._station, self._work, name)
                self._free_since.pop(name, None)
            finally:
                self._locks.release(name)

    def _leave(self) -> None:
        with self._station.writing() as connection:
            connection.execute(delete(line_owners).where(line_owners.c.worker == self.name))
            # Our own queue is read by nobody now.
            ours = line_turns.c.queue == queue_of_worker(self.name)
            turns.take_unbegun(connection, self._work.asking, ours, self._station.now())
            # With a line still in hand (its end could not be written) we count as dead instead,
            # and others take it over.
            in_hand = exists().where(line_turns.c.worker == self.name)
            connection.execute(delete(workers).where(workers.c.name == self.name, ~in_hand))
        self._locks.release(self.name)
