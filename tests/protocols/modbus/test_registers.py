import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus import ModbusValueError, RegisterContentError
from protocols.modbus.registers import (
    Layout,
    RegisterType,
    WordOrder,
    from_digits,
    from_fraction,
    from_integer,
    from_text,
    rounded,
    to_digits,
    to_fraction,
    to_integer,
    to_text,
)

INTEGERS = [t for t in RegisterType if t.width and t is not RegisterType.F32]
ORDERS = st.sampled_from(WordOrder)


@given(st.integers(0, 0xFFFFFFFF))
def test_a_float_is_its_exact_value(bits: int) -> None:
    (number,) = struct.unpack(">f", bits.to_bytes(4, "big"))
    exact = to_fraction(bits)
    if math.isfinite(number):
        assert exact == Fraction(number)
        assert from_fraction(Fraction(number)) & 0x7FFFFFFF == bits & 0x7FFFFFFF
    else:
        assert exact is None


@given(st.decimals(-(10**12), 10**12, places=6).map(Fraction))
def test_a_number_goes_to_the_nearest_float(number: Fraction) -> None:
    bits = from_fraction(number)
    nearest = to_fraction(bits)
    assert nearest is not None
    for neighbour in (bits - 1, bits + 1):
        other = to_fraction(neighbour & 0xFFFFFFFF)
        if other is not None and (other < 0) == (nearest < 0):
            assert abs(other - number) >= abs(nearest - number)


def test_a_number_too_large_for_a_float() -> None:
    assert from_fraction(Fraction(2) ** 127) == 0x7F000000
    for number in (Fraction(2) ** 128, Fraction(2) ** 128 - 1):
        with pytest.raises(ModbusValueError, match="too large"):
            from_fraction(number)


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        ("2.5", 0, "2"),
        ("3.5", 0, "4"),
        ("-2.55", 1, "-2.6"),
        ("1234", -2, "1200"),
        ("0", 3, "0.000"),
    ],
)
def test_rounding_is_half_to_even(number: str, digits: int, text: str) -> None:
    assert str(rounded(Fraction(number), digits)) == text


@given(st.sampled_from(INTEGERS), ORDERS, st.data())
def test_integers_come_back(type_: RegisterType, order: WordOrder, data: st.DataObject) -> None:
    layout = Layout(type_, type_.width or 1, order)
    words = data.draw(
        st.lists(st.integers(0, 0xFFFF), min_size=layout.registers, max_size=layout.registers).map(
            tuple
        )
    )
    assert from_integer(layout, to_integer(layout, words)) == words


def test_word_order_and_sign() -> None:
    assert to_integer(Layout(RegisterType.I32, 2), (0xFFFF, 0xFFFE)) == -2
    low_first = Layout(RegisterType.I32, 2, WordOrder.LOW_FIRST)
    assert to_integer(low_first, (0x091B, 0)) == 2331
    assert to_integer(Layout(RegisterType.U64, 4), (1, 0, 0, 2)) == (1 << 48) + 2


@given(st.text("0123456789", min_size=12, max_size=12), ORDERS)
def test_bcd_and_text_come_back(digits: str, order: WordOrder) -> None:
    bcd = Layout(RegisterType.BCD, 3, order)
    assert to_digits(bcd, from_digits(bcd, digits)) == digits
    text = Layout(RegisterType.ASCII, 7, order)
    assert to_text(text, from_text(text, digits)) == digits


def test_registers_without_a_value_and_with_nonsense() -> None:
    assert to_digits(Layout(RegisterType.BCD, 2), (0xFFFF, 0xFFFF)) is None
    assert to_text(Layout(RegisterType.ASCII, 2), (0, 0)) is None
    assert to_text(Layout(RegisterType.ASCII, 2), (0xFFFF, 0xFFFF)) is None
    with pytest.raises(RegisterContentError):
        to_digits(Layout(RegisterType.BCD, 1), (0x12A4,))
    with pytest.raises(RegisterContentError):
        to_text(Layout(RegisterType.ASCII, 1), (0x80FF,))
    with pytest.raises(RegisterContentError, match="2 registers"):
        to_integer(Layout(RegisterType.U32, 2), (1,))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ModbusValueError, match="does not fit u16: 0 to 65535"):
        from_integer(Layout(RegisterType.U16, 1), -1)
    with pytest.raises(ModbusValueError, match="-32768 to 32767"):
        from_integer(Layout(RegisterType.I16, 1), 32768)
    with pytest.raises(ModbusValueError, match="takes 2 registers, not 1"):
        Layout(RegisterType.F32, 1)
    with pytest.raises(ModbusValueError, match="takes 1-2 registers"):
        Layout(RegisterType.BITS, 3)
