"""The token's checksum (IEC 62055-41, clause 6.3.7).

CRC-16 with the reflected polynomial 0xA001 and start value 0xFFFF over the 50 clear bits
(class, subclass, content) left-padded to 7 bytes; the two bytes of the result are swapped.
Currency credit (class 0, subclasses 4-7) appends one byte 0x01 before the checksum is taken
(CRC_C), so that a meter for units never accepts a token for money.
"""

from __future__ import annotations

from typing import Final

_POLYNOMIAL: Final = 0xA001
_START: Final = 0xFFFF
_CURRENCY_SUFFIX: Final = b"\x01"


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


CRC_TABLE: Final = tuple(_table_entry(byte) for byte in range(256))
"""One step of the CRC for each value of its low byte."""


def _crc(message: bytes, start: int) -> int:
    crc = start
    for byte in message:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return (crc & 0xFF) << 8 | crc >> 8


# A CRC is linear: what a message of fixed length adds up to is the exclusive or of what each
# of its bytes adds alone and of what the start value adds.  Seven look-ups, no loop.
_OF_START: Final = _crc(bytes(7), _START)
_OF_BYTE: Final = tuple(
    tuple(_crc(bytes(place) + bytes((byte,)) + bytes(6 - place), 0) for byte in range(256))
    for place in range(7)
)


def token_crc(clear_bits: int) -> int:
    """The 16-bit checksum of a token's 50 clear bits: class (2) · subclass (4) · content (44)."""
    b0, b1, b2, b3, b4, b5, b6 = clear_bits.to_bytes(7, "big")
    t0, t1, t2, t3, t4, t5, t6 = _OF_BYTE
    return _OF_START ^ t0[b0] ^ t1[b1] ^ t2[b2] ^ t3[b3] ^ t4[b4] ^ t5[b5] ^ t6[b6]


def currency_crc(clear_bits: int) -> int:
    """CRC_C: the checksum of class 0, subclasses 4-7."""
    return _crc(clear_bits.to_bytes(7, "big") + _CURRENCY_SUFFIX, _START)
