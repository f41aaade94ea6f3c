"""Outages found, followed and ended; alarms about dark places and dead lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from headend.registry.tables import end_devices, installations, links, places, service_points
from headend.station import Station
from headend.store.tables import meter_events
from headend.watching.alarms import (
    Severity,
    close_if_open,
    open_subjects,
    raise_alarm,
    subject_of,
)
from headend.watching.contacts import answered_before, last_contacts, lines_between
from headend.watching.health import LINK_DEAD
from headend.watching.limits import limits_in_force
from headend.watching.outages import Asked, Dark, judge_silence
from headend.watching.tables import outage_meters, outages
from headend.watching.thresholds import Limits

OUTAGE: Final = "outage"
_WINDOW: Final = timedelta(hours=1)
"""Before the present hour: who was asked since then is judged."""
_ANSWERED_WITHIN: Final = timedelta(hours=24)
"""A meter that has not answered for longer says nothing about an outage."""


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage as people see it."""

    outage_id: int
    place: str
    began_at: datetime
    ended_at: datetime | None
    meters: int
    still_dark: int


def watch_outages(station: Station) -> int:
    """Find outages and dead lines, end those that are over; how many places are dark."""
    now = station.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    with station.reading() as connection:
        limits = limits_in_force(connection)
        asked = _asked(connection, hour - _WINDOW, now)
        network = {row.place_id: row for row in connection.execute(select(places)).all()}
        lines = {each.link_id: each for each in lines_between(connection, hour - _WINDOW, now)}
        names = _link_names(connection)
    judged = judge_silence(
        asked,
        {place: row.parent_id for place, row in network.items()},
        least=limits["outage_least"],
        percent=limits["outage_percent"],
    )
    with station.writing() as connection:
        _follow(connection, asked, limits, now)
        _open(connection, judged.outages, asked, network, station)
        shut = open_subjects(connection, LINK_DEAD)
        still_dead = {subject_of(link_id=link) for link in judged.dead_links}
        for link in judged.dead_links:
            if subject_of(link_id=link) not in shut:
                broken = link in lines and lines[link].broken > 0
                raise_alarm(
                    connection,
                    LINK_DEAD,
                    link_id=link,
                    severity=Severity.WARNING,
                    words=_dead_words(names[link], broken=broken),
                    at=now,
                )
        for link, line in lines.items():
            if line.answered > 0 and subject_of(link_id=link) in shut - still_dead:
                close_if_open(
                    connection, LINK_DEAD, link_id=link, words="Its meters answer.", at=now
                )
    return len(judged.outages)


def open_outages(connection: Connection, *, ended: bool = False, limit: int = 100) -> list[Outage]:
    """Outages, the newest first; ``ended``: those that are over, too."""
    dark = func.count().filter(outage_meters.c.back_at.is_(None))
    chosen = (
        select(
            outages.c.outage_id,
            places.c.name,
            outages.c.began_at,
            outages.c.ended_at,
            func.count(),
            dark,
        )
        .join(places, places.c.place_id == outages.c.place_id)
        .join(outage_meters, outage_meters.c.outage_id == outages.c.outage_id)
        .group_by(outages.c.outage_id, places.c.name, outages.c.began_at, outages.c.ended_at)
        .order_by(outages.c.began_at.desc())
        .limit(limit)
    )
    if not ended:
        chosen = chosen.where(outages.c.ended_at.is_(None))
    return [Outage(*row) for row in connection.execute(chosen)]


def _asked(connection: Connection, since: datetime, now: datetime) -> list[Asked]:
    """Every meter of a place that was asked lately and answered within a day before."""
    contacts = {each.device_id: each for each in last_contacts(connection, since, now)}
    silent = [device for device, each in contacts.items() if not each.answered]
    fresh = answered_before(connection, silent, now - _ANSWERED_WITHIN, now)
    fresh |= _in_outages(connection)
    dark = _without_power(connection, since, now)
    rows = connection.execute(
        select(end_devices.c.device_id, end_devices.c.link_id, service_points.c.place_id)
        .join(installations, installations.c.device_id == end_devices.c.device_id)
        .join(service_points, service_points.c.point_id == installations.c.point_id)
        .where(
            installations.c.until.is_(None),
            end_devices.c.state == "active",
            service_points.c.place_id.is_not(None),
        )
    )
    found = []
    for device, link, place in rows:
        contact = contacts.get(device)
        if contact is None and device not in dark:
            continue
        is_silent = contact is not None and not contact.answered
        if is_silent and device not in fresh and device not in dark:
            continue
        found.append(Asked(device, place, link, is_silent, device in dark))
    return found


def _without_power(connection: Connection, since: datetime, now: datetime) -> set[int]:
    rows = connection.execute(
        select(meter_events.c.device_id).where(
            meter_events.c.kind == "power_off",
            meter_events.c.began_at >= since,
            meter_events.c.began_at <= now,
            meter_events.c.ended_at.is_(None),
        )
    )
    return {row.device_id for row in rows}


