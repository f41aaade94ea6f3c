"""What can be said about a vending key without telling it: its check value, its parity, its worth.

Key check value (KCV): the first three bytes, in hexadecimal, of the key applied to zeros.

=========  ==============================================================================
64 bits    DES of eight zero bytes.  DES does not look at the parity bits, so two keys that
           differ in them alone have the same KCV
160 bits   HMAC-SHA-256 of eight zero bytes.  No public document says what a 160-bit vending
           key is applied to; this is our choice, and other programs may make another
=========  ==============================================================================

Parity matters although DES ignores it: DKGA02 mixes the vending key itself into each decoder
key.  So a key is used exactly as it is, and never "corrected" without being told.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import Final

from vending.security.faults import KeyCheckValueError, KeyParityError, WeakKeyError
from vending.sts import KeyFormatError, KeyGeneration, VendingKey
from vending.sts.decoder_key import des_ecb
from vending.sts.public_test_key import PUBLIC_TEST_VENDING_KEY

_ZEROS: Final = bytes(8)
_KCV_BYTES: Final = 3
_WEAK_DES: Final = frozenset(
    bytes.fromhex(text)
    for text in (
        "0101010101010101 fefefefefefefefe e0e0e0e0f1f1f1f1 1f1f1f1f0e0e0e0e "
        "011f011f010e010e 1f011f010e010e01 01e001e001f101f1 e001e001f101f101 "
        "01fe01fe01fe01fe fe01fe01fe01fe01 1fe01fe00ef10ef1 e01fe01ff10ef10e "
        "1ffe1ffe0efe0efe fe1ffe1ffe0efe0e e0fee0fef1fef1fe fee0fee0fef1fef1"
    ).split()
)
"""DES's weak and semi-weak keys, with odd parity."""
_PUBLIC_TEST_DES_KEY: Final = VendingKey.from_hex("ab" * 8)
"""64 bits, of the STS 531 test series (``tests/vectors/sts.json``)."""


class Parity(StrEnum):
    """What to do with a combined DES key whose bytes have not odd parity."""

    REFUSE = "refuse"
    """Nobody said: refuse it rather than guess."""
    KEEP = "keep"
    """Use it as it came out."""
    ODD = "odd"
    """Set each byte's lowest bit so that the byte has odd parity."""


def key_bits(dkga: KeyGeneration) -> int:
    """The length of the vending keys of a derivation algorithm.

    Raises:
        KeyFormatError: neither DKGA02 nor DKGA04.
    """
    lengths = {KeyGeneration.DKGA02: 64, KeyGeneration.DKGA04: 160}
    if dkga not in lengths:
        raise KeyFormatError(
            f"DKGA{dkga.value:02d} keys are not taken: use DKGA02 (64 bits) or DKGA04 (160 bits)."
        )
    return lengths[dkga]


def key_check_value(key: VendingKey) -> str:
    """A key's check value: 6 hexadecimal digits, upper case."""
    if key.bits == 64:
        applied = des_ecb(key, _ZEROS)
    else:
        applied = hmac.digest(key.secret, _ZEROS, hashlib.sha256)
    return applied[:_KCV_BYTES].hex().upper()


def parse_check_value(text: str) -> str:
    """A check value as a person writes it: 6 hexadecimal digits, spaces ignored.

    Raises:
        KeyCheckValueError: it is none.
    """
    plain = text.replace(" ", "").upper()
    if len(plain) != 2 * _KCV_BYTES or plain.strip("0123456789ABCDEF"):
        raise KeyCheckValueError("A key check value has 6 hexadecimal digits, like 08D7B4.")
    return plain


def require_check_value(what: str, key: VendingKey, expected: str) -> None:
    """Refuse a key that is not the one that was meant.

    Raises:
        KeyCheckValueError: another check value; names both, which tell nothing of the key.
    """
    found = key_check_value(key)
    if not hmac.compare_digest(found, parse_check_value(expected)):
        raise KeyCheckValueError(
            f"{what} has the check value {found}, not {parse_check_value(expected)}: it was "
            "mistyped, or it is another. Nothing was stored."
        )


def combine(components: list[VendingKey], parity: Parity) -> VendingKey:
    """The exclusive or of a key's components.

    Raises:
        KeyParityError: a 64-bit key came out without odd parity and ``parity`` says to refuse.
        WeakKeyError: it came out as a key that nobody may use.
    """
    number = 0
    for component in components:
        number ^= component.number
    secret = number.to_bytes(components[0].bits // 8, "big")
    if components[0].bits == 64 and parity is not Parity.KEEP:
        adjusted = odd_parity(secret)
        if adjusted != secret and parity is Parity.REFUSE:
            raise KeyParityError(
                "The combined DES key has not odd parity. DKGA02 mixes the key itself into each "
                "decoder key, so this decides whether tokens work: ask whoever made the "
                "components, then finish with parity 'keep' (use it as it is) or 'odd' (set it)."
            )
        secret = adjusted
    key = VendingKey(secret)
    require_sound(key)
    return key


def odd_parity(secret: bytes) -> bytes:
    """Each byte with its lowest bit set so that the number of ones is odd."""
    return bytes(byte & 0xFE | (byte >> 1).bit_count() & 1 ^ 1 for byte in secret)


def require_sound(key: VendingKey) -> None:
    """Refuse a key that gives itself away.

    Raises:
        WeakKeyError: all zeros, or a weak or semi-weak key of DES.
    """
    weak = not any(key.secret) or (key.bits == 64 and odd_parity(key.secret) in _WEAK_DES)
    if weak:
        raise WeakKeyError(
            "This key must not be used: it is all zeros or a weak key of DES. Was one component "
            "entered twice?"
        )


PUBLIC_TEST_CHECK_VALUES: Final = frozenset(
    key_check_value(key) for key in (PUBLIC_TEST_VENDING_KEY, _PUBLIC_TEST_DES_KEY)
)
"""Check values of keys that everybody knows."""
