"""No use although there is voltage: nobody at home, or a meter that no longer measures."""

from __future__ import annotations

from collections.abc import Sequence

from headend.watching.checks.flag import Flag
from headend.watching.thresholds import Limits


def zero_run(days_wh: Sequence[int | None], zero_wh: int) -> int:
    """How many of the last days were without use, the newest last; an unknown one ends it."""
    count = 0
    for wh in reversed(days_wh):
        if wh is None or wh > zero_wh:
            break
        count += 1
    return count


def zero_use(days_wh: Sequence[int | None], voltage_mv: int | None, limits: Limits) -> Flag | None:
    """Judge a run of days.

    Args:
        days_wh: use of each day, the newest last; None: unknown.
        voltage_mv: the newest voltage that is known.
        limits: ``zero_use_days``, ``zero_use_wh``, ``voltage_present_mv``.
    """
    if voltage_mv is None or voltage_mv < limits["voltage_present_mv"]:
        return None
    run = zero_run(days_wh, limits["zero_use_wh"])
    if run < limits["zero_use_days"]:
        return None
    return Flag(
        "zero_use",
        f"No use for {run} days, and {voltage_mv // 1000} V at the meter. Is the house empty, or "
        "is the meter bypassed or broken? Look at it.",
        {"days": run, "voltage_mv": voltage_mv},
        holds=False,
    )
