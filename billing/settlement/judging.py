"""Whether a span may be settled: findings of the head-end, our own flags, what people decided."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from billing.settlement.due import Due
from billing.settlement.metering import Lacking, Metered
from billing.settlement.policy import Act, Kind, Policy
from billing.settlement.spans import Cycle, Span
from billing.settlement.tables import settlement_reviews, settlements
from headend.watching.checks.flag import Flag, kwh
from headend.watching.checks.power_factor import power_factor
from headend.watching.checks.use import median
from headend.watching.tables import findings
from headend.watching.thresholds import Limits

_AT_ONCE: Final = 1_000
_USUAL_LEAST: Final = 3
_USUAL_BACK: Final = {
    Cycle.MONTHLY: timedelta(days=400),
    Cycle.DAILY: timedelta(days=28),
    Cycle.HOURLY: timedelta(days=3),
}
_ALIKE_PERCENT: Final = 20
"""Spans whose lengths differ by less are comparable."""


@dataclass(frozen=True, slots=True)
class Held:
    """A finding of the head-end that holds values back."""

    finding_id: int
    check: str
    reason: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Review:
    """An item of the review list that is to be made."""

    due: Due
    span: Span
    flag: Flag
    holds: bool


@dataclass(slots=True)
class Verdict:
    """What the checks say about a span."""

    wait: Lacking | None = None
    reviews: list[Review] = field(default_factory=list)


def held_of(
    connection: Connection, device_ids: Sequence[int], since: datetime, until: datetime
) -> dict[int, list[Held]]:
    """What `headend.watching.findings.hold_of` calls held, for many meters at once."""
    found: dict[int, list[Held]] = {}
    for place in range(0, len(device_ids), _AT_ONCE):
        rows = connection.execute(
            select(
                findings.c.device_id,
                findings.c.finding_id,
                findings.c.check_name,
                findings.c.reason,
                findings.c.since,
                findings.c.until,
            ).where(
                findings.c.device_id.in_(device_ids[place : place + _AT_ONCE]),
                findings.c.holds == 1,
                findings.c.since < until,
                findings.c.until > since,
            )
        )
        for device_id, *values in rows:
            found.setdefault(device_id, []).append(Held(*values))
    return found


def own_flags(
    span: Span, metered: Metered, limits: Limits, usual: Sequence[int] | None
) -> list[Flag]:
    """Flags of what was measured, besides those of metering itself.

    Args:
        span: which time.
        metered: what went through the meters.
        limits: ``power_factor_least``, ``use_swing_percent``, ``use_floor_wh``.
        usual: use per day of comparable spans before, Wh; None: the head-end judges it.
    """
    flags = list(metered.flags)
    reactive = [part.varh for part in metered.parts if part.varh is not None]
    if reactive:
        flag = power_factor(metered.total_wh, sum(reactive), limits)
        flags += [] if flag is None else [flag]
    if metered.estimated:
        flags.append(
            Flag("estimated", "A register of this time was not read; it is estimated between two.")
        )
    if usual is not None:
        flag = _swing(span, metered.total_wh, usual, limits)
        flags += [] if flag is None else [flag]
    return flags


def usual_of(
    connection: Connection,
    dues: Sequence[Due],
    span: Span,
    cycle: Cycle,
    fresh: Iterable[tuple[int, datetime, datetime, int]] = (),
) -> dict[int, list[int]]:
    """Use per day of each supply's comparable spans before, Wh, from its own settlements.

    Args:
        connection: in any transaction.
        dues: the supplies.
        span: which is judged.
        cycle: says how far is looked back.
        fresh: supply, span and energy of settlements that are not written yet.
    """
    length = span.until - span.since
    slack = length * _ALIKE_PERCENT // 100
    found: dict[int, list[int]] = {due.supply_id: [] for due in dues}
    ids = sorted({due.account_id for due in dues})  # the index by time is that of accounts
    sums: dict[tuple[int, datetime, datetime], int] = {}
    for place in range(0, len(ids), _AT_ONCE):
        rows = connection.execute(
            select(
                settlements.c.supply_id,
                settlements.c.since,
                settlements.c.until,
                settlements.c.energy_wh,
            ).where(
                settlements.c.account_id.in_(ids[place : place + _AT_ONCE]),
                settlements.c.until > span.since - _USUAL_BACK[cycle],
            )
        )
        for supply_id, since, until, energy in rows:
            if supply_id in found:
                key = (supply_id, since, until)
                sums[key] = sums.get(key, 0) + energy
    for supply_id, since, until, energy in fresh:
        if supply_id in found:
            sums[supply_id, since, until] = energy
    for (supply_id, since, until), energy in sums.items():
        if abs((until - since) - length) <= slack:
            found[supply_id].append(_per_day(energy, since, until))
    return found


def decisions_of(
    connection: Connection, supply_ids: Sequence[int], span: Span
) -> dict[tuple[int, str], Any]:
    """The last review of each check of a span, by supply and check."""
    found: dict[tuple[int, str], Any] = {}
    for place in range(0, len(supply_ids), _AT_ONCE):
        rows = connection.execute(
            select(settlement_reviews)
            .where(
                settlement_reviews.c.supply_id.in_(supply_ids[place : place + _AT_ONCE]),
                settlement_reviews.c.since == span.since,
                settlement_reviews.c.until == span.until,
            )
            .order_by(settlement_reviews.c.review_id)
        )
        for row in rows:
            found[row.supply_id, row.check_name] = row
    return found


def estimate_of(decided: Mapping[tuple[int, str], Any], supply_id: int) -> dict[str, int] | None:
    """The energy that a person has estimated for a supply's span; None: nobody has."""
    mine = [row for (supply, _), row in decided.items() if supply == supply_id]
    mine = [row for row in mine if row.state == "estimated"]
    if not mine:
        return None
    energy: dict[str, int] = json.loads(max(mine, key=lambda row: row.review_id).energy)
    return energy


