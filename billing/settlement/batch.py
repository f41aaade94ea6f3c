"""Settle many supplies in one transaction.

Spans that are the same (mostly all of a batch are) are looked at together: a query or two for the
registers, one for what the head-end holds.  Supplies that are behind are settled span by span, each
going on from the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

from billing.office import Office
from billing.settlement import judging
from billing.settlement.due import Due
from billing.settlement.history import used_between
from billing.settlement.metering import (
    Lacking,
    Metered,
    Registers,
    estimated,
    highest_w,
    measure,
    stays_in,
    wanted_of,
)
from billing.settlement.policy import (
    HOLD_ALL,
    PASS_ALL,
    Act,
    Kind,
    Policy,
    kind_of,
    policy_in_force,
)
from billing.settlement.rating import Charged, Rates, asks_demand, charge, codes_of
from billing.settlement.spans import Span, Terms, due_at, next_span, terms_at
from billing.settlement.state import NOTHING, State, after_of
from billing.settlement.writing import (
    NewSettlement,
    NewWait,
    canonical,
    pass_reviews,
    write_reviews,
    write_settlements,
    write_waits,
)
from billing.tariffs.version import VersionSpan
from headend.watching.limits import limits_in_force
from headend.watching.marks import CHECKED, mark
from headend.watching.thresholds import Limits

SPANS_AT_ONCE: Final = 40
"""Of one supply in one transaction; a supply that is further behind comes again."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a batch."""

    settled: int = 0
    """Spans."""
    waiting: int = 0
    """Supplies."""
    energy_wh: int = 0
    amount_minor: int = 0
    has_more: bool = False
    """Whether a supply is so far behind that it has to come again."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.settled + other.settled,
            self.waiting + other.waiting,
            self.energy_wh + other.energy_wh,
            self.amount_minor + other.amount_minor,
            self.has_more or other.has_more,
        )


@dataclass(slots=True)
class _Job:
    """One supply's next span."""

    due: Due
    span: Span
    terms: Terms
    kind: Kind
    pieces: tuple[VersionSpan, ...] = ()
    codes: tuple[str, ...] = ()
    metered: Metered | None = None
    lacking: Lacking | None = None
    is_estimate: bool = False
    """By a person: nothing of the meter's values is in it."""

    @property
    def cuts(self) -> list[datetime]:
        return [piece.since for piece in self.pieces[1:]]

    @property
    def devices(self) -> list[int]:
        return [stay.device_id for stay, _, _ in stays_in(self.due, self.span)]


@dataclass(slots=True)
class Batch:
    """What settling some supplies has brought so far."""

    connection: Connection
    office: Office
    policy: Policy
    limits: Limits
    judged: datetime | None
    """Until when the head-end has judged all days."""
    rates: Rates
    registers: Registers
    rows: list[NewSettlement] = field(default_factory=list)
    waits: list[NewWait] = field(default_factory=list)
    reviews: list[judging.Review] = field(default_factory=list)
    passed: list[tuple[int, Span]] = field(default_factory=list)

    @classmethod
    def of(cls, connection: Connection, office: Office) -> Batch:
        """With what holds for everybody, read once."""
        limits = limits_in_force(connection)
        return cls(
            connection,
            office,
            policy_in_force(connection),
            limits,
            mark(connection, CHECKED),
            Rates(connection),
            Registers(limits),
        )


def settle(
    connection: Connection,
    office: Office,
    dues: Sequence[Due],
    until: datetime,
    *,
    at_latest: datetime | None = None,
) -> tuple[Tally, list[NewWait]]:
    """Settle what some supplies have used up to a moment, as far as it can be.

    Args:
        connection: in a write transaction.
        office: the office.
        dues: some hundreds or thousands.
        until: only spans that end by then.
        at_latest: a final settlement: the last span ends here, whatever the cycle.

    Returns:
        What came of it, and what waits.
    """
    batch = Batch.of(connection, office)
    pending = list(dues)
    waited = {due.supply_id for due in dues if due.waits}
    for _ in range(SPANS_AT_ONCE):
        groups: dict[Span, list[_Job]] = {}
        for job in _jobs(pending, office, until, at_latest):
            groups.setdefault(job.span, []).append(job)
        if not groups:
            pending = []
            break
        pending = []
        for span in sorted(groups, key=lambda span: (span.since, span.until)):
            pending += _settle_span(batch, span, groups[span], at_latest)
    write_settlements(connection, office, batch.rows)
    at = office.now()
    still = {each.due.supply_id for each in batch.waits}
    moved = sorted({row.supply_id for row in batch.rows} & waited - still)
    write_waits(connection, batch.waits, moved, at)
    write_reviews(connection, batch.reviews, at)
    for supply_id, span in batch.passed:
        pass_reviews(connection, [supply_id], span, office)
    tally = Tally(
        len(batch.rows),
        len(batch.waits),
        sum(row.energy_wh for row in batch.rows),
        sum(row.amount_minor for row in batch.rows),
        bool(pending),
    )
    return tally, batch.waits


