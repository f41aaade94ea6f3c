"""What a supply's settlements say about the past, where its state does not: corrections, rarely
prices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

from billing.settlement.looking import Settlement, effective
from billing.settlement.spans import begins_month, month_start
from billing.settlement.state import NOTHING, MonthSoFar, State
from billing.tariffs.store import versions_between
from billing.tariffs.values import LineKind

_SECOND: Final = timedelta(seconds=1)


def used_between(connection: Connection, supply_id: int, since: datetime, until: datetime) -> int:
    """What a supply used in a time; a part that is cut counts by time."""
    rows = effective(connection, supply_id, since, until)
    return sum(_inside(row, since, until) for row in rows)


def state_before(
    connection: Connection,
    rows: Sequence[Settlement],
    begin: datetime,
    supply_since: datetime,
    zone: tzinfo,
) -> State:
    """What a span that begins with a moment goes on from; nothing is carried.

    Args:
        connection: in any transaction.
        rows: what holds of the supply from the begin of the moment's year on, or longer.
        begin: where a settlement begins.
        supply_since: when the supply began.
        zone: the utility's.
    """
    before = [row for row in rows if row.until <= begin]
    if not before:
        return State(0, begin)
    month = max(month_start(begin.astimezone(zone).date(), zone), supply_since)
    year = month_start(begin.astimezone(zone).date().replace(month=1), zone)
    starts = {month, max(year, supply_since), supply_since}
    starts |= _version_starts(connection, before, max(year, supply_since), begin)
    oldest = before[0].since
    counted = {
        start: sum(_inside(row, start, begin) for row in before)
        for start in starts
        if max(year, oldest) <= start < begin
    }
    so_far = MonthSoFar()
    if not begins_month(begin, zone):
        so_far = _month_so_far(connection, (row for row in before if row.since >= month))
    meters = before[-1].readings["meters"]
    registers = {meters[-1]["device"]: meters[-1]["end"]} if meters else {}
    return State(0, begin, NOTHING, NOTHING, counted, so_far, registers)


def carried_by(row: Settlement) -> tuple[Decimal, Decimal]:
    """What a settlement has left of amount and tax, beyond what was carried to it."""
    readings = json.loads(row.readings_json)
    tax = Decimal(readings["after"].get("tax_carried", "0"))
    return (
        row.carried - Decimal(readings.get("carried_in", "0")),
        tax - Decimal(readings.get("tax_carried_in", "0")),
    )


def _version_starts(
    connection: Connection, rows: Sequence[Settlement], since: datetime, until: datetime
) -> set[datetime]:
    """When versions of the supply's tariffs began in a time."""
    codes = {part.tariff for row in rows for part in row.parts}
    found: set[datetime] = set()
    begin = max(since, rows[0].since)
    for code in codes if begin < until else ():
        found |= {each.since for each in versions_between(connection, code, begin, until)}
    return found


def _month_so_far(connection: Connection, rows: Iterable[Settlement]) -> MonthSoFar:
    active = varh = 0
    demand: int | None = None
    charges: dict[LineKind, Decimal] = {}
    for row in rows:
        watts = row.readings.get("demand_w")
        if watts is not None:
            demand = max(watts, demand or 0)
        for part in row.parts:
            (version,) = [
                each.version
                for each in versions_between(connection, part.tariff, part.since, part.until)
            ][:1]
            if version.plan.power_factor is None:
                continue
            active += part.energy_wh["total"]
            varh += part.energy_wh.get("reactive", 0)
            for line in part.lines:
                if line.kind is not LineKind.TAX:
                    charges[line.kind] = charges.get(line.kind, NOTHING) + line.amount
    return MonthSoFar(active, varh, demand, charges)


def _inside(row: Settlement, since: datetime, until: datetime) -> int:
    used = 0
    for part in row.parts:
        begin, end = max(part.since, since), min(part.until, until)
        if begin < end:
            whole, mine = (part.until - part.since) // _SECOND, (end - begin) // _SECOND
            total: Any = part.energy_wh["total"]
            used += total * mine // whole
    return used