def judged_elsewhere(
    connection: Connection, flagged: Mapping[int, set[str]], span: Span
) -> set[tuple[int, str]]:
    """(device, check) of findings of the head-end for a span, in any state: it has judged them."""
    found: set[tuple[int, str]] = set()
    devices = sorted(flagged)
    checks = sorted({check for each in flagged.values() for check in each})
    for place in range(0, len(devices), _AT_ONCE):
        some = devices[place : place + _AT_ONCE]
        rows = connection.execute(
            select(findings.c.device_id, findings.c.check_name).where(
                findings.c.check_name.in_(checks),
                findings.c.subject.in_([f"device {device}" for device in some]),
                findings.c.since < span.until,
                findings.c.until > span.since,
            )
        )
        found |= {(row.device_id, row.check_name) for row in rows}
    return found


def verdict_of(
    due: Due,
    span: Span,
    kind: Kind,
    policy: Policy,
    flags: Sequence[Flag],
    held: Sequence[Held],
    decided: Mapping[tuple[int, str], Any],
) -> Verdict:
    """Whether a span may be settled.

    Args:
        due: the supply.
        span: which time.
        kind: of the settlement.
        policy: what flags do.
        flags: of our own checks.
        held: findings of the head-end.
        decided: see `decisions_of`.
    """
    verdict = Verdict()
    for finding in held:
        match policy.act(finding.check, kind):
            case Act.HOLD:
                verdict.wait = verdict.wait or Lacking(
                    "held",
                    f"Finding {finding.finding_id} of the head-end holds its values: "
                    f"{finding.reason} Decide about it: `meterhouse finding show "
                    f"{finding.finding_id}`.",
                )
            case Act.FLAG:
                flag = Flag(
                    finding.check, finding.reason, {"finding": finding.finding_id}, holds=False
                )
                _note(verdict, due, span, flag, decided, holds=False)
    for flag in flags:
        last = decided.get((due.supply_id, flag.check))
        match policy.act(flag.check, kind):
            case Act.HOLD if last is None or last.state not in ("released", "estimated"):
                _note(verdict, due, span, flag, decided, holds=True)
                verdict.wait = verdict.wait or Lacking(
                    "review",
                    f"{flag.reason} It is on the review list: `meterhouse settle review list`.",
                )
            case Act.FLAG:
                _note(verdict, due, span, flag, decided, holds=False)
    return verdict


def _note(
    verdict: Verdict,
    due: Due,
    span: Span,
    flag: Flag,
    decided: Mapping[tuple[int, str], Any],
    *,
    holds: bool,
) -> None:
    last = decided.get((due.supply_id, flag.check))
    is_known = last is not None and (last.state == "open" or not holds)
    is_double = any(each.flag.check == flag.check for each in verdict.reviews)
    if not is_known and not is_double:
        verdict.reviews.append(Review(due, span, flag, holds))


def _swing(span: Span, used_wh: int, usual: Sequence[int], limits: Limits) -> Flag | None:
    if len(usual) < _USUAL_LEAST:
        return None
    now, before = _per_day(used_wh, span.since, span.until), median(usual)
    days = (span.until - span.since) / timedelta(days=1)
    floor = limits["use_floor_wh"] // 7
    far = abs(now - before)
    if 100 * far <= limits["use_swing_percent"] * before or far <= floor:
        return None
    way = "above" if now > before else "below"
    much = f"{100 * far // before} % {way} it" if before else "nothing was used before"
    return Flag(
        "use_swing",
        f"{kwh(used_wh)} in {days:.4g} days is {kwh(now)} a day; usual is {kwh(before)} (median of "
        f"{len(usual)} spans): {much}. Ask the customer, or look at the meter.",
        {"day_wh": now, "usual_wh": before, "spans": len(usual)},
        cause=f"use_{way}",
    )


def _per_day(energy_wh: int, since: datetime, until: datetime) -> int:
    return energy_wh * 86_400 // max(1, (until - since) // timedelta(seconds=1))
