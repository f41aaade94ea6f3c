"""Registers and the numbers in them, exactly: 16-bit words ↔ integers, decimals, text.

A Modbus register has 16 bits, its high byte travels first.  Whatever is longer takes several
registers, and makers differ in which of them comes first (`WordOrder`).

=======  =========  =====================================================================
type     registers  content
=======  =========  =====================================================================
u16 i16  1          integer, without and with sign (two's complement)
u32 i32  2
u64 i64  4
f32      2          IEEE 754 binary32; not-a-number and infinity are "no value"
bcd      any        four decimal digits in each register, first digit first
ascii    any        two characters in each register, padded with 00 or blanks
bits     1 or 2     single bits, 0 is the least significant
=======  =========  =====================================================================

No `float` is used: a binary32 is an integer times a power of two, and is rounded once, from its
exact value, to the digits that the caller names (half to even).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import Enum
from fractions import Fraction
from typing import Final

from protocols.modbus.errors import ModbusValueError, RegisterContentError

WORD_BITS: Final = 16
WORD_MAX: Final = 0xFFFF
_EXACT: Final = Context(prec=100)

_F32_FRACTION_BITS: Final = 23
_F32_EXPONENT_ALL_ONES: Final = 0xFF
_F32_EXPONENT_BIAS: Final = 127
_F32_EXPONENT_OF_LAST_BIT_MIN: Final = 1 - _F32_EXPONENT_BIAS - _F32_FRACTION_BITS


class RegisterType(Enum):
    """How a value lies in its registers; see the table above."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F32 = "f32"
    BCD = "bcd"
    ASCII = "ascii"
    BITS = "bits"

    @property
    def width(self) -> int | None:
        """Registers that it takes; None: as many as its item says."""
        return _WIDTHS.get(self)

    @property
    def is_signed(self) -> bool:
        """Whether the top bit is a sign (two's complement)."""
        return self in _SIGNED


_WIDTHS: Final = {
    RegisterType.U16: 1, RegisterType.I16: 1,
    RegisterType.U32: 2, RegisterType.I32: 2, RegisterType.F32: 2,
    RegisterType.U64: 4, RegisterType.I64: 4,
}  # fmt: skip
_SIGNED: Final = frozenset((RegisterType.I16, RegisterType.I32, RegisterType.I64))


class WordOrder(Enum):
    """Which register of a longer number comes first."""

    HIGH_FIRST = "high-first"
    """The most significant; what the standard's own examples do."""
    LOW_FIRST = "low-first"
    """The least significant (Carlo Gavazzi and others)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Type, width and word order of a value.

    Raises:
        ModbusValueError: the type has no such width.
    """

    type: RegisterType
    registers: int
    word_order: WordOrder = WordOrder.HIGH_FIRST

    def __post_init__(self) -> None:
        width = self.type.width
        allowed = range(1, 126) if width is None else range(width, width + 1)
        if self.type is RegisterType.BITS:
            allowed = range(1, 3)
        if self.registers not in allowed:
            raise ModbusValueError(
                f"A value of type {self.type.value} takes {allowed.start}"
                f"{'' if len(allowed) == 1 else f'-{allowed.stop - 1}'} registers, "
                f"not {self.registers}."
            )

    def bits_of(self, words: Sequence[int]) -> int:
        """All bits as one unsigned number, most significant first.

        Raises:
            RegisterContentError: not as many words as the layout has registers.
        """
        if len(words) != self.registers:
            raise RegisterContentError(
                f"{self.registers} registers were asked for and {len(words)} came."
            )
        bits = 0
        for word in words if self.word_order is WordOrder.HIGH_FIRST else reversed(words):
            bits = bits << WORD_BITS | word
        return bits

    def words_of(self, bits: int) -> tuple[int, ...]:
        """The inverse of `bits_of`."""
        places = range((self.registers - 1) * WORD_BITS, -1, -WORD_BITS)
        words = tuple(bits >> place & WORD_MAX for place in places)
        return words if self.word_order is WordOrder.HIGH_FIRST else words[::-1]


# --- numbers --------------------------------------------------------------------------------


def to_integer(layout: Layout, words: Sequence[int]) -> int:
    """An integer, or the raw bits of any other type.

    Raises:
        RegisterContentError: the wrong number of words.
    """
    bits = layout.bits_of(words)
    if layout.type.is_signed and bits >> (WORD_BITS * layout.registers - 1):
        bits -= 1 << WORD_BITS * layout.registers
    return bits


