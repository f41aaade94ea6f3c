"""Structured payloads: event records, freezes, load records (spec sections 4.4, 4.6, 4.7).

Layouts are written with ``construct``, which is fine here: records are read by the dozen, not by
the thousand.  Nothing of it shows outside of this module: a payload comes out as a tuple of
`Reading`, each with the label of its field.

=====================  =====  ====================================================== =====
payload                bytes  layout                                                  grade
=====================  =====  ====================================================== =====
`phase_counts`         18     per phase: count 3, minutes 3                           B
`span`                 12     start 6, end 6                                          B
`voltage_event`        131    span, energies of total, three phases (energies and     B
                              variables), ampere hours
`current_event`        115    the same without ampere hours                           C
`energy_event`         76     span, energies of total and phases                      C
`unbalance_event`      78     span, greatest unbalance, energies                      B
`load_records`         any    see `parse_load_records`                                A
=====================  =====  ====================================================== =====
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import construct as c

from protocols.dlt645.errors import LayoutError, ValueFormatError
from protocols.dlt645.times import MeterTime
from protocols.dlt645.values import Element, Reading, Value, parse_element

_SEPARATOR: Final = 0xAA


def _field(element: Element) -> Any:
    """An element as a construct: bytes to `Reading` and back."""

    def decode(raw: bytes, _context: object) -> Reading:
        return element.decode(raw)

    def encode(value: Value | None, _context: object) -> bytes:
        return element.encode(value)

    return c.ExprAdapter(c.Bytes(element.length), decode, encode)


@dataclass(frozen=True, slots=True)
class Payload:
    """A record of fixed layout."""

    elements: tuple[Element, ...]
    struct: Any
    """The same as a construct; one field for each element."""

    @property
    def length(self) -> int:
        """Bytes on the wire."""
        return sum(element.length for element in self.elements)

    def parse(self, raw: bytes) -> tuple[Reading, ...]:
        """The readings of exactly ``length`` bytes."""
        return tuple(self.struct.parse(raw))

    def build(self, values: Sequence[Value | None]) -> bytes:
        """The bytes of one value for each element.

        Raises:
            ValueFormatError: a value does not fit, or their number does not.
        """
        if len(values) != len(self.elements):
            raise ValueFormatError(f"{len(values)} values where {len(self.elements)} belong.")
        return cast("bytes", self.struct.build(list(values)))


def _record(*specs: str) -> Payload:
    elements = tuple(element for spec in specs for element in parse_element(spec))
    return Payload(elements, c.Sequence(*map(_field, elements)))


def _each(prefixes: Sequence[str], specs: Sequence[str]) -> tuple[str, ...]:
    """The same fields for several parts, the part in front of each label."""
    return tuple(f"{prefix} {spec}" for prefix in prefixes for spec in specs)


_PHASES: Final = ("phase A", "phase B", "phase C")
_SPAN: Final = ("start: YYMMDDhhmmss", "end: YYMMDDhhmmss")
_STAMP: Final = ("time: YYMMDDhhmmss", "operator: bits:4")
_INCREMENTS: Final = (
    "forward active: XXXXXX.XX kWh",
    "reverse active: XXXXXX.XX kWh",
    "combined reactive 1: ±XXXXXX.XX kvarh",
    "combined reactive 2: ±XXXXXX.XX kvarh",
)
_VARIABLES: Final = (
    "voltage: XXX.X V",
    "current: ±XXX.XXX A",
    "active power: ±XX.XXXX kW",
    "reactive power: ±XX.XXXX kvar",
    "power factor: ±X.XXX",
)
_QUADRANTS: Final = tuple(f"quadrant {name}: XXXXXX.XX kvarh" for name in ("I", "II", "III", "IV"))
_METERED: Final = ("forward active: XXXXXX.XX kWh", "reverse active: XXXXXX.XX kWh", *_QUADRANTS)
_DEMANDS: Final = tuple(
    field
    for name, unit in (
        ("forward active", "kW"),
        ("reverse active", "kW"),
        ("quadrant I", "kvar"),
        ("quadrant II", "kvar"),
        ("quadrant III", "kvar"),
        ("quadrant IV", "kvar"),
    )
    for field in (f"{name} demand: XX.XXXX {unit}", f"{name} time: YYMMDDhhmm")
)
_TOTAL_INCREMENTS: Final = _each(("total",), _INCREMENTS)
_PHASE_EVENT: Final = (
    *_SPAN,
    *_TOTAL_INCREMENTS,
    *_each(_PHASES, (*_INCREMENTS, *_VARIABLES)),
)

PAYLOADS: Final[Mapping[str, Payload]] = {
    "phase_counts": _record(*_each(_PHASES, ("count: XXXXXX times", "duration: XXXXXX min"))),
    "span": _record(*_SPAN),
    "voltage_event": _record(*_PHASE_EVENT, *_each(("total", *_PHASES), ("charge: XXXXXX.XX Ah",))),
    "current_event": _record(*_PHASE_EVENT),
    "energy_event": _record(*_SPAN, *_TOTAL_INCREMENTS, *_each(_PHASES, _INCREMENTS)),
    "unbalance_event": _record(
        *_SPAN, "greatest unbalance: XX.XX %", *_TOTAL_INCREMENTS, *_each(_PHASES, _INCREMENTS)
    ),
    "all_voltage_event": _record("start: YYMMDDhhmmss", "current: XXX.XXX A", "end: YYMMDDhhmmss"),
    "voltage_quality": _record(
        "observed: XXXXXX min",
        "within limits: XXXX.XX %",
        "outside limits: XXXX.XX %",
        "above: XXXXXX min",
        "below: XXXXXX min",
        "highest: XXX.X V",
        "highest at: MMDDhhmm",
        "lowest: XXX.X V",
        "lowest at: MMDDhhmm",
    ),
    "demand_event_kw": _record(*_SPAN, "demand: XX.XXXX kW", "time: YYMMDDhhmm"),
    "demand_event_kvar": _record(*_SPAN, "demand: XX.XXXX kvar", "time: YYMMDDhhmm"),
    "programming": _record(*_STAMP, "item: 10*bits:4"),
    "meter_clear": _record(*_STAMP, *_each(("total", *_PHASES), _METERED)),
    "demand_clear": _record(*_STAMP, *_each(("total", *_PHASES), _DEMANDS)),
    "event_clear": _record(*_STAMP, "item: bits:4"),
    "time_set": _record("operator: bits:4", "before: YYMMDDhhmmss", "after: YYMMDDhhmmss"),
    "slot_programming": _record(
        *_STAMP,
        *(f"set {half} table {table} slot: 14*hhmmNN" for half in (1, 2) for table in range(1, 9)),
    ),
    "zone_programming": _record(*_STAMP, *(f"set {half} zone: 14*MMDDNN" for half in (1, 2))),
    "word_programming": _record(*_STAMP, "before: bits:1"),
    "holiday_programming": _record(*_STAMP, "holiday: 254*YYMMDDNN"),
    "settlement_programming": _record(*_STAMP, "settlement day: 3*DDhh"),
    "cover_event": _record(*_SPAN, *_each(("before", "after"), _METERED)),
    "freeze_variables": _record(
        *_each(("total", *_PHASES), ("active power: ±XX.XXXX kW",)),
        *_each(("total", *_PHASES), ("reactive power: ±XX.XXXX kvar",)),
    ),
}
"""Records of fixed layout, by the name that the catalogue uses."""


# Load records, section 4.7

_CLASS_FIELDS: Final = (
    (
        *_each(_PHASES, ("voltage: XXX.X V",)),
        *_each(_PHASES, ("current: ±XXX.XXX A",)),
        "frequency: XX.XX Hz",
    ),
    (
        *_each(("total", *_PHASES), ("active power: ±XX.XXXX kW",)),
        *_each(("total", *_PHASES), ("reactive power: ±XX.XXXX kvar",)),
    ),
    _each(("total", *_PHASES), ("power factor: ±X.XXX",)),
    _INCREMENTS,
    _QUADRANTS,
    ("active demand: ±XX.XXXX kW", "reactive demand: ±XX.XXXX kvar"),
)
LOAD_CLASSES: Final[Mapping[int, tuple[Element, ...]]] = {
    number: tuple(element for spec in specs for element in parse_element(spec))
    for number, specs in enumerate(_CLASS_FIELDS, 1)
}
"""What each class of the load profile records, by class number 1-6."""

NO_RECORD_BYTES_MAX: Final = 8
"""An answer with no more bytes than this says that there is no record for the time."""

_TIME: Final = parse_element("time: YYMMDDhhmm")[0]
_GOOD: Final = b"\xa0\xa0"
_BAD: Final = b"\xe0\xe0"
_RECORD: Final = c.Struct(
    "mark" / c.OneOf(c.Bytes(2), (_GOOD, _BAD)),
    "body" / c.Prefixed(c.Byte, c.GreedyBytes),
    "checksum" / c.Byte,
    "end" / c.Const(b"\xe5"),
)


def _class_block(elements: tuple[Element, ...]) -> Any:
    """A class's fields and its AA; only the AA where the class is not recorded."""
    return c.Struct(
        "next" / c.Peek(c.Byte),
        "readings" / c.If(c.this.next != _SEPARATOR, c.Sequence(*map(_field, elements))),
        "separator" / c.Const(bytes((_SEPARATOR,))),
    )


