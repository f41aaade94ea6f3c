"""Events since the last that are known: counts first, records only where a count has grown.

Only DL/T 645-2007 has them.  The kinds and where they stand are data (``quantities.toml``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final

from headend.faults import HeadEndError
from headend.talk.device import Device
from headend.talk.lines import Lines
from headend.talk.quantities import EventSource, event_sources
from headend.talk.reading import ReadOut, line_of
from headend.values import MeterEvent
from protocols.dlt645.errors import ValueFormatError
from protocols.dlt645.master import ItemAnswer, Master, MeterRefusal
from protocols.dlt645.times import MeterTime
from protocols.errors import ProtocolError
from protocols.transport.exchange import Priority

RECORDS_MAX: Final = 10
"""So many a meter keeps of each kind."""
_COUNT_BYTES: Final = 3
_TRIES: Final = 3
"""Of a source in which something happens while it is read."""
_BEGINNINGS: Final = ("start", "time", "after", "")
_DETAILS: Final = ("operator", "before", "item")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one source of events."""

    count: int
    is_open: bool
    """The last one has not ended."""


async def read_events(
    lines: Lines,
    device: Device,
    known: Mapping[str, Known],
    *,
    name: str = "events",
    priority: Priority = Priority.ROUTINE,
) -> tuple[ReadOut, dict[str, Known]]:
    """New events of a meter, and what is known of its sources now.

    Args:
        lines: of this process.
        device: which.
        known: by `EventSource.name`; a source that is not in it is read as far as it remembers.
        name: what this is called in faults and absences.
        priority: in which queue of the line its requests wait.
    """
    out = ReadOut(device.device_id, lines.station.now().replace(microsecond=0))
    now_known: dict[str, Known] = {}
    if device.protocol != "dlt645-2007":
        out.absent.append(name)
        return out, now_known
    try:
        line = await line_of(lines, device)
        master = line.master(device.edition, priority)
        for source in event_sources():
            before = known.get(source.name, Known(0, is_open=False))
            found = await _read_source(master, device, source, before, lines.station.zone, out)
            if found is not None and found != known.get(source.name):
                now_known[source.name] = found
    except (ProtocolError, HeadEndError) as fault:
        out.give_up((name,), fault)
    return out, now_known


async def _read_source(
    master: Master,
    device: Device,
    source: EventSource,
    before: Known,
    zone: tzinfo,
    out: ReadOut,
) -> Known | None:
    """One source's news; None where nothing new is known of it for certain.

    Records are counted from the last one, anew in each request.  So the count is read again after
    them: where something has happened meanwhile, one of them may have been passed over.
    """
    count = await _count(master, device, source, out)
    for _ in range(_TRIES):
        if count is None:
            return None
        events, is_open = await _read_news(master, device, source, before, count, zone, out)
        if not events:
            return Known(count, is_open)
        seen, count = count, await _count(master, device, source, out)
        if count == seen:
            out.events += events
            return Known(count, is_open)
    out.events += events
    return None  # as before: the next visit reads them again


async def _read_news(
    master: Master,
    device: Device,
    source: EventSource,
    before: Known,
    count: int,
    zone: tzinfo,
    out: ReadOut,
) -> tuple[list[MeterEvent], bool]:
    """The records since the last that is known, and whether the newest has not ended."""
    # After a clear of events the meter begins anew.
    news = count - before.count if count >= before.count else count
    wanted = min(news + before.is_open, RECORDS_MAX, count)
    is_open = before.is_open and count >= before.count and wanted == 0
    events: list[MeterEvent] = []
    for nth in range(1, wanted + 1):
        event = await _read_record(master, device, source, nth, zone, out)
        if event is None:
            break
        events.append(event)
        if nth == 1:
            is_open = event.ended_at is None and _has_end(source)
    return events, is_open


async def _count(master: Master, device: Device, source: EventSource, out: ReadOut) -> int | None:
    """How often it happened; None also for what is no number: FF FF FF is usual for "none"."""
    answer = await _perhaps(master, device, source.count, out)
    first = None if answer is None or not answer.readings else answer.readings[0].value
    if isinstance(first, Decimal):
        return int(first)
    if not isinstance(first, bytes) or len(first) != _COUNT_BYTES:
        return None
    digits = first[::-1].hex()
    return int(digits) if digits.isdecimal() else None


async def _read_record(
    master: Master, device: Device, source: EventSource, nth: int, zone: tzinfo, out: ReadOut
) -> MeterEvent | None:
    answer = await _perhaps(master, device, source.record + nth, out)
    if answer is None:
        return None
    fields = {reading.label: reading for reading in answer.readings}
    began = next((fields[label].value for label in _BEGINNINGS if label in fields), None)
    if isinstance(began, bytes):
        began = _time_in(began)
    began_at = _moment(began, zone)
    if began_at is None:
        return None
    ended = fields["end"].value if "end" in fields else None
    if source.end is not None:
        ends = await _perhaps(master, device, source.end + nth, out)
        ended = None if ends is None or not ends.readings else ends.readings[0].value
    details: dict[str, int | str] = {
        label: str(fields[label].text)
        for label in _DETAILS
        if label in fields and fields[label].value is not None
    }
    if source.phase is not None:
        details["phase"] = source.phase
    return MeterEvent(
        device.device_id,
        source.kind,
        began_at,
        None if (over := _moment(ended, zone)) is None else max(began_at, over),
        json.dumps(details, sort_keys=True, separators=(",", ":")),
    )


def _has_end(source: EventSource) -> bool:
    return source.kind in ("power_off", "cover_open", "terminal_cover_open", "reverse_current",
                           "magnetic_field")  # fmt: skip


def _time_in(raw: bytes) -> MeterTime | None:
    """The time at the head of a record that the catalogue does not know: YYMMDDhhmmss."""
    digits = raw[:6][::-1].hex()
    if len(digits) != 12 or not digits.isdecimal():
        return None
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    return MeterTime(
        year=2000 + year, month=month, day=day, hour=hour, minute=minute, second=second
    )


def _moment(time: object, zone: tzinfo) -> datetime | None:
    """A time of the meter as UTC; None for what is none (zeros: not yet)."""
    if not isinstance(time, MeterTime):
        return None
    try:
        return time.at(zone).astimezone(UTC)
    except (ValueFormatError, ValueError):
        return None


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
    return answer
