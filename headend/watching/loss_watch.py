"""Alarms about places out of band, with who should be looked at first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import Final

from sqlalchemy import Connection, func, select

from headend.faults import EntryError
from headend.registry.tables import end_devices, installations, places, service_points
from headend.station import Station
from headend.store.tables import meter_events
from headend.watching.alarms import (
    Severity,
    close_if_open,
    open_subjects,
    raise_alarm,
    subject_of,
)
from headend.watching.calendar import date_of, day_of, midnight
from headend.watching.checking import days_of, voltages
from headend.watching.checks.silence import zero_run
from headend.watching.checks.tamper import TAMPER_EVENTS
from headend.watching.limits import limits_in_force
from headend.watching.losses import LossDay, losses
from headend.watching.suspects import Customer, Suspect, rank_suspects
from headend.watching.tables import loss_days, point_days, point_groups
from headend.watching.thresholds import Limits

LOSS: Final = "loss_out_of_band"
SUSPECT_DAYS: Final = 42
_CUSTOMERS_MAX: Final = 2_000
_NAMED: Final = 3


def watch_losses(station: Station) -> int:
    """Raise and close alarms by the newest judged day of each place; how many changed."""
    yesterday = day_of(station.zone, station.now()) - 1
    now = station.now()
    with station.reading() as connection:
        limits = limits_in_force(connection)
        known = open_subjects(connection, LOSS)
        newest = _newest_judged(connection, yesterday - limits["loss_days_back"] + 1, yesterday)
        words = {
            each.place_id: _words(connection, each, limits, station.zone)
            for each in newest
            if each.state != "good" and subject_of(place_id=each.place_id) not in known
        }
    gone = [
        each
        for each in newest
        if each.state == "good" and subject_of(place_id=each.place_id) in known
    ]
    if not words and not gone:
        return 0
    with station.writing() as connection:
        for place, text in words.items():
            raise_alarm(
                connection, LOSS, place_id=place, severity=Severity.NOTICE, words=text, at=now
            )
        for each in gone:
            back = f"The loss of {date_of(each.day)} is within its band."
            close_if_open(connection, LOSS, place_id=each.place_id, words=back, at=now)
    return len(words) + len(gone)


def suspects_of(
    connection: Connection,
    place_id: int,
    last: int,
    limits: Limits,
    zone: tzinfo,
    *,
    days: int = SUSPECT_DAYS,
    limit: int = 10,
) -> list[Suspect]:
    """Who explains the loss of a place best, over the days up to one.

    Args:
        connection: in any transaction.
        place_id: whose customers, those of places below it too.
        last: the last day's number.
        limits: thresholds in force.
        zone: the utility's.
        days: so many.
        limit: so many suspects at most.

    Raises:
        EntryError: the place has too many customers to say anything; ask for one of its areas.
    """
    first = last - days + 1
    meters = _customers(connection, place_id)
    if len(meters) > _CUSTOMERS_MAX:
        raise EntryError(
            f"{len(meters)} customers are too many to single one out: ask for an area below."
        )
    if not meters:
        return []
    points = [point for point, *_ in meters]
    devices = [device for _, device, *_ in meters]
    until = midnight(zone, last + 1)
    used = days_of(connection, points, first, last)
    events = _events(connection, devices, limits, zone, first, last)
    out = _backwards(connection, meters, first, last, limits)
    zero = limits["zero_use_wh"]
    quiet = [
        device
        for point, device, *_ in meters
        if zero_run(used[point], zero) >= limits["zero_use_days"]
    ]
    volts = voltages(connection, quiet, until) if quiet else {}
    present = limits["voltage_present_mv"]
    customers = [
        Customer(
            point,
            number,
            used[point],
            events.get(device, {}),
            zero_run(used[point], zero) if volts.get(device, 0) >= present else 0,
            out.get(point, 0),
        )
        for point, device, number, _ in meters
    ]
    return rank_suspects(_supplied(connection, place_id, first, last), customers, limit=limit)


def _newest_judged(connection: Connection, first: int, last: int) -> list[LossDay]:
    newest: dict[int, LossDay] = {}
    for each in losses(connection, first, last, states=("good", "high", "low")):
        newest[each.place_id] = each  # in the order of days
    return list(newest.values())


def _words(connection: Connection, loss: LossDay, limits: Limits, zone: tzinfo) -> str:
    assert loss.loss_bp is not None
    share = f"{loss.loss_bp / 100:.1f} %"
    if loss.state == "low":
        return (
            f"More was sold at {loss.kind} {loss.name} than supplied on {date_of(loss.day)} "
            f"({share}): is a customer at the wrong place, or the supply meter's ratio wrong?"
        )
    text = (
        f"{share} lost at {loss.kind} {loss.name} on {date_of(loss.day)}, which is out of band "
        f"({loss.coverage_percent} % of the meters known)."
    )
    if loss.kind != "area":
        return text + " `meterhouse report losses` shows which of its areas."
    found = suspects_of(connection, loss.place_id, loss.day, limits, zone, limit=_NAMED)
    if not found:
        return text + " Nobody stands out: look at the supply meter, ratios and unmetered use."
    named = "; ".join(f"{each.meter} ({each.reasons[0]})" for each in found)
    return f"{text} Look first at: {named}."


def _customers(connection: Connection, place_id: int) -> list[tuple[int, int, str, str]]:
    """(point, device, number, group) of the customers at a place and below it."""
    below = select(places.c.place_id).where(places.c.place_id == place_id).cte(recursive=True)
    below = below.union_all(
        select(places.c.place_id).join(below, places.c.parent_id == below.c.place_id)
    )
    parents = service_points.alias("parents")
    rows = connection.execute(
        select(
            service_points.c.point_id,
            end_devices.c.device_id,
            end_devices.c.number,
            func.coalesce(point_groups.c.customer_group, ""),
        )
        .join(installations, installations.c.point_id == service_points.c.point_id)
        .join(end_devices, end_devices.c.device_id == installations.c.device_id)
        .outerjoin(point_groups, point_groups.c.point_id == service_points.c.point_id)
        .outerjoin(parents, parents.c.point_id == service_points.c.parent_id)
        .where(
            installations.c.until.is_(None),
            service_points.c.role == "customer",
            func.coalesce(parents.c.role, "") != "customer",
            service_points.c.place_id.in_(select(below.c.place_id)),
        )
        .order_by(service_points.c.point_id)
        .limit(_CUSTOMERS_MAX + 1)
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _supplied(connection: Connection, place_id: int, first: int, last: int) -> list[int | None]:
    days: list[int | None] = [None] * (last - first + 1)
    rows = connection.execute(
        select(loss_days.c.day, loss_days.c.supplied_wh).where(
            loss_days.c.place_id == place_id,
            loss_days.c.day.between(first, last),
            loss_days.c.state != "unsupplied",
        )
    )
    for day, wh in rows:
        days[day - first] = wh
    return days


def _events(
    connection: Connection,
    devices: Sequence[int],
    limits: Limits,
    zone: tzinfo,
    first: int,
    last: int,
) -> dict[int, dict[str, int]]:
    """Tamper events of the days, and of some days before."""
    since = midnight(zone, first) - timedelta(days=limits["events_days"])
    rows = connection.execute(
        select(meter_events.c.device_id, meter_events.c.kind, func.count())
        .where(
            meter_events.c.device_id.in_(devices),
            meter_events.c.kind.in_(list(TAMPER_EVENTS)),
            meter_events.c.began_at >= since,
            meter_events.c.began_at < midnight(zone, last + 1),
        )
        .group_by(meter_events.c.device_id, meter_events.c.kind)
    )
    found: dict[int, dict[str, int]] = {}
    for device, kind, count in rows:
        found.setdefault(device, {})[kind] = count
    return found


def _backwards(
    connection: Connection,
    meters: Sequence[tuple[int, int, str, str]],
    first: int,
    last: int,
    limits: Limits,
) -> dict[int, int]:
    """What points counted backwards on days above their group's limit."""
    group = {point: name for point, _, _, name in meters}
    rows = connection.execute(
        select(point_days.c.point_id, point_days.c.out_wh).where(
            point_days.c.point_id.in_(group),
            point_days.c.day.between(first, last),
            point_days.c.out_wh > 0,
        )
    )
    found: dict[int, int] = {}
    for point, out in rows:
        if out > limits.of("reverse_current_wh", group[point]):
            found[point] = found.get(point, 0) + out
    return found