_CLASS_BLOCKS: Final = {number: _class_block(fields) for number, fields in LOAD_CLASSES.items()}
_ALL_CLASSES: Final = c.Struct(
    "time" / _field(_TIME),
    "classes" / c.Sequence(*_CLASS_BLOCKS.values()),
    c.Terminated,
)
_ONE_CLASS: Final = {
    number: c.Struct("time" / _field(_TIME), "classes" / c.Sequence(block), c.Terminated)
    for number, block in _CLASS_BLOCKS.items()
}


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """What a meter recorded at one moment."""

    time: MeterTime | None
    classes: Mapping[int, tuple[Reading, ...]]
    """By class 1-6; a class that is not recorded is not in it."""
    bad: bool = False
    """The meter itself marked the record as bad (E0 E0): `classes` is empty then."""


def parse_load_records(data: bytes, load_class: int = 0) -> tuple[LoadRecord, ...]:
    """The records of an answer to DI 06cc00mm, DI removed, follow-up frames put together.

    ::

        A0 A0 | LEN | mm hh DD MM YY | class 1 AA | … | class 6 AA | CS | E5

    LEN counts the bytes between itself and CS; CS is the sum from the first A0 to the last AA.

    Args:
        data: wire order; 8 bytes or fewer mean that there is no record.
        load_class: cc, 0 for all; one class may also come without the others' AA.

    Raises:
        LayoutError: a record is cut or damaged; then none is used.
    """
    if len(data) <= NO_RECORD_BYTES_MAX:
        return ()
    records: list[LoadRecord] = []
    rest = data
    while rest:
        try:
            frame = _RECORD.parse(rest)
        except c.ConstructError:
            raise LayoutError(f"Load record {len(records) + 1} is cut or damaged.") from None
        size = len(frame.body) + 5
        if sum(rest[: size - 2]) & 0xFF != frame.checksum:
            raise LayoutError(f"Load record {len(records) + 1} has a wrong checksum.")
        records.append(_load_record(frame.body, load_class, bad=frame.mark == _BAD))
        rest = rest[size:]
    return tuple(records)


