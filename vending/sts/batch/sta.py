"""STA for many meters at once (IEC 62055-41, clause 6.5.4), bit-sliced.

A processor works on 64 bits at a time.  Instead of one block of 64 bits, a word here holds
the *same* bit of 64 blocks, each under its own key.  A chunk of blocks becomes 64 planes, one
for each bit place, and the parts of the cipher turn into:

========================  ================================================================
permutation               planes change places; no bit is touched
key rotation              other planes of the key are looked at
substitution of a nibble  a Boolean function of four planes, for 64 blocks in one step
choice by a key bit       one more AND: ``table1 xor key bit · (table1 xor table2)``
========================  ================================================================

The tables are the operator's, so their Boolean functions are computed when they are loaded: as
algebraic normal form, the exclusive or of products (AND) of input bits.  There are eleven
products of two or more of four bits, and all eight functions share them.

No table look-up depends on a key, and therefore no memory access either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from vending.sts.batch.arrays import Words, slices
from vending.sts.batch.keys import DecoderKeys
from vending.sts.identity import EncryptionAlgorithm
from vending.sts.sta import ROUNDS, SAMPLE_TABLES, StaTables

_BLOCK_BITS: Final = 64
_NIBBLES: Final = 16
_NIBBLE_BITS: Final = 4
_KEY_ROTATION: Final = 12
_CHOOSING_BIT: Final = 3
_PRODUCTS_OF_SEVERAL_BITS: Final = 11
_ALL_ONES: Final = np.uint64(2**64 - 1)

_Products = tuple[int, ...]
"""Which products a function adds up.  A product is the mask of its input bits; 0 is 1."""


@dataclass(frozen=True, slots=True)
class StaCiphers:
    """STA under many decoder keys.

    Args:
        keys: 64 bits each; as many as there are blocks, or one for all.
        tables: the operator's licensed tables, or the samples.

    Raises:
        KeyFormatError: the keys have not 64 bits.
    """

    keys: DecoderKeys
    tables: StaTables = SAMPLE_TABLES

    algorithm: ClassVar[EncryptionAlgorithm] = EncryptionAlgorithm.STA

    def __post_init__(self) -> None:
        self.keys.require_bits(_BLOCK_BITS)

    @property
    def is_sample(self) -> bool:
        """Whether tokens made here are tests only, because the tables are the samples."""
        return self.tables.is_sample

    def part(self, places: slice) -> StaCiphers:
        """The ciphers of some of the meters."""
        return StaCiphers(self.keys[places], self.tables)

    def encrypt(self, blocks: Words) -> Words:
        """Encrypt k blocks for each of N meters.

        Args:
            blocks: shape (k, N).

        Raises:
            KeyFormatError: the keys are neither N nor one.
        """
        self.keys.require_for(blocks.shape[1])
        circuit = circuit_of(self.tables)
        keys = np.broadcast_to(self.keys.words[:, 0], blocks.shape[1])
        encrypted = np.empty_like(blocks)
        for part in slices(blocks.shape[1]):
            key_planes = ~_to_planes(keys[part])
            for row, plain in zip(encrypted, blocks, strict=True):
                row[part] = _encrypt_chunk(plain[part], key_planes, circuit)
        return encrypted


@dataclass(frozen=True, slots=True)
class Circuit:
    """A set of cipher tables as Boolean functions and moves of planes."""

    first: tuple[_Products, ...]
    """Substitution table 1: the products of each output bit."""
    difference: tuple[_Products, ...]
    """What table 2 adds to it."""
    sources: NDArray[np.intp]
    """The permutation: which plane comes to each place.  Planes are in nibble order here."""

    @property
    def operations(self) -> int:
        """How many ANDs and XORs of planes (16 at a time) a round takes."""
        functions = (*self.first, *self.difference)
        additions = sum(max(len(products) - 1, 0) for products in functions)
        return _PRODUCTS_OF_SEVERAL_BITS + additions + 2 * _NIBBLE_BITS

    def __repr__(self) -> str:
        return "Circuit()"  # licensed tables are the operator's secret


# Planes in nibble order: the lowest bits of all nibbles, then the next, ...  One call of numpy
# then works on one bit of all 16 nibbles.
_NIBBLE_ORDER: Final = np.arange(_BLOCK_BITS).reshape(_NIBBLES, _NIBBLE_BITS).T.reshape(-1)
_BIT_ORDER: Final = np.argsort(_NIBBLE_ORDER)


@lru_cache(maxsize=8)
def circuit_of(tables: StaTables) -> Circuit:
    """Compute the Boolean functions: once for each set of tables."""
    one, two = tables.substitution
    places_back = np.argsort(tables.permutation)
    return Circuit(
        first=tuple(_normal_form([n >> j & 1 for n in one]) for j in range(_NIBBLE_BITS)),
        difference=tuple(
            _normal_form([(n ^ m) >> j & 1 for n, m in zip(one, two, strict=True)])
            for j in range(_NIBBLE_BITS)
        ),
        sources=_BIT_ORDER[places_back[_NIBBLE_ORDER]],
    )


def _normal_form(truth_table: list[int]) -> _Products:
    """The products whose exclusive or is the function (the Möbius transform)."""
    coefficients = list(truth_table)
    for j in range(_NIBBLE_BITS):
        for inputs in range(16):
            if inputs >> j & 1:
                coefficients[inputs] ^= coefficients[inputs ^ 1 << j]
    return tuple(product for product in range(16) if coefficients[product])


def _encrypt_chunk(blocks: Words, key_planes: Words, circuit: Circuit) -> Words:
    """Encrypt N blocks.

    Args:
        blocks: N blocks.
        key_planes: the complements of their keys, as planes in bit order.
        circuit: the cipher tables.
    """
    state = _to_planes(blocks)[_NIBBLE_ORDER]
    width = state.shape[1]
    substituted = np.empty_like(state)
    in_bits = state.reshape(_NIBBLE_BITS, _NIBBLES, width)
    out_bits = substituted.reshape(_NIBBLE_BITS, _NIBBLES, width)
    products = _products(in_bits)
    chosen = np.empty((_NIBBLES, width), np.uint64)

    for round_number in range(ROUNDS):
        _multiply(products)
        np.take(key_planes, _choosing_planes(round_number), axis=0, out=chosen, mode="clip")
        change = np.empty_like(chosen)
        for out, first, difference in zip(out_bits, circuit.first, circuit.difference, strict=True):
            _add_up(products, first, out)
            _add_up(products, difference, change)
            change &= chosen
            out ^= change
        # The state's planes are overwritten in place, so `products` sees the next round's bits.
        np.take(substituted, circuit.sources, axis=0, out=state, mode="clip")
    return _from_planes(state[_BIT_ORDER], len(blocks))


def _choosing_planes(round_number: int) -> list[int]:
    """Which bits of the key choose the tables of nibbles 0-15 in a round.

    The working key is the key rotated right by 12, then left by one in each round; nibble n
    looks at its bit 4n+3.
    """
    rotation = _KEY_ROTATION + _CHOOSING_BIT - round_number
    return [(_NIBBLE_BITS * n + rotation) % _BLOCK_BITS for n in range(_NIBBLES)]


def _products(in_bits: Words) -> list[Words]:
    """Places for all 16 products of four bits; the single bits are the bits themselves."""
    products = [np.empty_like(in_bits[0]) for _ in range(16)]
    products[0][:] = _ALL_ONES
    for j, bit in enumerate(in_bits):
        products[1 << j] = bit
    return products


def _multiply(products: list[Words]) -> None:
    for inputs in range(16):
        lowest = inputs & -inputs
        if inputs != lowest:
            np.bitwise_and(products[lowest], products[inputs ^ lowest], products[inputs])


def _add_up(products: list[Words], chosen: _Products, total: Words) -> None:
    if len(chosen) < 2:
        total[:] = products[chosen[0]] if chosen else 0
        return
    np.bitwise_xor(products[chosen[0]], products[chosen[1]], total)
    for product in chosen[2:]:
        total ^= products[product]


def _to_planes(words: Words) -> Words:
    """N words as 64 planes in bit order, shape (64, N / 64 rounded up)."""
    width = -(-len(words) // _BLOCK_BITS)
    rows = np.zeros(_BLOCK_BITS * width, np.uint64)
    rows[: len(words)] = words
    return _transpose(rows.reshape(_BLOCK_BITS, width))


def _from_planes(planes: Words, count: int) -> Words:
    return _transpose(planes).reshape(-1)[:count]


def _transpose(rows: Words) -> Words:
    """Exchange rows and bits, in place: bit i of row j with bit j of row i, in each column.

    Six steps: exchange the off-diagonal quarters of the 64 by 64 bits (32 rows and bits
    apart), then those of each quarter (16 apart), and so on down to single bits.
    """
    apart = _BLOCK_BITS // 2
    low_bits = 2**32 - 1
    while apart:
        pairs = rows.reshape(-1, 2, apart, rows.shape[1])
        upper, lower = pairs[:, 0], pairs[:, 1]
        exchanged = upper >> apart
        exchanged ^= lower
        exchanged &= low_bits
        lower ^= exchanged
        exchanged <<= apart
        upper ^= exchanged
        apart //= 2
        low_bits ^= low_bits << apart & (2**64 - 1)
    return rows
