"""Twenty digits: putting a token together and taking it apart (IEC 62055-41, clause 6.4).

1. 50 clear bits: class (2) · subclass (4) · content (44).
2. A CRC-16 over them (`crc`).
3. The data block of 64 bits: subclass · content · CRC.  Classes 0 and 2 are encrypted under
   the meter's decoder key; class 1 is not, it works in every meter.
4. Transposition: the two class bits take bit places 28 and 27; the two bits displaced from
   there become bits 65 and 64.  The 66-bit number is written as 20 decimal digits, which a
   person reads in groups of four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from vending.sts.content import (
    ENCRYPTED_CLASSES,
    Content,
    is_currency,
    parse_content,
)
from vending.sts.crc import currency_crc, token_crc
from vending.sts.errors import InvalidValueError, TokenFormatError
from vending.sts.identity import EncryptionAlgorithm

TOKEN_DIGITS: Final = 20
_TOKEN_BITS: Final = 66
_CLASS_PLACE: Final = 27
_CLASS_MASK: Final = 3 << _CLASS_PLACE
_BLOCK_MASK: Final = (1 << 64) - 1
_NOT_CLASS_MASK: Final = _BLOCK_MASK ^ _CLASS_MASK
_CONTENT_MASK: Final = (1 << 44) - 1


class TokenCipher(Protocol):
    """A cipher under one meter's decoder key: `Sta` or `Misty1`."""

    @property
    def algorithm(self) -> EncryptionAlgorithm:
        """07 or 11."""

    @property
    def is_sample(self) -> bool:
        """Whether its tokens open no real meter and must be marked TEST."""

    def encrypt(self, block: int) -> int:
        """Encrypt 64 bits."""

    def decrypt(self, block: int) -> int:
        """Decrypt 64 bits."""


@dataclass(frozen=True, slots=True)
class DecodedToken:
    """What a token turned out to be."""

    token_class: int
    subclass: int
    crc_ok: bool
    """False: mistyped, or made for another meter or key.  Nothing in it may be trusted."""
    content: Content | None
    """The token's fields; None when the CRC is wrong."""


def encode(token: Content, cipher: TokenCipher | None) -> str:
    """Make the 20 digits.

    Args:
        token: what the token says.
        cipher: the meter's cipher; None is enough for class 1, which is not encrypted.

    Raises:
        InvalidValueError: a field out of range, or a cipher is needed and missing.
        UnconfirmedError, NotIssuableError: a token that may only be read.
    """
    token_class = token.token_class
    body = token.subclass << 44 | token.content()
    block = body << 16 | token_crc(token_class << 48 | body)
    if token_class in ENCRYPTED_CLASSES:
        if cipher is None:
            raise InvalidValueError("This token is encrypted: give the meter's decoder key.")
        block = cipher.encrypt(block)
    return transpose(block, token_class)


def transpose(block: int, token_class: int) -> str:
    """Join 64 block bits and 2 class bits into 20 digits."""
    displaced = (block & _CLASS_MASK) << 64 - _CLASS_PLACE
    number = displaced | block & _NOT_CLASS_MASK | token_class << _CLASS_PLACE
    return str(number).zfill(TOKEN_DIGITS)


def untranspose(digits: str) -> tuple[int, int]:
    """``(block, class)`` of a token's digits; spaces and dashes are ignored.

    Raises:
        TokenFormatError: not 20 digits, or a number that no token has.
    """
    plain = digits.replace(" ", "").replace("-", "")
    if len(plain) != TOKEN_DIGITS or not (plain.isascii() and plain.isdigit()):
        raise TokenFormatError(
            f"A token has {TOKEN_DIGITS} digits; this has {len(plain)} characters"
            f"{'' if plain.isascii() and plain.isdigit() else ', not all of them digits'}."
        )
    number = int(plain)
    if number >> _TOKEN_BITS:
        raise TokenFormatError("No token is this large a number: its first digits were mistyped.")
    token_class = number >> _CLASS_PLACE & 3
    block = number & _NOT_CLASS_MASK | number >> 64 << _CLASS_PLACE
    return block, token_class


def decode(digits: str, cipher: TokenCipher | None) -> DecodedToken:
    """Take 20 digits apart, as a meter does: decrypt, then authenticate, then read.

    Args:
        digits: the token; spaces and dashes are ignored.
        cipher: the meter's cipher; None is enough for class 1.

    Raises:
        TokenFormatError: not a token's number.
        InvalidValueError: a cipher is needed and missing, or an authentic token holds a
            value that the standard does not allow (a meter answers FormatError).
    """
    block, token_class = untranspose(digits)
    if token_class in ENCRYPTED_CLASSES:
        if cipher is None:
            raise InvalidValueError("This token is encrypted: give the meter's decoder key.")
        block = cipher.decrypt(block)
    body, crc = block >> 16, block & 0xFFFF
    subclass, clear = body >> 44, token_class << 48 | body
    right_crc = currency_crc(clear) if is_currency(token_class, subclass) else token_crc(clear)
    if crc != right_crc:
        return DecodedToken(token_class, subclass, crc_ok=False, content=None)
    content = parse_content(token_class, subclass, body & _CONTENT_MASK)
    return DecodedToken(token_class, subclass, crc_ok=True, content=content)


def grouped(digits: str) -> str:
    """A token as people read it: five groups of four."""
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))
