"""The token engine bit by bit, as a first reading of the standard would write it.

The yardstick of the suite `tokens`: right (it is held to the engine before it is timed), and
in no hurry.  Numbers are lists of bits, the least significant first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from vending.sts import DecoderKey, EncryptionAlgorithm, StaTables, TransferCredit
from vending.sts.misty1 import S7, S9

Bits = list[int]


def encode(
    credit: TransferCredit, algorithm: EncryptionAlgorithm, key: DecoderKey, tables: StaTables
) -> str:
    """The 20 digits of a credit token."""
    body = _bits(credit.content(), 44) + _bits(credit.subclass, 4)
    block = _crc(body + _bits(credit.token_class, 2)) + body
    if algorithm is EncryptionAlgorithm.STA:
        block = sta(block, _bits(key.number, 64), tables)
    else:
        block = misty1(block, _bits(key.number, 128))
    number = block + block[27:29]
    number[27:29] = _bits(credit.token_class, 2)
    return f"{_number(number):020d}"


def sta(block: Bits, key: Bits, tables: StaTables) -> Bits:
    """STA: sixteen rounds of substitution, permutation and key rotation."""
    key = [1 - bit for bit in key]
    key = key[12:] + key[:12]
    for _ in range(16):
        substituted: Bits = []
        for place in range(0, 64, 4):
            table = tables.substitution[key[place + 3]]
            substituted += _bits(table[_number(block[place : place + 4])], 4)
        block = [0] * 64
        for place, bit in enumerate(substituted):
            block[tables.permutation[place]] = bit
        key = key[-1:] + key[:-1]
    return block


def misty1(block: Bits, key: Bits) -> Bits:
    """MISTY1 of RFC 2994, its substitutions as Boolean functions of their bits."""
    k = [key[112 - 16 * i : 128 - 16 * i] for i in range(8)]
    d = [_fi(k[i], k[(i + 1) % 8]) for i in range(8)]
    left, right = block[32:], block[:32]
    for i in range(0, 8, 2):
        left = _fl(left, i, k, d)
        right = _xor(_fl(right, i + 1, k, d), _fo(left, i, k, d))
        left = _xor(left, _fo(right, i + 1, k, d))
    left, right = _fl(left, 8, k, d), _fl(right, 9, k, d)
    return left + right


def _fl(word: Bits, layer: int, k: list[Bits], d: list[Bits]) -> Bits:
    n = layer // 2
    keys = (d[(n + 2) % 8], k[(n + 4) % 8]) if layer % 2 else (k[n], d[(n + 6) % 8])
    right = _xor(word[:16], [bit & key for bit, key in zip(word[16:], keys[0], strict=True)])
    left = _xor(word[16:], [bit | key for bit, key in zip(right, keys[1], strict=True)])
    return right + left


def _fo(word: Bits, i: int, k: list[Bits], d: list[Bits]) -> Bits:
    left, right = _xor(word[16:], k[i]), word[:16]
    left = _xor(_fi(left, d[(i + 5) % 8]), right)
    right = _xor(right, k[(i + 2) % 8])
    right = _xor(_fi(right, d[(i + 1) % 8]), left)
    left = _xor(left, k[(i + 7) % 8])
    left = _xor(_fi(left, d[(i + 3) % 8]), right)
    right = _xor(right, k[(i + 4) % 8])
    return left + right


def _fi(word: Bits, key: Bits) -> Bits:
    nine, seven = word[7:], word[:7]
    nine = _xor(_substitute(S9, nine), [*seven, 0, 0])
    seven = _xor(_substitute(S7, seven), nine[:7])
    seven = _xor(seven, key[9:])
    nine = _xor(nine, key[:9])
    nine = _xor(_substitute(S9, nine), [*seven, 0, 0])
    return nine + seven


def _substitute(table: Sequence[int], inputs: Bits) -> Bits:
    return [
        sum(all(inputs[place] for place in product) for product in products) % 2
        for products in _normal_forms(tuple(table), len(inputs))
    ]


@cache
def _normal_forms(table: tuple[int, ...], width: int) -> list[list[list[int]]]:
    """For each output bit the products of input bits whose sum modulo 2 it is."""
    forms = []
    for output in range(width):
        terms = [value >> output & 1 for value in table]
        for place in range(width):
            for point in range(len(table)):
                if point >> place & 1:
                    terms[point] ^= terms[point ^ 1 << place]
        forms.append(
            [
                [p for p in range(width) if point >> p & 1]
                for point in range(len(table))
                if terms[point]
            ]
        )
    return forms


def _crc(clear: Bits) -> Bits:
    """CRC-16 over 7 bytes, the most significant byte first and in it the lowest bit first."""
    padded = clear + [0] * (56 - len(clear))
    crc = [1] * 16
    for byte in range(48, -1, -8):
        for bit in padded[byte : byte + 8]:
            last = crc[0] ^ bit
            crc = [*crc[1:], 0]
            if last:
                crc = _xor(crc, _bits(0xA001, 16))
    return crc[8:] + crc[:8]


def _bits(number: int, count: int) -> Bits:
    return [number >> place & 1 for place in range(count)]


def _number(bits: Bits) -> int:
    return sum(bit << place for place, bit in enumerate(bits))


def _xor(one: Bits, other: Bits) -> Bits:
    return [a ^ b for a, b in zip(one, other, strict=True)]
