"""One value of a meter: where it lies, how it is read, how it is written.

Readings are `Decimal` in the quantity's unit, whole `int` for energy, `str` for text and
states, a `tuple` of names for flags, and None where the meter has no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Final

from protocols.modbus.errors import ModbusValueError
from protocols.modbus.registers import (
    WORD_MAX,
    Layout,
    RegisterType,
    from_digits,
    from_fraction,
    from_integer,
    from_text,
    rounded,
    scaled,
    to_digits,
    to_fraction,
    to_integer,
    to_text,
)
from protocols.modbus.vocabulary import Kind, Quantity

Value = Decimal | int | str | tuple[str, ...] | None
"""A reading: see `vocabulary.Kind`; None when the meter has no value."""


class Table(Enum):
    """The four address spaces of a Modbus device."""

    COIL = "coil"
    """Single bits, read and write."""
    DISCRETE = "discrete"
    """Single bits, read only."""
    INPUT = "input"
    """Registers, read only."""
    HOLDING = "holding"
    """Registers, read and write."""

    @property
    def is_bits(self) -> bool:
        """Whether it holds single bits instead of registers."""
        return self in (Table.COIL, Table.DISCRETE)


class Ratio(Enum):
    """What a value has to be multiplied with, for meters that count on the secondary side."""

    NONE = ""
    CT = "ct"
    PT = "pt"
    CT_PT = "ct*pt"


@dataclass(frozen=True, slots=True)
class Transformers:
    """Current and voltage transformer ratios of one installation: 150/5 A is 30."""

    ct: Decimal = Decimal(1)
    pt: Decimal = Decimal(1)

    def factor(self, ratio: Ratio) -> Decimal:
        """What a value of this kind is multiplied with."""
        ct = self.ct if ratio in (Ratio.CT, Ratio.CT_PT) else Decimal(1)
        pt = self.pt if ratio in (Ratio.PT, Ratio.CT_PT) else Decimal(1)
        return ct * pt


DIRECT: Final = Transformers()
"""No transformers, or a meter that multiplies by itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """One value of a meter."""

    name: str
    quantity: Quantity
    table: Table
    register: int
    """Address as it travels, from 0 (a manual's 30001 or 40001 is 0)."""
    layout: Layout
    scale: Decimal = Decimal(1)
    """Raw number → the quantity's unit; sign included."""
    digits: int | None = None
    """Decimals of the quantity's unit to round to; negative for tens and hundreds."""
    ratio: Ratio = Ratio.NONE
    invalid: frozenset[int] = frozenset()
    values: Mapping[int, str] = field(default_factory=dict)
    bits: Mapping[int, str] = field(default_factory=dict)
    writable: bool = False

    @property
    def end(self) -> int:
        """The first register after it."""
        return self.register + self.layout.registers

    def decode(self, words: Sequence[int], transformers: Transformers = DIRECT) -> Value:
        """The reading in registers (for coils and discrete inputs: 0 or 1).

        Raises:
            RegisterContentError: the registers hold what the type does not allow.
        """
        kind, layout = self.quantity.kind, self.layout
        if layout.type is RegisterType.ASCII:
            return to_text(layout, words)
        if layout.type is RegisterType.BCD and kind is Kind.TEXT:
            return to_digits(layout, words)
        raw = self._raw(words)
        if raw is None or raw in self.invalid:
            return None
        if kind is Kind.FLAGS:
            return tuple(name for bit, name in self.bits.items() if raw >> bit & 1)
        if kind is Kind.TEXT:
            return self.values.get(raw, f"unknown:{raw}") if self.values else str(raw)
        return self._number(raw, transformers.factor(self.ratio))

    def _raw(self, words: Sequence[int]) -> int | None:
        if self.layout.type is RegisterType.BCD:
            digits = to_digits(self.layout, words)
            return None if digits is None else int(digits)
        return to_integer(self.layout, words)

    def _number(self, raw: int, factor: Decimal) -> Value:
        scale = self.scale * factor
        if self.layout.type is RegisterType.F32:
            exact = to_fraction(raw)
            if exact is None:
                return None
            number = rounded(exact * Fraction(scale), self.digits or 0)
        elif self.digits is None:
            number = scaled(raw, scale)
        else:
            number = rounded(raw * Fraction(scale), self.digits)
        if self.quantity.kind is Kind.DECIMAL:
            return number
        return round(number)  # half to even; exact but for fractions of 1 Wh

    def encode(self, value: Value, transformers: Transformers = DIRECT) -> tuple[int, ...]:
        """The registers that hold a reading; a simulator and a writer use it.

        Raises:
            ModbusValueError: the value has the wrong kind, is too large, or finer than the
                registers can tell.
        """
        layout = self.layout
        if value is None:
            return self._no_value()
        if layout.type is RegisterType.ASCII:
            return from_text(layout, self._text(value))
        if self.quantity.kind is Kind.FLAGS:
            return from_integer(layout, self._bit_sum(value))
        if self.quantity.kind is Kind.TEXT:
            text = self._text(value)
            if layout.type is RegisterType.BCD:
                return from_digits(layout, text)
            return from_integer(layout, self._raw_of_name(text))
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self._unfit(value)
        exact = Fraction(value) / Fraction(self.scale * transformers.factor(self.ratio))
        if layout.type is RegisterType.F32:
            return layout.words_of(from_fraction(exact))
        if exact.denominator != 1:
            raise ModbusValueError(
                f"{self.name} = {value} is finer than the meter's step of {self.scale:f} "
                f"{self.quantity.unit}."
            )
        if layout.type is RegisterType.BCD:
            return from_digits(layout, str(exact.numerator))
        return from_integer(layout, exact.numerator)

    def _no_value(self) -> tuple[int, ...]:
        if self.layout.type in (RegisterType.BCD, RegisterType.ASCII):
            return (WORD_MAX,) * self.layout.registers
        if self.layout.type is RegisterType.F32:
            return self.layout.words_of(0x7FC00000)
        if not self.invalid:
            raise ModbusValueError(f"{self.name} has no way to say that there is no value.")
        return from_integer(self.layout, max(self.invalid))

    def _raw_of_name(self, text: str) -> int:
        for raw, name in self.values.items():
            if name == text:
                return raw
        if not self.values and text.isdecimal():
            return int(text)
        known = ", ".join(self.values.values()) or "numbers"
        raise ModbusValueError(f"{self.name} is one of {known}, not {text!r}.")

    def _bit_sum(self, value: Value) -> int:
        if not isinstance(value, tuple):
            raise self._unfit(value)
        places = {name: bit for bit, name in self.bits.items()}
        if unknown := [name for name in value if name not in places]:
            raise ModbusValueError(f"{self.name} has no bit {unknown[0]!r}.")
        return sum(1 << places[name] for name in set(value))

    def _text(self, value: Value) -> str:
        if not isinstance(value, str):
            raise self._unfit(value)
        return value

    def _unfit(self, value: Value) -> ModbusValueError:
        return ModbusValueError(f"{self.name} cannot be {value!r}.")
