"""Arrays of many meters: their types, their checks, how they are cut.

Each check looks at the whole array at once and names the first element that is wrong, so that
an operator finds the line in the campaign's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vending.sts.errors import InvalidValueError

Words: TypeAlias = NDArray[np.uint64]
"""Numbers of up to 64 bits: blocks, key halves, meter numbers."""
Integers: TypeAlias = NDArray[np.integer[Any]]
"""Whole numbers of any width, as a caller has them."""
Texts: TypeAlias = NDArray[np.bytes_]
"""ASCII texts of one length, such as 20 digits (``S20``)."""

CHUNK: Final = 65_536
"""How many meters are worked on at a time.

Enough that numpy's cost per call (about a microsecond) is small against its work, few enough
that what a chunk needs stays in the processor's cache; half or twice as many are about as fast.
"""


def slices(length: int, size: int = CHUNK) -> Iterator[slice]:
    """Cut ``range(length)`` into slices of at most ``size``."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def require_integers(what: str, numbers: object) -> Integers:
    """Take an array (or a list) of whole numbers.

    Raises:
        InvalidValueError: not one-dimensional, or not of an integer type.  Numbers that do not
            fit 64 bits, fractions and truth values are such types.
    """
    array = np.asarray(numbers)
    if array.ndim != 1:
        raise InvalidValueError(f"{what} must be a one-dimensional array, not {array.ndim}.")
    if array.size == 0:
        return np.zeros(0, np.uint64)
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidValueError(f"{what} must be whole numbers, not {array.dtype.name}.")
    return array


def require_range_all(what: str, numbers: object, low: int, high: int) -> Words:
    """Take whole numbers that all lie in ``low..high`` (both at least 0).

    Raises:
        InvalidValueError: names the first index that is out of range.
    """
    array = require_integers(what, numbers)
    if array.size and (array.min() < low or array.max() > high):
        index = int(np.flatnonzero((array < low) | (array > high))[0])
        raise InvalidValueError(
            f"{what} at index {index} is out of range: {array[index]}; it must be {low}-{high}."
        )
    return array.astype(np.uint64)


def require_length(what: str, length: int, wanted: int) -> None:
    """Refuse an array that does not go with the others."""
    if length != wanted:
        raise InvalidValueError(f"{what} has {length} elements; the others have {wanted}.")


def frozen(array: Words) -> Words:
    """The same array, read-only from now on."""
    array.setflags(write=False)
    return array
