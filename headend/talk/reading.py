"""Reading a device's registers: as few requests as there can be, and what came of each.

A quantity that a meter does not have is *absent*, which is an answer; what it could not be asked,
or answered badly, is a fault.  Once the meter or the line falls silent, nothing more is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from headend.faults import HeadEndError
from headend.station import Station
from headend.talk import amounts
from headend.talk.device import Device
from headend.talk.faults import NoLineError, NotAValueError
from headend.talk.lines import Lines, OpenLine
from headend.talk.quantities import Ask, ask_one, asks
from headend.values import IntervalValue, MeterEvent, Reading, Source
from protocols.dlt645.master import ItemAnswer, MeterRefusal
from protocols.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from protocols.modbus.errors import IllegalDataAddressError, IllegalDataValueError
from protocols.transport.errors import LinkError, NoAnswer
from protocols.transport.exchange import Priority

Fault = ProtocolError | HeadEndError


@dataclass(slots=True)
class ReadOut:
    """What a device told."""

    device_id: int
    at: datetime
    """When its reading began, UTC, to the second: the moment of its values."""
    values: list[Reading] = field(default_factory=list)
    intervals: list[IntervalValue] = field(default_factory=list)
    events: list[MeterEvent] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Quantities, or kinds of memory, that this meter does not have."""
    faults: dict[str, Fault] = field(default_factory=dict)
    """Quantity, or kind of memory, → why it could not be read."""
    asked: int = 0
    """Requests."""
    answered: int = 0
    """Requests that the meter answered, refusals included."""

    @property
    def silence(self) -> Fault | None:
        """Why the meter could not be asked on: it or its line was silent or broken."""
        for fault in self.faults.values():
            if isinstance(fault, LinkError | HeadEndError) and not isinstance(
                fault, NotAValueError
            ):
                return fault
        return None

    @property
    def is_meter_silent(self) -> bool:
        """Whether it was the meter alone that was silent."""
        return isinstance(self.silence, NoAnswer)

    def give_up(self, quantities: Iterable[str], fault: Fault) -> None:
        """None of these can be asked any more."""
        for name in quantities:
            self.faults.setdefault(name, fault)


async def read_device(
    lines: Lines,
    device: Device,
    quantities: Sequence[str],
    *,
    station: Station | None = None,
    priority: Priority = Priority.ROUTINE,
) -> ReadOut:
    """Read quantities of one meter.

    Args:
        lines: of this process.
        device: which.
        quantities: names; see `headend.talk.quantities`.
        station: whose clock gives the time of the values; None: that of the lines.
        priority: in which queue of the line its requests wait.
    """
    at = (station or lines.station).now().replace(microsecond=0)
    out = ReadOut(device.device_id, at)
    try:
        line = await line_of(lines, device)
        if device.is_modbus:
            await _read_modbus(line, device, quantities, priority, out)
        else:
            await _read_dlt645(line, device, quantities, priority, out)
    except (LinkError, LocalProtocolError, HeadEndError) as fault:
        done = {reading.quantity for reading in out.values} | set(out.absent)
        out.give_up((name for name in quantities if name not in done), fault)
    return out


async def line_of(lines: Lines, device: Device) -> OpenLine:
    """The line that a device is on.

    Raises:
        NoLineError, NoModemError: see `Lines.line`.
    """
    if device.link_id is None:
        raise NoLineError(f"Meter {device.number} is on no line.")
    return await lines.line(device.link_id)


# --- DL/T 645 -----------------------------------------------------------------------------------


async def _read_dlt645(
    line: OpenLine, device: Device, quantities: Sequence[str], priority: Priority, out: ReadOut
) -> None:
    master = line.master(device.edition, priority)
    planned, missing = asks(device.edition, quantities)
    out.absent += missing
    left = deque(_without_refused(line, device, planned, out))
    while left:
        ask = left.popleft()
        out.asked += 1
        try:
            answer = await master.read(device.address, ask.di)
        except MeterRefusal as refusal:
            out.answered += 1
            if ask.is_block:
                line.refused_blocks.add((device.address, ask.di))
                left.extend(_singly(device, ask, out))
            elif refusal.has_no_data:
                out.absent += ask.holds.values()
            else:
                out.give_up(ask.holds.values(), refusal)
        except RemoteProtocolError as fault:
            out.give_up(ask.holds.values(), fault)
        except LinkError as fault:
            out.give_up(ask.holds.values(), fault)
            for other in left:
                out.give_up(other.holds.values(), fault)
            return
        else:
            out.answered += 1
            _take(answer, ask.holds, device, out)


def _without_refused(
    line: OpenLine, device: Device, planned: Sequence[Ask], out: ReadOut
) -> list[Ask]:
    """The reads, with blocks that this meter is known not to have taken apart."""
    found: list[Ask] = []
    for ask in planned:
        if ask.is_block and (device.address, ask.di) in line.refused_blocks:
            found += _singly(device, ask, out)
        else:
            found.append(ask)
    return found


def _singly(device: Device, block: Ask, out: ReadOut) -> list[Ask]:
    """The items of a block, each by itself."""
    found: list[Ask] = []
    for name in block.holds.values():
        single = ask_one(device.edition, name)
        if single is None:
            out.absent.append(name)
        else:
            found.append(single)
    return found


def _take(answer: ItemAnswer, holds: Mapping[int, str], device: Device, out: ReadOut) -> None:
    for place, name in holds.items():
        try:
            if amounts.is_relay_word(answer.di):
                value = amounts.of_relay_word(answer)
            elif place < len(answer.readings):
                value = amounts.of_element(answer.readings[place], name, device.ratio)
            else:
                value = None
        except NotAValueError as fault:
            out.faults[name] = fault
            continue
        _keep(value, name, out)


# --- Modbus -------------------------------------------------------------------------------------


async def _read_modbus(
    line: OpenLine, device: Device, quantities: Sequence[str], priority: Priority, out: ReadOut
) -> None:
    meter = line.meter(device, priority)
    known = [name for name in quantities if name in meter.profile.items]
    out.absent += [name for name in quantities if name not in meter.profile.items]
    if not known:
        return
    out.asked += 1
    try:
        readings = await meter.read(known)
    except RemoteProtocolError as broken:
        out.give_up(known, broken)
        return
    out.answered += 1
    for name, fault in readings.faults.items():
        if isinstance(fault, IllegalDataAddressError | IllegalDataValueError):
            out.absent.append(name)
        else:
            out.faults[name] = fault
    for name, value in readings.values.items():
        try:
            _keep(amounts.of_modbus(value, name, device.ratio), name, out)
        except NotAValueError as not_a_value:
            out.faults[name] = not_a_value


def _keep(value: int | None, name: str, out: ReadOut) -> None:
    if value is None:
        out.absent.append(name)
    else:
        out.values.append(Reading(out.device_id, name, out.at, value, Source.REGISTER))
