"""Many meters: `MeterPans` (IEC 62055-41, clause 6.1).

A MeterPAN's 18 digits are kept as one number.  Both forms live in one array, because a number
says its own form: ``600727`` + 11 digits + check digit is 600,727 × 10**12 or more, ``0000`` +
13 digits + check digit is below 10**14.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self, overload

import numpy as np
from numpy.typing import NDArray

from vending.sts.batch.arrays import CHUNK, Texts, Words, frozen, require_range_all
from vending.sts.batch.digits import ascii_20, luhn_sums
from vending.sts.errors import CheckDigitError, InvalidValueError
from vending.sts.identity import MeterPan, make_drn

_PAN_DIGITS: Final = 18
_IIN_11: Final = 600_727
_IAIN_11_SPAN: Final = 10**11
_IAIN_13_SPAN: Final = 10**13
_SERIALS: Final = 10**8


class MeterPans:
    """The primary account numbers of N meters, checked and read-only.

    Args:
        numbers: the 18 digits of each as a number.

    Raises:
        InvalidValueError: a number is not of either form; names its index.
        CheckDigitError: a check digit (of the whole or of the DRN) does not fit; names its
            index.
    """

    __slots__ = ("numbers",)

    numbers: Words

    def __init__(self, numbers: object) -> None:
        words = require_range_all("MeterPAN", numbers, 0, 10**_PAN_DIGITS - 1)
        _require_check_digits("MeterPAN", words, words)
        _require_form(words)
        _require_check_digits("Meter number in MeterPAN", _drns(words), words)
        self.numbers = frozen(words)

    @classmethod
    def of(cls, pans: Iterable[MeterPan]) -> Self:
        """Many of one."""
        return cls._right(np.array([int(str(pan)) for pan in pans], np.uint64))

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Read texts of exactly 18 digits.

        Raises:
            InvalidValueError, CheckDigitError: as for the class; both name the index.
        """
        for index, text in enumerate(texts):
            if len(text) != _PAN_DIGITS or not (text.isascii() and text.isdigit()):
                raise InvalidValueError(
                    f"MeterPAN at index {index} needs exactly {_PAN_DIGITS} digits, not {text!r}."
                )
        return cls(np.array([int(text) for text in texts], np.uint64))

    @classmethod
    def from_serials(cls, manufacturer: str, serials: object) -> Self:
        """A manufacturer's meters by serial number; both check digits are computed.

        Args:
            manufacturer: its code, 2 digits (11-digit form) or 4 (13-digit form).
            serials: N serial numbers below 10**8.

        Raises:
            InvalidValueError: a manufacturer code or (by index) a serial out of range.
        """
        make_drn(manufacturer, "0" * 8)  # refuses a wrong manufacturer code
        bodies = require_range_all("Serial number", serials, 0, _SERIALS - 1)
        bodies += int(manufacturer) * _SERIALS
        drns = _with_check_digit(bodies)
        if len(manufacturer) == 2:
            drns += _IIN_11 * _IAIN_11_SPAN
        return cls._right(_with_check_digit(drns))

    @classmethod
    def _right(cls, numbers: Words) -> Self:
        """Numbers that are right already."""
        pans = cls.__new__(cls)
        pans.numbers = frozen(numbers)
        return pans

    def texts(self) -> Texts:
        """The 18 digits of each: N texts of type ``S18``."""
        twenty = ascii_20(self.numbers)
        characters = twenty.view(np.uint8).reshape(len(twenty), 20)
        return np.ascontiguousarray(characters[:, 2:]).view("S18")[:, 0]

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> MeterPan: ...
    @overload
    def __getitem__(self, place: slice) -> MeterPans: ...
    def __getitem__(self, place: int | slice) -> MeterPan | MeterPans:
        if isinstance(place, slice):
            return type(self)._right(self.numbers[place])
        return MeterPan.parse(f"{self.numbers[place]:018d}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MeterPans) and np.array_equal(self.numbers, other.numbers)

    def __hash__(self) -> int:
        return hash(self.numbers.tobytes())

    def __repr__(self) -> str:
        return f"MeterPans({len(self)} meters)"


def serial_range(
    manufacturer: str, first: int, count: int, *, chunk: int = CHUNK
) -> Iterator[MeterPans]:
    """The meters with ``count`` serial numbers from ``first`` on, a chunk at a time.

    Raises:
        InvalidValueError: the range leaves the 8 digits of a serial number.
    """
    for start in range(first, first + count, chunk):
        stop = min(start + chunk, first + count)
        yield MeterPans.from_serials(manufacturer, np.arange(start, stop))


def _require_form(numbers: Words) -> None:
    long_form = numbers < 10 * _IAIN_13_SPAN
    short_form = numbers // (10 * _IAIN_11_SPAN) == _IIN_11
    _refuse(
        ~(long_form | short_form),
        numbers,
        "MeterPAN at index {index} starts neither with 600727 nor with 0000: {pan:018d}.",
        InvalidValueError,
    )


def _require_check_digits(what: str, numbers: Words, pans: Words) -> None:
    _refuse(
        luhn_sums(numbers) % 10 != 0,
        pans,
        what + " at index {index} was mistyped: a check digit does not fit in {pan:018d}.",
        CheckDigitError,
    )


def _refuse(
    wrong: NDArray[np.bool_],
    pans: Words,
    message: str,
    error: type[InvalidValueError] | type[CheckDigitError],
) -> None:
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise error(message.format(index=index, pan=int(pans[index])))


def _drns(numbers: Words) -> Words:
    """The 11 or 13 digits; in the 13-digit form the IIN is zeros and falls away by itself."""
    bodies = numbers // 10
    is_short = bodies // _IAIN_11_SPAN == _IIN_11
    return np.where(is_short, bodies % _IAIN_11_SPAN, bodies)


def _with_check_digit(bodies: Words) -> Words:
    numbers = bodies * 10
    digits = -luhn_sums(numbers).view(np.int64) % 10
    return numbers + digits.view(np.uint64)