def _load_record(body: bytes, load_class: int, *, bad: bool) -> LoadRecord:
    if bad:
        time = _TIME.decode(body[:5]).value if len(body) >= _TIME.length else None
        return LoadRecord(time if isinstance(time, MeterTime) else None, {}, bad=True)
    parsed = _parsed(_ALL_CLASSES, body)
    numbers = tuple(LOAD_CLASSES)
    if parsed is None and load_class:
        parsed, numbers = _parsed(_ONE_CLASS[load_class], body), (load_class,)
    if parsed is None:
        raise LayoutError("A load record's classes do not have the standard's lengths.")
    return LoadRecord(
        parsed.time.value,
        {
            number: tuple(block.readings)
            for number, block in zip(numbers, parsed.classes, strict=True)
            if block.readings is not None
        },
    )


def _parsed(struct: Any, body: bytes) -> Any:
    try:
        return struct.parse(body)
    except c.ConstructError:
        return None


def build_load_record(time: MeterTime, classes: Mapping[int, Sequence[Value | None]]) -> bytes:
    """One record, as a meter writes it: each recorded class with its values in order.

    Raises:
        ValueFormatError: a class does not exist, or its values do not fit.
    """
    if not LOAD_CLASSES.keys() >= classes.keys():
        raise ValueFormatError("Load classes are numbered 1-6.")
    body = _TIME.encode(time)
    for number, elements in LOAD_CLASSES.items():
        values = classes.get(number, ())
        if number in classes and len(values) != len(elements):
            raise ValueFormatError(f"Class {number} has {len(elements)} values.")
        fields = zip(elements, values, strict=False)
        body += b"".join(element.encode(value) for element, value in fields)
        body += bytes((_SEPARATOR,))
    head = _GOOD + bytes((len(body),)) + body
    return head + bytes((sum(head) & 0xFF,)) + b"\xe5"


