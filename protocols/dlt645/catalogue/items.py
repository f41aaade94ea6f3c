"""One item of the catalogue, and how an answer's bytes become its readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import LayoutError, UnknownItemError, ValueFormatError
from protocols.dlt645.payloads import PAYLOADS, load_readings, parse_freeze_block
from protocols.dlt645.values import RAW, Element, NumberFormat, Reading, Value

_DELIMITERS: Final = (0xAA, 0xDD)
FREEZE_BLOCK: Final = "freeze_block"
LOAD_RECORDS: Final = "load_records"

Layout = tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The values of one answer."""

    readings: tuple[Reading, ...]
    notes: tuple[str, ...] = ()
    """What was odd about the bytes: a length that differs, a stray delimiter, bytes left over.
    Who wants only what the standard says refuses an answer that has any."""


@dataclass(frozen=True, slots=True)
class Item:
    """A data item, or a block of them."""

    di: int
    """The identifier, as it is printed: 0x00010000 (2007), 0x9010 (1997)."""
    edition: Edition
    name_en: str
    name_zh: str
    grade: str
    """How sure: A-D, as in the specification."""
    access: str
    """``r``, ``rw`` or ``w``."""
    layout: Layout = ()
    """Its elements; empty for a block and for a payload."""
    others: tuple[Layout, ...] = ()
    """Layouts of other lengths that some meters answer with."""
    repeat: bool = False
    open: bool = False
    payload: str | None = None
    """Name of a structured payload."""
    members: tuple[Item, ...] = field(default=(), repr=False)
    """Of a block: what it holds, in order."""
    open_block: bool = False
    """The block holds as many of its members as the meter has."""
    _labelled: tuple[Layout, ...] = field(default=(), init=False, repr=False, compare=False)
    """The members' layouts, each element labelled with its member's name."""

    def __post_init__(self) -> None:
        labelled = tuple(
            tuple(
                replace(element, label=f"{member.name_en} {element.label}".strip())
                for element in member.elements
            )
            for member in self.members
        )
        object.__setattr__(self, "_labelled", labelled)

    @property
    def length(self) -> int | None:
        """Bytes of an answer without its identifier; None where the meter decides."""
        if self.members:
            lengths = [member.length for member in self.members]
            if self.open_block or None in lengths:
                return None
            return sum(length for length in lengths if length is not None)
        if not self.elements or self.repeat or self.open:
            return None
        return _size(self.elements)

    @property
    def elements(self) -> Layout:
        """Its layout, or that of its payload where the payload has a fixed one."""
        record = PAYLOADS.get(self.payload) if self.payload else None
        return record.elements if record else self.layout

    # Decoding

    def decode(self, data: bytes) -> Decoded:
        """The readings of an answer's bytes, identifier removed, wire order.

        Bytes that fit no layout come out as one reading of kind ``raw`` with a note; nothing is
        raised for what a meter sends.
        """
        if self.members:
            return self._decode_block(data)
        if self.payload == FREEZE_BLOCK:
            found = parse_freeze_block(data)
            return Decoded(found) if found else _raw(data, "a freeze block of unknown contents")
        if self.payload == LOAD_RECORDS:
            return self._decode_load(data)
        elements = self.elements
        if not elements:
            return _raw(data)
        if self.repeat:
            return _decode_repeated(elements, data)
        return self._decode_fixed(elements, data)

    def _decode_load(self, data: bytes) -> Decoded:
        try:
            readings = load_readings(data, self.di >> 16 & 0xFF)
        except LayoutError as fault:
            return _raw(data, str(fault))
        return Decoded(readings, () if readings else ("no record for this time",))

    def _decode_fixed(self, elements: Layout, data: bytes) -> Decoded:
        size = _size(elements)
        if len(data) == size:
            return _readings(elements, data)
        for other in self.others:
            if len(data) == _size(other):
                note = f"{len(data)} bytes where the table says {size}"
                return _readings(other, data, note)
        if self.open and len(data) > size:
            return _readings(elements, data[:size], f"not explained: {data[size:].hex()}")
        if len(data) == size + 1 and data[-1] in _DELIMITERS:
            return _readings(elements, data[:-1], f"delimiter {data[-1]:02X} at the end")
        note = f"{len(data)} bytes where the table says {size}"
        widened = _widened(elements, data)
        if widened is not None:
            return _readings(widened, data, note)
        return _raw(data, note)

    def _decode_block(self, data: bytes) -> Decoded:
        if self.edition is Edition.Y1997:
            return _decode_separated(self.members, data)
        layouts = self._labelled
        elements = _fitting(layouts, len(data))
        if elements is not None:
            return _readings(elements, data, *self._missing(elements, layouts))
        if data and data[-1] in _DELIMITERS:
            elements = _fitting(layouts, len(data) - 1)
            if elements is not None:
                note = f"delimiter {data[-1]:02X} at the end"
                return _readings(elements, data[:-1], note, *self._missing(elements, layouts))
        return _raw(data, f"{len(data)} bytes, which is no whole number of values")

    def _missing(self, elements: Layout, layouts: Sequence[Layout]) -> tuple[str, ...]:
        everything = sum(map(len, layouts))
        if self.open_block or len(elements) == everything:
            return ()
        return (f"{len(elements)} values where the table says {everything}",)

    # Encoding

    def encode(self, values: Sequence[Value | None]) -> bytes:
        """The bytes of values in order; None is written as FF, "not available".

        Raises:
            ValueFormatError: a value does not fit, or their number does not.
            UnknownItemError: the catalogue does not know the item's layout.
        """
        layout = self._layout_for(len(values))
        fields = [element for element in layout if not element.skipped]
        if len(fields) != len(values):
            raise ValueFormatError(f"{len(values)} values where {self.name_en} has {len(fields)}.")
        if self.payload and not self.members:
            return PAYLOADS[self.payload].build(values)
        pending = iter(values)
        return b"".join(
            element.encode(None if element.skipped else next(pending)) for element in layout
        )

    def parse_values(self, texts: Sequence[str | None]) -> tuple[Value | None, ...]:
        """Values from the texts that readings have; None stays None.

        Raises:
            ValueFormatError: a text is none of its element's format, or their number is wrong.
            UnknownItemError: the catalogue does not know the item's layout.
        """
        fields = [element for element in self._layout_for(len(texts)) if not element.skipped]
        if len(fields) != len(texts):
            raise ValueFormatError(f"{len(texts)} values where {self.name_en} has {len(fields)}.")
        return tuple(
            None if text is None else element.format.parse(text)
            for element, text in zip(fields, texts, strict=True)
        )

    def _layout_for(self, count: int) -> Layout:
        if self.members:
            elements: Layout = ()
            for member in self.members:
                if len(elements) >= count:
                    break
                elements += member.elements
            return elements
        elements = self.elements
        if not elements:
            raise UnknownItemError(
                f"{self.name_en} has no layout of values that can be written; give its bytes."
            )
        if not self.repeat:
            return elements
        repeats, extra = divmod(count, len(elements))
        if extra or not repeats:
            raise ValueFormatError(
                f"{self.name_en} takes values {len(elements)} at a time, not {count}."
            )
        return elements * repeats


