"""How many parts a short message takes (3GPP TS 23.038, TS 23.040).

One part has room for 160 letters of the GSM alphabet or 70 others (UCS-2); where there are
several, each loses seven letters (three of the others) to its header: 153, 67.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vending.receipts.sms import (
    GSM_LETTERS_MAX,
    UCS2_LETTERS_MAX,
    fold,
    gsm_letters,
    ucs2_letters,
)

__all__ = ["SmsSize", "fold", "sms_size"]

_GSM_SEVERAL: Final = 153
_UCS2_SEVERAL: Final = 67


@dataclass(frozen=True, slots=True)
class SmsSize:
    """What a short message takes."""

    alphabet: str
    """``GSM-7`` or ``UCS-2``."""
    letters: int
    """As the alphabet counts them: some take two."""
    parts: int


def sms_size(text: str) -> SmsSize:
    """What a text takes as it stands; letters are not folded."""
    if fold(text) == text:
        return SmsSize("GSM-7", gsm_letters(text), _gsm_parts(text))
    letters = ucs2_letters(text)
    return SmsSize("UCS-2", letters, _ucs2_parts(text))


def _gsm_parts(text: str) -> int:
    if gsm_letters(text) <= GSM_LETTERS_MAX:
        return 1
    return _packed([gsm_letters(letter) for letter in text], _GSM_SEVERAL)


def _ucs2_parts(text: str) -> int:
    if ucs2_letters(text) <= UCS2_LETTERS_MAX:
        return 1
    return _packed([ucs2_letters(letter) for letter in text], _UCS2_SEVERAL)


def _packed(sizes: list[int], room: int) -> int:
    """Parts, when no letter may be cut in two."""
    parts, left = 1, room
    for size in sizes:
        if size > left:
            parts, left = parts + 1, room
        left -= size
    return parts