def look_ahead(connection: Connection, office: Office, due: Due) -> NewSettlement | Lacking:
    """What a supply's next span comes to, whatever holds it back; nothing is written.

    Args:
        connection: in any transaction.
        office: the office.
        due: the supply.
    """
    batch = Batch.of(connection, office)
    batch.policy = PASS_ALL
    jobs = list(_jobs([due], office, office.now(), None))
    if not jobs:
        return Lacking("not_due", "Its next span is not over.")
    _settle_span(batch, jobs[0].span, jobs, None)
    return batch.rows[0] if batch.rows else batch.waits[0].lacking


def _jobs(
    dues: Sequence[Due], office: Office, until: datetime, at_latest: datetime | None
) -> Iterator[_Job]:
    known: dict[Any, tuple[Span | None, Terms]] = {}
    for due in dues:
        if not due.terms:
            continue
        key = (due.begin, due.terms, due.until)
        if key not in known:
            span = next_span(due.begin, due.terms, office.zone, ends=due.until, at_latest=at_latest)
            known[key] = span, terms_at(due.terms, due.begin, office.zone)
        span, terms = known[key]
        if span is not None and span.until <= until:
            yield _Job(due, span, terms, kind_of(terms))


def _settle_span(
    batch: Batch, span: Span, jobs: list[_Job], at_latest: datetime | None
) -> list[Due]:
    """Settle one span of many supplies; gives those that were settled."""
    _prepare(batch, span, jobs, is_final=at_latest is not None)
    _measure(batch, span, [job for job in jobs if job.lacking is None])
    _judge(batch, span, [job for job in jobs if job.lacking is None and not job.is_estimate])
    settled = []
    for job in jobs:
        if job.lacking is None and _take(batch, job, at_latest):
            settled.append(job.due)
            continue
        assert job.lacking is not None
        batch.waits.append(NewWait(job.due, span, job.lacking))
    return settled


def _prepare(batch: Batch, span: Span, jobs: Sequence[_Job], *, is_final: bool) -> None:
    """Which versions price the span, and whether the head-end has judged it.

    A final settlement does not wait for the day's end: a person stands by its reading.
    """
    is_judged = is_final or (batch.judged is not None and batch.judged >= span.until)
    for job in jobs:
        if not is_judged and batch.policy.act("not_judged", job.kind) is Act.HOLD:
            job.lacking = Lacking(
                "not_judged",
                "The head-end has not judged these values yet: its watching does it after the "
                "day's end (`meterhouse serve`).",
            )
            continue
        pieces = batch.rates.pieces(job.due, span)
        if isinstance(pieces, Lacking):
            job.lacking = pieces
        else:
            job.pieces, job.codes = pieces, codes_of(pieces)


def _measure(batch: Batch, span: Span, jobs: Sequence[_Job]) -> None:
    by_codes: dict[tuple[str, ...], list[_Job]] = {}
    for job in jobs:
        by_codes.setdefault(job.codes, []).append(job)
    for codes, alike in by_codes.items():
        wanted = [each for job in alike for each in wanted_of(job.due, span, job.cuts, codes)]
        batch.registers.load(batch.connection, wanted, codes)
        lacking = _measure_all(batch, span, alike, codes)
        ends = [(device, span.until) for job in lacking for device in job.devices]
        if ends:
            batch.registers.load_after(batch.connection, ends, codes)
            _measure_all(batch, span, lacking, codes)
    _decide(batch, span, [job for job in jobs if job.due.waits or _is_broken(job)])


def _measure_all(
    batch: Batch, span: Span, jobs: Sequence[_Job], codes: tuple[str, ...]
) -> list[_Job]:
    """Measure what is loaded; gives those for want of whose registers it could not be."""
    lacking = []
    for job in jobs:
        measured = measure(job.due, span, job.cuts, codes, batch.registers, batch.limits)
        if isinstance(measured, Lacking):
            job.lacking = measured
            if measured.why == "no_reading":
                lacking.append(job)
        else:
            job.metered, job.lacking = measured, None
    return lacking


def _is_broken(job: _Job) -> bool:
    return job.lacking is not None and bool(job.lacking.flags)


def _decide(batch: Batch, span: Span, jobs: Sequence[_Job]) -> None:
    """Take what a person has estimated; ask a person about registers that cannot be."""
    if not jobs:
        return
    decided = judging.decisions_of(batch.connection, [job.due.supply_id for job in jobs], span)
    for job in jobs:
        energy = judging.estimate_of(decided, job.due.supply_id)
        if energy is not None:
            job.metered = estimated(job.due, span, job.cuts, energy, batch.registers, batch.limits)
            job.lacking, job.is_estimate = None, True
        elif job.lacking is not None and job.lacking.flags:
            verdict = judging.verdict_of(
                job.due, span, job.kind, HOLD_ALL, job.lacking.flags, (), decided
            )
            batch.reviews += verdict.reviews