def _size(elements: Layout) -> int:
    return sum(element.length for element in elements)


def _raw(data: bytes, *notes: str) -> Decoded:
    """The bytes themselves, where no number can be told from them."""
    if not data:
        return Decoded((), notes)
    return Decoded((Reading(data, "", "", data, f"{RAW} {data.hex()}"),), notes)


def _readings(elements: Layout, data: bytes, *notes: str) -> Decoded:
    readings = []
    oddities = list(notes)
    start = 0
    for element in elements:
        raw = data[start : start + element.length]
        start += element.length
        if element.skipped:
            oddities.append(f"not explained: {raw.hex()}")
            continue
        reading = element.decode(raw)
        if reading.fault:
            oddities.append(f"{reading.label or 'value'}: {reading.text}")
        readings.append(reading)
    return Decoded(tuple(readings), tuple(oddities))


def _widened(elements: Layout, data: bytes) -> Layout | None:
    """The element with more bytes than the table, where that cannot change the number.

    Only when the additional high bytes are all 00: with digits in them nobody could tell whether
    the meter counts further or with more decimals.
    """
    number = elements[0].format
    if len(elements) != 1 or not isinstance(number, NumberFormat) or number.signed:
        return None
    if len(data) <= number.length or any(data[number.length :]):
        return None
    return (replace(elements[0], format=number.widened(len(data))),)


def _decode_repeated(elements: Layout, data: bytes) -> Decoded:
    """As many times the elements as the answer is long."""
    size = _size(elements)
    notes: tuple[str, ...] = ()
    if len(data) % size == 1 and data[-1] in _DELIMITERS:
        notes = (f"delimiter {data[-1]:02X} at the end",)
        data = data[:-1]
    times, extra = divmod(len(data), size)
    if extra or not times:
        return _raw(data, f"{len(data)} bytes, which is no whole number of values")
    return _readings(elements * times, data, *notes)


def _fitting(layouts: Sequence[Layout], size: int) -> Layout | None:
    """The members, from the first on, that fill so many bytes exactly."""
    elements: list[Element] = []
    for layout in layouts:
        if size <= 0:
            break
        elements += layout
        size -= _size(layout)
    return tuple(elements) if size == 0 and elements else None


def _decode_separated(members: Sequence[Item], data: bytes) -> Decoded:
    """A block of 1997: AA (or DD) stands behind each of its sub-blocks.

    A delimiter can only stand where the next value would begin, and no BCD number begins with
    one.  Which sub-blocks and tariffs a meter has cannot be told from several of them, so labels
    are given only where there is one sub-block.
    """
    elements = [member.elements[0] for member in members]
    size = elements[0].length
    if any(element != elements[0] for element in elements):
        return _raw(data, "a block of values of different formats")
    values: list[bytes] = []
    start = sub_blocks = 0
    while start < len(data):
        if data[start] in _DELIMITERS and values:
            sub_blocks += 1
            start += 1
            continue
        values.append(data[start : start + size])
        start += size
    if not values or len(values[-1]) != size or len(values) > len(members):
        return _raw(data, f"{len(data)} bytes, which is no whole number of values")
    if sub_blocks > 1:
        return _readings((elements[0],) * len(values), b"".join(values))
    labelled = (
        replace(element, label=member.name_en)
        for element, member in zip(elements, members, strict=True)
    )
    return _readings(tuple(labelled)[: len(values)], b"".join(values))
