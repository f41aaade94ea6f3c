"""What meters remember: freezes of hours and days, months at their settlement, the load profile.

Only DL/T 645-2007 has freezes and a load profile; settlements both editions have.  A Modbus
meter's profile names registers alone, so that it is asked for none of these.

Times are the meter's own; its clock runs in the utility's zone.  Where that zone sets clocks back
in autumn, the repeated hour cannot be told apart: it is taken for the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from headend.faults import HeadEndError
from headend.talk import amounts
from headend.talk.device import Device
from headend.talk.faults import NotAValueError
from headend.talk.lines import Lines, OpenLine
from headend.talk.quantities import asks, freeze_parts, load_classes
from headend.talk.reading import ReadOut, line_of
from headend.values import IntervalValue, Quality, Reading, Source
from protocols.dlt645.catalogue import in_1997
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import LayoutError, ValueFormatError
from protocols.dlt645.master import FreezeKind, ItemAnswer, Master, MeterRefusal
from protocols.dlt645.payloads import LoadRecord
from protocols.dlt645.times import MeterTime
from protocols.errors import ProtocolError
from protocols.transport.exchange import Priority

MONTHS_MAX: Final = {Edition.Y2007: 12, Edition.Y1997: 2}
_SETTLEMENT_DAYS: Final = (0x04000B01, 0x04000B02, 0x04000B03)
_LOAD_INTERVAL: Final = 0x04000A01
_FREEZE: Final = 0x05 << 24
_1997_MONTH: Final = 0x0400
"""A month back is so much further in the identifiers of 1997."""
_1997_MAX: Final = 0xFFFF
_RECORDS_AT_ONCE: Final = 12
"""Of one class; of all classes together a record fills a frame by itself."""
_INT32_MAX: Final = 2**31 - 1
_MONTHS_BACK: Final = 15
_MINUTE: Final = timedelta(minutes=1)
_TRIES: Final = 2
"""Of values that belong to a moment which may pass while they are read."""


async def read_freezes(
    lines: Lines,
    device: Device,
    kind: FreezeKind,
    quantities: Sequence[str],
    nths: Iterable[int],
    *,
    name: str,
    priority: Priority = Priority.ROUTINE,
) -> ReadOut:
    """Freezes of a kind, each with the moment that the meter gives for it.

    Args:
        lines: of this process.
        device: which.
        kind: hourly or daily.
        quantities: energies, total and by tariff; what freezes do not hold is absent.
        nths: which: 1 for the last.
        name: what this is called in faults and absences: ``daily``, ``hourly``.
        priority: in which queue of the line its requests wait.
    """
    out = _new(lines, device)
    if device.protocol != "dlt645-2007":
        out.absent.append(name)
        return out
    parts = freeze_parts(quantities)
    held = {each for holds in parts.values() for each in holds.values()}
    out.absent += [each for each in quantities if each not in held]
    try:
        line = await line_of(lines, device)
        master = line.master(device.edition, priority)
        for nth in nths:
            if not await _read_freeze(master, device, kind, nth, parts, lines.station.zone, out):
                break
    except (ProtocolError, HeadEndError) as fault:
        out.give_up((name,), fault)
    return out


async def _read_freeze(
    master: Master,
    device: Device,
    kind: FreezeKind,
    nth: int,
    parts: dict[int, dict[int, str]],
    zone: tzinfo,
    out: ReadOut,
) -> bool:
    """One freeze; False where the meter has no such.

    The meter counts from the last one anew in each request.  So its stamp is read again after the
    values: where it has become another, they may be those of two freezes, and none is kept.
    """
    base = _FREEZE | kind << 16
    stamp = await _stamp(master, device, base | nth, out)
    for _ in range(_TRIES):
        if stamp is None:
            return False
        found = ReadOut(out.device_id, out.at)
        at = _moment(stamp, zone)
        for part, holds in parts.items():
            answer = await _perhaps(master, device, base | part << 8 | nth, out)
            if answer is not None:
                _keep(answer, holds, device, at, found)
        before, stamp = stamp, await _stamp(master, device, base | nth, out)
        if stamp == before:
            _put(found, out)
            return True
    raise _moved_on(device)


async def _stamp(master: Master, device: Device, di: int, out: ReadOut) -> MeterTime | None:
    answer = await _perhaps(master, device, di, out)
    return None if answer is None else answer.value_as(MeterTime)


async def read_months(
    lines: Lines,
    device: Device,
    quantities: Sequence[str],
    nths: Iterable[int],
    *,
    name: str = "monthly",
    priority: Priority = Priority.ROUTINE,
) -> ReadOut:
    """The registers at the last settlements, each at the moment that the meter's calendar gives.

    Which settlement is the last is told by the meter's clock, not by ours: near a settlement the
    two may differ, and the value would get the wrong month.  It is read again after the values,
    which are not kept where a settlement has come meanwhile.
    """
    out = _new(lines, device)
    if device.is_modbus:
        out.absent.append(name)
        return out
    zone = lines.station.zone
    try:
        line = await line_of(lines, device)
        master = line.master(device.edition, priority)
        days = await _settlement_days(master, device, out)
        moments = await _settlements(master, device, days, zone, out)
        for nth in sorted(nths):
            if nth > min(MONTHS_MAX[device.edition], len(moments)):
                break
            for _ in range(_TRIES):
                found = await _read_month(
                    line, master, device, quantities, nth, moments[nth - 1], out
                )
                before, moments = moments, await _settlements(master, device, days, zone, out)
                if moments == before:
                    _put(found, out)
                    break
            else:
                raise _moved_on(device)
    except (ProtocolError, HeadEndError) as fault:
        out.give_up((name,), fault)
    else:
        if not moments:
            out.absent.append(name)
    return out


async def _settlement_days(
    master: Master, device: Device, out: ReadOut
) -> frozenset[tuple[int, int]]:
    """Days of the month, with the hour, on which the meter settles."""
    days: set[tuple[int, int]] = set()
    for di in _SETTLEMENT_DAYS:
        if device.edition is Edition.Y1997 and in_1997(di) is None:
            continue
        answer = await _perhaps(master, device, di, out)
        time = None if answer is None else answer.value
        if isinstance(time, MeterTime) and time.day is not None and 1 <= time.day <= 28:
            days.add((time.day, min(time.hour or 0, 23)))
    return frozenset(days)


async def _settlements(
    master: Master, device: Device, days: frozenset[tuple[int, int]], zone: tzinfo, out: ReadOut
) -> list[datetime]:
    """The meter's last settlements by its clock, the latest first."""
    if not days:
        return []
    out.asked += 2
    clock = await master.read_clock(device.address)
    out.answered += 2
    face = clock.at(UTC)
    found = []
    first = face.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(_MONTHS_BACK):
        for day, hour in sorted(days, reverse=True):
            settled = first.replace(day=day, hour=hour)
            if settled <= face:
                found.append(settled.replace(tzinfo=zone).astimezone(UTC))
        first = (first - timedelta(days=1)).replace(day=1)
    return found


