"""Carries turns out: DBOS begins them, their jobs run on the service's event loop.

No thread is kept by a job that runs: steps in the database go to a small pool of threads, the
handlers are the loop's own tasks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection

from headend.faults import StoreUnavailableError
from headend.station import Station
from headend.work import turns
from headend.work.durable import DurableWork
from headend.work.engine import is_with
from headend.work.faults import LineAwayError
from headend.work.port import Handler, Job
from headend.work.turns import Begun, Ended, Turn
from storage.errors import DatabaseUnavailableError

log = structlog.get_logger("headend.work")
T = TypeVar("T")

_DATABASE_THREADS: Final = 8
_PAUSE_S_FIRST: Final = 0.25
_PAUSE_S_MAX: Final = 5.0
_AWAY: Final = (StoreUnavailableError, DatabaseUnavailableError)
"""The database is away, not the work wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierLimits:
    """How long things may take, in seconds."""

    turn_s: float = 60
    """A line that has more to do then lets others go first."""
    job_s: float = 4 * 3600
    """A job that takes longer is broken off and fails."""
    slow_s: float = 2
    """The database is slow when its steps take longer than this on average."""
    hold_s: float = 30
    """How long a job is held back at most while the database is slow."""


Tell = Callable[[Job, str, str, float], None]
"""Told of each job that ended: how, its fault's code, seconds."""


