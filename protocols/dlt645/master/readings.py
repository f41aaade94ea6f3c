"""What meters told, as a caller gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from protocols.dlt645 import catalogue
from protocols.dlt645.addresses import Address
from protocols.dlt645.catalogue import Item
from protocols.dlt645.controls import Edition
from protocols.dlt645.master.conversation import RawAnswer
from protocols.dlt645.master.errors import ValueShapeError
from protocols.dlt645.times import MeterTime
from protocols.dlt645.values import Element, Reading, Value
from protocols.errors import ProtocolError

_ITEMS_KEPT: Final = 4096
V = TypeVar("V", Decimal, str, int, bytes, MeterTime)


# A named tuple, not a frozen dataclass: it is made for each answer, at a third of the cost.
class ItemAnswer(NamedTuple):
    """An item as one meter answered it."""

    meter: Address
    """Whose it is: a full number, also where a wildcard was asked."""
    di: int
    edition: Edition
    item: Item | None
    """What the catalogue knows of it."""
    data: bytes
    """Wire order, all parts."""
    readings: tuple[Reading, ...]
    """One for each element; a block has many."""
    notes: tuple[str, ...]
    """What was odd about the bytes; empty where they are as the standard says."""

    @property
    def value(self) -> Value | None:
        """The value of an item that has one; None where the meter has none.

        Raises:
            ValueShapeError: more than one value, or bytes that are none of the item's format.
        """
        if len(self.readings) != 1:
            raise ValueShapeError(f"{self.di:X} has {len(self.readings)} values; see `readings`.")
        reading = self.readings[0]
        known = self.item is not None and bool(self.item.elements)
        if reading.fault or (known and isinstance(reading.value, bytes)):
            notes = "; ".join(self.notes) or reading.text
            raise ValueShapeError(f"{self.di:X} of meter {self.meter} cannot be read: {notes}.")
        return reading.value

    def value_as(self, kind: type[V]) -> V | None:
        """`value`, known to be of a kind.

        Raises:
            ValueShapeError: it is of another.
        """
        value = self.value
        if value is None or isinstance(value, kind):
            return value
        raise ValueShapeError(f"{self.di:X} is no {kind.__name__}.")


_new_answer: Final = tuple.__new__
"""Makes a named tuple at a third of the cost of its own call, which sorts out arguments."""


@lru_cache(maxsize=_ITEMS_KEPT)
def _known(di: int, edition: Edition) -> tuple[Item | None, Element | None, int]:
    """What the catalogue says, and the element of an item that is one value, with its length."""
    item = catalogue.find(di, edition)
    if item is None or item.members or item.repeat or item.open or len(item.elements) != 1:
        return item, None, 0
    (element,) = item.elements
    return (item, None, 0) if element.skipped else (item, element, element.length)


def decoded(raw: RawAnswer, edition: Edition) -> ItemAnswer:
    """The readings in an answer's bytes."""
    return item_answer(edition, *raw)


def item_answer(edition: Edition, meter: Address, di: int, data: bytes) -> ItemAnswer:
    """The readings in the bytes that a meter gave for an item."""
    item, element, length = _known(di, edition)
    if element is not None and len(data) == length:
        # The usual case; `catalogue.decode` says the same at more length, and what is odd.
        reading = element.decode(data)
        if not reading.fault:
            return _new_answer(ItemAnswer, (meter, di, edition, item, data, (reading,), ()))
    found = catalogue.decode(di, data, edition)
    return ItemAnswer(meter, di, edition, item, data, found.readings, found.notes)


@dataclass(frozen=True, slots=True)
class ManyAnswers:
    """Several items of one meter."""

    answers: Mapping[int, ItemAnswer]
    """By identifier, as it was asked for."""
    faults: Mapping[int, ProtocolError]
    """What could not be read, and why: `MeterRefusal`, `NoAnswer` …"""
