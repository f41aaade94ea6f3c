"""What every request has, and how its DATA is cut into fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, Self

from protocols.dlt645.addresses import Address, is_full
from protocols.dlt645.answers import Accepted, Answer
from protocols.dlt645.controls import Edition, Function
from protocols.dlt645.errors import AddressError, FieldRangeError, LayoutError, TooLongError
from protocols.dlt645.times import time_layout

WRITE_BYTES_MAX: Final = 50
"""N1..Nm of a write.  Read as the limit of the item's own bytes, not of all DATA: a slot table
of 42 bytes is written, with 12 bytes in front of it (grade D)."""
ADDRESS_BYTES: Final = 6

CLOCK: Final = time_layout("YYMMDDhhmmss")
MINUTE: Final = time_layout("YYMMDDhhmm")
FREEZE_TIME: Final = time_layout("MMDDhhmm")


class Request(Protocol):
    """Any request of either edition."""

    edition: ClassVar[Edition]
    function: ClassVar[Function]
    repeatable: ClassVar[bool]
    """May be sent again after silence without asking the meter what it did."""
    to_broadcast: ClassVar[bool]
    """May be sent to 99…99."""

    def encode(self) -> bytes:
        """DATA in wire order, before the shift."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The request of DATA.

        Raises:
            LayoutError: it has not the layout of this control code.
        """

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        """The normal answer of DATA; None where it answers another request.

        Raises:
            LayoutError: it has not the layout of an answer to this control code.
        """


def take(data: bytes, *lengths: int) -> list[bytes]:
    """DATA cut into parts of these lengths, and the rest.

    Raises:
        LayoutError: it is too short.
    """
    parts = []
    for length in lengths:
        if len(data) < length:
            raise LayoutError(f"DATA is {length - len(data)} bytes too short.")
        parts.append(data[:length])
        data = data[length:]
    return [*parts, data]


def take_all(data: bytes, *lengths: int) -> list[bytes]:
    """DATA cut into exactly these lengths.

    Raises:
        LayoutError: it is longer or shorter.
    """
    *parts, rest = take(data, *lengths)
    if rest:
        raise LayoutError(f"DATA is {len(rest)} bytes too long.")
    return parts


def accepted(data: bytes) -> Accepted:
    """The answer that has no DATA; what a meter sends nevertheless is kept."""
    return Accepted(data)


def parse_di(wire: bytes) -> int:
    """DI0 first."""
    return int.from_bytes(wire, "little")


def require_di(di: int, edition: Edition = Edition.Y2007) -> int:
    """The identifier, if it has the edition's length."""
    limit = 0xFFFF_FFFF if edition is Edition.Y2007 else 0xFFFF
    if not 0 <= di <= limit:
        raise FieldRangeError(f"Identifier {di:X} has more than {len(f'{limit:X}')} digits.")
    return di


@dataclass(frozen=True, slots=True)
class Request2007:
    """What the requests of 2007 have in common."""

    edition: ClassVar[Edition] = Edition.Y2007
    repeatable: ClassVar[bool] = False
    to_broadcast: ClassVar[bool] = False


def require_write(data: bytes) -> bytes:
    """The bytes of a write, if they fit the standard's limit."""
    if len(data) > WRITE_BYTES_MAX:
        raise TooLongError(f"A write carries at most {WRITE_BYTES_MAX} bytes, not {len(data)}.")
    return data


def require_new_address(address: str) -> None:
    """Refuse to give a meter a number that is none.

    Raises:
        AddressError: not 12 digits, or 99…99.
    """
    if len(address) != 2 * ADDRESS_BYTES or not address.isdecimal() or not is_full(address):
        raise AddressError(f"A meter cannot be given the number {address!r}.")


def parse_new_address(data: bytes) -> Address:
    """The number that a meter is to take.

    Raises:
        LayoutError: it is none.
    """
    (wire,) = take_all(data, ADDRESS_BYTES)
    digits = wire[::-1].hex()
    if not digits.isdecimal() or not is_full(digits):
        raise LayoutError(f"A meter cannot take the number {digits.upper()}.")
    return Address(digits)
