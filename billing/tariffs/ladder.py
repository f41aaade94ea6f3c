"""Energy in steps: which part of a usage lies in which block.

What was used before in the month or year fills the first blocks; a usage continues from there.
So a period costs the same however it is cut: each part is the difference of the same ladder at its
end and at its beginning.

A ladder is cut when only a part of its period is supplied (`Prorate`).  What cuts the beginning is
known to every settlement of the period.  What cuts the end is known to the last one only, which
therefore also moves what was settled before to where it lies on the cut ladder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from billing.tariffs.faults import UsageRefusedError
from billing.tariffs.periods import Days, Share, first_of, next_of, share_of
from billing.tariffs.tariff import OnChange, Period, Prorate
from billing.tariffs.values import Usage

Bounds = Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where a usage lies in its period."""

    before_wh: int
    share: Share
    """Of the limits, for this usage."""
    share_before: Share
    """Of the limits, for what was settled before."""


def ladder_of(
    period: Period,
    prorate: Prorate,
    on_change: OnChange,
    version_since: datetime,
    usage: Usage,
    days: Days,
    zone: tzinfo,
) -> Ladder:
    """Where a usage, which lies within one month or year, lies there.

    Raises:
        UsageRefusedError: it is not said what was used before.
    """
    begin, after = first_of(period, days.first), next_of(period, days.first)
    before = usage.before_wh.get(period.value)
    if before is None:
        before = _nothing_before(period, usage, days, begin)
    split = on_change is OnChange.SPLIT
    starts = [begin]
    if usage.supply_since is not None:
        starts.append(usage.supply_since.astimezone(zone).date())
    if split:
        starts.append(version_since.astimezone(zone).date())
    first = min(max(starts), days.first)
    ends = usage.supply_ends or (split and usage.version_ends)
    whole = share_of(period, prorate, first, after)
    cut = share_of(period, prorate, first, days.end) if ends else whole
    return Ladder(before, cut, whole)


def _nothing_before(period: Period, usage: Usage, days: Days, begin: date) -> int:
    since = usage.supply_since
    if days.first == begin or (since is not None and since >= usage.since):
        return 0
    raise UsageRefusedError(
        f"The tariff has steps by the {period.value}: the usage has to say what was used before "
        f"it in the {period.value} (before_wh['{period.value}'])."
    )


def in_blocks(bounds: Bounds, share: Share, begin_wh: int, end_wh: int) -> list[int]:
    """How much of the energy between two places of a ladder lies in each block, in Wh."""
    parts = []
    low = 0
    for bound in bounds:
        high = end_wh if bound is None else share.limit(bound)
        parts.append(max(0, min(end_wh, high) - max(begin_wh, low)))
        low = high
    return parts


def moved(bounds: Bounds, ladder: Ladder) -> list[int]:
    """What earlier use of the period gains (or loses) in each block because the end is cut."""
    if ladder.share == ladder.share_before or not ladder.before_wh:
        return []
    now = in_blocks(bounds, ladder.share, 0, ladder.before_wh)
    was = in_blocks(bounds, ladder.share_before, 0, ladder.before_wh)
    return [a - b for a, b in zip(now, was, strict=True)]


def apportion(wh: int, remaining: dict[str, int]) -> dict[str, int]:
    """Take energy of a block from registers in proportion to what is left in them.

    Whole Wh, the largest remainders first; ``remaining`` is lowered by what is taken.
    """
    left = sum(remaining.values())
    if not left:
        return dict.fromkeys(remaining, 0)
    taken = {code: wh * of // left for code, of in remaining.items()}
    short = wh - sum(taken.values())
    for code in sorted(remaining, key=lambda code: -(wh * remaining[code] % left))[:short]:
        taken[code] += 1
    for code, part in taken.items():
        remaining[code] -= part
    return taken
