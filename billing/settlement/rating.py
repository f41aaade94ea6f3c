"""From usage to amounts: which versions of a tariff price a span, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from billing.settlement.due import Due
from billing.settlement.metering import REACTIVE, TOTAL, Lacking, Metered, Part
from billing.settlement.spans import Span, begins_month, midnight
from billing.settlement.state import NOTHING, MonthSoFar, State
from billing.tariffs.faults import NoRateValidError, UnknownRateError, UsageRefusedError
from billing.tariffs.pricing import counted_since, price
from billing.tariffs.store import versions_between
from billing.tariffs.values import ChargeLine, LineKind, MonthBefore, Priced, Usage
from billing.tariffs.version import TariffVersion, VersionSpan


@dataclass(frozen=True, slots=True)
class Charged:
    """What a span costs."""

    amount_minor: int
    tax_minor: int
    parts: tuple[Mapping[str, Any], ...]
    """As `settlements.lines` keeps them."""
    state: State
    """What the next settlement goes on from; its number and registers are still the old ones."""


class UsedSince(Protocol):
    """Looks up what a supply used in a time, where its state does not count it."""

    def __call__(self, since: datetime, until: datetime) -> int: ...


class Rates:
    """Versions of tariffs, each asked for once in a batch.

    Args:
        connection: of the batch.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection
        self._known: Final[
            dict[tuple[str, datetime, datetime], tuple[VersionSpan, ...] | Lacking]
        ] = {}

    def pieces(self, due: Due, span: Span) -> tuple[VersionSpan, ...] | Lacking:
        """Which version prices which part of a span, in order and without gaps."""
        codes = [each for each in due.tariffs if each[0] <= span.since][-1:]
        if not codes:
            return Lacking(
                "no_tariff",
                f"The supply has no tariff at {span.since:%Y-%m-%d %H:%M} UTC: assign one.",
            )
        codes = [(span.since, codes[0][1])]
        codes += [each for each in due.tariffs if span.since < each[0] < span.until]
        if len(codes) == 1:
            return self._of(codes[0][1], span.since, span.until)
        found: list[VersionSpan] = []
        ends = [at for at, _ in codes[1:]] + [span.until]
        for (since, code), until in zip(codes, ends, strict=True):
            part = self._of(code, since, until)
            if isinstance(part, Lacking):
                return part
            found += part
            if until < span.until:  # another tariff begins: this one's steps end
                found[-1] = replace(found[-1], ends=True)
        return tuple(found)

    def _of(self, code: str, since: datetime, until: datetime) -> tuple[VersionSpan, ...] | Lacking:
        key = (code, since, until)
        if key not in self._known:
            try:
                found: Any = tuple(versions_between(self._connection, code, since, until))
            except (UnknownRateError, NoRateValidError) as fault:
                found = Lacking("no_tariff", str(fault))
            self._known[key] = found
        return self._known[key]


def codes_of(pieces: Sequence[VersionSpan]) -> tuple[str, ...]:
    """Short names of the registers that these versions ask for, the total first."""
    codes = {code for piece in pieces for code in _codes(piece.version)}
    return (TOTAL, *sorted(codes))


def asks_demand(pieces: Sequence[VersionSpan]) -> bool:
    """Whether one of these versions charges demand."""
    return any(piece.version.plan.demand is not None for piece in pieces)


def charge(
    due: Due,
    span: Span,
    pieces: Sequence[VersionSpan],
    metered: Metered,
    zone: tzinfo,
    *,
    demand_w: int | None,
    supply_ends: bool,
    used_since: UsedSince,
    state: State | None,
) -> Charged | Lacking:
    """Price a span.

    Args:
        due: the supply.
        span: which time.
        pieces: the versions that price it.
        metered: in as many parts.
        zone: the utility's.
        demand_w: the highest of the span, where a version charges it.
        supply_ends: whether the supply ends with the span.
        used_since: for steps that the state does not count.
        state: what was settled before; None: nothing.
    """
    now = State(0, span.since) if state is None else state
    parts, amount, tax = [], 0, 0
    for piece, part in zip(pieces, metered.parts, strict=True):
        now = _entered(now, due, piece.version, part.since, zone)
        last = part.until == span.until
        usage = _usage(due, piece, part, now, zone, demand_w, used_since)
        usage = replace(usage, supply_ends=supply_ends and last)
        try:
            priced = price(piece.version, usage, zone)
        except UsageRefusedError as fault:
            return Lacking("refused", str(fault))
        whole, tax_whole = int(now.carried), int(now.tax_carried)
        amount += priced.amount_minor + whole
        tax += priced.tax_minor + tax_whole
        parts.append(_document(part, priced))
        now = _after(now, piece.version, part, priced, usage.demand_w)
    return Charged(amount, tax, tuple(parts), now)


