"""Values of data items: the standard's formats, decoded and encoded (spec sections 1 and 4).

An element is written as the standard prints it, with its unit (`parse_element`):

==================  ================================================================  ==========
``XXXXXX.XX kWh``   BCD, low byte first, two decimals                                 `Decimal`
``±XX.XXXX kW``     the same; top bit of the last byte set = negative (grade B)       `Decimal`
``NNNNNNNN``        BCD digits that are a name, not a number                          ``str``
``YYMMDDhhmm``      a time (see `times`)                                              `MeterTime`
``ascii:32``        characters, sent reversed, unused ones 00 (grade A)               ``str``
``bits:2``          binary, low byte first: flags (see `status_words`)                ``int``
``bin:4``           binary number, low byte first                                     ``int``
``raw:4``           bytes as they stand                                               ``bytes``
``skip:3``          bytes that nobody knows; no value comes of them                   (nothing)
==================  ================================================================  ==========

An element that is all FF is "not available": no value.  Bytes that are no value of their
format (a nibble above 9, the 31st of June) give none either, and the reading says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from protocols.dlt645.errors import ValueFormatError
from protocols.dlt645.times import MeterTime, NotATimeError, TimeLayout, time_layout

Value = Decimal | str | int | bytes | MeterTime

NOT_BCD: Final = "not BCD"
NOT_A_TIME: Final = "not a time"
NOT_ASCII: Final = "not ASCII"
RAW: Final = "raw"
_SIGN_BIT: Final = 0x80


class NoValueError(ValueError):
    """Bytes that are no value of their format; its text is one of the ``NOT_…`` words."""


class Format(Protocol):
    """How one element is written."""

    @property
    def length(self) -> int:
        """Bytes on the wire."""

    def decode(self, raw: bytes) -> Value | None:
        """The value of ``length`` bytes that are not all FF.

        Raises:
            NoValueError: they are none of this format.
        """

    def encode(self, value: Value) -> bytes:
        """The ``length`` bytes of a value.

        Raises:
            ValueFormatError: the value does not fit the format.
        """

    def text(self, value: Value) -> str:
        """The value for people and for records."""

    def parse(self, text: str) -> Value:
        """The value of such a text.

        Raises:
            ValueFormatError: it is none.
        """


def _misfit(value: object, what: str) -> ValueFormatError:
    return ValueFormatError(f"{value!r} is not {what}.")


def _plain(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A BCD number with a fixed number of decimals."""

    digits: int
    """Even: two a byte."""
    decimals: int
    signed: bool

    @property
    def length(self) -> int:
        return self.digits // 2

    def widened(self, length: int) -> NumberFormat:
        """The same number in more bytes."""
        return NumberFormat(2 * length, self.decimals, self.signed)

    def decode(self, raw: bytes) -> Decimal:
        negative = self.signed and raw[-1] >= _SIGN_BIT
        if negative:
            raw = raw[:-1] + bytes((raw[-1] ^ _SIGN_BIT,))
        digits = raw[::-1].hex()
        if not digits.isdecimal():
            raise NoValueError(NOT_BCD)
        point = len(digits) - self.decimals
        number = Decimal(f"{digits[:point]}.{digits[point:]}")
        # Neither sign nor digits depend on the caller's decimal context; 0 has no sign.
        return number.copy_negate() if negative and number else number

    def encode(self, value: Value) -> bytes:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise _misfit(value, "a number")
        try:
            scaled = Decimal(value).scaleb(self.decimals)
            number = int(scaled)
        except (InvalidOperation, ValueError, OverflowError):
            raise _misfit(value, "a number") from None
        size = abs(number)
        digits = f"{size:0{self.digits}d}"
        too_big = len(digits) > self.digits or (self.signed and digits[0] in "89")
        if number != scaled or too_big or (number < 0 and not self.signed):
            raise ValueFormatError(f"{value} does not fit the format {self}.")
        raw = bytes.fromhex(digits)[::-1]
        return raw[:-1] + bytes((raw[-1] | _SIGN_BIT,)) if number < 0 else raw

    def text(self, value: Value) -> str:
        if not isinstance(value, Decimal):
            return _plain(value)
        # str() costs a quarter of "f", and is the same but for the few that it gives an exponent.
        text = str(value)
        return f"{value:f}" if "E" in text else text

    def parse(self, text: str) -> Decimal:
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise _misfit(text, "a number") from None
        if not number.is_finite():
            raise _misfit(text, "a number")
        return number

    def __str__(self) -> str:
        whole = "X" * (self.digits - self.decimals)
        point = "." + "X" * self.decimals if self.decimals else ""
        return ("±" if self.signed else "") + whole + point


