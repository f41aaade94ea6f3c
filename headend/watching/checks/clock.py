"""A clock that has gone off: tariffs, days and freezes of that meter are wrong by as much."""

from __future__ import annotations

from headend.watching.checks.flag import Flag
from headend.watching.thresholds import Limits

_DAY_S = 86_400


def clock_drift(offset_s: int, limits: Limits) -> Flag | None:
    """Judge a meter's clock.

    Args:
        offset_s: the meter's time less the true time.
        limits: ``clock_drift_s``.
    """
    if abs(offset_s) <= limits["clock_drift_s"]:
        return None
    way = "fast" if offset_s > 0 else "slow"
    step = "one step" if abs(offset_s) < _DAY_S else "by hand: it is off by more than a day"
    return Flag(
        "clock_drift",
        f"The clock is {_span(abs(offset_s))} {way}; set it ({step}) and look at tariff and day "
        "registers since it was right.",
        {"offset_s": offset_s, "limit_s": limits["clock_drift_s"]},
        holds=False,
    )


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3_600:
        return f"{seconds // 60} min"
    return f"{seconds // 3_600} h" if seconds < 2 * _DAY_S else f"{seconds // _DAY_S} days"
