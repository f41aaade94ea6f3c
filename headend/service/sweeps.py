"""What is due: each room's due dates are looked at in their time, by one worker at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from headend.faults import StoreUnavailableError
from headend.station import Station
from headend.work.port import Work

log = structlog.get_logger("headend.service")


@dataclass(frozen=True, slots=True)
class Sweep:
    """One thing that is looked at again and again."""

    name: str
    every_s: float
    act: Callable[[Station, Work], int]
    """Does what is due and tells how much it was; runs in a thread."""
    brings_work: bool = True
    """Whether it is left out while the database is slow."""


class Sweeps:
    """The sweeps of one worker; they do nothing while another worker has that part."""

    def __init__(
        self,
        station: Station,
        work: Work,
        sweeps: Iterable[Sweep],
        *,
        is_ours: Callable[[], bool],
        is_slow: Callable[[], bool],
    ) -> None:
        self._station = station
        self._work = work
        self._sweeps = tuple(sweeps)
        self._is_ours = is_ours
        self._is_slow = is_slow
        self.done: dict[str, int] = {sweep.name: 0 for sweep in self._sweeps}
        """What each has done since the start."""
        self.failed: dict[str, int] = {sweep.name: 0 for sweep in self._sweeps}

    async def keep(self) -> None:
        """Sweep, each in its time, until cancelled.  One that fails is tried again."""
        async with asyncio.TaskGroup() as group:
            for sweep in self._sweeps:
                group.create_task(self._keep(sweep))

    async def _keep(self, sweep: Sweep) -> None:
        while True:
            began = time.monotonic()
            if self._is_ours() and not (sweep.brings_work and self._is_slow()):
                await self._run(sweep)
            await asyncio.sleep(max(0.0, sweep.every_s - (time.monotonic() - began)))

    async def _run(self, sweep: Sweep) -> None:
        try:
            count = await asyncio.to_thread(sweep.act, self._station, self._work)
        except StoreUnavailableError as fault:
            log.warning("sweep.database_away", sweep=sweep.name, fault=str(fault))
        except Exception:  # one room's mistake must not end the others' sweeps
            self.failed[sweep.name] += 1
            log.exception("sweep.failed", sweep=sweep.name)
        else:
            self.done[sweep.name] += count
            if count:
                log.info("sweep.done", sweep=sweep.name, count=count)
