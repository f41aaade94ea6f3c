"""What both wires say of a token: results, numbers, fingerprints.

The words are the standard's (IEC 62055-41, clause 7.1); the numbers are ours and never change.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final

from protocols.errors import LocalProtocolError

TOKEN_DIGITS: Final = 20
SEQUENCE_MAX: Final = 9999
_CRC_POLYNOMIAL: Final = 0xA001


class TokenBlockError(LocalProtocolError):
    """Digits or a number that no token block takes; the digits are never quoted."""

    code: ClassVar[str] = "token_block"


class TokenStatus(IntEnum):
    """How far the meter is with the last token that came by wire."""

    NONE = 0
    """There was none yet."""
    PROCESSING = 1
    FINISHED = 2

    @property
    def word(self) -> str:
        """As readings give it."""
        return self.name.lower()


class TokenResult(IntEnum):
    """What the meter says of a token."""

    NONE = 0
    ACCEPT = 1
    FIRST_KCT = 2
    SECOND_KCT = 3
    THIRD_KCT = 4
    FOURTH_KCT = 5
    OVERFLOW_ERROR = 6
    KEY_TYPE_ERROR = 7
    FORMAT_ERROR = 8
    RANGE_ERROR = 9
    FUNCTION_ERROR = 10
    CRC_ERROR = 11
    MFR_CODE_ERROR = 12
    OLD_ERROR = 13
    USED_ERROR = 14
    KEY_EXPIRED_ERROR = 15
    DDTK_ERROR = 16
    LOCKED = 17

    @property
    def word(self) -> str:
        """The standard's own word: ``Accept``, ``1stKCT``, ``UsedError``."""
        return _WORDS[self]

    @property
    def is_accepted(self) -> bool:
        """Whether the token did what it says, or is kept as a part of a key change."""
        return TokenResult.ACCEPT <= self <= TokenResult.FOURTH_KCT


_WORDS: Final = {
    TokenResult.NONE: "none",
    TokenResult.ACCEPT: "Accept",
    TokenResult.FIRST_KCT: "1stKCT",
    TokenResult.SECOND_KCT: "2ndKCT",
    TokenResult.THIRD_KCT: "3rdKCT",
    TokenResult.FOURTH_KCT: "4thKCT",
    TokenResult.OVERFLOW_ERROR: "OverflowError",
    TokenResult.KEY_TYPE_ERROR: "KeyTypeError",
    TokenResult.FORMAT_ERROR: "FormatError",
    TokenResult.RANGE_ERROR: "RangeError",
    TokenResult.FUNCTION_ERROR: "FunctionError",
    TokenResult.CRC_ERROR: "CRCError",
    TokenResult.MFR_CODE_ERROR: "MfrCodeError",
    TokenResult.OLD_ERROR: "OldError",
    TokenResult.USED_ERROR: "UsedError",
    TokenResult.KEY_EXPIRED_ERROR: "KeyExpiredError",
    TokenResult.DDTK_ERROR: "DDTKError",
    TokenResult.LOCKED: "Locked",
}


def plain_digits(digits: str) -> str:
    """The 20 digits without spaces and dashes.

    Raises:
        TokenBlockError: not 20 digits.
    """
    plain = digits.replace(" ", "").replace("-", "")
    if len(plain) != TOKEN_DIGITS or not (plain.isascii() and plain.isdecimal()):
        raise TokenBlockError(f"A token has {TOKEN_DIGITS} digits; this is not one.")
    return plain


def check_sequence(sequence: int) -> int:
    """The number itself.

    Raises:
        TokenBlockError: not 1-9999.
    """
    if not 1 <= sequence <= SEQUENCE_MAX:
        raise TokenBlockError(f"A sequence number is 1-{SEQUENCE_MAX}, not {sequence}.")
    return sequence


def following_sequence(last: int) -> int:
    """The number for the next token of a meter whose last one had ``last`` (0: none yet)."""
    return last % SEQUENCE_MAX + 1


def fingerprint(digits: str) -> int:
    """16 bits that tell two tokens apart without telling their digits.

    The CRC of Modbus (polynomial A001, start FFFF) over the 20 digits as ASCII.
    """
    crc = 0xFFFF
    for octet in plain_digits(digits).encode("ascii"):
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (_CRC_POLYNOMIAL if crc & 1 else 0)
    return crc
