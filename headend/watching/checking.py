"""Feeds the checks: every day once, its weeks and months when they are whole, batch by batch.

A day is judged again when more of it becomes known (`JUDGE_MARK`): midnight's registers may come
hours later.  A week is judged two days after its Sunday, a month two days after its last day, so
that late readings count.  What is found is kept once, however often a day is judged; how far the
days are judged stands in `watch_marks`, and after a break the days that were missed come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Integer, and_, cast, delete, func, select

from headend.registry.tables import end_devices, installations, service_points
from headend.station import Station
from headend.store.tables import meter_events, quantities, readings
from headend.values import Quality
from headend.watching.calendar import date_of, day_of, midnight, number_of
from headend.watching.checks.clock import clock_drift
from headend.watching.checks.power_factor import power_factor
from headend.watching.checks.silence import zero_run, zero_use
from headend.watching.checks.sums import sub_sum, tariff_gap
from headend.watching.checks.tamper import TAMPER_EVENTS, reverse_current, tamper_event
from headend.watching.checks.use import WHOLE, median, season_of, use_swing
from headend.watching.contacts import clock_offsets_between
from headend.watching.days import JUDGE_MARK, DayState
from headend.watching.findings import Found, keep_findings
from headend.watching.limits import limits_in_force
from headend.watching.marks import CHECKED, mark, set_mark
from headend.watching.registers import IMPORT, registers_at
from headend.watching.tables import findings, point_days, point_groups, watch_marks
from headend.watching.thresholds import Limits

BATCH: Final = 2_000
_GRACE_DAYS: Final = 2
_TUESDAY: Final = 1
_DAYS_AT_ONCE: Final = 10
"""After a long break only so many days are judged, but all of its weeks and months."""
_RUN_DAYS: Final = 60
_YEAR_WEEKS: Final = 52
_VOLTAGES: Final = ("voltage_l1", "voltage_l2", "voltage_l3")
_VOLTAGE_WITHIN: Final = timedelta(days=3)
_TARIFFS: Final = tuple(f"energy_import_t{number}" for number in range(1, 9))
_REACTIVE: Final = ("reactive_energy_import_total", "reactive_energy_export_total")
_OVERLAP: Final = timedelta(minutes=10)
"""Rows may be committed later than they say; looked at twice they are found once."""
_CLOCKS: Final = "clocks"
_EVENTS: Final = "events"


@dataclass(frozen=True, slots=True)
class _Meter:
    point_id: int
    device_id: int
    group: str
    ratio: int


@dataclass(frozen=True, slots=True)
class _Judging:
    """What the checks of one day need."""

    station: Station
    limits: Limits
    day: int

    def span(self, first: int, last: int) -> tuple[datetime, datetime]:
        """The moments from the first day's beginning to the last one's end."""
        zone = self.station.zone
        return midnight(zone, first), midnight(zone, last + 1)


_Check = Callable[[Connection, _Judging, Sequence[_Meter]], list[Found]]


def check_values(station: Station) -> int:
    """Run all checks that are due; how many findings are new."""
    with station.reading() as connection:
        limits = limits_in_force(connection)
        done = mark(connection, CHECKED)
    yesterday = day_of(station.zone, station.now()) - 1
    first = yesterday if done is None else day_of(station.zone, done)
    made = _check_clocks(station, limits) + _check_events(station)
    for day in range(first, yesterday + 1):
        if day > yesterday - _DAYS_AT_ONCE:
            made += _check_day(_Judging(station, limits, day))
        else:
            made += _run(_Judging(station, limits, day), _longer(day))
        set_mark(station, CHECKED, midnight(station.zone, day + 1))
    return made + _check_again(station, limits, range(first, yesterday + 1))


def _check_again(station: Station, limits: Limits, judged: range) -> int:
    """Judge days of which more has become known; those that were just judged need it no more."""
    with station.reading() as connection:
        marks = connection.execute(
            select(watch_marks).where(watch_marks.c.step.like(f"{JUDGE_MARK}%"))
        ).all()
    made = 0
    for known in sorted(marks, key=lambda each: int(each.step.removeprefix(JUDGE_MARK))):
        day = int(known.step.removeprefix(JUDGE_MARK))
        if day not in judged:
            judging = _Judging(station, limits, day)
            made += _keep(station, _sub_sums, judging) + _run(judging, [_zero_use, _reverse])
        with station.writing() as connection:
            connection.execute(
                delete(watch_marks).where(
                    watch_marks.c.step == known.step,
                    watch_marks.c.done_until == known.done_until,
                )
            )
    return made


def check_day(station: Station, day: int) -> int:
    """Run the checks of one day again; how many findings are new."""
    with station.reading() as connection:
        limits = limits_in_force(connection)
    return _check_day(_Judging(station, limits, day))


def _check_day(judging: _Judging) -> int:
    made = _keep(judging.station, _sub_sums, judging)
    return made + _run(judging, [_zero_use, _reverse, *_longer(judging.day)])


def _longer(day: int) -> list[_Check]:
    """Checks of weeks and months that are made on a day."""
    date = date_of(day)
    checks: list[_Check] = [_week] if date.weekday() == _TUESDAY else []
    return [*checks, _month] if date.day == _GRACE_DAYS else checks


def _run(judging: _Judging, checks: Sequence[_Check]) -> int:
    made = 0
    for meters in _batches(judging.station) if checks else ():
        for check in checks:
            made += _keep(judging.station, check, judging, meters)
    return made


def _keep(station: Station, check: _Check, judging: _Judging, meters: Sequence[_Meter] = ()) -> int:
    with station.reading() as connection:
        found = check(connection, judging, meters)
    if not found:
        return 0
    with station.writing() as connection:
        return keep_findings(connection, found, station.now())


def _batches(station: Station) -> Iterator[list[_Meter]]:
    """Customers' meters, those of a place together."""
    after = (-1, -1)
    while True:
        place = func.coalesce(service_points.c.place_id, 0)
        chosen = (
            select(
                service_points.c.point_id,
                end_devices.c.device_id,
                func.coalesce(point_groups.c.customer_group, ""),
                end_devices.c.ratio,
                place.label("place"),
            )
            .join(installations, installations.c.point_id == service_points.c.point_id)
            .join(end_devices, end_devices.c.device_id == installations.c.device_id)
            .outerjoin(point_groups, point_groups.c.point_id == service_points.c.point_id)
            .where(
                installations.c.until.is_(None),
                service_points.c.role == "customer",
                (place > after[0]) | and_(place == after[0], service_points.c.point_id > after[1]),
            )
            .order_by(place, service_points.c.point_id)
            .limit(BATCH)
        )
        with station.reading() as connection:
            rows = connection.execute(chosen).all()
        if not rows:
            return
        yield [_Meter(*row[:4]) for row in rows]
        after = (rows[-1].place, rows[-1].point_id)


