"""STA, the standard transfer algorithm, encryption algorithm 07 (IEC 62055-41, clause 6.5.4).

A 64-bit block under a 64-bit decoder key; bit 0 is the least significant.

* The working key is the ones' complement of the decoder key, rotated right by 12.
* Sixteen rounds of: substitute each nibble n through table 1 or table 2 as key bit 4n+3 is 0
  or 1; move bit i to place P[i]; rotate the key left by 1.

The tables printed in the standard are **samples**.  The real ones are issued by the STS
Association under licence and loaded from the operator's file; a token made with the samples
opens no real meter and must be marked as a test wherever a person sees it (`Sta.is_sample`).

How it is computed here: substitution and permutation of one byte are one look-up in a
256-entry table chosen by the byte's two key bits, and a round is eight look-ups joined by OR.
Which tables a key uses in which round is fixed once per key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from vending.sts.errors import CipherTablesError
from vending.sts.identity import EncryptionAlgorithm
from vending.sts.keys import DecoderKey

ROUNDS: Final = 16
_KEY_ROTATION: Final = 12
_MASK: Final = (1 << 64) - 1

_Lookup = list[int]


@dataclass(frozen=True, slots=True)
class StaTables:
    """The substitution and permutation tables of STA.

    Raises:
        CipherTablesError: a table is not a permutation of 0-15 (0-63).
    """

    substitution: tuple[tuple[int, ...], tuple[int, ...]]
    """Two tables of 16 nibbles."""
    permutation: tuple[int, ...]
    """64 places: bit i moves to place ``permutation[i]``."""
    is_sample: bool = False
    """Whether these are the standard's sample tables, which open no real meter."""

    def __post_init__(self) -> None:
        if len(self.substitution) != 2:
            raise CipherTablesError("STA needs two substitution tables of 16 numbers each.")
        for number, table in enumerate(self.substitution, 1):
            if sorted(table) != list(range(16)):
                raise CipherTablesError(
                    f"Substitution table {number} must hold each of 0-15 exactly once."
                )
        if sorted(self.permutation) != list(range(64)):
            raise CipherTablesError("The permutation table must hold each of 0-63 exactly once.")

    @classmethod
    def from_json(cls, document: object) -> StaTables:
        """Tables as an operator's file gives them; the samples are recognised as such.

        Args:
            document: ``{"substitution": [[16 numbers], [16 numbers]], "permutation": [64]}``.

        Raises:
            CipherTablesError: any other form, or tables that are no permutations.
        """
        if not isinstance(document, dict) or {"substitution", "permutation"} - document.keys():
            raise CipherTablesError(
                'STA tables are an object with "substitution" and "permutation".'
            )
        substitution, permutation = document["substitution"], document["permutation"]
        if not isinstance(substitution, list) or len(substitution) != 2:
            raise CipherTablesError("STA needs two substitution tables of 16 numbers each.")
        first, second, places = map(_numbers, (*substitution, permutation))
        tables = cls((first, second), places)
        known = SAMPLE_TABLES.substitution, SAMPLE_TABLES.permutation
        return SAMPLE_TABLES if (tables.substitution, tables.permutation) == known else tables

    def __repr__(self) -> str:
        # Licensed tables are the operator's secret.
        return "StaTables(samples)" if self.is_sample else "StaTables(operator's)"


def _numbers(table: object) -> tuple[int, ...]:
    if not isinstance(table, list) or any(type(entry) is not int for entry in table):
        raise CipherTablesError("Each STA table is a list of whole numbers.")
    return tuple(table)


# fmt: off
_SAMPLE_PERMUTATION: Final = (
    29, 27, 34,  9, 16, 62, 55,  2, 40, 49, 38, 25, 33, 61, 30, 23,
     1, 41, 21, 57, 42, 15,  5, 58, 19, 53, 22, 17, 48, 28, 24, 39,
     3, 60, 36, 14, 11, 52, 54, 12, 31, 51, 10, 26,  0, 45, 37, 43,
    44,  6, 59,  4,  7, 35, 56, 50, 13, 18, 32, 47, 46, 63, 20,  8,
)
# fmt: on
SAMPLE_TABLES: Final = StaTables(
    substitution=(
        (12, 10, 8, 4, 3, 15, 0, 2, 14, 1, 5, 13, 6, 9, 7, 11),
        (6, 9, 7, 4, 3, 10, 12, 14, 2, 13, 1, 15, 0, 11, 8, 5),
    ),
    permutation=_SAMPLE_PERMUTATION,
    is_sample=True,
)
"""The sample tables of the standard: for tests and demonstrations only."""


@dataclass(frozen=True, slots=True)
class _Lookups:
    """Byte tables, indexed ``[place of the byte][its two key bits][byte]``."""

    substitute_permute: tuple[tuple[_Lookup, ...], ...]
    unpermute: tuple[_Lookup, ...]
    unsubstitute: tuple[tuple[_Lookup, ...], ...]
    unsubstitute_unpermute: tuple[tuple[_Lookup, ...], ...]