async def _read_month(
    line: OpenLine,
    master: Master,
    device: Device,
    quantities: Sequence[str],
    nth: int,
    at: datetime,
    out: ReadOut,
) -> ReadOut:
    """The values alone; requests are counted in ``out``."""
    found = ReadOut(out.device_id, out.at)
    planned, _ = asks(device.edition, [each for each in quantities if "energy_" in each])
    for ask in planned:
        if ask.is_block and (device.address, ask.di) in line.refused_blocks:
            continue
        step = _1997_MONTH if ask.di <= _1997_MAX else 1
        answer = await _perhaps(master, device, ask.di + nth * step, out)
        if answer is not None:
            _keep(answer, ask.holds, device, at, found)
    return found


# The load profile


async def read_profile(
    lines: Lines,
    device: Device,
    quantities: Sequence[str],
    since: datetime,
    until: datetime,
    interval_min: int,
    *,
    name: str = "profile",
    priority: Priority = Priority.ROUTINE,
) -> ReadOut:
    """A span of the load profile.

    A moment that the meter has no record of, while it has later ones, is kept as invalid with the
    value 0: the meter was without power then, and asking again gives no more.

    Args:
        lines: of this process.
        device: which.
        quantities: names; what no class of the profile records is absent.
        since: the first moment, UTC.
        until: the moment after the last, UTC.
        interval_min: what the plan expects.
        name: what this is called in faults and absences.
        priority: in which queue of the line its requests wait.
    """
    out = _new(lines, device)
    classes = load_classes(quantities)
    if device.protocol != "dlt645-2007" or not classes:
        out.absent.append(name)
        return out
    held = {each for holds in classes.values() for each in holds.values()}
    out.absent += [each for each in quantities if each not in held]
    try:
        line = await line_of(lines, device)
        master = line.master(device.edition, priority)
        for number, holds in classes.items():
            await _require_interval(master, device, number, interval_min, out)
            await _read_class(
                master, device, number, holds, (since, until), interval_min,
                lines.station.zone, out,
            )  # fmt: skip
    except (ProtocolError, HeadEndError) as fault:
        out.give_up((name,), fault)
    return out


