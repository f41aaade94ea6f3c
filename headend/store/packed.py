"""A day's values as an array.  Pure.

One day of UTC, one quantity, one interval length: the value of slot ``n`` is of the interval that
begins ``n × interval_min`` minutes after midnight.  Kept are the values as 32-bit integers,
little-endian, and beside them a byte of `Quality` each; where all are good there are no bytes of
quality.  A slot without a value holds 0 and the quality MISSING.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headend.values import Quality

DAY_MIN: Final = 1440
INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Values = NDArray[np.int32]
Qualities = NDArray[np.uint8]
Flags = NDArray[np.bool_]


def day_of(moment: datetime) -> int:
    """The day of UTC that a moment lies in, counted from 1970-01-01."""
    return (moment - EPOCH).days


def start_of(day: int) -> datetime:
    """The first moment of a day."""
    return EPOCH + timedelta(days=day)


def slots_of(interval_min: int) -> int:
    """How many intervals a day has."""
    return DAY_MIN // interval_min


def empty(count: int, interval_min: int) -> tuple[Values, Qualities]:
    """So many days without a value: two arrays of (days, slots)."""
    shape = (count, slots_of(interval_min))
    return np.zeros(shape, np.int32), np.full(shape, Quality.MISSING, np.uint8)


def pack(values: Values, qualities: Qualities) -> tuple[bytes, bytes]:
    """One day as it is kept: the values' bytes, and the qualities' (empty when all are good)."""
    return (
        values.astype("<i4", copy=False).tobytes(),
        qualities.tobytes() if qualities.any() else b"",
    )


def unpack(packed: bytes, qualities: bytes) -> tuple[Values, Qualities]:
    """What `pack` has made; the arrays may be written to."""
    values = np.frombuffer(packed, "<i4").astype(np.int32)
    if qualities:
        return values, np.frombuffer(qualities, np.uint8).copy()
    return values, np.zeros(len(values), np.uint8)


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of values that were put into days."""

    taken: Flags
    """Where the new value was taken: there was none, or only an estimate."""
    differing: Flags
    """Where there is another one, which stays."""
    superseded: Flags
    """Where one of the two was an estimate: it gave way, or did not come in."""


def merge(values: Values, qualities: Qualities, new: Values, new_qualities: Qualities) -> Merged:
    """Put values into days, in place.

    A value that is there stays, whatever comes later; an estimate gives way to what was
    measured.  So the order in which values arrive makes no difference, unless two measured ones
    contradict each other; then the first stays and the other is told of.

    Args:
        values: of the days; written to.
        qualities: of the days; written to.
        new: what comes, of the same shape.
        new_qualities: MISSING where nothing comes.
    """
    comes = new_qualities != Quality.MISSING
    is_there = qualities != Quality.MISSING
    was_estimate = is_there & (qualities == Quality.ESTIMATED)
    is_estimate = comes & (new_qualities == Quality.ESTIMATED)
    gives_way = comes & was_estimate & ~is_estimate
    taken = (comes & ~is_there) | gives_way
    other = (new != values) | (new_qualities != qualities)
    stays_out = comes & is_there & is_estimate & ~was_estimate
    differing = comes & is_there & other & ~gives_way & ~stays_out
    np.copyto(values, new, where=taken)
    np.copyto(qualities, new_qualities, where=taken)
    return Merged(taken, differing, gives_way | stays_out)
