"""Who explains an area's loss best, and why: pure, over the days of one area.

Each customer is a hypothesis: "what is lost too much is what this one used and did not pay for,
since day T".  Before T his meter was right and gives his usual level; from T on it counted a part f
of it.  What he takes then is known day by day: what he used by his meter, times (1 - f) / f, or for
one who counts next to nothing his level, moved as his neighbours moved.  How much of the course of
the loss that explains, beyond a constant and what goes with the load, is the evidence that a
holiday, a cold week or a broken meter do not give: these lower what is supplied as well.  A meter
that has been counting a part from before the first day shows no drop; there the loss goes up and
down with his use.  Reports of the meter (cover, magnet, reversed current, voltage without use) are
added.

Scores are points, 100 for a sign at its strongest; they rank, they prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headend.watching.checks.flag import kwh
from headend.watching.checks.tamper import TAMPER_EVENTS

_Series = NDArray[np.float64]
_LEAST_DAYS: Final = 14
_BEFORE_LEAST: Final = 5
"""Days before a change that give a level."""
_AFTER_LEAST: Final = 3
_PART_MOST: Final = 0.85
"""A meter that counts more of the usual than this has not dropped."""
_PART_LEAST: Final = 0.15
"""One that counts less than this gives no course of its own any more."""
_FITS_LEAST: Final = 8
_NOISE: Final = 0.001
"""Of the supplied: what classes of accuracy and rounding do anyway has no course."""
_AROUND: Final = 4
"""Days before and after one that is not known."""
_EVENT_POINTS: Final = 30
_REVERSE_POINTS: Final = 60
_ZERO_POINTS: Final = 30


@dataclass(frozen=True, slots=True)
class Customer:
    """What is known of one customer of the area."""

    point_id: int
    meter: str
    days_wh: Sequence[int | None]
    """Use of each day, None where it is not known."""
    events: Mapping[str, int] = field(default_factory=dict)
    """Kind of tamper event → how many in these days."""
    zero_days: int = 0
    """Days without use up to the last one, under voltage."""
    out_wh: int = 0
    """What its meter counted backwards in these days."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A customer whose meter should be looked at."""

    point_id: int
    meter: str
    score: int
    reasons: tuple[str, ...]
    takes_wh: int
    """What he would take on a day; 0: no saying."""


def rank_suspects(
    supplied_wh: Sequence[int | None],
    customers: Sequence[Customer],
    *,
    limit: int = 10,
) -> list[Suspect]:
    """The customers who explain an area's loss, the likeliest first.

    Args:
        supplied_wh: of each day, None where it is not known.
        customers: of the area, each with as many days.
        limit: so many at most.
    """
    if not customers:
        return []
    used = _filled(np.array([_numbers(each.days_wh) for each in customers]))
    came = np.array(_numbers(supplied_wh))
    good = ~np.isnan(came)
    is_long = int(good.sum()) >= _LEAST_DAYS
    explained = _explained(came[good], used[:, good]) if is_long else [[] for _ in customers]
    found = []
    for customer, signs in zip(customers, explained, strict=True):
        signs = [*signs, *_reported(customer)]
        score = sum(sign.points for sign in signs)
        if score > 0:
            takes = max((sign.takes_wh for sign in signs), default=0)
            reasons = tuple(sign.words for sign in sorted(signs, key=lambda each: -each.points))
            found.append(Suspect(customer.point_id, customer.meter, score, reasons, takes))
    return sorted(found, key=lambda each: (-each.score, each.point_id))[:limit]


@dataclass(frozen=True, slots=True)
class _Sign:
    points: int
    words: str
    takes_wh: int = 0


def _numbers(days: Sequence[int | None]) -> list[float]:
    return [np.nan if wh is None else float(wh) for wh in days]


def _filled(used: _Series) -> _Series:
    """Days that are not known as the days around them, moved as everybody moved."""
    gaps = np.isnan(used)
    if not gaps.any():
        return used
    filled = np.where(gaps, 0.0, used)
    moved = _moved(filled)
    for row, day in zip(*np.nonzero(gaps), strict=True):
        around = slice(max(0, day - _AROUND), day + _AROUND + 1)
        known = ~gaps[row, around]
        if known.any():
            near = (used[row, around] / moved[around])[known]
            filled[row, day] = float(np.median(near)) * moved[day]
    return filled


