"""Twenty digits for many meters (IEC 62055-41, clause 6.4), as `vending.sts.token`.

Bodies (subclass · content, 48 bits) become blocks with their CRC, blocks are encrypted, the
class bits are put in their places, and 66 bits are written as 20 digits.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vending.sts.batch.arrays import Texts, Words, slices
from vending.sts.batch.digits import ascii_20
from vending.sts.batch.keys import DecoderKeys
from vending.sts.batch.misty1 import Misty1Ciphers
from vending.sts.batch.sta import StaCiphers
from vending.sts.crc import token_crc
from vending.sts.errors import UnconfirmedError
from vending.sts.identity import EncryptionAlgorithm
from vending.sts.sta import SAMPLE_TABLES, StaTables

_BODY_BITS: Final = 48
_CRC_BITS: Final = np.uint64(16)
_CLASS_PLACE: Final = np.uint64(27)
_CLASS_MASK: Final = np.uint64(3)
_NOT_CLASS_MASK: Final = ~(_CLASS_MASK << _CLASS_PLACE)
# The body in four pieces: tables of 4,096 checksums, which stay in the fastest cache.
_CRC_PIECE_BITS: Final = 12


class TokenCiphers(Protocol):
    """A cipher under the decoder keys of many meters: `StaCiphers` or `Misty1Ciphers`."""

    @property
    def keys(self) -> DecoderKeys:
        """One for each meter, or one for all."""

    @property
    def algorithm(self) -> EncryptionAlgorithm:
        """07 or 11."""

    @property
    def is_sample(self) -> bool:
        """Whether their tokens open no real meter and must be marked TEST."""

    def part(self, places: slice) -> Self:
        """The ciphers of some of the meters."""

    def encrypt(self, blocks: Words) -> Words:
        """Encrypt k blocks for each of N meters, shape (k, N)."""


def ciphers_for(
    algorithm: EncryptionAlgorithm, keys: DecoderKeys, tables: StaTables = SAMPLE_TABLES
) -> StaCiphers | Misty1Ciphers:
    """The ciphers of many meters.

    Args:
        algorithm: 07 (STA) or 11 (MISTY1).
        keys: 64 or 128 bits accordingly; one for each meter, or one for all.
        tables: for STA only; the standard's samples unless the operator's are given.

    Raises:
        UnconfirmedError: 09 (DEA), which the standard deprecates.
        KeyFormatError: the keys' length does not fit the algorithm.
    """
    if algorithm is EncryptionAlgorithm.STA:
        return StaCiphers(keys, tables)
    if algorithm is EncryptionAlgorithm.MISTY1:
        return Misty1Ciphers(keys)
    raise UnconfirmedError(
        "Encryption algorithm 09 (DEA) is deprecated and not supported; use 07 or 11."
    )


def encode_bodies(token_class: int, bodies: Words, ciphers: TokenCiphers) -> Texts:
    """Make the digits of k encrypted tokens for each of N meters.

    Args:
        token_class: 0 or 2; class 1 is not encrypted and the same for every meter.
        bodies: subclass (4) · content (44) of each token, shape (k, N).  Their fields are
            right: `transfer_credit_tokens` and `key_change_tokens` check them.
        ciphers: one key for each meter, or one for all.

    Returns:
        Type ``S20``, shape (N, k).

    Raises:
        KeyFormatError: the keys are neither N nor one.
    """
    tokens_each, count = bodies.shape
    ciphers.keys.require_for(count)
    tokens = np.empty((count, tokens_each), "S20")
    for part in slices(count):
        chunk = bodies[:, part]
        blocks = ciphers.part(part).encrypt(chunk << _CRC_BITS | _checksums(token_class, chunk))
        for place, row in enumerate(blocks):
            tokens[part, place] = transpose_all(row, token_class)
    return tokens


def transpose_all(blocks: Words, token_class: int) -> Texts:
    """Join 64 block bits and 2 class bits into 20 digits, N times."""
    displaced = blocks >> _CLASS_PLACE & _CLASS_MASK
    class_bits = np.uint64(token_class) << _CLASS_PLACE
    return ascii_20(blocks & _NOT_CLASS_MASK | class_bits, displaced)


def _checksums(token_class: int, bodies: Words) -> NDArray[np.uint16]:
    """The CRC of each token.

    A CRC is linear: the checksum of a message is the exclusive or of what its pieces add alone
    and of the checksum of all zeros, here with the class bits.
    """
    total = np.full(bodies.shape, token_crc(token_class << _BODY_BITS), np.uint16)
    for shift, table in zip(range(0, _BODY_BITS, _CRC_PIECE_BITS), _crc_tables(), strict=True):
        piece = bodies >> shift & ((1 << _CRC_PIECE_BITS) - 1)
        total ^= table.take(piece.view(np.int64))
    return total


@cache
def _crc_tables() -> tuple[NDArray[np.uint16], ...]:
    """What each value of each piece adds, lowest piece first."""

    def table(shift: int) -> NDArray[np.uint16]:
        sums = np.zeros(1, np.uint16)
        for bit in range(shift, shift + _CRC_PIECE_BITS):
            sums = np.concatenate([sums, sums ^ np.uint16(token_crc(1 << bit) ^ token_crc(0))])
        return sums

    return tuple(table(shift) for shift in range(0, _BODY_BITS, _CRC_PIECE_BITS))
