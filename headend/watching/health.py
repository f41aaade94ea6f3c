"""Communication health: how many questions were answered, by meter, link and area.

Read success is what was answered of what was asked, in the last hour, day and three days.  Hours
are counted whole: "the last hour" is the present hour and the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, case, func, select

from headend.collection.tables import contact_hours, link_hours
from headend.registry.tables import end_devices, installations, links, places, service_points
from headend.station import Station
from headend.watching.alarms import (
    Severity,
    close_if_open,
    open_subjects,
    raise_alarm,
    subject_of,
)
from headend.watching.limits import limits_in_force
from headend.watching.tables import outage_meters, outages

SPANS_H: Final = (1, 24, 72)
LINK_DEAD: Final = "link_dead"
METER_SILENT: Final = "meter_silent"
SUCCESS_LOW: Final = "success_low"


class By(StrEnum):
    """Of what the success is told."""

    METER = "meter"
    LINK = "link"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class Success:
    """Questions and answers of a meter, link or area; three spans each."""

    number: int
    name: str
    asked: tuple[int, int, int]
    answered: tuple[int, int, int]

    def percent_tenths(self, span: int) -> int | None:
        """Tenths of a percent in a span (0, 1, 2), rounded down; None when nobody was asked."""
        asked = self.asked[span]
        return 1_000 * self.answered[span] // asked if asked else None


def success(
    connection: Connection, by: By, now: datetime, *, worst: int | None = None
) -> list[Success]:
    """The read success of all meters, links or areas that were asked, the worst of the day first.

    Args:
        connection: in any transaction.
        by: of what.
        now: the time.
        worst: so many at most.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    chosen = _chosen(by, [hour - timedelta(hours=span) for span in SPANS_H], now)
    if worst is not None:
        chosen = chosen.limit(worst)
    return [
        Success(number, name, (int(a1), int(a24), int(a72)), (int(b1), int(b24), int(b72)))
        for number, name, a1, a24, a72, b1, b24, b72 in connection.execute(chosen)
    ]


def success_by_hour(connection: Connection, since: datetime) -> list[tuple[datetime, int, int]]:
    """(hour, asked, answered) of all lines."""
    rows = connection.execute(
        select(link_hours.c.hour, func.sum(link_hours.c.asked), func.sum(link_hours.c.answered))
        .where(link_hours.c.hour >= since)
        .group_by(link_hours.c.hour)
        .order_by(link_hours.c.hour)
    )
    return [(hour, int(asked), int(answered)) for hour, asked, answered in rows]


def watch_health(station: Station) -> int:
    """Raise and close alarms about meters, links and areas that do not answer; how many changed."""
    now = station.now()
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=24)
    with station.reading() as connection:
        limits = limits_in_force(connection)
        links_of_day = _of_day(connection, By.LINK, since, now)
        areas_of_day = _of_day(connection, By.AREA, since, now)
        silent = _silent(connection, since, now, limits["meter_silent_asked_least"])
    least, percent = limits["success_asked_least"], limits["success_least_percent"]
    changed = 0
    with station.writing() as connection:
        # whose line has an alarm of its own needs none
        dead = {int(subject.split()[1]) for subject in open_subjects(connection, LINK_DEAD)}
        dead |= {
            link
            for link, (_, asked, answered) in links_of_day.items()
            if asked >= least and not answered
        }
        excused = _excused(connection)
        speechless = {
            device: number
            for device, (number, link) in silent.items()
            if link not in dead and device not in excused
        }
        changed += _keep_meters(connection, speechless, set(silent), now)
        for kind, of_day in (("link_id", links_of_day), ("place_id", areas_of_day)):
            changed += _keep_low(connection, kind, of_day, least, percent, now)
    return changed


def _chosen(by: By, since: list[datetime], now: datetime) -> Select[Any]:
    table = link_hours if by is By.LINK else contact_hours

    def total(column: Any, first: datetime) -> Any:
        return func.sum(case((table.c.hour >= first, column), else_=0))

    number, name, source = _source(by)
    asked = [total(table.c.asked, first) for first in since]
    answered = [total(table.c.answered, first) for first in since]
    in_span = (table.c.hour >= since[-1], table.c.hour <= now)
    whole = func.sum(table.c.asked) > 0
    share = 1_000_000 * answered[1] / func.nullif(asked[1], 0)
    return (
        select(number, name, *asked, *answered)
        .select_from(source)
        .where(*in_span)
        .group_by(number, name)
        .having(whole)
        .order_by(share.is_(None), share, name)
    )


