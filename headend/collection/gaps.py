"""What the store still lacks of a meter's memory: freezes, months, spans of its load profile.

The meter itself is not asked here; asked is then only for this, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy import Connection, select

from headend.collection.plan import What
from headend.collection.tables import clock_offsets, event_counts
from headend.collection.window import at_wall_time
from headend.station import Station
from headend.store import readings as store
from headend.talk.device import Device
from headend.talk.happenings import Known
from headend.values import Source

_SPANS_MAX: Final = 8
"""Gaps of one profile in one visit; the rest is asked for in the next round."""
_CLOCK_EVERY: Final = timedelta(hours=20)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_KNOWN_FROM: Final = 7
"""Freezes before the first that is wanted, from which it is known what a meter freezes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be asked of one meter in one visit."""

    quantities: tuple[str, ...] = ()
    daily: tuple[int, ...] = ()
    """Which freezes: 1 for the last."""
    hourly: tuple[int, ...] = ()
    monthly: tuple[int, ...] = ()
    profile: tuple[tuple[datetime, datetime], ...] = ()
    """Spans, the oldest first."""
    known_events: dict[str, Known] = field(default_factory=dict)
    events: bool = False
    clock: bool = False


def wanted_of(
    connection: Connection, station: Station, device: Device, what: What, parts: Sequence[str]
) -> Wanted:
    """What is to be asked of a meter.

    Args:
        connection: in any transaction.
        station: whose clock and zone.
        device: which.
        what: the plan's.
        parts: which parts of it remain (`What.parts`).
    """
    now = station.now()
    has_events = "events" in parts
    return Wanted(
        quantities=tuple(name for name in what.quantities if name in parts),
        daily=_days(connection, station, device, what, now) if "daily" in parts else (),
        hourly=_hours(connection, device, what, now) if "hourly" in parts else (),
        monthly=_months(connection, station, device, what, now) if "monthly" in parts else (),
        profile=_spans(connection, device, what, now) if "profile" in parts else (),
        known_events=_known_events(connection, device) if has_events else {},
        events=has_events,
    )


def _days(
    connection: Connection, station: Station, device: Device, what: What, now: datetime
) -> tuple[int, ...]:
    today = now.astimezone(station.zone).date()
    midnights = [
        at_wall_time(today - timedelta(days=back), time(0), station.zone)
        for back in range(what.daily_back)
    ]
    return _lacking(connection, device, what.daily, midnights)


def _hours(connection: Connection, device: Device, what: What, now: datetime) -> tuple[int, ...]:
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - back * _HOUR for back in range(what.hourly_back)]
    return _lacking(connection, device, what.hourly, hours)


def _lacking(
    connection: Connection, device: Device, quantities: Sequence[str], moments: list[datetime]
) -> tuple[int, ...]:
    """Which freezes are not kept yet; those before the meter came are not missed."""
    wanted = [moment for moment in moments if moment >= device.added_at]
    if not wanted:
        return ()
    since = wanted[-1] - _KNOWN_FROM * (moments[0] - moments[1] if len(moments) > 1 else _DAY)
    of_each = [
        _kept(connection, device, name, since, wanted[0] + _HOUR)
        for name in dict.fromkeys(quantities)
    ]
    # what the meter has given in none of its freezes it does not freeze: asking brings nothing
    given = [kept for kept in of_each if kept]
    whole = set.intersection(*given) if given else set()
    return tuple(nth for nth, moment in enumerate(wanted, 1) if moment not in whole)


def _kept(
    connection: Connection, device: Device, quantity: str, since: datetime, until: datetime
) -> set[datetime]:
    """Moments of a span of which a frozen value is kept."""
    found = store.readings(connection, device.device_id, quantity, since, until)
    return {reading.at for reading in found if reading.source is Source.FREEZE}


def _months(
    connection: Connection, station: Station, device: Device, what: What, now: datetime
) -> tuple[int, ...]:
    """Settlements may lie on any day: one is wanted again until all of this month's is kept."""
    month = at_wall_time(now.astimezone(station.zone).date().replace(day=1), time(0), station.zone)
    if what.monthly_back == 1 and all(
        month in _kept(connection, device, name, month, now + _HOUR) for name in what.monthly
    ):
        return ()
    return tuple(range(1, what.monthly_back + 1))


def _spans(
    connection: Connection, device: Device, what: What, now: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    step_s = what.profile_min * 60
    until = datetime.fromtimestamp(int(now.timestamp()) // step_s * step_s, UTC)
    since = max(now - timedelta(days=what.profile_back), device.added_at)
    spans: set[tuple[datetime, datetime]] = set()
    for quantity in what.profile:
        spans.update(
            store.missing(connection, device.device_id, quantity, since, until, what.profile_min)
        )
    return _joined(sorted(spans))[:_SPANS_MAX]


def _joined(spans: list[tuple[datetime, datetime]]) -> tuple[tuple[datetime, datetime], ...]:
    """Spans that touch or overlap as one."""
    found: list[tuple[datetime, datetime]] = []
    for since, until in spans:
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return tuple(found)


def _known_events(connection: Connection, device: Device) -> dict[str, Known]:
    rows = connection.execute(
        select(event_counts.c.source, event_counts.c.count, event_counts.c.is_open).where(
            event_counts.c.device_id == device.device_id
        )
    )
    return {row.source: Known(row[1], is_open=bool(row.is_open)) for row in rows}


def known_clocks(
    connection: Connection, device_ids: Iterable[int], now: datetime
) -> frozenset[int]:
    """Of some meters those whose clock was read within the last day."""
    query = select(clock_offsets.c.device_id).where(
        clock_offsets.c.device_id.in_(list(device_ids)), clock_offsets.c.at > now - _CLOCK_EVERY
    )
    return frozenset(connection.execute(query).scalars())
