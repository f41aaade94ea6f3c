"""A job: one link's share of a round, meter after meter.

It reads those that wait and are due, keeps what came in small transactions, and gives way between
meters to whatever is more urgent on its line.  A silent meter costs its own time-out; a line that
is broken twice in a row lets the rest of its meters wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from headend.collection.gaps import Wanted, known_clocks, wanted_of
from headend.collection.giving_way import GivingWay
from headend.collection.keeping import RoundShare, Standing, Visited, keep
from headend.collection.plan import read_document
from headend.collection.retries import next_try
from headend.collection.rounds import (
    DOUBT,
    close_waiting,
    end_if_over,
    leave_out_moved,
    next_waiting,
    queue_link,
    rest_link,
)
from headend.collection.tables import round_devices, round_links, rounds
from headend.collection.visit import Visit, broken_visit, visit
from headend.collection.window import is_open, next_opening
from headend.faults import StoreUnavailableError
from headend.station import Station
from headend.talk.device import Device, load_devices
from headend.talk.faults import NoLineError, NoModemError
from headend.talk.lines import Lines
from headend.work.faults import LineAwayError
from headend.work.port import Handler, Job, Urgency, Work
from protocols.transport.exchange import Priority
from storage.errors import DatabaseUnavailableError

Kept = Callable[[Sequence[Visit]], None]
"""Told of visits whose values are committed."""
TOGETHER_MAX: Final = 16
"""So many visits are kept in one transaction at most; a job that dies loses no more."""
TOGETHER_S: Final = 1.0
_BROKEN_MAX: Final = 2
_BUDGET: Final = "The round had used up its budget on this line."


@dataclass(slots=True)
class _Carrying:
    """A job on its way."""

    share: RoundShare
    urgency: Urgency
    spent_ms: int
    asked: int
    waiting: list[tuple[Standing, Device]]
    known_clocks: frozenset[int] = frozenset()
    """Devices whose clocks were read not long ago."""
    pending: list[Visited] = field(default_factory=list)
    begun_at: float = field(default_factory=time.monotonic)
    kept_at: float = 0.0
    broken: int = 0


def handler(station: Station, lines: Lines, work: Work, kept: Kept | None = None) -> Handler:
    """What carries out jobs of the kind ``round``.

    Args:
        station: for whom.
        lines: of this process.
        work: where what follows is queued.
        kept: told of visits whose values are committed, in a thread; it must not wait.
    """

    giving_way = GivingWay(station, work)

    async def carry(job: Job) -> None:
        await _Round(station, lines, giving_way, work, job, kept).carry()

    return carry


class _Round:
    """One job."""

    def __init__(
        self,
        station: Station,
        lines: Lines,
        giving_way: GivingWay,
        work: Work,
        job: Job,
        kept: Kept | None,
    ) -> None:
        self._station = station
        self._kept = kept
        self._lines = lines
        self._work = work
        self._giving_way = giving_way
        self._job = job

    async def carry(self) -> None:
        """Carry it out, and leave the share resting, queued anew, or done.

        Raises:
            LineAwayError: the line's modem is not connected; nothing was sent.
        """
        job = await asyncio.to_thread(self._begin)
        if job is None:
            return
        if job.waiting:
            await self._require_line(job)
        rests_until: datetime | None = None
        gives_way = False
        try:
            for standing, device in job.waiting:
                stop = await self._stopped(job)
                if stop is not None:
                    gives_way, rests_until = stop
                    break
                await self._visit(job, standing, device)
                if job.broken >= _BROKEN_MAX:
                    attempt = job.share.urgency_attempt + 1
                    plan = job.share.plan
                    rests_until = next_try(
                        self._station.now(), attempt, plan.retry_min, plan.retry_max_min
                    )
                    break
        finally:
            await asyncio.to_thread(self._keep, job)
        await asyncio.to_thread(self._finish, job, gives_way, rests_until)
        if not gives_way:
            await self._lines.leave(job.share.link_id)

    # Beginning

    def _begin(self) -> _Carrying | None:
        round_id = int(self._job.payload["round"])
        now = self._station.now()
        with self._station.writing() as connection:
            row = connection.execute(
                select(
                    rounds.c.document,
                    rounds.c.closes_at,
                    rounds.c.ended_at,
                    round_links.c.key,
                    round_links.c.attempt,
                    round_links.c.spent_ms,
                    round_links.c.asked,
                )
                .join(rounds, rounds.c.round_id == round_links.c.round_id)
                .where(round_links.c.round_id == round_id, round_links.c.link_id == self._job.line)
            ).first()
            if row is None or row.key != self._job.key or row.ended_at is not None:
                return None
            plan = read_document(row.document)
            share = RoundShare(round_id, self._job.line, plan, row.closes_at, row.attempt)
            self._still_alive(connection, share)
            leave_out_moved(connection, round_id, share.link_id, now)
            waiting = self._waiting(connection, share, now) if row.closes_at > now else []
            known = (device.device_id for _, device in waiting)
            clocks = known_clocks(connection, known, now) if plan.what.clock else frozenset()
        return _Carrying(share, self._job.urgency, row.spent_ms, row.asked, waiting, clocks)

    def _waiting(
        self, connection: Connection, share: RoundShare, now: datetime
    ) -> list[tuple[Standing, Device]]:
        rows = connection.execute(
            select(round_devices.c.device_id, round_devices.c.attempts, round_devices.c.remaining)
            .where(
                round_devices.c.round_id == share.round_id,
                round_devices.c.link_id == share.link_id,
                round_devices.c.state == "waiting",
                round_devices.c.due_at <= now,
            )
            .order_by(round_devices.c.attempts, round_devices.c.device_id)
        ).all()
        devices = load_devices(connection, [row.device_id for row in rows])
        return [
            (
                Standing(
                    row.device_id,
                    row.attempts,
                    None if row.remaining is None else tuple(row.remaining.split(",")),
                ),
                devices[row.device_id],
            )
            for row in rows
        ]

    async def _require_line(self, job: _Carrying) -> None:
        try:
            await self._lines.line(job.share.link_id)
        except NoModemError as fault:
            raise LineAwayError(str(fault)) from None
        except NoLineError:
            return  # each of its meters will say so

    # Between meters

    async def _stopped(self, job: _Carrying) -> tuple[bool, datetime | None] | None:
        """Whether the job ends here: gives way, or rests until a moment."""
        now = self._station.now()
        plan = job.share.plan
        if now >= job.share.closes_at:
            return False, None
        if not is_open(plan.windows, now, self._station.zone):
            return False, next_opening(plan.windows, now, self._station.zone)
        if self._is_spent(job):
            await asyncio.to_thread(self._close_spent, job)
            return False, None
        if await self._giving_way.must(job.share.link_id, job.urgency, job.begun_at):
            return True, None
        return None

    def _is_spent(self, job: _Carrying) -> bool:
        plan = job.share.plan
        return (plan.line_s is not None and job.spent_ms >= plan.line_s * 1000) or (
            plan.requests is not None and job.asked >= plan.requests
        )

    def _close_spent(self, job: _Carrying) -> None:
        self._keep(job)
        with self._station.writing() as connection:
            connection.execute(
                update(round_devices)
                .where(
                    round_devices.c.round_id == job.share.round_id,
                    round_devices.c.link_id == job.share.link_id,
                    round_devices.c.state == "waiting",
                )
                .values(state="skipped", why="budget", words=_BUDGET, due_at=self._station.now())
            )

    async def _visit(self, job: _Carrying, standing: Standing, device: Device) -> None:
        what = job.share.plan.what
        priority = Priority.ON_DEMAND if job.urgency <= Urgency.ON_DEMAND else Priority.ROUTINE
        try:
            wanted = await self._wanted(job, standing, device)
            found = await visit(self._lines, device, what, wanted, priority)
        except (StoreUnavailableError, DatabaseUnavailableError):
            raise
        except Exception as broken:  # noqa: BLE001 - one meter must not cost its line
            parts = standing.remaining or what.parts
            found = broken_visit(device, self._station.now(), parts, broken)
        job.pending.append(Visited(standing, found))
        job.spent_ms += found.spent_ms
        job.asked += found.told.asked
        is_broken = found.found_line_broken and not found.answered
        job.broken = job.broken + 1 if is_broken else 0
        waited_s = time.monotonic() - job.kept_at
        if len(job.pending) >= TOGETHER_MAX or waited_s >= TOGETHER_S:
            await asyncio.to_thread(self._keep, job)

    async def _wanted(self, job: _Carrying, standing: Standing, device: Device) -> Wanted:
        what = job.share.plan.what
        parts = standing.remaining or what.parts
        clock = what.clock and device.device_id not in job.known_clocks
        if set(parts) <= set(what.quantities):
            return Wanted(quantities=tuple(parts), clock=clock)
        wanted = await asyncio.to_thread(self._lacking, device, job, parts)
        return replace(wanted, clock=clock)

    def _lacking(self, device: Device, job: _Carrying, parts: tuple[str, ...]) -> Wanted:
        with self._station.reading() as connection:
            return wanted_of(connection, self._station, device, job.share.plan.what, parts)

    # Keeping and ending

    def _keep(self, job: _Carrying) -> None:
        pending, job.pending = job.pending, []
        job.kept_at = time.monotonic()
        counted = keep(self._station, job.share, pending)
        if self._kept is not None and counted:
            self._kept(counted)

    def _finish(self, job: _Carrying, gives_way: bool, rests_until: datetime | None) -> None:
        share, now = job.share, self._station.now()
        with self._station.writing() as connection:
            if not self._still_alive(connection, share):
                return
            if gives_way:
                key = queue_link(
                    self._station, connection, self._work, share.round_id, share.link_id,
                    share.plan, share.urgency_attempt,
                )  # fmt: skip
                assert key != self._job.key
                return
            due_at = next_waiting(connection, share.round_id, share.link_id)
            if due_at is not None and rests_until is not None:
                due_at = max(due_at, rests_until)
            if due_at is not None:
                due_at = next_opening(share.plan.windows, max(due_at, now), self._station.zone)
            if due_at is not None and due_at >= share.closes_at:
                close_waiting(connection, share.round_id, now, link_id=share.link_id)
                due_at = None
            rest_link(connection, share.round_id, share.link_id, due_at, more=1)
            end_if_over(connection, share.round_id, now)

    def _still_alive(self, connection: Connection, share: RoundShare) -> bool:
        """Put off the doubt about this job; False: another key carries the share."""
        found: Any = connection.execute(
            update(round_links)
            .where(
                round_links.c.round_id == share.round_id,
                round_links.c.link_id == share.link_id,
                round_links.c.key == self._job.key,
                round_links.c.state == "queued",
            )
            .values(requeue_at=self._station.now() + DOUBT)
        )
        return bool(found.rowcount)
