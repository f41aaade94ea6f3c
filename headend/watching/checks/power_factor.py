"""Reactive energy out of line: the power factor charge (力率调整) would be, too."""

from __future__ import annotations

from math import isqrt

from headend.watching.checks.flag import Flag, kwh
from headend.watching.thresholds import Limits


def power_factor_pm(active_wh: int, reactive_varh: int) -> int:
    """The mean power factor of a span, in thousandths, rounded down.

    Args:
        active_wh: above zero.
        reactive_varh: of the same span, either way.
    """
    scaled = 1_000_000 * active_wh * active_wh
    return isqrt(scaled // (active_wh * active_wh + reactive_varh * reactive_varh))


def power_factor(active_wh: int, reactive_varh: int, limits: Limits) -> Flag | None:
    """Judge a month.

    Args:
        active_wh: what was used.
        reactive_varh: reactive energy of the same span.
        limits: ``power_factor_least``, ``power_factor_use_wh``.
    """
    if active_wh < max(1, limits["power_factor_use_wh"]):
        return None
    factor = power_factor_pm(active_wh, reactive_varh)
    if factor >= limits["power_factor_least"]:
        return None
    return Flag(
        "power_factor",
        f"The power factor was {factor / 1000:.3f} ({kwh(active_wh)}, "
        f"{abs(reactive_varh) // 1000:,} kvarh); below {limits['power_factor_least'] / 1000:.2f} "
        "the charge is out of line. Is the compensation off, or a phase of the meter reversed?",
        {"active_wh": active_wh, "reactive_varh": reactive_varh, "power_factor_pm": factor},
    )