def _explained(came: _Series, used: _Series) -> list[list[_Sign]]:
    """For each customer the signs that lie in the course of the loss.

    Args:
        came: supplied on each day.
        used: customers x days.
    """
    days = came.size
    basis, _ = np.linalg.qr(np.column_stack([np.ones(days), came]))
    lost = _beyond(basis, came - used.sum(axis=0))
    whole = float(lost @ lost)
    if whole <= days * (_NOISE * float(came.mean())) ** 2:
        return [[] for _ in used]
    moved = _moved(used)
    steady = used / moved
    best = _Best(len(used))
    for begin in range(_BEFORE_LEAST, days - _AFTER_LEAST + 1):
        level = np.median(steady[:, :begin], axis=1)
        part = np.divide(
            np.median(steady[:, begin:], axis=1), level, out=np.ones(len(used)), where=level > 0
        )
        taken = np.zeros_like(used)
        is_part = (part < _PART_MOST) & (part >= _PART_LEAST)
        share = (1 - part[is_part]) / part[is_part]
        taken[is_part, begin:] = used[is_part, begin:] * share[:, None]
        is_none = part < _PART_LEAST
        usual = level[is_none, None] * moved[begin:]
        taken[is_none, begin:] = np.maximum(usual - used[is_none, begin:], 0)
        fits = _fits(lost, whole, _beyond(basis, taken), least=0.5, most=1.5)
        best.keep(fits, begin, part, np.median(taken[:, begin:], axis=1))
    # from before the first day: the share is not known, but a thief's is no small one
    always = _fits(lost, whole, _beyond(basis, used), least=0.2, most=5.0)
    return [_signs(best, place, int(100 * always[place]), days) for place in range(len(used))]


class _Best:
    """The day of change that fits best, for each customer."""

    def __init__(self, count: int) -> None:
        self.fits = np.zeros(count)
        self.begin = np.zeros(count, dtype=np.int64)
        self.part = np.ones(count)
        self.takes = np.zeros(count)

    def keep(self, fits: _Series, begin: int, part: _Series, takes: _Series) -> None:
        better = fits > self.fits
        self.fits[better] = fits[better]
        self.begin[better] = begin
        self.part[better] = part[better]
        self.takes[better] = takes[better]


def _moved(used: _Series) -> _Series:
    """How everybody's use moves, by day: the median of the ratios, which one does not sway."""
    level = np.median(used, axis=1)
    some = level > 0
    if not some.any():
        return np.ones(used.shape[1])
    return np.maximum(np.median(used[some] / level[some, None], axis=0), 0.05)


def _beyond(basis: _Series, course: _Series) -> _Series:
    """What of a course (or of several, one in a row) a constant and the load do not explain."""
    return np.asarray(course - (course @ basis) @ basis.T)


def _fits(lost: _Series, whole: float, taken: _Series, *, least: float, most: float) -> _Series:
    """The part of the loss's course that each row explains, taken times a factor of a range."""
    square = np.einsum("ij,ij->i", taken, taken)
    factor = np.divide(taken @ lost, square, out=np.zeros(len(taken)), where=square > 0)
    is_possible = factor >= least
    factor = np.minimum(factor, most)
    explained = (2 * factor * (taken @ lost) - factor * factor * square) / whole
    return np.where(is_possible, np.maximum(explained, 0), 0)


def _signs(best: _Best, place: int, always: int, days: int) -> list[_Sign]:
    fits = int(100 * best.fits[place])
    if fits >= max(always, _FITS_LEAST):
        takes, part = int(best.takes[place]), int(100 * best.part[place])
        ago = days - int(best.begin[place])
        words = (
            f"its use fell to {part} % of its usual {ago} days ago, and that explains {fits} % of "
            f"the ups and downs of the loss ({kwh(takes)} a day)"
        )
        return [_Sign(fits, words, takes)]
    if always >= _FITS_LEAST:
        return [_Sign(always, f"{always} % of the ups and downs of the loss go with its use")]
    return []


def _reported(customer: Customer) -> list[_Sign]:
    signs = []
    for kind, count in customer.events.items():
        words = TAMPER_EVENTS.get(kind)
        if words is not None and count > 0:
            often = "" if count == 1 else f" {count} times"
            signs.append(_Sign(_EVENT_POINTS, f"the meter says that {words}{often}"))
    if customer.out_wh > 0:
        words = f"the meter counted {kwh(customer.out_wh)} backwards"
        signs.append(_Sign(_REVERSE_POINTS, words))
    if customer.zero_days > 0:
        words = f"no use for {customer.zero_days} days although there is voltage"
        signs.append(_Sign(_ZERO_POINTS, words))
    return signs
