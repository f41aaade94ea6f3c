"""MISTY1 for many meters at once: RFC 2994, as `vending.sts.misty1`, word by word on arrays.

Where the module for one block computes on a number, this computes on the array of that number
for all blocks.  FI, which is all the work, is two look-ups in tables of 65,536 words of 16
bits (`fi_tables`); 24 of them encrypt a block and 8 expand a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vending.sts.batch.arrays import Words, slices
from vending.sts.batch.keys import DecoderKeys
from vending.sts.identity import EncryptionAlgorithm
from vending.sts.misty1 import ROUNDS, fi_tables

_KEY_BITS: Final = 128

_Halves: TypeAlias = NDArray[np.uint16]
"""One 16-bit word of each block or key."""
_KeyWords: TypeAlias = list[_Halves]
"""The 8 words of each key: K, or the derived K'."""
_Half32: TypeAlias = tuple[_Halves, _Halves]
"""A block's left or right 32 bits, as two words."""


@dataclass(frozen=True, slots=True)
class Misty1Ciphers:
    """MISTY1 under many decoder keys.

    Args:
        keys: 128 bits each; as many as there are blocks, or one for all.

    Raises:
        KeyFormatError: the keys have not 128 bits.
    """

    keys: DecoderKeys

    algorithm: ClassVar[EncryptionAlgorithm] = EncryptionAlgorithm.MISTY1
    is_sample: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.keys.require_bits(_KEY_BITS)

    def part(self, places: slice) -> Misty1Ciphers:
        """The ciphers of some of the meters."""
        return Misty1Ciphers(self.keys[places])

    def encrypt(self, blocks: Words) -> Words:
        """Encrypt k blocks for each of N meters.

        Args:
            blocks: shape (k, N).

        Raises:
            KeyFormatError: the keys are neither N nor one.
        """
        self.keys.require_for(blocks.shape[1])
        encrypted = np.empty_like(blocks)
        for part in slices(blocks.shape[1]):
            k, d = _expand_keys(self.keys[part].words)
            for row, plain in zip(encrypted, blocks, strict=True):
                row[part] = _encrypt_chunk(plain[part], k, d)
        return encrypted


@cache
def _fi_arrays() -> tuple[_Halves, _Halves]:
    before, after = fi_tables()
    return np.array(before, np.uint16), np.array(after, np.uint16)


def _fi(word: _Halves, key: _Halves) -> _Halves:
    before, after = _fi_arrays()
    return after.take(before.take(word) ^ key)


def _expand_keys(keys: Words) -> tuple[_KeyWords, _KeyWords]:
    """The words K and K' of each key (RFC 2994 section 2.2); ``keys`` has shape (N, 2)."""
    words = [_word(half, place) for half in keys.T for place in range(4)]
    return words, [_fi(words[i], words[(i + 1) % 8]) for i in range(8)]


def _word(blocks: Words, place: int) -> _Halves:
    """Word 0 (most significant) to 3 of each 64 bits."""
    return (blocks >> (48 - 16 * place)).astype(np.uint16)


def _encrypt_chunk(blocks: Words, k: _KeyWords, d: _KeyWords) -> Words:
    left: _Half32 = _word(blocks, 0), _word(blocks, 1)
    right: _Half32 = _word(blocks, 2), _word(blocks, 3)
    # Two Feistel rounds at a time: FL on both halves, FO to the right, FO to the left.
    for i in range(0, ROUNDS, 2):
        left = _fl(left, i, k, d)
        right = _xor(_fl(right, i + 1, k, d), _fo(left, i, k, d))
        left = _xor(left, _fo(right, i + 1, k, d))
    left, right = _fl(right, ROUNDS + 1, k, d), _fl(left, ROUNDS, k, d)
    encrypted = np.zeros(len(blocks), np.uint64)
    for word in (*left, *right):
        encrypted <<= 16
        encrypted |= word
    return encrypted


def _xor(one: _Half32, other: _Half32) -> _Half32:
    return one[0] ^ other[0], one[1] ^ other[1]


def _fl(half: _Half32, layer: int, k: _KeyWords, d: _KeyWords) -> _Half32:
    n = layer // 2
    if layer % 2 == 0:
        and_key, or_key = k[n], d[(n + 6) % 8]
    else:
        and_key, or_key = d[(n + 2) % 8], k[(n + 4) % 8]
    left, right = half
    right = right ^ (left & and_key)
    return left ^ (right | or_key), right


def _fo(half: _Half32, i: int, k: _KeyWords, d: _KeyWords) -> _Half32:
    left, right = half
    left = _fi(left ^ k[i], d[(i + 5) % 8]) ^ right
    right = _fi(right ^ k[(i + 2) % 8], d[(i + 1) % 8]) ^ left
    left = _fi(left ^ k[(i + 7) % 8], d[(i + 3) % 8]) ^ right
    return right ^ k[(i + 4) % 8], left