def _zero_use(connection: Connection, judging: _Judging, meters: Sequence[_Meter]) -> list[Found]:
    limits, last = judging.limits, judging.day
    of_point = {meter.point_id: meter for meter in meters}
    shortest = min((limits.of("zero_use_days", meter.group) for meter in meters), default=1)
    candidates = connection.execute(
        select(point_days.c.point_id)
        .where(
            point_days.c.point_id.in_(of_point),
            point_days.c.day.between(last - shortest + 1, last),
            point_days.c.state == DayState.KNOWN,
            point_days.c.wh <= limits["zero_use_wh"],
        )
        .group_by(point_days.c.point_id)
        .having(func.count() == shortest)
    ).scalars()
    quiet = [of_point[point] for point in candidates]
    if not quiet:
        return []
    days = days_of(connection, [meter.point_id for meter in quiet], last - _RUN_DAYS + 1, last)
    until = judging.span(last, last)[1]
    volts = voltages(connection, [meter.device_id for meter in quiet], until)
    found = []
    for meter in quiet:
        own = limits.group(meter.group)
        flag = zero_use(days[meter.point_id], volts.get(meter.device_id), own)
        if flag is not None:
            run = zero_run(days[meter.point_id], own["zero_use_wh"])
            begin = last - run + 1
            if run == _RUN_DAYS:  # its beginning is not known any more: told anew now and then
                begin -= begin % _RUN_DAYS
            since, end = judging.span(begin, last)
            found.append(Found(flag, since, end, device_id=meter.device_id))
    return _not_open(connection, found)


def _reverse(connection: Connection, judging: _Judging, meters: Sequence[_Meter]) -> list[Found]:
    of_point = {meter.point_id: meter for meter in meters}
    rows = connection.execute(
        select(point_days.c.point_id, point_days.c.out_wh).where(
            point_days.c.point_id.in_(of_point),
            point_days.c.day == judging.day,
            point_days.c.out_wh > 0,
        )
    )
    found = []
    for point, out in rows:
        meter = of_point[point]
        flag = reverse_current(out, judging.limits.group(meter.group))
        if flag is not None:
            since, until = judging.span(judging.day, judging.day)
            found.append(Found(flag, since, until, device_id=meter.device_id))
    return found


