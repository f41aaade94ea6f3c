"""What meters remember: freezes, events, load profile (spec sections 4.4, 4.6, 4.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Final

from protocols.dlt645.error_bits import ErrorByte
from protocols.dlt645.errors import FieldRangeError, LayoutError
from protocols.dlt645.master.conversation import Conversation
from protocols.dlt645.master.errors import MeterRefusal
from protocols.dlt645.master.orders import require_2007
from protocols.dlt645.master.readings import ItemAnswer, decoded
from protocols.dlt645.payloads import LoadRecord, parse_load_records
from protocols.dlt645.requests import ReadData
from protocols.dlt645.times import MeterTime

EVENT_RECORDS_MAX: Final = 10
FREEZES_MAX: Final = 62
_BLOCKS_MAX: Final = 99
_DAY_MIN: Final = 1440


class FreezeKind(IntEnum):
    """DI2 of a freeze (spec section 4.6)."""

    TIMED = 0x00
    INSTANT = 0x01
    ZONE_TABLE_SWITCH = 0x02
    SLOT_TABLE_SWITCH = 0x03
    HOURLY = 0x04
    PRICE_SWITCH = 0x05
    DAILY = 0x06
    STEP_SWITCH_OR_MONTHLY = 0x07
    """Sources disagree (grade D)."""


class FreezePart(IntEnum):
    """DI1 of a freeze."""

    TIME = 0x00
    FORWARD_ACTIVE = 0x01
    REVERSE_ACTIVE = 0x02
    COMBINED_REACTIVE_1 = 0x03
    COMBINED_REACTIVE_2 = 0x04
    QUADRANT_I = 0x05
    QUADRANT_II = 0x06
    QUADRANT_III = 0x07
    QUADRANT_IV = 0x08
    FORWARD_DEMAND = 0x09
    REVERSE_DEMAND = 0x0A
    VARIABLES = 0x10
    ALL = 0xFF


class EventKind(IntEnum):
    """DI3 to DI1 of an event with a count (DI0 = 00) and ten records (01 last .. 0A)."""

    ALL_VOLTAGE_LOSS = 0x030500
    AUXILIARY_LOSS = 0x030600
    VOLTAGE_REVERSE_SEQUENCE = 0x030700
    CURRENT_REVERSE_SEQUENCE = 0x030800
    VOLTAGE_UNBALANCE = 0x030900
    CURRENT_UNBALANCE = 0x030A00
    POWER_DOWN = 0x031100
    PROGRAMMING = 0x033000
    METER_CLEAR = 0x033001
    DEMAND_CLEAR = 0x033002
    EVENT_CLEAR = 0x033003
    TIME_SET = 0x033004
    SLOT_PROGRAMMING = 0x033005
    COVER_OPENED = 0x03300D
    TERMINAL_COVER_OPENED = 0x03300E


@dataclass(frozen=True, slots=True)
class FreezeRecord:
    """One freeze."""

    nth: int
    """1 for the last."""
    time: MeterTime
    part: ItemAnswer
    """What was asked of it."""


async def read_freezes(
    talk: Conversation, meter: str, kind: FreezeKind, part: FreezePart, latest: int
) -> AsyncIterator[FreezeRecord]:
    """The last freezes of a kind, the latest first; see `Master.freezes`."""
    require_2007(talk.edition, "Freeze")
    if not 1 <= latest <= FREEZES_MAX:
        raise FieldRangeError(f"A meter keeps at most {FREEZES_MAX} freezes.")
    base = 0x05 << 24 | kind << 16
    for nth in range(1, latest + 1):
        stamp = await _record(talk, meter, base | FreezePart.TIME << 8 | nth)
        time = None if stamp is None else stamp.value_as(MeterTime)
        if stamp is None or time is None:
            return
        asked = stamp
        if part is not FreezePart.TIME:
            found = await _record(talk, meter, base | part << 8 | nth)
            if found is None:
                return
            asked = found
        yield FreezeRecord(nth, time, asked)


async def read_event_count(talk: Conversation, meter: str, kind: EventKind) -> int | None:
    """How often it happened; None where the meter does not count it."""
    require_2007(talk.edition, "The event log")
    answer = await _record(talk, meter, kind << 8)
    if answer is None or not answer.readings:
        return None
    first = answer.readings[0].value  # some kinds count their minutes beside it
    return int(first) if isinstance(first, Decimal) else None


async def read_events(
    talk: Conversation, meter: str, kind: EventKind, latest: int
) -> AsyncIterator[ItemAnswer]:
    """The last records of a kind, the latest first; see `Master.events`."""
    count = await read_event_count(talk, meter, kind)
    for nth in range(1, min(latest, EVENT_RECORDS_MAX, count or 0) + 1):
        record = await _record(talk, meter, kind << 8 | nth)
        if record is None:
            return
        yield record


async def _record(talk: Conversation, meter: str, di: int) -> ItemAnswer | None:
    """An item that a meter may not have (yet)."""
    try:
        answer = decoded(await talk.read_di(meter, di), talk.edition)
    except MeterRefusal as refusal:
        if refusal.word is None or not refusal.word & ErrorByte.NO_REQUESTED_DATA:
            raise
        return None
    return answer if answer.data else None


# The load profile


class _Block(IntEnum):
    """DI0 of a load profile."""

    EARLIEST = 0
    SINCE = 1
    LATEST = 2


async def read_load_end(
    talk: Conversation, meter: str, load_class: int, blocks: int, *, latest: bool
) -> tuple[LoadRecord, ...]:
    """The earliest or the latest records; see `Master.load_earliest`, `Master.load_latest`."""
    block = _Block.LATEST if latest else _Block.EARLIEST
    return await _load_records(talk, meter, load_class, block, blocks, None)


async def read_load_since(
    talk: Conversation,
    meter: str,
    load_class: int,
    since: MeterTime,
    until: MeterTime,
    interval_min: int | None,
    blocks: int,
) -> AsyncIterator[LoadRecord]:
    """The records of a span, in order; see `Master.load_profile`."""
    require_2007(talk.edition, "The load profile")
    if interval_min is None:
        interval_min = await _interval_min(talk, meter, load_class)
    if not 1 <= interval_min <= _DAY_MIN:
        raise FieldRangeError(f"A load profile's interval is 1-{_DAY_MIN} min.")
    step = timedelta(minutes=interval_min)
    moment = _on_grid(since.at(UTC), interval_min)
    end = until.at(UTC)
    kept: tuple[datetime, datetime] | None = None
    while moment < end:
        count = min(blocks, -((moment - end) // step))
        asked = MeterTime.of(moment)
        records = await _load_records(talk, meter, load_class, _Block.SINCE, count, asked)
        for record in records:
            at = moment if record.time is None else record.time.at(UTC)  # a bad one may have none
            if at < moment:
                raise LayoutError(f"A load record of {record.time} where {asked} was asked for.")
            if at >= end:
                return
            yield record
            moment = at + step
        if records:
            continue
        # Meters may give nothing for a moment that is missing although later ones are there.
        moment += step
        if kept is None:
            kept = await _kept_span(talk, meter, load_class)
            if kept is None:
                return
            moment = max(moment, _on_grid(kept[0], interval_min))
            end = min(end, kept[1] + step)


async def _kept_span(
    talk: Conversation, meter: str, load_class: int
) -> tuple[datetime, datetime] | None:
    """The times of the earliest and the latest record; None where there is none."""
    times = []
    for block in (_Block.EARLIEST, _Block.LATEST):
        records = await _load_records(talk, meter, load_class, block, 1, None)
        times += [record.time.at(UTC) for record in records if record.time is not None]
    return (min(times), max(times)) if times else None


async def _load_records(
    talk: Conversation,
    meter: str,
    load_class: int,
    block: _Block,
    blocks: int,
    since: MeterTime | None,
) -> tuple[LoadRecord, ...]:
    require_2007(talk.edition, "The load profile")
    if not 0 <= load_class <= 6:
        raise FieldRangeError("Load classes are 1-6, or 0 for all.")
    if not 1 <= blocks <= _BLOCKS_MAX:
        raise FieldRangeError(f"1-{_BLOCKS_MAX} load records are asked for at a time.")
    di = 0x06 << 24 | load_class << 16 | block
    try:
        raw = await talk.read(meter, ReadData(di, blocks, since))
    except MeterRefusal as refusal:
        if refusal.word is None or not refusal.word & ErrorByte.NO_REQUESTED_DATA:
            raise
        return ()
    return parse_load_records(raw.data, load_class)


async def _interval_min(talk: Conversation, meter: str, load_class: int) -> int:
    """04000A02-07; of all classes together, that of the first."""
    di = 0x04000A01 + (load_class or 1)
    value = decoded(await talk.read_di(meter, di), talk.edition).value_as(Decimal)
    if value is None or not value:
        raise LayoutError("The meter tells no interval of its load profile; give one.")
    return int(value)


def _on_grid(moment: datetime, interval_min: int) -> datetime:
    """The first moment of the profile that is not before; intervals count from midnight."""
    moment = moment.replace(second=0, microsecond=0)
    late_min = (moment.hour * 60 + moment.minute) % interval_min
    return moment + timedelta(minutes=interval_min - late_min) if late_min else moment