def _move_bits(word: int, places: Sequence[int]) -> int:
    moved = 0
    while word:
        bit = word & -word
        moved |= 1 << places[bit.bit_length() - 1]
        word ^= bit
    return moved


def _byte_substitutions(tables: Sequence[Sequence[int]]) -> tuple[_Lookup, ...]:
    """For each pair of key bits (high nibble's, low nibble's) the substitution of a byte."""
    return tuple(
        [tables[key >> 1][byte >> 4] << 4 | tables[key & 1][byte & 15] for byte in range(256)]
        for key in range(4)
    )


def _inverse(table: Sequence[int]) -> tuple[int, ...]:
    inverse = [0] * len(table)
    for place, value in enumerate(table):
        inverse[value] = place
    return tuple(inverse)


@lru_cache(maxsize=8)
def byte_lookups(tables: StaTables) -> _Lookups:
    """The look-up tables behind `Sta`: made once for each set of cipher tables."""
    substitutions = _byte_substitutions(tables.substitution)
    unsubstitutions = _byte_substitutions([_inverse(table) for table in tables.substitution])
    places = tables.permutation
    places_back = _inverse(places)
    return _Lookups(
        substitute_permute=tuple(
            tuple([_move_bits(new << shift, places) for new in table] for table in substitutions)
            for shift in range(0, 64, 8)
        ),
        unpermute=tuple(
            [_move_bits(byte << shift, places_back) for byte in range(256)]
            for shift in range(0, 64, 8)
        ),
        unsubstitute=tuple(
            tuple([new << shift for new in table] for table in unsubstitutions)
            for shift in range(0, 64, 8)
        ),
        unsubstitute_unpermute=tuple(
            tuple(
                [_move_bits(new << shift, places_back) for new in table]
                for table in unsubstitutions
            )
            for shift in range(0, 64, 8)
        ),
    )


def round_keys(decoder_key: int) -> list[int]:
    """The 16 working keys, in the order of encryption."""
    key = decoder_key ^ _MASK
    key = (key >> _KEY_ROTATION | key << 64 - _KEY_ROTATION) & _MASK
    keys = []
    for _ in range(ROUNDS):
        keys.append(key)
        key = (key << 1 | key >> 63) & _MASK
    return keys


def _key_bits(key: int, byte_place: int) -> int:
    """The two bits that choose the tables of a byte's nibbles: bits 8p+7 and 8p+3."""
    nibbles = key >> 8 * byte_place
    return (nibbles >> 7 & 1) << 1 | nibbles >> 3 & 1


class Sta:
    """STA under one decoder key, expanded once and cheap to use many times.

    Args:
        decoder_key: 64 bits.
        tables: the operator's licensed tables, or the samples.

    Raises:
        KeyFormatError: the key has not 64 bits.
    """

    __slots__ = ("_backward", "_first", "_forward", "_last", "tables")

    algorithm: Final = EncryptionAlgorithm.STA

    def __init__(self, decoder_key: DecoderKey, tables: StaTables = SAMPLE_TABLES) -> None:
        decoder_key.require_bits(64)
        self.tables = tables
        lookups = byte_lookups(tables)
        keys = round_keys(decoder_key.number)

        def chosen(source: tuple[tuple[_Lookup, ...], ...], key: int) -> tuple[_Lookup, ...]:
            return tuple(source[place][_key_bits(key, place)] for place in range(8))

        self._forward = [chosen(lookups.substitute_permute, key) for key in keys]
        # Backwards a round is "un-permute, un-substitute"; joining each un-substitution with
        # the un-permutation of the round after it leaves one step at either end.
        self._first = lookups.unpermute
        self._backward = [chosen(lookups.unsubstitute_unpermute, key) for key in reversed(keys[1:])]
        self._last = chosen(lookups.unsubstitute, keys[0])

    @property
    def is_sample(self) -> bool:
        """Whether tokens made here are tests only, because the tables are the samples."""
        return self.tables.is_sample

    def encrypt(self, block: int) -> int:
        """Encrypt a 64-bit block."""
        for t0, t1, t2, t3, t4, t5, t6, t7 in self._forward:
            b0, b1, b2, b3, b4, b5, b6, b7 = block.to_bytes(8, "little")
            block = (t0[b0] | t1[b1] | t2[b2] | t3[b3]) | (t4[b4] | t5[b5] | t6[b6] | t7[b7])
        return block

    def decrypt(self, block: int) -> int:
        """Decrypt a 64-bit block: the exact inverse of `encrypt`."""
        for t0, t1, t2, t3, t4, t5, t6, t7 in (self._first, *self._backward, self._last):
            b0, b1, b2, b3, b4, b5, b6, b7 = block.to_bytes(8, "little")
            block = (t0[b0] | t1[b1] | t2[b2] | t3[b3]) | (t4[b4] | t5[b5] | t6[b6] | t7[b7])
        return block