class Carrier:
    """The turns of one worker."""

    def __init__(
        self,
        station: Station,
        work: DurableWork,
        worker: str,
        *,
        limits: CarrierLimits | None = None,
        tell: Tell | None = None,
        is_present: Callable[[], bool] = lambda: True,
    ) -> None:
        self._station = station
        self._work = work
        self._worker = worker
        self._limits = limits or CarrierLimits()
        self._tell = tell
        self._is_present = is_present
        self._handlers: dict[str, Handler] = {}
        # SQLite has one writer at a time: to wait for one's turn here is cheaper than there.
        threads = 1 if station.engine.dialect.name == "sqlite" else _DATABASE_THREADS
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="meterhouse-work")
        self._turns: set[str] = set()
        self._running: dict[str, tuple[Job, asyncio.Task[None]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._broken_off = 0
        self._said_away = -_PAUSE_S_MAX
        self.step_s = 0.0
        """How long a step in the database takes, smoothed."""

    def handle(self, handlers: Mapping[str, Handler]) -> None:
        """Say who carries out which kind of job."""
        self._handlers.update(handlers)

    @property
    def running(self) -> list[Job]:
        """The jobs in hand."""
        return [job for job, _ in self._running.values()]

    @property
    def turns(self) -> int:
        """How many lines are in hand."""
        return len(self._turns)

    @property
    def database_is_slow(self) -> bool:
        """Whether new work had better wait."""
        return self.step_s > self._limits.slow_s

    async def carry(self, line: int, turn: str) -> None:
        """One turn: job after job until nothing waits, or others should go first."""
        if turn in self._turns:
            return
        self._turns.add(turn)
        self._idle.clear()
        try:
            await self._carry(Turn(line, turn, self._worker))
        finally:
            self._turns.discard(turn)
            if not self._turns:
                self._idle.set()

    def break_off(self) -> None:
        """Cancel what runs; the jobs are put back, if they still are ours."""
        self._broken_off += 1
        for _, task in list(self._running.values()):
            task.cancel()

    async def idle(self) -> None:
        """Wait until no turn is in hand."""
        await self._idle.wait()

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _carry(self, turn: Turn) -> None:
        asking, clock = self._work.asking, self._station.now
        until = time.monotonic() + self._limits.turn_s
        sure = _Sure(self._broken_off)
        await self._hold()
        begun = await self._turn_step(turn, sure, lambda c: turns.begin(c, asking, turn, clock()))
        while begun is not None:
            how = await self._run(begun)
            keep = not self._work.is_stopping and time.monotonic() < until
            after = partial(
                turns.go_on, asking=asking, turn=turn, last=begun, how=how, now=clock(), keep=keep
            )
            begun = await self._turn_step(turn, sure, after)
            if begun is not None:
                await self._hold()

    async def _turn_step(
        self, turn: Turn, sure: _Sure, act: Callable[[Connection], Begun | None]
    ) -> Begun | None:
        """A step of a turn; None, too, when another worker has been given the turn.

        After the database was away, others may have believed this worker dead.  Once its lock
        is its own again nobody does so any more, and DBOS knows who has the turn.
        """
        pause_s = _PAUSE_S_FIRST
        while True:
            if sure.broken_off != self._broken_off:
                sure.broken_off = self._broken_off
                while not self._is_present():
                    await asyncio.sleep(_PAUSE_S_FIRST)
                if not await self._off_loop(lambda: is_with(turn.turn, turn.worker)):
                    log.warning("turn.taken_over", line=turn.line)
                    return None
            try:
                return await self._timed(lambda: self._write(act))
            except _AWAY as fault:
                self._say_away(fault)
                sure.broken_off = -1
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _PAUSE_S_MAX)

    async def _run(self, begun: Begun) -> tuple[Ended, str]:
        """Carry one job out; whatever happens, it ends somehow."""
        job = begun.job
        if self._work.is_stopping:
            return Ended.BACK, ""
        handler = self._handlers.get(job.kind)
        if handler is None:
            log.error("job.no_handler", key=job.key, kind=job.kind)
            return Ended.FAILED, "no_handler"
        task = asyncio.ensure_future(handler(job))
        self._running[job.key] = (job, task)
        began = time.monotonic()
        try:
            ended, fault = await self._outcome(job, task)
        finally:
            del self._running[job.key]
        took_s = time.monotonic() - began
        log.info(
            "job.ended",
            key=job.key,
            kind=job.kind,
            line=job.line,
            how=ended.value,
            fault=fault,
            took_s=round(took_s, 3),
        )
        if self._tell is not None:
            self._tell(job, ended.value, fault, took_s)
        return ended, fault

    async def _outcome(self, job: Job, task: asyncio.Future[None]) -> tuple[Ended, str]:
        done, _ = await asyncio.wait({task}, timeout=self._limits.job_s)
        if not done:
            task.cancel()
            await asyncio.wait({task})
            return Ended.FAILED, "took_too_long"
        if task.cancelled():
            return Ended.BACK, ""
        fault = task.exception()
        if fault is None:
            return Ended.DONE, ""
        if isinstance(fault, LineAwayError):
            return Ended.AWAY, ""
        if isinstance(fault, _AWAY):
            log.warning("job.put_back", key=job.key, kind=job.kind, fault=str(fault))
            await asyncio.sleep(_PAUSE_S_FIRST)
            return Ended.BACK, ""
        code = getattr(fault, "code", type(fault).__name__)
        log.error("job.failed", key=job.key, kind=job.kind, line=job.line, exc_info=fault)
        return Ended.FAILED, str(code)

    def _say_away(self, fault: Exception) -> None:
        """Once for all lines, which find it out together."""
        now = time.monotonic()
        if now - self._said_away >= _PAUSE_S_MAX:
            self._said_away = now
            log.warning("database.away", fault=str(fault))

    async def _hold(self) -> None:
        """While the database is slow, what is not begun yet waits, for a bounded time."""
        until = time.monotonic() + self._limits.hold_s
        while self.database_is_slow and time.monotonic() < until and not self._work.is_stopping:
            await asyncio.sleep(1)
            with suppress(*_AWAY):
                await self._timed(lambda: self._write(lambda _: None))

    async def _timed(self, act: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            return await self._off_loop(act)
        finally:
            self.step_s += (time.monotonic() - began - self.step_s) / 8

    async def _off_loop(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act)

    def _write(self, act: Callable[[Connection], T]) -> T:
        """One write transaction, in a thread."""
        with self._station.writing() as connection:
            return act(connection)


@dataclass(slots=True)
class _Sure:
    """When it was last sure that a turn is this worker's: after so many times of breaking off."""

    broken_off: int
