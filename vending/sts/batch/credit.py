"""Transfer credit for many meters (class 0, subclasses 0-3): gifts, refunds, free allowances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vending.sts.amount import AMOUNT_MAX, decode_amount
from vending.sts.batch.arrays import Texts, Words, require_length, require_range_all
from vending.sts.batch.token import TokenCiphers, encode_bodies
from vending.sts.content import CREDIT_CLASS, Service
from vending.sts.tid import TID_MAX

_MANTISSA_BITS: Final = 14
_MANTISSA_MAX: Final = (1 << _MANTISSA_BITS) - 1
# The table of the module `amount`, read from it: first value, step and last value by exponent.
_CODES: Final = [exponent << _MANTISSA_BITS for exponent in range(4)]
_FIRST: Final = np.array([decode_amount(code) for code in _CODES], np.uint64)
_SECOND: Final = np.array([decode_amount(code | 1) for code in _CODES], np.uint64)
_LAST: Final = np.array([decode_amount(code | _MANTISSA_MAX) for code in _CODES], np.uint64)
_STEP: Final = _SECOND - _FIRST


@dataclass(frozen=True, slots=True, eq=False)
class CodedAmounts:
    """What N tokens really carry for the amounts that were asked for."""

    codes: Words
    """The 16 bits of each."""
    amounts: Words
    """The values of those bits, at least what was asked for."""
    roundings: Words
    """How much more than asked for."""


def encode_amounts(amounts: object) -> CodedAmounts:
    """Code N amounts, each rounded up to the next step.

    Raises:
        InvalidValueError: an amount is negative or more than `AMOUNT_MAX`; names its index.
    """
    asked = require_range_all("Amount", amounts, 0, AMOUNT_MAX)
    exponents = np.searchsorted(_LAST, asked)
    first, step = _FIRST[exponents], _STEP[exponents]
    above = np.maximum(asked, first) - first  # in the gap below an exponent's first value: 0
    mantissas: Words = (above + (step - np.uint64(1))) // step
    coded = first + mantissas * step
    codes = exponents.astype(np.uint64) << np.uint64(_MANTISSA_BITS) | mantissas
    return CodedAmounts(codes, coded, coded - asked)


@dataclass(frozen=True, slots=True, eq=False)
class TransferCredits:
    """Credit for one service, N times; each array has N elements.

    Raises:
        InvalidValueError: an element out of range (named by its index), or arrays of
            different length.
    """

    service: Service
    rnd: Words
    """4 random bits each, given by the caller."""
    tid: Words
    """Minutes since the base date, see `tid`."""
    amount: Words
    """Tenths of the service's unit, 0 .. 18,201,624; the tokens carry `coded`."""

    def __post_init__(self) -> None:
        rnd = require_range_all("Random number (RND)", self.rnd, 0, 15)
        tid = require_range_all("Token identifier (TID)", self.tid, 0, TID_MAX)
        amount = require_range_all("Amount", self.amount, 0, AMOUNT_MAX)
        require_length("Random number (RND)", len(rnd), len(amount))
        require_length("Token identifier (TID)", len(tid), len(amount))
        for name, array in (("rnd", rnd), ("tid", tid), ("amount", amount)):
            object.__setattr__(self, name, array)

    @property
    def coded(self) -> CodedAmounts:
        """What the tokens really carry."""
        return encode_amounts(self.amount)

    def __len__(self) -> int:
        return len(self.amount)

    def bodies(self) -> Words:
        """Subclass · content of each."""
        stamps = self.rnd << np.uint64(40) | self.tid << np.uint64(16)
        return np.uint64(self.service << 44) | stamps | self.coded.codes


def transfer_credit_tokens(tokens: TransferCredits, ciphers: TokenCiphers) -> Texts:
    """The digits of N credit tokens, type ``S20``, in their order.

    Raises:
        KeyFormatError: the keys are neither N nor one.
    """
    return encode_bodies(CREDIT_CLASS, tokens.bodies()[np.newaxis], ciphers)[:, 0]