def _codes(version: TariffVersion) -> set[str]:
    plan = version.plan
    codes = {each.code for each in plan.registers}
    if plan.blocks is not None:
        codes |= {
            each.code.partition(".")[2] for step in plan.blocks.steps for each in step.registers
        }
    if plan.power_factor is not None:
        codes.add(REACTIVE)
    return codes


def _usage(
    due: Due,
    piece: VersionSpan,
    part: Part,
    now: State,
    zone: tzinfo,
    demand_w: int | None,
    used_since: UsedSince,
) -> Usage:
    plan = piece.version.plan
    before = {}
    if plan.blocks is not None or plan.free is not None:
        starts = counted_since(piece.version, part.since, zone, due.since)
        for period, start in starts.items():
            counted = 0 if start >= part.since else now.counted.get(start)
            before[period] = used_since(start, part.since) if counted is None else counted
    month = now.month
    begins = begins_month(part.since, zone) or part.since == due.since
    demand = demand_before = None
    if plan.demand is not None:
        demand_before = None if begins else (month.demand_w or 0)
        demand = None if demand_w is None else max(demand_w, demand_before or 0)
    contracted = [capacity for since, capacity in due.capacities if since <= part.since]
    return Usage(
        since=part.since,
        until=part.until,
        energy_wh=part.energy_wh,
        demand_w=demand,
        reactive_varh=part.varh,
        before_wh=before,
        carried=_fraction(now.carried),
        tax_carried=_fraction(now.tax_carried),
        supply_since=due.since,
        version_ends=piece.ends,
        capacity=contracted[-1] if contracted else None,
        demand_before_w=demand_before,
        month_before=MonthBefore(month.active_wh, month.varh, month.charges)
        if plan.power_factor is not None and not begins
        else None,
        customer_class=due.customer_class,
    )


def _fraction(carried: Decimal) -> Decimal:
    return carried - int(carried) if carried else NOTHING


def _entered(now: State, due: Due, version: TariffVersion, since: datetime, zone: tzinfo) -> State:
    """What is counted when a part begins: months, years and versions begin at nothing."""
    if since == due.since:
        return replace(now, counted={since: 0}, month=MonthSoFar())
    if begins_month(since, zone):
        year = midnight(since.astimezone(zone).date().replace(month=1, day=1), zone)
        keys = () if year == since else (year, due.since, version.since)
        kept = {at: wh for at, wh in now.counted.items() if at in keys}
        return replace(now, counted={**kept, since: 0}, month=MonthSoFar())
    if since == version.since:
        return replace(now, counted={**now.counted, since: 0})
    return now


def _after(
    now: State, version: TariffVersion, part: Part, priced: Priced, demand_w: int | None
) -> State:
    energy = part.energy_wh[TOTAL]
    month = now.month
    plan = version.plan
    if plan.demand is not None:
        month = replace(month, demand_w=demand_w)
    if plan.power_factor is not None:
        charges = dict(month.charges)
        for line in priced.lines:
            if line.kind is not LineKind.TAX:
                charges[line.kind] = charges.get(line.kind, NOTHING) + line.amount
        month = replace(
            month,
            active_wh=month.active_wh + energy,
            varh=month.varh + (part.varh or 0),
            charges=charges,
        )
    return State(
        now.seq,
        part.until,
        priced.carried,
        priced.tax_carried,
        {at: wh + energy for at, wh in now.counted.items()},
        month,
        now.registers,
    )


def _document(part: Part, priced: Priced) -> dict[str, Any]:
    energy: dict[str, int] = dict(part.energy_wh)
    if part.varh is not None:
        energy[REACTIVE] = part.varh
    return {
        "tariff": priced.tariff,
        "version": priced.version,
        "since": part.since.isoformat(),
        "until": part.until.isoformat(),
        "split": part.split,
        "energy_wh": energy,
        "lines": [_line(each) for each in priced.lines],
    }


def _line(line: ChargeLine) -> dict[str, Any]:
    document = {
        "kind": line.kind.value,
        "code": line.code,
        "words": line.words,
        "amount": str(line.amount),
    }
    if line.quantity is not None:
        document["quantity"] = str(line.quantity)
        document["unit"] = line.unit
    if line.rate is not None:
        document["rate"] = str(line.rate)
    return document