async def _require_interval(
    master: Master, device: Device, load_class: int, interval_min: int, out: ReadOut
) -> None:
    out.asked += 1
    answer = await master.read(device.address, _LOAD_INTERVAL + load_class)
    out.answered += 1
    if answer.value_as(Decimal) != interval_min:
        raise NotAValueError(
            f"Meter {device.number} records its profile every {answer.readings[0].text} min, "
            f"the plan says {interval_min}: change one of them."
        )


async def _read_class(
    master: Master,
    device: Device,
    load_class: int,
    holds: dict[int, str],
    span: tuple[datetime, datetime],
    interval_min: int,
    zone: tzinfo,
    out: ReadOut,
) -> None:
    since, until = (MeterTime.of(moment.astimezone(zone)) for moment in span)
    found: set[datetime] = set()
    out.asked += 1
    try:
        async for record in master.load_profile(
            device.address, since, until, load_class=load_class, interval_min=interval_min,
            blocks=_RECORDS_AT_ONCE,
        ):  # fmt: skip
            if record.time is not None:
                start = _moment(record.time, zone)
                found.add(start)
                _keep_record(record, load_class, holds, device, start, interval_min, out)
        out.answered += 1
    finally:
        _keep_holes(found, holds.values(), device, span[0], interval_min, out)


def _keep_record(
    record: LoadRecord,
    load_class: int,
    holds: dict[int, str],
    device: Device,
    start: datetime,
    interval_min: int,
    out: ReadOut,
) -> None:
    elements = record.classes.get(load_class, ())
    for place, name in holds.items():
        value = None
        if not record.bad and place < len(elements):
            value = amounts.of_element(elements[place], name, device.ratio)
        quality = Quality.INVALID if value is None else Quality.GOOD
        if value is not None and abs(value) > _INT32_MAX:
            raise NotAValueError(
                f"{name} of meter {device.number} is too large for a profile: {value}."
            )
        out.intervals.append(
            IntervalValue(device.device_id, name, start, interval_min, value or 0, quality)
        )


def _keep_holes(
    found: set[datetime],
    names: Iterable[str],
    device: Device,
    since: datetime,
    interval_min: int,
    out: ReadOut,
) -> None:
    """Moments without a record before the last that there is one of."""
    if not found:
        return
    quantities = tuple(names)
    moment, last = _on_grid(since, interval_min), max(found)
    while moment < last:
        if moment not in found:
            out.intervals += [
                IntervalValue(device.device_id, name, moment, interval_min, 0, Quality.INVALID)
                for name in quantities
            ]
        moment += interval_min * _MINUTE


# What they share


def _new(lines: Lines, device: Device) -> ReadOut:
    return ReadOut(device.device_id, lines.station.now().replace(microsecond=0))


async def _perhaps(master: Master, device: Device, di: int, out: ReadOut) -> ItemAnswer | None:
    """An item that a meter may not have."""
    out.asked += 1
    try:
        answer = await master.read(device.address, di)
    except MeterRefusal as refusal:
        out.answered += 1
        if not refusal.has_no_data:
            raise
        return None
    out.answered += 1
    return answer if answer.data else None


def _keep(
    answer: ItemAnswer, holds: Mapping[int, str], device: Device, at: datetime, out: ReadOut
) -> None:
    for place, name in holds.items():
        if place >= len(answer.readings):
            continue
        try:
            value = amounts.of_element(answer.readings[place], name, device.ratio)
        except NotAValueError as fault:
            out.faults[name] = fault
            continue
        if value is not None:
            out.values.append(Reading(out.device_id, name, at, value, Source.FREEZE))


def _put(found: ReadOut, out: ReadOut) -> None:
    out.values += found.values
    out.faults.update(found.faults)


def _moved_on(device: Device) -> NotAValueError:
    return NotAValueError(
        f"Meter {device.number} began another period while it was read, or its clock was set: "
        "nothing of it was kept. It is asked again later."
    )


def _moment(time: MeterTime, zone: tzinfo) -> datetime:
    """A time of the meter as UTC.

    Raises:
        LayoutError: it is no moment.
    """
    try:
        return time.at(zone).astimezone(UTC)
    except (ValueFormatError, ValueError):
        raise LayoutError(f"The meter gives {time} as the time of a record.") from None


def _on_grid(moment: datetime, interval_min: int) -> datetime:
    moment = moment.replace(second=0, microsecond=0)
    late_min = (moment.hour * 60 + moment.minute) % interval_min
    return moment + (interval_min - late_min) * _MINUTE if late_min else moment
