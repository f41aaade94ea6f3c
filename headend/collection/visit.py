"""One visit of one meter: everything that is wanted of it, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from headend.collection.faults import VisitBrokenError
from headend.collection.gaps import Wanted
from headend.collection.plan import What
from headend.faults import HeadEndError
from headend.talk.clocks import read_clock_offset_s
from headend.talk.device import Device
from headend.talk.faults import LineBudgetError, NoLineError, NoModemError
from headend.talk.happenings import Known, read_events
from headend.talk.lines import Lines
from headend.talk.memory import read_freezes, read_months, read_profile
from headend.talk.reading import Fault, ReadOut, read_device
from headend.talk.stamps import believed
from protocols.dlt645.master import FreezeKind
from protocols.errors import ProtocolError
from protocols.transport.errors import LinkDown, NoAnswer
from protocols.transport.exchange import Priority

_log: Final = structlog.get_logger(__name__)


@dataclass(slots=True)
class Visit:
    """What came of a visit."""

    device: Device
    told: ReadOut
    """All that was read, together; its faults are by part."""
    remaining: tuple[str, ...] = ()
    """Parts that are still to be read."""
    known_events: dict[str, Known] = field(default_factory=dict)
    """What is known of the meter's events now, where it has changed."""
    clock_at: datetime | None = None
    clock_offset_s: int | None = None
    spent_ms: int = 0

    @property
    def fault(self) -> Fault | None:
        """The first that kept something from being read."""
        return next(iter(self.told.faults.values()), None)

    @property
    def answered(self) -> bool:
        """Whether the meter said anything."""
        return self.told.answered > 0

    @property
    def found_line_broken(self) -> bool:
        """Whether no meter behind this line could be asked now."""
        broken = (LinkDown, LineBudgetError, NoLineError, NoModemError)
        return any(isinstance(fault, broken) for fault in self.told.faults.values())

    @property
    def offers_nothing(self) -> bool:
        """Whether the meter has none of what was wanted."""
        told = self.told
        has_values = told.values or told.intervals or told.events
        return bool(told.absent) and not has_values and not told.faults


async def visit(
    lines: Lines, device: Device, what: What, wanted: Wanted, priority: Priority
) -> Visit:
    """Read what is wanted of a meter, the registers first; silence ends the visit."""
    began = time.monotonic()
    result = Visit(device, ReadOut(device.device_id, lines.station.now().replace(microsecond=0)))
    reading = read_device(lines, device, wanted.quantities, priority=priority)
    result.told = found = await _unbroken(reading, result, wanted.quantities)
    failed = list(found.faults)
    for part in _memory_parts(wanted):
        if _is_silent(result):
            failed.append(part)
            continue
        part_read = _read_part(lines, device, what, wanted, part, priority, result)
        out = await _unbroken(part_read, result, (part,))
        believed(out, part, lines.station.now())
        if out.faults:
            failed.append(part)
        _put_together(result.told, out, part)
    if wanted.clock and not _is_silent(result):
        await _read_clock(lines, device, priority, result)
    result.remaining = tuple(dict.fromkeys(failed))
    result.spent_ms = int((time.monotonic() - began) * 1000)
    return result


def broken_visit(device: Device, at: datetime, parts: Sequence[str], broken: Exception) -> Visit:
    """A visit that something unexpected broke off: the meter's own fault, an attempt of its own.

    It is logged: a mistake of ours must not hide behind a meter.
    """
    out = ReadOut(device.device_id, at)
    out.give_up(parts, _broken(device, broken))
    return Visit(device, out, remaining=tuple(parts))


async def _unbroken(
    reading: Coroutine[Any, Any, ReadOut], result: Visit, parts: Sequence[str]
) -> ReadOut:
    """What was read; what nobody had thought of costs these parts, not the meter, nor its line."""
    try:
        return await reading
    except Exception as broken:  # noqa: BLE001 - one meter must not cost its line
        out = ReadOut(result.device.device_id, result.told.at)
        out.give_up(parts, _broken(result.device, broken))
        return out


def _broken(device: Device, broken: Exception) -> VisitBrokenError:
    _log.error("visit.broken", meter=device.number, exc_info=broken)
    return VisitBrokenError(
        f"Reading meter {device.number} failed unexpectedly ({type(broken).__name__}); other "
        "meters are not touched by it. Please report it with the log."
    )


def _memory_parts(wanted: Wanted) -> list[str]:
    kinds = ("daily", "hourly", "monthly", "events", "profile")
    return [kind for kind in kinds if getattr(wanted, kind)]


async def _read_part(
    lines: Lines,
    device: Device,
    what: What,
    wanted: Wanted,
    part: str,
    priority: Priority,
    result: Visit,
) -> ReadOut:
    if part == "daily":
        return await read_freezes(
            lines, device, FreezeKind.DAILY, what.daily, wanted.daily, name=part, priority=priority
        )
    if part == "hourly":
        return await read_freezes(
            lines, device, FreezeKind.HOURLY, what.hourly, wanted.hourly, name=part,
            priority=priority,
        )  # fmt: skip
    if part == "monthly":
        return await read_months(lines, device, what.monthly, wanted.monthly, priority=priority)
    if part == "events":
        out, result.known_events = await read_events(
            lines, device, wanted.known_events, priority=priority
        )
        return out
    whole = ReadOut(device.device_id, result.told.at)
    for since, until in wanted.profile:
        out = await read_profile(
            lines, device, what.profile, since, until, what.profile_min, priority=priority
        )
        _put_together(whole, out, part)
        if out.faults or out.absent:
            break
    return whole


async def _read_clock(lines: Lines, device: Device, priority: Priority, result: Visit) -> None:
    """The clock is watched by the way: that it could not be read fails no visit."""
    try:
        offset_s = await read_clock_offset_s(lines, device, priority=priority)
    except (ProtocolError, HeadEndError):
        return
    except Exception as broken:  # noqa: BLE001 - one meter must not cost its line
        _broken(device, broken)
        return
    if offset_s is not None:
        result.clock_at, result.clock_offset_s = result.told.at, offset_s
        result.told.asked += 1
        result.told.answered += 1


def _put_together(whole: ReadOut, out: ReadOut, part: str) -> None:
    whole.values += out.values
    whole.intervals += out.intervals
    whole.events += out.events
    whole.absent += out.absent
    whole.asked += out.asked
    whole.answered += out.answered
    if out.faults:
        whole.faults[part] = next(iter(out.faults.values()))


def _is_silent(result: Visit) -> bool:
    silent = (NoAnswer, LinkDown, LineBudgetError, NoLineError, NoModemError)
    return any(isinstance(fault, silent) for fault in result.told.faults.values())
