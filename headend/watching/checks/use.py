"""Use out of line with the customer's usual: ±30 % of comparable weeks (the utility's limit).

The usual is the median of the customer's own last weeks, moved as the neighbours' use has moved
meanwhile (the season, a cold week).  Where the same weeks of a year ago are known, use that is
usual for them is not odd either.  Without enough history nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headend.watching.checks.flag import Flag, kwh
from headend.watching.thresholds import Limits

WHOLE: Final = 1_000
"""A factor of one, in thousandths."""


def median(values: Sequence[int]) -> int:
    """The middle one; of two middle ones the mean, rounded down.  There is at least one."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


def season_of(now: Sequence[int], before: Sequence[int]) -> int:
    """How the neighbours' use has moved, in thousandths.

    Args:
        now: each neighbour's use of this week.
        before: each one's usual of the weeks before, in the same order.

    It is the median of their ratios, which one large customer does not sway; with fewer than five
    neighbours that use anything there is no saying.
    """
    ratios = [WHOLE * one // other for one, other in zip(now, before, strict=True) if other > 0]
    return median(ratios) if len(ratios) >= 5 else WHOLE


def use_swing(
    week_wh: int,
    before_wh: Sequence[int],
    limits: Limits,
    *,
    season_pm: int = WHOLE,
    year_ago_wh: Sequence[int] = (),
) -> Flag | None:
    """Judge a week's use.

    Args:
        week_wh: what was used.
        before_wh: the comparable weeks before that are known.
        limits: ``use_swing_percent``, ``use_history_least``, ``use_floor_wh``.
        season_pm: see `season_of`.
        year_ago_wh: the same weeks of a year ago that are known.
    """
    if len(before_wh) < limits["use_history_least"]:
        return None
    usual = median(before_wh) * season_pm // WHOLE
    swing = limits["use_swing_percent"]
    if not _is_odd(week_wh, usual, swing) or abs(week_wh - usual) <= limits["use_floor_wh"]:
        return None
    if len(year_ago_wh) >= 2 and not _is_odd(week_wh, median(year_ago_wh), swing):
        return None
    way = "above" if week_wh > usual else "below"
    much = f"{100 * abs(week_wh - usual) // usual} % {way}" if usual else "nothing before"
    season = "" if season_pm == WHOLE else f", moved by the neighbours' {season_pm // 10} %"
    return Flag(
        "use_swing",
        f"{kwh(week_wh)} in the week, usual is {kwh(usual)} (median of {len(before_wh)} weeks"
        f"{season}): {much}. Ask the customer, or look at the meter, before it is billed.",
        {"week_wh": week_wh, "usual_wh": usual, "season_pm": season_pm, "weeks": len(before_wh)},
        cause="use_above" if week_wh > usual else "use_below",
    )


def _is_odd(use: int, usual: int, percent: int) -> bool:
    return 100 * abs(use - usual) > percent * usual