def _judge(batch: Batch, span: Span, jobs: Sequence[_Job]) -> None:
    """Ask the head-end's findings and our own checks; what was decided about them holds."""
    devices = sorted({device for job in jobs for device in job.devices})
    held = judging.held_of(batch.connection, devices, span.since, span.until) if devices else {}
    usual = _usual(batch, span, jobs)
    flags = {
        job.due.supply_id: judging.own_flags(
            span, job.metered, batch.limits, usual.get(job.due.supply_id)
        )
        for job in jobs
        if job.metered is not None
    }
    odd = [job for job in jobs if flags[job.due.supply_id] or any(d in held for d in job.devices)]
    if not odd:
        return
    decided = judging.decisions_of(batch.connection, [job.due.supply_id for job in odd], span)
    theirs = judging.judged_elsewhere(
        batch.connection,
        {
            device: {flag.check for flag in flags[job.due.supply_id]}
            for job in odd
            for device in job.devices
        },
        span,
    )
    for job in odd:
        own = [
            flag
            for flag in flags[job.due.supply_id]
            if not any((device, flag.check) in theirs for device in job.devices)
        ]
        verdict = judging.verdict_of(
            job.due,
            span,
            job.kind,
            batch.policy,
            own,
            [finding for device in job.devices for finding in held.get(device, ())],
            decided,
        )
        job.lacking = verdict.wait
        batch.reviews += verdict.reviews


def _usual(batch: Batch, span: Span, jobs: Sequence[_Job]) -> dict[int, list[int]]:
    """Comparable use before, for those whose swing is ours to judge."""
    if batch.judged is not None and batch.judged >= span.until:
        return {}
    found: dict[int, list[int]] = {}
    by_cycle: dict[Any, list[Due]] = {}
    for job in jobs:
        if batch.policy.act("use_swing", job.kind) is not Act.PASS:
            by_cycle.setdefault(job.terms.cycle, []).append(job.due)
    for cycle, dues in by_cycle.items():
        fresh = [(row.supply_id, row.since, row.until, row.energy_wh) for row in batch.rows]
        found |= judging.usual_of(batch.connection, dues, span, cycle, fresh)
    return found


def _take(batch: Batch, job: _Job, at_latest: datetime | None) -> bool:
    """Price a span and go on; False: it cannot be priced, and `lacking` says why."""
    due, span = job.due, job.span
    assert job.metered is not None
    demand_w = None
    if asks_demand(job.pieces):
        demand_w = highest_w(batch.connection, job.devices, span.since, span.until)
        if demand_w is None:
            job.lacking = Lacking(
                "no_demand",
                "The tariff charges demand, and there is no load profile of active power in this "
                "time: read it from the meter.",
            )
            return False
    charged = charge(
        due,
        span,
        job.pieces,
        job.metered,
        batch.office.zone,
        demand_w=demand_w,
        supply_ends=span.until in (due.until, at_latest),
        used_since=lambda since, until: used_between(batch.connection, due.supply_id, since, until),
        state=due.state,
    )
    if isinstance(charged, Lacking):
        job.lacking = charged
        return False
    seq = 1 if due.state is None else due.state.seq + 1
    batch.rows.append(
        row_of(due, span, seq, job.metered, charged, demand_w, job.terms, batch.office)
    )
    ends = job.metered.meters[-1] if job.metered.meters else None
    due.state = replace(
        charged.state,
        seq=seq,
        until=span.until,
        registers={} if ends is None else {ends["device"]: ends["end"]},
    )
    if due.waits:
        batch.passed.append((due.supply_id, span))
    return True


def row_of(
    due: Due,
    span: Span,
    seq: int,
    metered: Metered,
    charged: Charged,
    demand_w: int | None,
    terms: Terms,
    office: Office,
) -> NewSettlement:
    """A first settlement as it is stored."""
    before = due.state
    came = (NOTHING, NOTHING) if before is None else (before.carried, before.tax_carried)
    return NewSettlement(
        due.supply_id,
        seq,
        due.account_id,
        span.since,
        span.until,
        1,
        None,
        None,
        metered.total_wh,
        charged.amount_minor,
        charged.tax_minor,
        canonical({"parts": charged.parts}),
        readings_of(metered, charged.state, demand_w, came),
        charged.state.carried,
        due_at(terms, span.until, office.zone),
    )


def readings_of(
    metered: Metered, state: State, demand_w: int | None, came: tuple[Decimal, Decimal]
) -> str:
    """What a settlement rests on, and what the next one goes on from.

    Args:
        metered: what was measured.
        state: after it.
        demand_w: the highest of its span, where the tariff charges it.
        came: what was carried to it, of amount and tax.
    """
    document: dict[str, Any] = {"meters": metered.meters, "after": after_of(state)}
    if came[0]:
        document["carried_in"] = str(came[0])
    if came[1]:
        document["tax_carried_in"] = str(came[1])
    if metered.estimated:
        document["estimated"] = True
    if demand_w is not None:
        document["demand_w"] = demand_w
    return canonical(document)