@dataclass(frozen=True, slots=True)
class DigitsFormat:
    """BCD digits that name something: a meter, a customer, an operator."""

    length: int

    def decode(self, raw: bytes) -> str:
        digits = raw[::-1].hex()
        if not digits.isdecimal():
            raise NoValueError(NOT_BCD)
        return digits

    def encode(self, value: Value) -> bytes:
        if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
            raise _misfit(value, f"up to {2 * self.length} digits")
        if len(value) > 2 * self.length:
            raise _misfit(value, f"up to {2 * self.length} digits")
        return bytes.fromhex(value.zfill(2 * self.length))[::-1]

    def text(self, value: Value) -> str:
        return _plain(value)

    def parse(self, text: str) -> str:
        return text

    def __str__(self) -> str:
        return "N" * 2 * self.length


@dataclass(frozen=True, slots=True)
class AsciiFormat:
    """Characters, the last one first on the wire."""

    length: int

    def decode(self, raw: bytes) -> str:
        characters = raw[::-1].strip(b"\x00")
        try:
            text = characters.decode("ascii")
        except UnicodeDecodeError:
            raise NoValueError(NOT_ASCII) from None
        if not text.isprintable():
            raise NoValueError(NOT_ASCII)
        return text

    def encode(self, value: Value) -> bytes:
        fits = isinstance(value, str) and value.isascii() and value.isprintable()
        if not isinstance(value, str) or not fits or len(value) > self.length:
            raise _misfit(value, f"up to {self.length} ASCII characters")
        return value.encode().ljust(self.length, b"\x00")[::-1]

    def text(self, value: Value) -> str:
        return f"'{_plain(value)}'"

    def parse(self, text: str) -> str:
        quoted = len(text) > 1 and text[0] == text[-1] == "'"
        return text[1:-1] if quoted else text

    def __str__(self) -> str:
        return f"ascii:{self.length}"


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """A time or a part of one."""

    layout: TimeLayout

    @property
    def length(self) -> int:
        return self.layout.length

    def decode(self, raw: bytes) -> MeterTime | None:
        try:
            return self.layout.decode(raw)
        except NotATimeError:
            raise NoValueError(NOT_A_TIME) from None

    def encode(self, value: Value) -> bytes:
        if not isinstance(value, MeterTime):
            raise _misfit(value, "a time")
        return self.layout.encode(value)

    def text(self, value: Value) -> str:
        return _plain(value)

    def parse(self, text: str) -> MeterTime:
        return self.layout.parse(text)

    def __str__(self) -> str:
        return self.layout.pattern


