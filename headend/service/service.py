"""One worker: everything that it does, from its start to its stop.

Start
    A name that nobody else has, DBOS under that name, the queues, the port for modems.
Stop (`stop`)
    No new turns; rounds give way between meters; what still runs is broken off in time, its
    exchange on the line ending by itself; jobs that did not finish wait again, and the lines are
    given back.  All of it within `Limits.stop_s`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

import structlog

from headend.faults import StoreUnavailableError
from headend.service.figures import CONTENT_TYPE, Figures, Now, Reads
from headend.service.modems import Adopting, Modems
from headend.service.pages import Page, Pages
from headend.service.sweeps import Sweep, Sweeps
from headend.station import Station
from headend.talk.faults import NoModemError
from headend.work import upkeep
from headend.work.carrier import Carrier, CarrierLimits
from headend.work.durable import DurableWork
from headend.work.engine import Running
from headend.work.faults import LineAwayError
from headend.work.port import Handler, Job, Work
from headend.work.presence import BEAT_S, DEAD_AFTER_S, Presence
from protocols.transport import Registration, RemoteIdentity

log = structlog.get_logger("headend.service")

_GIVE_WAY: Final = 0.6
"""The part of a stop's time in which jobs may end by themselves."""


class ServiceLines(Adopting, Protocol):
    """The lines of this process; see `headend.talk.lines.Lines`."""

    @property
    def open(self) -> tuple[int, ...]:
        """The links that are open."""

    async def aclose(self) -> None:
        """Close them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker may take upon itself; times in seconds."""

    lines_max: int = 400
    """Lines in hand at a time."""
    poll_s: float = 0.25
    """How often DBOS is asked for turns: what a person waits at most for a line that is free."""
    stop_s: float = 30
    """How long a stop may take."""
    beat_s: float = BEAT_S
    dead_after_s: float = DEAD_AFTER_S
    """When a worker whose lock is free is taken for dead."""
    look_after_s: float = 30
    keep_turns: timedelta = timedelta(hours=6)
    keep_jobs: timedelta = timedelta(days=7)
    carrier: CarrierLimits = field(default_factory=CarrierLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a worker can be called; None: not at all."""

    modems: tuple[str, int] | None = None
    registration: Registration | RemoteIdentity = RemoteIdentity.ADDRESS
    calls_per_minute_max: int = 60
    figures: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the rooms have given the service to do."""

    handlers: Mapping[str, Handler]
    sweeps: Iterable[Sweep] = ()
    figures: Iterable[Reads] = ()
    parts: Mapping[str, Callable[[str], Coroutine[None, None, None]]] = field(default_factory=dict)
    """What else runs as long as the worker, by name; each is made with the worker's name."""


class Service:
    """A worker of the head-end."""

    def __init__(
        self,
        station: Station,
        work: DurableWork,
        lines: ServiceLines,
        rooms: Rooms,
        *,
        name: str | None = None,
        ports: Ports | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Put it together; `start` begins.

        Args:
            station: the database, the zone, the clock.
            work: the queue, as the handlers know it too.
            lines: this process's lines, as the handlers know them too.
            rooms: what is to be done, and by whom.
            name: this worker's; None: the machine's.
            ports: where it can be called.
            limits: see there.
        """
        self._station = station
        self._work = work
        self._lines = lines
        self._rooms = rooms
        self._wanted_name = name
        self._ports = ports or Ports()
        self._limits = limits or Limits()
        self._presence = Presence(
            station, work, beat_s=self._limits.beat_s, dead_after_s=self._limits.dead_after_s
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self._failed: asyncio.Future[None] | None = None
        self._carrier: Carrier | None = None
        self._running: Running | None = None
        self._modems: Modems | None = None
        self._figures = Figures(station, self._now, rooms.figures)
        self._pages = Pages(
            {"/health": self._health, "/ready": self._ready, "/metrics": self._metrics}
        )
        self.modem_port: int | None = None
        self.figures_port: int | None = None

    @property
    def name(self) -> str:
        """This worker's name, once it has started."""
        return self._presence.name

    async def start(self) -> None:
        """Begin to work.

        Raises:
            WorkerNameError: another worker has this name.
            AlreadyServedError: another process serves this SQLite file.
            StoreUnavailableError: the database gives no answer.
            LinkDown: a port cannot be opened.
        """
        self._failed = asyncio.get_running_loop().create_future()
        await asyncio.to_thread(self._presence.enter, self._wanted_name)
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        log.info("worker.started", worker=self.name)

    async def _start(self) -> None:
        carrier = self._carrier = Carrier(
            self._station,
            self._work,
            self.name,
            limits=self._limits.carrier,
            tell=self._figures.ended,
            is_present=lambda: self._presence.lost_since is None,
        )
        carrier.handle({kind: _waiting_for_modems(h) for kind, h in self._rooms.handlers.items()})
        if self._ports.figures is not None:
            self.figures_port = await self._pages.open(*self._ports.figures)
        self._running = Running(self._station.engine, self.name, carrier.carry)
        self._running.launch()
        await self._running.open_queues(self.name, self._limits.lines_max, self._limits.poll_s)
        if self._ports.modems is not None:
            self._modems = Modems(
                self._station,
                self._work,
                self._lines,
                self.name,
                self._ports.registration,
                calls_per_minute_max=self._ports.calls_per_minute_max,
            )
            self.modem_port = await self._modems.open(*self._ports.modems)
            self._keep("modems", self._modems.keep())
        sweeps = Sweeps(
            self._station,
            self._work,
            (*self._rooms.sweeps, *self._own_sweeps()),
            is_ours=lambda: self._presence.sweeps,
            is_slow=lambda: carrier.database_is_slow,
        )
        self._keep("presence", self._presence.keep(carrier.break_off))
        self._keep("sweeps", sweeps.keep())
        for name, part in self._rooms.parts.items():
            self._keep(name, part(self.name))

    async def failed(self) -> None:
        """Wait until a part of this worker ends that must not; raises what ended it."""
        assert self._failed is not None, "start comes first"
        await self._failed

    async def stop(self) -> None:
        """Finish what is in hand, give back the rest, and end within `Limits.stop_s`."""
        if self._stopped or not self.name:
            return
        self._stopped = True
        log.info("worker.stops", worker=self.name)
        self._work.is_stopping = True
        running, carrier = self._running, self._carrier
        keeping = [task for task in self._tasks if task.get_name() != "presence"]
        await _end(keeping)
        if self._modems is not None and carrier is not None and not carrier.turns:
            await self._modems.aclose()
        if running is not None and carrier is not None:
            await self._finish(running, carrier)
        if self._modems is not None:
            await self._modems.aclose()
        await self._lines.aclose()
        await _end(self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.stop_s):
                await self._presence.leave()
        if carrier is not None:
            carrier.close()
        await self._pages.aclose()
        log.info("worker.stopped", worker=self.name)

    async def _finish(self, running: Running, carrier: Carrier) -> None:
        stopping = asyncio.ensure_future(running.stop(self._limits.stop_s))
        idle = asyncio.ensure_future(carrier.idle())
        await asyncio.wait({idle}, timeout=self._limits.stop_s * _GIVE_WAY)
        if not idle.done():
            log.warning("worker.breaks_off", worker=self.name, jobs=len(carrier.running))
            carrier.break_off()
            await asyncio.wait({idle}, timeout=self._limits.stop_s * (1 - _GIVE_WAY))
        idle.cancel()
        await stopping

    def _keep(self, name: str, kept: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(kept, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._failed is None or self._failed.done():
            return
        fault = task.exception()
        if fault is not None:
            log.error("worker.part_failed", part=task.get_name(), exc_info=fault)
            self._failed.set_exception(fault)

    def _own_sweeps(self) -> tuple[Sweep, ...]:
        limits, work = self._limits, self._work

        def look_after(station: Station, _: Work) -> int:
            return upkeep.look_after_lines(station, work)

        def forget(station: Station, _: Work) -> int:
            return upkeep.forget_old(
                station, turns_for=limits.keep_turns, jobs_for=limits.keep_jobs
            )

        return (
            Sweep("lines", limits.look_after_s, look_after, brings_work=False),
            Sweep("old", 60, forget, brings_work=False),
        )

    # What the pages say.

    def _now(self) -> Now:
        carrier, modems = self._carrier, self._modems
        return Now(
            lines_open=len(self._lines.open),
            lines_in_hand=carrier.turns if carrier else 0,
            jobs_in_hand=len(carrier.running) if carrier else 0,
            modems=len(modems.listener.links) if modems else 0,
            unknown_calls=modems.unknown_calls if modems else 0,
            step_s=carrier.step_s if carrier else 0.0,
            is_ready=not self._why_not_ready(),
        )

    def _why_not_ready(self) -> str:
        if self._work.is_stopping:
            return "This worker stops."
        if self._carrier is None:
            return "This worker starts."
        if self._presence.lost_since is not None:
            return "The database does not answer; this worker waits for it."
        if self._carrier.database_is_slow:
            return "The database is slow; new work is held back."
        return ""

    async def _health(self) -> Page:
        now = self._now()
        return Page.of(200, {"worker": self.name, "jobs": now.jobs_in_hand, "modems": now.modems})

    async def _ready(self) -> Page:
        why_not = self._why_not_ready()
        if not why_not:
            why_not = await asyncio.to_thread(self._ask_database)
        return (
            Page.of(503, {"ready": False, "why": why_not})
            if why_not
            else Page.of(200, {"ready": True})
        )

    def _ask_database(self) -> str:
        try:
            with self._station.reading():
                return ""
        except StoreUnavailableError as fault:
            return str(fault)

    async def _metrics(self) -> Page:
        return Page(200, await asyncio.to_thread(self._figures.text), CONTENT_TYPE)


def _waiting_for_modems(handler: Handler) -> Handler:
    """A job that finds its modem gone waits for the next call; nothing was sent."""

    async def handle(job: Job) -> None:
        try:
            await handler(job)
        except NoModemError as fault:
            raise LineAwayError(str(fault)) from None

    return handle


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their ends."""
    ending = [task for task in tasks if not task.done()]
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)
