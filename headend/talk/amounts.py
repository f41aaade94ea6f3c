"""Answers of meters as the whole numbers that are kept (`headend.values` names the units)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from headend.talk.faults import NotAValueError
from headend.talk.quantities import is_count, is_energy, is_multiplied, states_of, unit_of
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.master import ItemAnswer
from protocols.dlt645.status_words import parse_status_word_3
from protocols.dlt645.values import Reading as Element
from protocols.modbus.items import Value
from protocols.modbus.vocabulary import UNIT_POWERS

_MONEY_DIGITS: Final = 2
_PARTS: Final = 3
"""What is no energy, count or money is kept in thousandths."""
_RELAY_WORD: Final = 0x04000503


def of_element(element: Element, quantity: str, ratio: int) -> int | None:
    """One value of a DL/T 645 answer; None where the meter says that it has none.

    Args:
        element: as it was read.
        quantity: what it is.
        ratio: of the meter's transformers.

    Raises:
        NotAValueError: bytes that are no value of this quantity.
    """
    if element.fault:
        raise NotAValueError(f"{quantity}: {element.text}.")
    if element.value is None:
        return None
    if not isinstance(element.value, Decimal):
        raise NotAValueError(f"{quantity} cannot be {element.text}.")
    return _scaled(element.value, element.unit, quantity) * _ratio(quantity, ratio)


def of_relay_word(answer: ItemAnswer) -> int | None:
    """The contact in 04000503: 0 closed, 1 open; None where the meter has no such word."""
    try:
        word = parse_status_word_3(answer.data)
    except LayoutError:
        return None
    return states_of("contact_state")["open" if word.relay_off else "closed"]


def is_relay_word(di: int) -> bool:
    """Whether an answer is the relay's word."""
    return di == _RELAY_WORD


def of_modbus(value: Value, quantity: str, ratio: int) -> int | None:
    """One value of a Modbus profile; None where the meter has none.

    Raises:
        NotAValueError: no number, or a word that stands for none.
    """
    if value is None:
        return None
    if isinstance(value, str):
        number = states_of(quantity).get(value)
        if number is None:
            raise NotAValueError(f"{quantity} is {value!r}, which stands for no number.")
        return number
    if isinstance(value, tuple):
        raise NotAValueError(f"{quantity} is a list of words; it cannot be kept as a reading.")
    plain = Decimal(value) if not isinstance(value, Decimal) else value
    return _scaled(plain, unit_of(quantity), quantity) * _ratio(quantity, ratio)


def _scaled(value: Decimal, unit: str, quantity: str) -> int:
    if unit_of(quantity) == "minor":
        return int(value.scaleb(_MONEY_DIGITS))
    target, power = UNIT_POWERS.get(unit, (unit, 0))
    if target != unit_of(quantity):
        raise NotAValueError(f"{quantity} cannot be in {unit}.")
    whole = is_energy(quantity) or is_count(quantity)
    return int(value.scaleb(power + (0 if whole else _PARTS)))


def _ratio(quantity: str, ratio: int) -> int:
    return ratio if is_multiplied(quantity) else 1


def in_words(value: int, quantity: str) -> tuple[str, str]:
    """A kept value as people read it, with its unit: kWh for Wh, the plain unit otherwise."""
    unit = unit_of(quantity)
    if unit == "minor":
        return f"{Decimal(value).scaleb(-_MONEY_DIGITS):f}", ""
    if is_energy(quantity):
        return f"{Decimal(value).scaleb(-_PARTS):f}", f"k{unit}"
    for word, number in states_of(quantity).items():
        if number == value:
            return word, ""
    if is_count(quantity):
        return str(value), unit
    return f"{Decimal(value).scaleb(-_PARTS):f}", unit
