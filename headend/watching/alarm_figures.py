"""Figures about alarms: how many of which kind, how soon somebody took them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from headend.station import Station
from headend.watching.calendar import day_of
from headend.watching.checks.use import median
from headend.watching.tables import alarms


@dataclass(frozen=True, slots=True)
class KindFigures:
    """Alarms of one kind that were raised in a span."""

    kind: str
    raised: int
    repeated: int
    """Times that they were seen, the first one included."""
    acknowledged: int
    closed: int
    open: int
    until_acknowledged_min: int | None
    """Median, of those that were."""
    until_closed_min: int | None
    """Median, of those that are."""


def figures_by_kind(connection: Connection, since: datetime, until: datetime) -> list[KindFigures]:
    """Figures of the alarms first raised in a span, the most frequent kind first."""
    of_kind: dict[str, list[tuple[int, int | None, int | None]]] = {}
    rows = connection.execute(
        select(
            alarms.c.kind,
            alarms.c.count,
            alarms.c.first_at,
            alarms.c.acknowledged_at,
            alarms.c.closed_at,
        ).where(alarms.c.first_at >= since, alarms.c.first_at < until)
    )
    for kind, count, first, acknowledged, closed in rows:
        taken = (_minutes(first, acknowledged), _minutes(first, closed))
        of_kind.setdefault(kind, []).append((count, *taken))
    found = [_figures(kind, rows_of) for kind, rows_of in of_kind.items()]
    return sorted(found, key=lambda each: (-each.raised, each.kind))


def raised_by_day(
    station: Station, connection: Connection, since: datetime, until: datetime
) -> dict[int, dict[str, int]]:
    """Day of the utility's zone → severity (as it is now) → alarms first raised on it."""
    found: dict[int, dict[str, int]] = {}
    rows = connection.execute(
        select(alarms.c.first_at, alarms.c.severity).where(
            alarms.c.first_at >= since, alarms.c.first_at < until
        )
    )
    for at, severity in rows:
        of_day = found.setdefault(day_of(station.zone, at), {})
        of_day[severity] = of_day.get(severity, 0) + 1
    return found


def _figures(kind: str, rows: list[tuple[int, int | None, int | None]]) -> KindFigures:
    taken = [minutes for _, minutes, _ in rows if minutes is not None]
    ended = [minutes for _, _, minutes in rows if minutes is not None]
    return KindFigures(
        kind,
        len(rows),
        sum(count for count, _, _ in rows),
        len(taken),
        len(ended),
        len(rows) - len(ended),
        median(taken) if taken else None,
        median(ended) if ended else None,
    )


def _minutes(first: datetime, then: datetime | None) -> int | None:
    return None if then is None else (then - first) // timedelta(minutes=1)
