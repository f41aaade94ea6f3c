"""What each service point used on each day, from registers at midnight.

A point's day is the sum over the meters that it had on that day: when a meter was exchanged, the
old one counts up to its last register and the new one from its first.  A day is known, estimated
(a register was, or the point's own usual day stands in for it) or missing.  Missing and estimated
days are tried again while they lie within ``loss_days_back``, so that readings may come late; a day
that is known is not computed again, unless a person asks for it (`recompute`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from headend.registry.tables import end_devices, installations, service_points
from headend.station import Station
from headend.store import bulk
from headend.watching.calendar import day_of, midnight
from headend.watching.checks.register import (
    DLT645_CAPACITY_WH,
    first_reading,
    register_flag,
    register_step,
)
from headend.watching.checks.use import median
from headend.watching.findings import Found, keep_findings
from headend.watching.limits import limits_in_force
from headend.watching.registers import EXPORT, IMPORT, Register, Registers, registers_at
from headend.watching.tables import point_days, watch_marks
from headend.watching.thresholds import Limits

BATCH: Final = 2_000
_USUAL_DAYS: Final = 14
_USUAL_LEAST: Final = 3
_INTO: Final = "INSERT INTO point_days (point_id, day, wh, out_wh, state)"
_INSTEAD: Final = (
    "ON CONFLICT (point_id, day) DO UPDATE SET wh = excluded.wh, out_wh = excluded.out_wh, "
    "state = excluded.state"
)
LOSS_MARK: Final = "loss "
"""Before the number of a day whose losses are to be computed."""
JUDGE_MARK: Final = "judge "
"""Before the number of a day of which something is new since it was last judged."""


class DayState(IntEnum):
    """How far a day's energy is known."""

    KNOWN = 0
    ESTIMATED = 1
    MISSING = 2


@dataclass(frozen=True, slots=True)
class Stay:
    """A meter at a point, for some time."""

    point_id: int
    device_id: int
    since: datetime
    until: datetime | None
    first_wh: int | None
    last_wh: int | None
    ratio: int
    protocol: str
    reason: str

    @property
    def capacity_wh(self) -> int | None:
        """Where its register begins again; None: not known (Modbus)."""
        return None if self.protocol == "modbus" else DLT645_CAPACITY_WH * self.ratio


@dataclass(frozen=True, slots=True)
class PointDay:
    """Energy of a point on a day."""

    point_id: int
    day: int
    wh: int
    out_wh: int
    state: DayState


@dataclass(frozen=True, slots=True)
class _Part:
    wh: int
    out_wh: int
    estimated: bool


class _Span:
    """The days of one sweep: their midnights, and the limits."""

    def __init__(self, station: Station, first: int, last: int, limits: Limits) -> None:
        self.first: Final = first
        self.last: Final = last
        self.limits: Final = limits
        self.midnights: Final = [midnight(station.zone, day) for day in range(first, last + 2)]
        self.tolerance: Final = timedelta(minutes=limits["midnight_tolerance_min"])
        self.joined: Final = timedelta(minutes=limits["midnight_joined_min"])

    def bounds(self, day: int) -> tuple[datetime, datetime]:
        """The first moment of a day, and that of the next."""
        return self.midnights[day - self.first], self.midnights[day - self.first + 1]


def compute_days(station: Station) -> int:
    """Compute the days that are due; how many rows were written."""
    with station.reading() as connection:
        limits = limits_in_force(connection)
    yesterday = day_of(station.zone, station.now()) - 1
    return _compute(
        station, _Span(station, yesterday - limits["loss_days_back"] + 1, yesterday, limits)
    )


def recompute(station: Station, first: int, last: int) -> int:
    """Compute days anew, known ones too: after values were corrected.

    Args:
        station: the head-end.
        first: the first day's number.
        last: the last one's.
    """
    with station.reading() as connection:
        limits = limits_in_force(connection)
    last = min(last, day_of(station.zone, station.now()) - 1)
    if last < first:
        return 0
    return _compute(station, _Span(station, first, last, limits), again=True)


def forget_old_days(station: Station) -> None:
    """Take away days that are kept no longer."""
    with station.reading() as connection:
        keep = limits_in_force(connection)["keep_days"]
    oldest = day_of(station.zone, station.now()) - keep
    for points in _batches(station):
        with station.writing() as connection:
            connection.execute(
                delete(point_days).where(
                    point_days.c.point_id.between(points[0], points[-1]),
                    point_days.c.day < oldest,
                )
            )