# Freeze blocks, section 4.6

_FREEZE_ENERGIES: Final = tuple(
    parse_element(spec)
    for spec in (
        "forward active: XXXXXX.XX kWh",
        "reverse active: XXXXXX.XX kWh",
        "combined reactive 1: ±XXXXXX.XX kvarh",
        "combined reactive 2: ±XXXXXX.XX kvarh",
        *_QUADRANTS,
    )
)
_FREEZE_DEMANDS: Final = tuple(
    (
        *parse_element(f"{name} demand: XX.XXXX kW"),
        *parse_element(f"{name} demand time: YYMMDDhhmm"),
    )
    for name in ("forward active", "reverse active")
)
_FREEZE_PARTS: Final = (*_FREEZE_ENERGIES, *_FREEZE_DEMANDS)
_FREEZE_VARIABLES: Final = PAYLOADS["freeze_variables"].elements
_HOURLY: Final = (*_FREEZE_ENERGIES[0], *_FREEZE_ENERGIES[1])


def _size(elements: Sequence[Element]) -> int:
    return sum(element.length for element in elements)


def parse_freeze_block(data: bytes) -> tuple[Reading, ...] | None:
    """The readings of DI 05kkFFnn, or None where the bytes leave room for more than one reading.

    Time, then for each content total and tariffs, then the variables; some meters put AA behind
    each part.  How many tariffs there are follows from the length; which contents there are is
    set in the meter (04000902-07), so that other lengths cannot be told apart (grade C).
    An hourly freeze has time and two energies, 13 bytes (T).
    """
    if len(data) == _TIME.length + _size(_HOURLY):
        return _decode_all((_TIME, *_HOURLY), data)
    if data[_TIME.length : _TIME.length + 1] == bytes((_SEPARATOR,)):
        return _separated_freeze(data)
    per_tariff = sum(map(_size, _FREEZE_PARTS))
    tariffs, extra = divmod(len(data) - _TIME.length - _size(_FREEZE_VARIABLES), per_tariff)
    if tariffs < 1 or extra:
        return None
    elements = [_TIME]
    for part in _FREEZE_PARTS:
        elements += part * tariffs
    return _decode_all((*elements, *_FREEZE_VARIABLES), data)


def _separated_freeze(data: bytes) -> tuple[Reading, ...] | None:
    """A freeze block whose parts end with AA; only the full set of parts can be named."""
    parts = data.removesuffix(b"\xaa").split(b"\xaa")
    if len(parts) != len(_FREEZE_PARTS) + 2:
        return None
    elements = [_TIME]
    for part, fields in zip(parts[1:-1], _FREEZE_PARTS, strict=True):
        count, extra = divmod(len(part), _size(fields))
        if extra or not count:
            return None
        elements += fields * count
    elements += _FREEZE_VARIABLES
    whole = b"".join(parts)
    return _decode_all(elements, whole) if len(whole) == _size(elements) else None


def _decode_all(elements: Sequence[Element], data: bytes) -> tuple[Reading, ...]:
    readings = []
    for element in elements:
        readings.append(element.decode(data[: element.length]))
        data = data[element.length :]
    return tuple(readings)


def load_readings(data: bytes, load_class: int) -> tuple[Reading, ...]:
    """Load records as one row of readings: each record's time, then its values."""
    readings: list[Reading] = []
    for record in parse_load_records(data, load_class):
        text = None if record.time is None else str(record.time)
        readings.append(Reading(record.time, "", "time", b"", text, "bad" if record.bad else None))
        for fields in record.classes.values():
            readings += fields
    return tuple(readings)
