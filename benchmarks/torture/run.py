"""The run: begin workers, kill them, begin them anew, until everything is answered."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from benchmarks.torture import worker
from benchmarks.torture.asked import Plan
from benchmarks.torture.witness import TortureError, Witness, digest_of
from vending import PublicTestKeys, Shop

WORKERS: Final = 4
ANSWERS_MAX: Final = 300
"""How many answers a worker tells at most before it is killed."""
_DEATH_WITHIN_S: Final = 0.03
"""So long after that answer at most, at any step of a request."""
_STILLBORN: Final = 0.05
"""So many of the workers are killed while they open the shop, or soon after."""
_BIRTH_S: Final = 0.2
_WINDOW: Final = 2_000
_ASKED_TWICE: Final = 0.5
_ASKED_AGAIN: Final = 0.03
_READ_BYTES: Final = 1 << 16
_LISTEN_S: Final = 1.0

Progress = Callable[[int], None]


def untold(_done: int) -> None:
    """No progress is shown."""


@dataclass
class _Life:
    """A worker that is alive."""

    order: int
    process: int
    pipe: int
    answers_left: int
    """It is killed when it has told so many."""
    dies_at: float | None = None
    is_killed: bool = False
    begun: bytes = b""
    """Of a line that is not whole yet."""


@dataclass
class Run:
    """A torture.

    Args:
        url: a shop of `make_shop`.
        plan: what is asked.
        witness: what is told goes there.
        workers: how many processes sell at the same time.
        progress: told how many requests are answered.
    """

    url: str
    plan: Plan
    witness: Witness
    workers: int = WORKERS
    progress: Progress = untold
    _chance: random.Random = field(init=False)
    _left: list[dict[int, None]] = field(init=False)
    """What each worker has not told yet, in the order in which it asks."""
    _alive: dict[int, _Life] = field(default_factory=dict)
    """By its pipe."""
    _poll: select.poll = field(default_factory=select.poll)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.plan.seed} run")

    def all(self) -> None:
        """Sell everything.

        Raises:
            TortureError: a worker failed, or an answer is not the same as before.
        """
        warm_up(self.url, self.plan, self.witness)
        try:
            for first in range(0, self.plan.vends, _WINDOW):
                self._sell(range(first, min(first + _WINDOW, self.plan.vends)))
        finally:
            for life in list(self._alive.values()):
                self._kill(life)
                self._bury(life)

    def _sell(self, window: range) -> None:
        """All workers ask in about the same order, so that they meet at the same requests."""
        numbers = list(window)
        self._chance.shuffle(numbers)
        self._left = [
            dict.fromkeys(
                number
                for number in numbers
                if number % self.workers == order or self._chance.random() < _ASKED_TWICE
            )
            for order in range(self.workers)
        ]
        for order in range(self.workers):
            self._begin(order)
        while self._alive:
            self._listen()
            for life in self._condemned():
                if monotonic() >= (life.dies_at or 0):
                    self._kill(life)

    def _begin(self, order: int) -> None:
        numbers = list(self._left[order])
        if not numbers:
            return
        if self._chance.random() < _ASKED_TWICE / 2:
            numbers.reverse()
        known = list(self.witness.answers) if len(self.witness.answers) < _WINDOW else None
        last = max(self.witness.answers, default=0)
        for _ in range(int(len(numbers) * _ASKED_AGAIN)):  # of long ago
            again = self._chance.choice(known) if known else self._chance.randrange(last + 1)
            if again in self.witness.answers:
                numbers.insert(self._chance.randrange(len(numbers) + 1), again)
        seed = f"{self.plan.seed} {order} {self._chance.random()}"
        process, pipe = worker.begin(self.url, self.plan, numbers, seed)
        most = min(ANSWERS_MAX, len(numbers) + 1)  # of few requests nobody would be killed
        life = _Life(order, process, pipe, self._chance.randrange(1, most))
        if self._chance.random() < _STILLBORN:
            life.dies_at = monotonic() + self._chance.uniform(0, _BIRTH_S)
        self._alive[pipe] = life
        self._poll.register(pipe, select.POLLIN)

    def _listen(self) -> None:
        next_death = min((life.dies_at or 0 for life in self._condemned()), default=None)
        wait_s = _LISTEN_S if next_death is None else max(0.0, next_death - monotonic())
        for pipe, _ in self._poll.poll(wait_s * 1_000):
            life = self._alive[pipe]
            heard = os.read(pipe, _READ_BYTES)
            if heard:
                self._hear(life, heard)
            else:
                self._ended(life)
        self.progress(len(self.witness.answers))

    def _hear(self, life: _Life, heard: bytes) -> None:
        *lines, life.begun = (life.begun + heard).split(b"\n")
        for line in lines:
            if line.startswith(worker.FAILED):
                failure = line[1:].decode().replace("\r", "\n")
                raise TortureError(f"A worker failed:\n{failure}")
            number, digest, seconds = line.split()
            self.witness.told(int(number), bytes.fromhex(digest.decode()), float(seconds))
            self._left[life.order].pop(int(number), None)
            life.answers_left -= 1
        if life.answers_left <= 0 and life.dies_at is None:
            life.dies_at = monotonic() + self._chance.uniform(0, _DEATH_WITHIN_S)

    def _condemned(self) -> list[_Life]:
        """Who is to die at a moment that is known."""
        return [
            life for life in self._alive.values() if life.dies_at is not None and not life.is_killed
        ]

    def _kill(self, life: _Life) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(life.process, signal.SIGKILL)
        life.is_killed = True

    def _bury(self, life: _Life) -> int:
        self._poll.unregister(life.pipe)
        os.close(life.pipe)
        del self._alive[life.pipe]
        _, status = os.waitpid(life.process, 0)
        return os.waitstatus_to_exitcode(status)

    def _ended(self, life: _Life) -> None:
        code = self._bury(life)
        if code == -signal.SIGKILL:
            self.witness.kills += 1
        elif code:
            raise TortureError(f"A worker ended with status {code} and said nothing.")
        self._begin(life.order)


def warm_up(url: str, plan: Plan, witness: Witness) -> None:
    """Sell the first request here, so that what every worker needs is imported and compiled."""
    worker.quiet()
    with Shop.open(url, security=PublicTestKeys()) as shop:
        for number in range(min(2, plan.vends)):  # the first is refused, the second is sold
            for _ in range(2):
                witness.told(number, digest_of(shop.vend(plan.request(number)).response))