def _compute(station: Station, span: _Span, *, again: bool = False) -> int:
    written = 0
    for points in _batches(station):
        with station.reading() as connection:
            known = {} if again else _known(connection, points, span)
            count = span.last - span.first + 1
            left = [point for point in points if len(known.get(point, ())) < count]
            rows, found = _batch(connection, left, known, span) if left else ([], [])
            rows = _changed(connection, rows, points)
        if rows or found:
            with station.writing() as connection:
                if rows:
                    _keep(connection, rows, station.now())
                keep_findings(connection, found, station.now())
        written += len(rows)
    return written


def _batches(station: Station) -> Iterator[list[int]]:
    after = 0
    while True:
        with station.reading() as connection:
            points = list(
                connection.execute(
                    select(service_points.c.point_id)
                    .where(service_points.c.point_id > after)
                    .order_by(service_points.c.point_id)
                    .limit(BATCH)
                ).scalars()
            )
        if not points:
            return
        yield points
        after = points[-1]


def _known(connection: Connection, points: Sequence[int], span: _Span) -> dict[int, set[int]]:
    """Days that need no work; of points that need none at all, all of them."""
    of_batch = (
        point_days.c.point_id.between(points[0], points[-1]),
        point_days.c.day.between(span.first, span.last),
        point_days.c.state == DayState.KNOWN,
    )
    counts = connection.execute(
        select(point_days.c.point_id, func.count()).where(*of_batch).group_by(point_days.c.point_id)
    )
    whole = span.last - span.first + 1
    every = set(range(span.first, span.last + 1))
    known: dict[int, set[int]] = {}
    partly = []
    for point, count in counts:
        if count == whole:
            known[point] = every
        else:
            partly.append(point)
    if partly:
        rows = connection.execute(
            select(point_days.c.point_id, point_days.c.day).where(
                *of_batch, point_days.c.point_id.in_(partly)
            )
        )
        for point, day in rows:
            known.setdefault(point, set()).add(day)
    return known


def _changed(
    connection: Connection, rows: Sequence[PointDay], points: Sequence[int]
) -> list[PointDay]:
    """The rows that differ from what is stored: an estimate that stays so is not written again."""
    if not rows:
        return []
    stored = {
        tuple(row)
        for row in connection.execute(
            select(
                point_days.c.point_id,
                point_days.c.day,
                point_days.c.wh,
                point_days.c.out_wh,
                point_days.c.state,
            ).where(
                point_days.c.point_id.between(points[0], points[-1]),
                point_days.c.day.between(min(row.day for row in rows), max(r.day for r in rows)),
                point_days.c.state != DayState.KNOWN,
            )
        )
    }
    return [
        row
        for row in rows
        if (row.point_id, row.day, row.wh, row.out_wh, int(row.state)) not in stored
    ]


def _batch(
    connection: Connection, points: Sequence[int], known: Mapping[int, set[int]], span: _Span
) -> tuple[list[PointDay], list[Found]]:
    stays = _stays(connection, points, span)
    devices = sorted({stay.device_id for of_point in stays.values() for stay in of_point})
    # days that every point of the batch knows need no register
    first = min(
        day
        for point in points
        for day in range(span.first, span.last + 1)
        if day not in known.get(point, ())
    )
    offset = first - span.first
    moments = span.midnights[offset:]
    at = registers_at(connection, devices, (IMPORT, EXPORT), moments, span.tolerance, span.joined)
    registers = {(device, name, place + offset): each for (device, name, place), each in at.items()}
    rows: list[PointDay] = []
    found: list[Found] = []
    lacking: list[tuple[int, int]] = []
    for point, of_point in stays.items():
        for day in range(first, span.last + 1):
            if day in known.get(point, ()):
                continue
            begin, end = span.bounds(day)
            here = [stay for stay in of_point if _is_there(stay, begin, end)]
            if not here:
                continue
            parts = [_part(stay, day, registers, span, found) for stay in here]
            whole = [part for part in parts if part is not None]
            if len(whole) < len(parts):
                lacking.append((point, day))
                continue
            estimated = any(part.estimated for part in whole)
            state = DayState.ESTIMATED if estimated else DayState.KNOWN
            wh, out = sum(part.wh for part in whole), sum(part.out_wh for part in whole)
            rows.append(PointDay(point, day, wh, out, state))
    rows += _stood_in(connection, lacking, rows)
    return rows, found


def _is_there(stay: Stay, begin: datetime, end: datetime) -> bool:
    return stay.since < end and (stay.until is None or stay.until > begin)