@dataclass(frozen=True, slots=True)
class BinaryFormat:
    """A binary number, or a word of flags, low byte first."""

    length: int
    flags: bool

    def decode(self, raw: bytes) -> int:
        return int.from_bytes(raw, "little")

    def encode(self, value: Value) -> bytes:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _misfit(value, "a whole number")
        if not 0 <= value < 1 << 8 * self.length:
            raise _misfit(value, f"a number of {self.length} bytes")
        return int(value).to_bytes(self.length, "little")

    def text(self, value: Value) -> str:
        if not isinstance(value, int):
            return _plain(value)
        return f"{value:0{2 * self.length}X}" if self.flags else str(value)

    def parse(self, text: str) -> int:
        try:
            return int(text, 16 if self.flags else 10)
        except ValueError:
            raise _misfit(text, "hexadecimal" if self.flags else "a whole number") from None

    def __str__(self) -> str:
        return f"{'bits' if self.flags else 'bin'}:{self.length}"


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Bytes as they stand, in wire order."""

    length: int
    skipped: bool = False

    def decode(self, raw: bytes) -> bytes:
        return raw

    def encode(self, value: Value) -> bytes:
        if not isinstance(value, bytes) or len(value) != self.length:
            raise _misfit(value, f"{self.length} bytes")
        return value

    def text(self, value: Value) -> str:
        return f"{RAW} {value.hex()}" if isinstance(value, bytes) else _plain(value)

    def parse(self, text: str) -> bytes:
        try:
            return bytes.fromhex(text.removeprefix(RAW))
        except ValueError:
            raise _misfit(text, "hexadecimal") from None

    def __str__(self) -> str:
        return f"{'skip' if self.skipped else RAW}:{self.length}"


_NEVER_EMPTY: Final = (RawFormat, BinaryFormat)
"""FF is a value of its own in these."""


# A named tuple, not a frozen dataclass: it is made for each value, at a third of the cost.
class Reading(NamedTuple):
    """One element as it was read."""

    value: Value | None
    """None: not available, or not of its format (then `fault` says so)."""
    unit: str
    label: str
    """Which part of a record it is, empty where there is only one."""
    raw: bytes
    """Wire order."""
    text: str | None
    """The value for people and records: ``123456.78``, ``2016-01-11 w1``, ``'220.0V'``,
    ``raw 0102``, ``not BCD 32dc6c38``; None where there is no value."""
    fault: str | None = None


_new_reading: Final = tuple.__new__
"""Makes a named tuple at a third of the cost of its own call, which sorts out arguments."""


@dataclass(frozen=True, slots=True)
class Element:
    """One value of a data item: its format and unit."""

    format: Format
    unit: str = ""
    label: str = ""

    @property
    def length(self) -> int:
        """Bytes on the wire."""
        return self.format.length

    @property
    def skipped(self) -> bool:
        """Bytes that stand in the answer but give no reading."""
        return isinstance(self.format, RawFormat) and self.format.skipped

    def decode(self, raw: bytes) -> Reading:
        """The reading of exactly ``length`` bytes."""
        form = self.format
        if raw.count(0xFF) == len(raw) and not isinstance(form, _NEVER_EMPTY):
            return Reading(None, self.unit, self.label, raw, None)
        try:
            value = form.decode(raw)
        except NoValueError as fault:
            why = str(fault)
            return Reading(None, self.unit, self.label, raw, f"{why} {raw.hex()}", why)
        text = None if value is None else form.text(value)
        return _new_reading(Reading, (value, self.unit, self.label, raw, text, None))

    def encode(self, value: Value | None) -> bytes:
        """The bytes of a value; None is written as FF.

        Raises:
            ValueFormatError: the value does not fit the format.
        """
        if self.skipped:
            return bytes(self.length)
        if value is None:
            return b"\xff" * self.length
        return self.format.encode(value)


_SPEC: Final = re.compile(
    r"(?:(?P<label>[^:*]+): )?(?:(?P<times>\d+)\*)?(?P<sign>±)?(?P<format>\S+)(?: (?P<unit>.+))?"
)
_NUMBER: Final = re.compile(r"X+(\.X+)?")


@lru_cache(maxsize=512)
def parse_element(spec: str) -> tuple[Element, ...]:
    """The elements of a specification: ``[label: ][times*][±]FORMAT[ unit]``.

    Raises:
        ValueError: it cannot be read.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ValueError(f"no element: {spec!r}")
    form = _parse_format(match["format"], signed=match["sign"] is not None)
    label = match["label"] or ""
    times = int(match["times"] or 1)
    return tuple(
        Element(form, match["unit"] or "", f"{label} {place}" if label and times > 1 else label)
        for place in range(1, times + 1)
    )


def _parse_format(spec: str, *, signed: bool) -> Format:
    if _NUMBER.fullmatch(spec):
        whole, _, decimals = spec.partition(".")
        digits = len(whole) + len(decimals)
        if digits % 2:
            raise ValueError(f"half a byte: {spec!r}")
        return NumberFormat(digits, len(decimals), signed)
    if signed:
        raise ValueError(f"only numbers have a sign: {spec!r}")
    if set(spec) == {"N"} and len(spec) > 2:
        return DigitsFormat(len(spec) // 2)
    kind, _, length = spec.partition(":")
    if kind == "ascii":
        return AsciiFormat(int(length))
    if kind in ("bits", "bin"):
        return BinaryFormat(int(length), flags=kind == "bits")
    if kind in ("raw", "skip"):
        return RawFormat(int(length), skipped=kind == "skip")
    return TimeFormat(time_layout(spec))
