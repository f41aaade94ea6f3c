"""Faults of the token engine: one class and one stable code each.

None of these messages ever contains a key, and none contains a full token.
"""

from __future__ import annotations

from typing import ClassVar

from vending.errors import VendingError


class StsError(VendingError):
    """Any fault of the token engine."""

    code: ClassVar[str] = "sts_error"


class InvalidValueError(StsError):
    """A value has the wrong form or lies outside of its range."""

    code: ClassVar[str] = "invalid_value"


class CheckDigitError(StsError):
    """A number's check digit does not fit its other digits: it was mistyped."""

    code: ClassVar[str] = "check_digit"


class TokenFormatError(StsError):
    """A token is not 20 digits, or its number does not fit 66 bits."""

    code: ClassVar[str] = "token_format"


class KeyFormatError(StsError):
    """A key has the wrong length, or is not hexadecimal.  The key itself is never quoted."""

    code: ClassVar[str] = "key_format"


class CipherTablesError(StsError):
    """Operator-supplied STA tables are not permutations of the right size."""

    code: ClassVar[str] = "cipher_tables"


class TidRangeError(StsError):
    """A time lies outside of the 24 bits of minutes that a base date can count."""

    code: ClassVar[str] = "tid_range"


class KeyExpiredError(StsError):
    """The token identifier's top 8 bits are past the key expiry number (KEN)."""

    code: ClassVar[str] = "key_expired"


class KeyChangeError(StsError):
    """A key change set that no meter would carry out, or that cannot be built."""

    code: ClassVar[str] = "key_change"


class UnconfirmedError(StsError):
    """A rule that no public figure confirms; refused rather than guessed with money."""

    code: ClassVar[str] = "unconfirmed"


class NotIssuableError(StsError):
    """Reserved and proprietary tokens can be read, not made."""

    code: ClassVar[str] = "not_issuable"