def _source(by: By) -> tuple[Any, Any, Any]:
    if by is By.LINK:
        joined = link_hours.join(links, links.c.link_id == link_hours.c.link_id)
        return links.c.link_id, links.c.name, joined
    meters = contact_hours.join(end_devices, end_devices.c.device_id == contact_hours.c.device_id)
    if by is By.METER:
        return end_devices.c.device_id, end_devices.c.number, meters
    at_places = (
        contact_hours.join(
            installations,
            (installations.c.device_id == contact_hours.c.device_id)
            & installations.c.until.is_(None),
        )
        .join(service_points, service_points.c.point_id == installations.c.point_id)
        .join(places, places.c.place_id == service_points.c.place_id)
    )
    return places.c.place_id, places.c.name, at_places


def _of_day(
    connection: Connection, by: By, since: datetime, now: datetime
) -> dict[int, tuple[str, int, int]]:
    table = link_hours if by is By.LINK else contact_hours
    number, name, source = _source(by)
    rows = connection.execute(
        select(number, name, func.sum(table.c.asked), func.sum(table.c.answered))
        .select_from(source)
        .where(table.c.hour >= since, table.c.hour <= now)
        .group_by(number, name)
    )
    return {key: (text, int(asked), int(answered)) for key, text, asked, answered in rows}


def _silent(
    connection: Connection, since: datetime, now: datetime, least: int
) -> dict[int, tuple[str, int | None]]:
    """Meters that were asked often and never answered: device → (number, link)."""
    rows = connection.execute(
        select(end_devices.c.device_id, end_devices.c.number, end_devices.c.link_id)
        .join(contact_hours, contact_hours.c.device_id == end_devices.c.device_id)
        .where(
            contact_hours.c.hour >= since,
            contact_hours.c.hour <= now,
            end_devices.c.state == "active",
        )
        .group_by(end_devices.c.device_id, end_devices.c.number, end_devices.c.link_id)
        .having(func.sum(contact_hours.c.asked) >= least, func.sum(contact_hours.c.answered) == 0)
    )
    return {row.device_id: (row.number, row.link_id) for row in rows}


def _excused(connection: Connection) -> set[int]:
    """Meters that an outage explains."""
    rows = connection.execute(
        select(outage_meters.c.device_id)
        .join(outages, outages.c.outage_id == outage_meters.c.outage_id)
        .where(outages.c.ended_at.is_(None), outage_meters.c.back_at.is_(None))
    )
    return {row.device_id for row in rows}


def _keep_meters(
    connection: Connection, speechless: Mapping[int, str], silent: set[int], now: datetime
) -> int:
    known = {int(subject.split()[1]) for subject in open_subjects(connection, METER_SILENT)}
    for device, number in speechless.items():
        if device not in known:
            raise_alarm(
                connection,
                METER_SILENT,
                device_id=device,
                severity=Severity.NOTICE,
                words=f"Meter {number} has not answered for a day, others on its line do. "
                f"Try `meterhouse read {number}`; else look at its wiring and address.",
                at=now,
            )
    back = [device for device in known if device not in silent]
    for device in back:
        close_if_open(
            connection, METER_SILENT, device_id=device, words="It answers, or is asked no more.",
            at=now,
        )  # fmt: skip
    return len(speechless.keys() - known) + len(back)


def _keep_low(
    connection: Connection,
    column: str,
    of_day: Mapping[int, tuple[str, int, int]],
    least: int,
    percent: int,
    now: datetime,
) -> int:
    known = open_subjects(connection, SUCCESS_LOW)
    changed = 0
    for number, (name, asked, answered) in of_day.items():
        subject: dict[str, Any] = {column: number}
        is_known = subject_of(**subject) in known
        is_low = asked >= least and 100 * answered < percent * asked
        if is_low and not is_known:
            what = "line" if column == "link_id" else "area"
            raise_alarm(
                connection,
                SUCCESS_LOW,
                severity=Severity.NOTICE,
                words=f"Of {asked} questions to {what} {name} within a day {answered} were "
                f"answered ({100 * answered // asked} %). `meterhouse report success` shows the "
                "meters.",
                at=now,
                **subject,
            )
            changed += 1
        elif is_known and asked and not is_low:
            close_if_open(
                connection,
                SUCCESS_LOW,
                words=f"{answered} of {asked} answered within a day.",
                at=now,
                **subject,
            )
            changed += 1
    return changed
