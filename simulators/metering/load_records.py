"""The load profile (class 06): which records there are, and what stands in them.

A record is due at each multiple of a class's interval on the meter's clock; the classes that are
due together stand in one.  Nothing is stored: a record is computed from the state at its moment,
the earliest that can be told are `MeterType.load_records_max` shortest intervals old.  While the
mains were off none was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Final

from simulators.metering.bcd import limited, minute_face, signed, unsigned
from simulators.metering.electricity import tangent_permille
from simulators.metering.flow import Flow
from simulators.metering.registers import forward_ws, reactive_ws, reverse_ws, wire_energy
from simulators.metering.schedules import Due, Every, passed
from simulators.metering.smart_meter import SmartMeter

CLASSES: Final = range(1, 7)
_SEPARATOR: Final = b"\xaa"
_EMPTY: Final = 0xFF


def latest(meter: SmartMeter, load_class: int, count: int) -> list[bytes]:
    """The last records, in the order of time."""
    found: list[bytes] = []
    for due in _due(meter, load_class):
        record = _record_at(meter, due, load_class)
        if record is not None:
            found.append(record)
            if len(found) == count:
                break
    return found[::-1]


def since(meter: SmartMeter, load_class: int, count: int, local: int | None) -> list[bytes]:
    """The first records at or after a moment of the clock, or of all (None), in order of time."""
    wanted = list(
        _due(meter, load_class)
        if local is None
        else takewhile(lambda due: due.local >= local, _due(meter, load_class))
    )
    found: list[bytes] = []
    for due in reversed(wanted):
        record = _record_at(meter, due, load_class)
        if record is not None:
            found.append(record)
            if len(found) == count:
                break
    return found


def _due(meter: SmartMeter, load_class: int) -> Iterator[Due]:
    """The moments of records that the memory still holds, the latest first."""
    interval = _interval_s(meter, load_class)
    if interval is None:
        return
    moments = passed(Every(interval), meter.clock, meter.second, passed_over=False)
    for due in islice(moments, meter.type.load_records_max):
        if due.second < meter.begins:
            break
        yield due


def _interval_s(meter: SmartMeter, load_class: int) -> int | None:
    """The shortest interval of the classes asked for; None where none is recorded."""
    wanted = (load_class,) if load_class else CLASSES
    intervals = [interval for number, interval in _intervals(meter) if number in wanted]
    return min(intervals, default=None)


def _intervals(meter: SmartMeter) -> Iterator[tuple[int, int]]:
    recorded = meter.parameters.load_classes()
    for number in CLASSES:
        if recorded >> number - 1 & 1:
            yield number, meter.parameters.load_interval_min(number, meter.type) * 60


def _record_at(meter: SmartMeter, moment: Due, load_class: int) -> bytes | None:
    flow, local = meter.flow_at(moment.second), moment.local
    if flow is None or not flow.has_power:
        return None
    due = {number for number, interval in _intervals(meter) if local % interval == 0}
    if load_class:
        due &= {load_class}
    body = minute_face(local)
    for number in CLASSES:
        if number in due:
            body += _class(meter, flow, number)
        body += _SEPARATOR
    head = b"\xa0\xa0" + bytes((len(body),)) + body
    return head + bytes((sum(head) & 0xFF,)) + b"\xe5"


def _class(meter: SmartMeter, flow: Flow, number: int) -> bytes:
    if number == 1:
        return _voltages(meter, flow)
    if number == 2:
        return _powers(meter, flow)
    if number == 3:
        return _factors(meter, flow)
    if number == 4:
        forward, reverse = forward_ws(meter, flow, 0), reverse_ws(meter, flow, 0)
        reactive = reactive_ws(meter, forward + reverse)
        energies = (forward, reverse, reactive, 0)
        return b"".join(wire_energy(ws) for ws in energies)
    if number == 5:
        quadrants = (
            reactive_ws(meter, forward_ws(meter, flow, 0)),
            0,
            reactive_ws(meter, reverse_ws(meter, flow, 0)),
            0,
        )
        return b"".join(wire_energy(ws) for ws in quadrants)
    watts = meter.measured(flow).total.active_w
    reactive = watts * tangent_permille(meter.seed) // 1000
    return signed(watts * 10, 3) + signed(reactive * 10, 3)


def _voltages(meter: SmartMeter, flow: Flow) -> bytes:
    measured = meter.measured(flow)
    missing = 3 - len(measured.phases)
    volts = b"".join(limited(phase.voltage_dv, 2) for phase in measured.phases)
    amperes = b"".join(signed(phase.current_ma, 3) for phase in measured.phases)
    return (
        volts
        + bytes((_EMPTY,)) * 2 * missing
        + amperes
        + bytes((_EMPTY,)) * 3 * missing
        + unsigned(measured.frequency_chz, 2)
    )


def _powers(meter: SmartMeter, flow: Flow) -> bytes:
    measured = meter.measured(flow)
    phases = (measured.total, *measured.phases)
    missing = bytes((_EMPTY,)) * 3 * (3 - len(measured.phases))
    active = b"".join(signed(phase.active_w * 10, 3) for phase in phases)
    reactive = b"".join(signed(phase.reactive_var * 10, 3) for phase in phases)
    return active + missing + reactive + missing


def _factors(meter: SmartMeter, flow: Flow) -> bytes:
    measured = meter.measured(flow)
    phases = (measured.total, *measured.phases)
    factors = b"".join(signed(phase.factor_permille, 2) for phase in phases)
    return factors + bytes((_EMPTY,)) * 2 * (3 - len(measured.phases))
