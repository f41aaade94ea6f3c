"""Why a meter refuses: the bits of its abnormal answers (spec sections 2.2, 2.5 and 3).

=================  ======================================  =====================================
word               where                                   grade
=================  ======================================  =====================================
`ErrorByte`        every abnormal answer, 1 byte           A bits 0-2, B bits 3-6
`RelayError`       DC of the 2013/14 rules, 2 bytes        C
`SecurityError`    C3, 2 bytes                             B bits, D for the size: some send 1
=================  ======================================  =====================================

One byte is always read as ERR, also in C3 and DC, since that is what the recorded one-byte
answers were read as (v091, v092).  What a refusal of money means is found out by reading the
meter's state, never from these bits alone.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final


class ErrorByte(IntFlag):
    """ERR."""

    OTHER = 1 << 0
    NO_REQUESTED_DATA = 1 << 1
    PASSWORD_WRONG_OR_NOT_AUTHORISED = 1 << 2
    BAUD_CANNOT_BE_CHANGED = 1 << 3
    YEAR_TIME_ZONES_EXCEEDED = 1 << 4
    DAY_SLOTS_EXCEEDED = 1 << 5
    TARIFFS_EXCEEDED = 1 << 6
    RESERVED = 1 << 7


class RelayError(IntFlag):
    """The extended word of relay control (2013/14 prepaid rules)."""

    HUNG_STATE = 1 << 0
    MAC_WRONG = 1 << 1
    PASSWORD_WRONG_OR_NOT_AUTHORISED = 1 << 2
    NOT_AUTHENTICATED = 1 << 3
    VALIDITY_TIME_OVER = 1 << 4
    TRIP_FAILED_BY_PROTECTION = 1 << 5
    PRE_TRIP_FAILED_BY_PROTECTION = 1 << 6
    PRE_TRIP_DELAY_ZERO = 1 << 7
    PRE_TRIP_FAILED_ALREADY_TRIPPED = 1 << 8
    RESERVED = 1 << 15


class SecurityError(IntFlag):
    """SERR."""

    OTHER = 1 << 0
    REPEATED_RECHARGE = 1 << 1
    ESAM_CHECK_FAILED = 1 << 2
    IDENTITY_AUTHENTICATION_FAILED = 1 << 3
    CLIENT_NUMBER_MISMATCH = 1 << 4
    RECHARGE_COUNT_WRONG = 1 << 5
    AMOUNT_OVER_HOARDING_LIMIT = 1 << 6


ErrorWord = ErrorByte | RelayError | SecurityError

_SLASHED: Final = {"PASSWORD_WRONG_OR_NOT_AUTHORISED": "password wrong/not authorised"}


def error_names(word: ErrorWord) -> list[str]:
    """The bits that are set, in words, lowest first; unknown ones as ``bit 9``."""
    names = []
    for place in range(16):
        if not word & 1 << place:
            continue
        name = type(word)(1 << place).name
        known = name is not None and not name.isdigit()
        names.append(_words(name) if known and name else f"bit {place}")
    return names


def _words(name: str) -> str:
    return _SLASHED.get(name) or name.lower().replace("_", " ")