def from_integer(layout: Layout, number: int) -> tuple[int, ...]:
    """Registers that hold an integer.

    Raises:
        ModbusValueError: it does not fit.
    """
    width = WORD_BITS * layout.registers
    lowest = -(1 << width - 1) if layout.type.is_signed else 0
    highest = lowest + (1 << width) - 1
    if not lowest <= number <= highest:
        raise ModbusValueError(f"{number} does not fit {layout.type.value}: {lowest} to {highest}.")
    return layout.words_of(number & (1 << width) - 1)


def to_fraction(bits: int) -> Fraction | None:
    """The exact value of a binary32; None for not-a-number and infinity."""
    exponent = bits >> _F32_FRACTION_BITS & _F32_EXPONENT_ALL_ONES
    fraction = bits & (1 << _F32_FRACTION_BITS) - 1
    if exponent == _F32_EXPONENT_ALL_ONES:
        return None
    if exponent:
        fraction |= 1 << _F32_FRACTION_BITS
    else:
        exponent = 1  # subnormal
    power = exponent - _F32_EXPONENT_BIAS - _F32_FRACTION_BITS
    magnitude = Fraction(fraction << power) if power >= 0 else Fraction(fraction, 1 << -power)
    return -magnitude if bits >> 31 else magnitude


def from_fraction(number: Fraction) -> int:
    """The binary32 nearest to a number (half to even).

    Raises:
        ModbusValueError: too large for binary32.
    """
    sign, magnitude = (1 << 31 if number < 0 else 0), abs(number)
    if not magnitude:
        return sign
    power = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** power:
        power -= 1  # now 2**power <= magnitude < 2**(power + 1)
    last_bit = max(power - _F32_FRACTION_BITS, _F32_EXPONENT_OF_LAST_BIT_MIN)
    units = round(magnitude / Fraction(2) ** last_bit)
    # Rounding up to the next power of two carries into the exponent by itself.
    exponent = last_bit - _F32_EXPONENT_OF_LAST_BIT_MIN
    bits = units if exponent == 0 else (exponent << _F32_FRACTION_BITS) + units
    if bits >> _F32_FRACTION_BITS >= _F32_EXPONENT_ALL_ONES:
        raise ModbusValueError(f"{number} is too large for a 32-bit floating point register.")
    return sign | bits


def scaled(number: int, scale: Decimal) -> Decimal:
    """``number × scale``, exact, and written without an exponent."""
    product = _EXACT.multiply(Decimal(number), scale)
    has_exponent = str(product.as_tuple().exponent).isdecimal()
    return Decimal(int(product)) if has_exponent else product


def rounded(number: Fraction, digits: int) -> Decimal:
    """A number rounded (half to even) to so many decimals; negative: to tens, hundreds, ..."""
    if digits < 0:
        step = 10**-digits
        return Decimal(round(number / step) * step)
    return Decimal(round(number * 10**digits)).scaleb(-digits, _EXACT)


# --- digits and text ------------------------------------------------------------------------


def to_digits(layout: Layout, words: Sequence[int]) -> str | None:
    """The decimal digits of a BCD value; None when all bits are set (no value).

    Raises:
        RegisterContentError: a nibble is not a digit.
    """
    bits = layout.bits_of(words)
    digits = f"{bits:0{4 * layout.registers}x}"
    if not digits.isdecimal():
        if set(digits) == {"f"}:
            return None
        raise RegisterContentError(f"{digits} is not BCD.")
    return digits


def from_digits(layout: Layout, digits: str) -> tuple[int, ...]:
    """Registers that hold decimal digits, filled with zeros on the left.

    Raises:
        ModbusValueError: not digits, or too many.
    """
    places = 4 * layout.registers
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > places:
        raise ModbusValueError(f"At most {places} decimal digits fit; {digits!r} does not.")
    return layout.words_of(int(digits.zfill(places), 16))


def to_text(layout: Layout, words: Sequence[int]) -> str | None:
    """ASCII text without its padding; None when nothing is left, or all bits are set.

    Raises:
        RegisterContentError: not ASCII.
    """
    octets = layout.bits_of(words).to_bytes(2 * layout.registers, "big")
    if octets.count(0xFF) == len(octets):
        return None
    try:
        text = octets.rstrip(b"\0 ").decode("ascii").strip()
    except UnicodeDecodeError:
        raise RegisterContentError(f"{octets.hex()} is not ASCII text.") from None
    return text or None


def from_text(layout: Layout, text: str) -> tuple[int, ...]:
    """Registers that hold ASCII text, padded with zero bytes.

    Raises:
        ModbusValueError: not ASCII, or too long.
    """
    length = 2 * layout.registers
    if not text.isascii() or len(text) > length:
        raise ModbusValueError(f"At most {length} ASCII characters fit; {text!r} does not.")
    return layout.words_of(int.from_bytes(text.encode("ascii").ljust(length, b"\0"), "big"))
