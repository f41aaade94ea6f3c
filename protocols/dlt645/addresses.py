"""Meter addresses: 12 BCD digits, wildcards, broadcast (spec sections 1 and 5).

==============================  ==============================================================
``000000000161``                one meter; a shorter number is padded with 0 on the left
``AAAAAAAAAAAA``                any meter: only where a single one is on the line
``AAAAAAAA0161``                shortened: every meter whose number ends so; 1997 at most 3 AA
``999999999999``                2007: all meters, none answers.  1997 also reads one meter so
==============================  ==============================================================

An answer carries the full number of the meter that gives it.  Grade A (all AA, 99), B
(shortened), C (the 1997 limit of three AA).
"""

from __future__ import annotations

from typing import Final, NewType

from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import AddressError

Address = NewType("Address", str)
"""12 characters, most significant first: digits, or ``AA`` in front of digits."""

ANY_METER: Final = Address("AA" * 6)
BROADCAST: Final = Address("99" * 6)

_DIGITS: Final = 12
_WILD: Final = "AA"
_DECIMAL: Final = frozenset("0123456789")
_SHORTENED_WILD_MAX_1997: Final = 3


def parse_address(text: str, edition: Edition = Edition.Y2007) -> Address:
    """An address as people write it: up to 12 digits, or AA in front of an even number of them.

    Raises:
        AddressError: something else, or more AA than the edition allows.
    """
    compact = text.strip().replace(" ", "").upper()
    if compact and len(compact) <= _DIGITS and _DECIMAL.issuperset(compact):
        return Address(compact.zfill(_DIGITS))
    wild = (len(compact) - len(compact.lstrip("A"))) // 2
    rest = compact[2 * wild :]
    if len(compact) != _DIGITS or not _DECIMAL.issuperset(rest):
        raise AddressError(
            f"Address {text!r} must be up to 12 digits, or 12 characters of which the first are AA."
        )
    if edition is Edition.Y1997 and _SHORTENED_WILD_MAX_1997 < wild < _DIGITS // 2:
        raise AddressError("A shortened address of 1997 has at most three AA in front.")
    return Address(compact)


def shortened(digits: str, edition: Edition = Edition.Y2007) -> Address:
    """The wildcard address for meters whose number ends with these digits (an even number).

    Raises:
        AddressError: an odd number of digits, or fewer than the edition asks for.
    """
    if not digits or len(digits) % 2 or not _DECIMAL.issuperset(digits):
        raise AddressError(f"A shortened address needs an even number of digits, not {digits!r}.")
    return parse_address(digits.rjust(_DIGITS, "A"), edition)


def is_wildcard(address: str) -> bool:
    """Whether the address has AA in it, so that more than one meter may feel meant."""
    return address.startswith(_WILD)


def is_full(address: str) -> bool:
    """Whether the address names one meter, as every answer's must (AA and 99 do not)."""
    return not is_wildcard(address) and address != BROADCAST


def expects_answer(address: str, edition: Edition) -> bool:
    """Whether any meter will answer to this address.  1997 meters answer reads sent to 99…99."""
    return address != BROADCAST or edition is Edition.Y1997


def answers(asked: str, answering: str, edition: Edition) -> bool:
    """Whether an answer from ``answering`` may be one to a request sent to ``asked``."""
    if not is_full(answering):
        return False
    if asked == BROADCAST:
        return edition is Edition.Y1997
    return _covers(asked, answering)


def is_addressed(asked: str, own: str, edition: Edition) -> bool:
    """The meter's side: whether a request sent to ``asked`` means the meter numbered ``own``."""
    if asked == BROADCAST:
        return True
    if edition is Edition.Y1997 and _SHORTENED_WILD_MAX_1997 < _wild_pairs(asked) < _DIGITS // 2:
        return False
    return _covers(asked, own)


def _wild_pairs(address: str) -> int:
    pairs = 0
    while address.startswith(_WILD, 2 * pairs):
        pairs += 1
    return pairs


def _covers(asked: str, own: str) -> bool:
    if not is_wildcard(asked):
        return asked == own
    known = 2 * _wild_pairs(asked)
    return asked[known:] == own[known:]