def _sub_sums(connection: Connection, judging: _Judging, _meters: Sequence[_Meter]) -> list[Found]:
    """Customers' meters with others below them; days of which all are known."""
    below = service_points.alias("below")
    parent_day, below_day = point_days.alias("parent_day"), point_days.alias("below_day")
    known = func.coalesce(below_day.c.state, DayState.MISSING) == DayState.KNOWN
    rows = connection.execute(
        select(
            installations.c.device_id,
            parent_day.c.wh,
            func.sum(func.coalesce(below_day.c.wh, 0)),
            func.count(),
            func.count().filter(known),
        )
        .select_from(service_points)
        .join(
            parent_day,
            and_(
                parent_day.c.point_id == service_points.c.point_id,
                parent_day.c.day == judging.day,
                parent_day.c.state == DayState.KNOWN,
            ),
        )
        .join(
            installations,
            and_(
                installations.c.point_id == service_points.c.point_id,
                installations.c.until.is_(None),
            ),
        )
        .join(below, below.c.parent_id == service_points.c.point_id)
        .outerjoin(
            below_day,
            and_(below_day.c.point_id == below.c.point_id, below_day.c.day == judging.day),
        )
        .where(service_points.c.role == "customer", below.c.role == "customer")
        .group_by(installations.c.device_id, parent_day.c.wh)
    )
    since, until = judging.span(judging.day, judging.day)
    found = []
    for device, parent, subs, count, sure in rows:
        if count == sure:
            flag = sub_sum(parent, [int(subs)] + [0] * (count - 1), judging.limits)
            if flag is not None:
                found.append(Found(flag, since, until, device_id=device))
    return found


def _week(connection: Connection, judging: _Judging, meters: Sequence[_Meter]) -> list[Found]:
    """Use of the week that ended two days before, against the usual."""
    last = judging.day - _GRACE_DAYS
    back = judging.limits["use_history_weeks"]
    points = [meter.point_id for meter in meters]
    weeks = _weeks(connection, points, last, range(back + 1))
    year_ago = _weeks(connection, points, last, range(_YEAR_WEEKS - 2, _YEAR_WEEKS + 3))
    before = {
        point: [weeks[point, number] for number in range(1, back + 1) if (point, number) in weeks]
        for point in points
    }
    judged = [meter for meter in meters if (meter.point_id, 0) in weeks and before[meter.point_id]]
    season = season_of(
        [weeks[meter.point_id, 0] for meter in judged],
        [median(before[meter.point_id]) for meter in judged],
    )
    since, until = judging.span(last - 6, last)
    found = []
    for meter in judged:
        flag = use_swing(
            weeks[meter.point_id, 0],
            before[meter.point_id],
            judging.limits.group(meter.group),
            season_pm=season or WHOLE,
            year_ago_wh=[wh for (point, _), wh in year_ago.items() if point == meter.point_id]
            if year_ago
            else (),
        )
        if flag is not None:
            found.append(Found(flag, since, until, device_id=meter.device_id))
    return found


def _weeks(
    connection: Connection, points: Sequence[int], last: int, numbers: range
) -> dict[tuple[int, int], int]:
    """(point, weeks before the one that ends with a day) → its use, where all of it is known."""
    week: Any = cast((last - point_days.c.day) / 7, Integer)
    if connection.dialect.name == "postgresql":
        week = func.div(last - point_days.c.day, 7)
    rows = connection.execute(
        select(point_days.c.point_id, week.label("week"), func.sum(point_days.c.wh))
        .where(
            point_days.c.point_id.in_(points),
            point_days.c.day > last - 7 * (numbers[-1] + 1),
            point_days.c.day <= last - 7 * numbers[0],
            point_days.c.state == DayState.KNOWN,
        )
        .group_by(point_days.c.point_id, week)
        .having(func.count() == 7)
    )
    return {(point, int(number)): int(wh) for point, number, wh in rows}


