"""Decimal digits of many numbers, four at a time.

A table of 10,000 entries answers what four digits look like: as ASCII, as four BCD nibbles, or
what they add to a Luhn sum.  All numbers here are therefore first cut into groups of four,
with divisions by constants, which numpy does with the processor's vector instructions.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vending.sts.batch.arrays import Texts, Words

_TEN_4: Final = 10**4
_TEN_8: Final = 10**8
_TEN_16: Final = 10**16
_GROUP_DIGITS: Final = 4


def groups_of_four(numbers: Words, high_bits: Words | None = None) -> list[Words]:
    """The 20 digits of each number as five numbers below 10,000, most significant first.

    Args:
        numbers: N numbers, or bits 63-0 of them.
        high_bits: bits 65 and 64 (0-3), for tokens: 20 digits reach a little further.
    """
    # n = top * 10**16 + rest, and 2**64 = 1844 * 10**16 + 6744073709551616.  Even with three
    # times the latter added, rest stays far below 2**64.
    top = numbers // _TEN_16
    rest = numbers - top * _TEN_16
    if high_bits is not None:
        top += high_bits * (2**64 // _TEN_16)
        rest += high_bits * (2**64 % _TEN_16)
        carry = rest // _TEN_16
        top += carry
        rest -= carry * _TEN_16
    groups = [top]
    middle = rest // _TEN_8
    for eight in (middle, rest - middle * _TEN_8):
        upper = eight // _TEN_4
        groups += [upper, eight - upper * _TEN_4]
    return groups


def ascii_20(numbers: Words, high_bits: Words | None = None) -> Texts:
    """The numbers as 20 ASCII digits each, zero-filled: N texts of type ``S20``."""
    groups = groups_of_four(numbers, high_bits)
    texts = np.empty((len(numbers), len(groups)), np.uint32)
    for place, group in enumerate(groups):
        texts[:, place] = _ascii_table().take(_as_index(group))
    return texts.view("S20")[:, 0]


def bcd_16(numbers: Words) -> Words:
    """The last 16 digits of each number, one digit in each nibble."""
    coded = np.zeros(len(numbers), np.uint64)
    for group in groups_of_four(numbers)[1:]:
        coded <<= 16
        coded |= _bcd_table().take(_as_index(group))
    return coded


def luhn_sums(numbers: Words) -> Words:
    """The Luhn sum of each number, its last digit taken as the check digit.

    A number is right when its sum is a multiple of 10 (ISO/IEC 7812-1).
    """
    sums = np.zeros(len(numbers), np.uint64)
    for group in groups_of_four(numbers):
        sums += _luhn_table().take(_as_index(group))
    return sums


def _as_index(group: Words) -> NDArray[np.int64]:
    # The same bits under the type that numpy takes indices in; below 10,000 nothing changes.
    return group.view(np.int64)


@cache
def _ascii_table() -> NDArray[np.uint32]:
    texts = b"".join(b"%04d" % number for number in range(_TEN_4))
    return np.frombuffer(texts, np.uint32)


@cache
def _bcd_table() -> Words:
    return np.array([int(str(number), 16) for number in range(_TEN_4)], np.uint64)


@cache
def _luhn_table() -> Words:
    def share(number: int) -> int:
        # Four digits are an even number, so the same ones are doubled in each group.
        total = 0
        for place in range(_GROUP_DIGITS):
            digit = number // 10**place % 10 * (2 if place % 2 else 1)
            total += digit - 9 if digit > 9 else digit
        return total

    return np.array([share(number) for number in range(_TEN_4)], np.uint64)