def _part(
    stay: Stay, day: int, registers: Registers, span: _Span, found: list[Found]
) -> _Part | None:
    """What went through a meter on a day; None when its registers are not known."""
    begin, end = span.bounds(day)
    place = day - span.first
    came, went = stay.since > begin, stay.until is not None and stay.until <= end
    before = _typed(stay.first_wh, stay) if came else registers.get((stay.device_id, IMPORT, place))
    after = (
        _typed(stay.last_wh, stay) if went else registers.get((stay.device_id, IMPORT, place + 1))
    )
    if came and stay.reason != "installed" and after is not None:
        counted = None if before is None else after.wh - before.wh
        flag = first_reading(counted, stay.reason)
        found.append(Found(flag, stay.since, end, device_id=stay.device_id))
    if before is None or after is None:
        return None
    seconds = (end - begin) // timedelta(seconds=1)
    step = register_step(before.wh, after.wh, seconds, stay.ratio, stay.capacity_wh, span.limits)
    flag_or_none = register_flag(before.wh, after.wh, step)
    if flag_or_none is not None:
        found.append(Found(flag_or_none, begin, end, device_id=stay.device_id))
    if step.wh is None:
        return None
    out = _exported(stay, place, registers)
    return _Part(step.wh, out, before.estimated or after.estimated)


def _typed(wh: int | None, stay: Stay) -> Register | None:
    """A register as a person read it from the meter, which knows nothing of the transformers."""
    return None if wh is None else Register(wh * stay.ratio)


def _exported(stay: Stay, place: int, registers: Registers) -> int:
    before = registers.get((stay.device_id, EXPORT, place))
    after = registers.get((stay.device_id, EXPORT, place + 1))
    if before is None or after is None:
        return 0
    return max(0, after.wh - before.wh)


def _stood_in(
    connection: Connection, lacking: Sequence[tuple[int, int]], fresh: Sequence[PointDay]
) -> list[PointDay]:
    """Rows for days without registers: the point's own usual day, where it has one.

    Args:
        connection: in any transaction.
        lacking: (point, day).
        fresh: what was just found and is not stored yet.
    """
    if not lacking:
        return []
    points = sorted({point for point, _ in lacking})
    first, last = min(day for _, day in lacking), max(day for _, day in lacking)
    known: dict[int, dict[int, int]] = {}
    for start in range(0, len(points), BATCH):
        rows = connection.execute(
            select(point_days.c.point_id, point_days.c.day, point_days.c.wh).where(
                point_days.c.point_id.in_(points[start : start + BATCH]),
                point_days.c.day.between(first - _USUAL_DAYS, last),
                point_days.c.state == DayState.KNOWN,
            )
        )
        for point, day, wh in rows:
            known.setdefault(point, {})[day] = wh
    for row in fresh:
        if row.state is DayState.KNOWN:
            known.setdefault(row.point_id, {})[row.day] = row.wh
    made = []
    for point, day in lacking:
        of_point = known.get(point, {}).items()
        days = [wh for other, wh in of_point if day - _USUAL_DAYS <= other < day]
        if len(days) >= _USUAL_LEAST:
            made.append(PointDay(point, day, median(days), 0, DayState.ESTIMATED))
        else:
            made.append(PointDay(point, day, 0, 0, DayState.MISSING))
    return made


def _stays(connection: Connection, points: Sequence[int], span: _Span) -> dict[int, list[Stay]]:
    until, since = span.midnights[-1], span.midnights[0]
    rows = connection.execute(
        select(
            installations.c.point_id,
            installations.c.device_id,
            installations.c.since,
            installations.c.until,
            installations.c.first_wh,
            installations.c.last_wh,
            end_devices.c.ratio,
            end_devices.c.protocol,
            installations.c.reason,
        )
        .join(end_devices, end_devices.c.device_id == installations.c.device_id)
        .where(
            installations.c.point_id.in_(points),
            installations.c.since < until,
            (installations.c.until.is_(None)) | (installations.c.until > since),
        )
        .order_by(installations.c.point_id, installations.c.since)
    )
    found: dict[int, list[Stay]] = {}
    for row in rows:
        found.setdefault(row.point_id, []).append(Stay(*row))
    return found


def _keep(connection: Connection, rows: Sequence[PointDay], at: datetime) -> None:
    given = [(row.point_id, row.day, row.wh, row.out_wh, int(row.state)) for row in rows]
    if connection.dialect.name == "sqlite":
        bulk.execute_each(connection, f"{_INTO} VALUES (?, ?, ?, ?, ?) {_INSTEAD}", given)
    else:
        columns = [list(column) for column in zip(*given, strict=True)]
        arrays = ", ".join(["%s::bigint[]"] * len(columns))
        source = f"SELECT * FROM unnest({arrays}) AS given"
        bulk.execute(connection, f"{_INTO} {source} {_INSTEAD}", columns)
    make: Any = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    mark = make(watch_marks)
    mark = mark.on_conflict_do_update(
        index_elements=["step"], set_={"done_until": mark.excluded.done_until}
    )
    days = sorted({row.day for row in rows})
    steps = [f"{kind}{day}" for kind in (JUDGE_MARK, LOSS_MARK) for day in days]
    connection.execute(mark, [{"step": step, "done_until": at} for step in steps])