def _month(connection: Connection, judging: _Judging, meters: Sequence[_Meter]) -> list[Found]:
    """Tariff registers and power factor of the month that ended two days before."""
    last = judging.day - _GRACE_DAYS
    first = number_of(date_of(last).replace(day=1))
    since, until = judging.span(first, last)
    tolerance = timedelta(minutes=judging.limits["midnight_tolerance_min"])
    devices = [meter.device_id for meter in meters]
    names = (IMPORT, *_TARIFFS, *_REACTIVE)
    at = registers_at(connection, devices, names, [since, until], tolerance)
    found = []
    for meter in meters:

        def gone(name: str, device: int = meter.device_id) -> int | None:
            before, after = at.get((device, name, 0)), at.get((device, name, 1))
            if before is None or after is None or before.estimated or after.estimated:
                return None
            return after.wh - before.wh if after.wh >= before.wh else None

        total = gone(IMPORT)
        if total is None:
            continue
        limits = judging.limits.group(meter.group)
        tariffs = [wh for wh in map(gone, _TARIFFS) if wh is not None]
        reactive = [wh for wh in map(gone, _REACTIVE) if wh is not None]
        flags = [
            tariff_gap(total, tariffs, limits) if len(tariffs) > 1 else None,
            power_factor(total, sum(reactive), limits) if reactive else None,
        ]
        found += [
            Found(flag, since, until, device_id=meter.device_id)
            for flag in flags
            if flag is not None
        ]
    return found


def _check_clocks(station: Station, limits: Limits) -> int:
    now = station.now()
    with station.reading() as connection:
        since = mark(connection, _CLOCKS) or now - timedelta(days=1)
        rows = clock_offsets_between(connection, since - _OVERLAP, now, limits["clock_drift_s"])
        found = []
        for device, at, offset in rows:
            flag = clock_drift(offset, limits)
            if flag is not None:
                found.append(Found(flag, at, at + timedelta(seconds=1), device_id=device))
        found = _not_open(connection, found)
    with station.writing() as connection:
        made = keep_findings(connection, found, now)
    set_mark(station, _CLOCKS, now)
    return made


def _check_events(station: Station) -> int:
    """Events that came since the last look, whenever they happened; one finding for a day."""
    now = station.now()
    with station.reading() as connection:
        since = mark(connection, _EVENTS) or now - timedelta(days=3)
        rows = connection.execute(
            select(meter_events.c.device_id, meter_events.c.kind, meter_events.c.began_at).where(
                meter_events.c.seen_at >= since - _OVERLAP,
                meter_events.c.seen_at < now,
                meter_events.c.kind.in_(list(TAMPER_EVENTS)),
            )
        )
        counts: dict[tuple[int, str, int], int] = {}
        for device, kind, at in rows:
            key = (device, kind, day_of(station.zone, at))
            counts[key] = counts.get(key, 0) + 1
    found = []
    for (device, kind, day), count in counts.items():
        flag = tamper_event(kind, count)
        if flag is not None:
            begin, end = midnight(station.zone, day), midnight(station.zone, day + 1)
            found.append(Found(flag, begin, end, device_id=device))
    with station.writing() as connection:
        made = keep_findings(connection, found, now)
    set_mark(station, _EVENTS, now)
    return made


def days_of(
    connection: Connection, points: Sequence[int], first: int, last: int
) -> dict[int, list[int | None]]:
    """Each point's use of each day of a span; None where it is not known."""
    days: dict[int, list[int | None]] = {point: [None] * (last - first + 1) for point in points}
    rows = connection.execute(
        select(point_days.c.point_id, point_days.c.day, point_days.c.wh).where(
            point_days.c.point_id.in_(points),
            point_days.c.day.between(first, last),
            point_days.c.state == DayState.KNOWN,
        )
    )
    for point, day, wh in rows:
        days[point][day - first] = wh
    return days


def voltages(connection: Connection, devices: Sequence[int], until: datetime) -> dict[int, int]:
    """The highest voltage of any phase that each meter told of lately, mV."""
    rows = connection.execute(
        select(readings.c.device_id, func.max(readings.c.value))
        .join(quantities, quantities.c.quantity_id == readings.c.quantity_id)
        .where(
            readings.c.device_id.in_(devices),
            quantities.c.name.in_(_VOLTAGES),
            readings.c.at >= until - _VOLTAGE_WITHIN,
            readings.c.at < until,
            readings.c.quality <= Quality.ESTIMATED,
        )
        .group_by(readings.c.device_id)
    )
    return {device: int(mv) for device, mv in rows}


def _not_open(connection: Connection, found: Sequence[Found]) -> list[Found]:
    """Without those whose meter has the same finding open: the cause is the same still."""
    if not found:
        return []
    rows = connection.execute(
        select(findings.c.check_name, findings.c.device_id).where(
            findings.c.state == "open",
            findings.c.check_name.in_({each.flag.check for each in found}),
            findings.c.device_id.in_({each.device_id for each in found}),
        )
    )
    known = {(row.check_name, row.device_id) for row in rows}
    fresh = {
        (each.flag.check, each.device_id): each
        for each in reversed(found)
        if (each.flag.check, each.device_id) not in known
    }
    return list(fresh.values())