def _in_outages(connection: Connection) -> set[int]:
    rows = connection.execute(
        select(outage_meters.c.device_id)
        .join(outages, outages.c.outage_id == outage_meters.c.outage_id)
        .where(outages.c.ended_at.is_(None), outage_meters.c.back_at.is_(None))
    )
    return {row.device_id for row in rows}


def _follow(connection: Connection, asked: Sequence[Asked], limits: Limits, now: datetime) -> None:
    """Note who is back, and end what is over."""
    lit = {each.device_id for each in asked if not each.dark}
    rows = connection.execute(select(outages).where(outages.c.ended_at.is_(None))).all()
    for row in rows:
        members = connection.execute(
            select(outage_meters.c.device_id, outage_meters.c.back_at).where(
                outage_meters.c.outage_id == row.outage_id
            )
        ).all()
        back = [
            each.device_id for each in members if each.back_at is None and each.device_id in lit
        ]
        for start in range(0, len(back), 1_000):
            connection.execute(
                update(outage_meters)
                .where(
                    outage_meters.c.outage_id == row.outage_id,
                    outage_meters.c.device_id.in_(back[start : start + 1_000]),
                )
                .values(back_at=now)
            )
        still = sum(each.back_at is None for each in members) - len(back)
        if 100 * still < limits["outage_back_percent"] * len(members):
            _end(connection, row, f"{len(members) - still} of {len(members)} meters answer.", now)


def _open(
    connection: Connection,
    dark: Sequence[Dark],
    asked: Sequence[Asked],
    network: Mapping[int, Any],
    station: Station,
) -> None:
    now = station.now()
    running = {
        row.place_id: row
        for row in connection.execute(select(outages).where(outages.c.ended_at.is_(None)))
    }
    power_off = {each.device_id for each in asked if each.power_off}
    for each in dark:
        above = list(_above(each.place_id, network))
        if any(place in running for place in above):
            continue
        row = running.get(each.place_id)
        if row is None:
            row = _begin(connection, each, network[each.place_id], len(power_off), station)
        _join(connection, row.outage_id, each.device_ids, now)
        for place, other in running.items():
            if each.place_id in _above(place, network):
                name = network[each.place_id].name
                _end(connection, other, f"It is part of the outage at {name}.", now)


def _begin(connection: Connection, dark: Dark, place: Any, reported: int, station: Station) -> Any:
    now = station.now()
    began = now.replace(minute=0, second=0, microsecond=0)
    if not reported:  # silent since some moment of the hour before
        began -= _WINDOW
    local = began.astimezone(station.zone)
    words = (
        f"No power at {place.kind} {place.name}: {len(dark.device_ids)} of {dark.asked} meters "
        f"that were asked are dark, since {local:%Y-%m-%d %H:%M} or later. Send a crew; tell the "
        "customers."
    )
    alarm = raise_alarm(
        connection,
        OUTAGE,
        place_id=dark.place_id,
        severity=Severity.CRITICAL,
        words=words,
        at=now,
    )
    values = {"place_id": dark.place_id, "began_at": began, "found_at": now, "alarm_id": alarm}
    return connection.execute(insert(outages).values(**values).returning(outages)).one()


def _join(connection: Connection, outage_id: int, device_ids: Iterable[int], now: datetime) -> None:
    known = set(
        connection.execute(
            select(outage_meters.c.device_id).where(outage_meters.c.outage_id == outage_id)
        ).scalars()
    )
    new = [device for device in device_ids if device not in known]
    if new:
        connection.execute(
            insert(outage_meters),
            [{"outage_id": outage_id, "device_id": device, "silent_at": now} for device in new],
        )
    gone = [device for device in device_ids if device in known]
    for start in range(0, len(gone), 1_000):  # dark again
        connection.execute(
            update(outage_meters)
            .where(
                outage_meters.c.outage_id == outage_id,
                outage_meters.c.device_id.in_(gone[start : start + 1_000]),
                outage_meters.c.back_at.is_not(None),
            )
            .values(back_at=None)
        )


def _end(connection: Connection, row: Any, words: str, now: datetime) -> None:
    connection.execute(
        update(outages).where(outages.c.outage_id == row.outage_id).values(ended_at=now)
    )
    close_if_open(connection, OUTAGE, place_id=row.place_id, words=words, at=now)


def _above(place: int, network: Mapping[int, Any]) -> Iterable[int]:
    above = network[place].parent_id
    steps = 0
    while above is not None and steps < len(network):
        yield above
        above, steps = network[above].parent_id, steps + 1


def _dead_words(name: str, *, broken: bool) -> str:
    if broken:
        return (
            f"Line {name} cannot be opened, or breaks: no meter on it can be asked. Look at the "
            "gateway, its power and its network; `meterhouse link doctor` helps."
        )
    return (
        f"No meter on line {name} answers, while the places that it serves have power by other "
        "lines or nothing else is known. Look at the gateway and the cable."
    )


def _link_names(connection: Connection) -> dict[int, str]:
    return {
        row.link_id: row.name for row in connection.execute(select(links.c.link_id, links.c.name))
    }
