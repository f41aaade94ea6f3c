"""The adjustment by power factor (力率调整), as percent of a month's charges.

Source: 功率因数调整电费办法 of the ministry of water resources and electric power and the state
price bureau (水电财字 [1983] 215), with tables for the standards 0.90, 0.85 and 0.80.  The power
factor is that of the month's active and reactive energy, rounded to hundredths, halves up.

The tables follow from a few lines:

* below the standard, each hundredth adds 0.5 % for the first 20, 1 % for the next 5, then 2 %:
  0.70 at the standard 0.90 adds 10 %, 0.65 adds 15 %, 0.64 adds 17 %;
* above it, each hundredth takes off 0.1 % up to 0.90 and 0.15 % from there, until 0.95 (standard
  0.90), 0.94 (0.85) and 0.92 (0.80): at most 0.75 %, 1.10 % and 1.30 %.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

STANDARDS: Final = {90: 95, 85: 94, 80: 92}
"""Standard → the power factor above which nothing more is taken off; hundredths."""
_ROOF: Final = 90


def power_factor(active_wh: int, reactive_varh: int) -> int | None:
    """The power factor in hundredths, halves up; None when nothing was used.

    P / sqrt(P^2 + Q^2) in whole numbers: h is right when 2h - 1 <= 200 P / S < 2h + 1.
    """
    if not active_wh and not reactive_varh:
        return None
    half_hundredths = isqrt(40_000 * active_wh**2 // (active_wh**2 + reactive_varh**2))
    return (half_hundredths + 1) // 2


def adjustment_bp(standard: int, hundredths: int) -> int:
    """Percent of the charges in hundredths: above zero is added, below zero taken off.

    Args:
        standard: 90, 85 or 80.
        hundredths: the power factor of the month, 0-100.
    """
    if hundredths < standard:
        below = standard - hundredths
        return 50 * min(below, 20) + 100 * min(max(below - 20, 0), 5) + 200 * max(below - 25, 0)
    reached = min(hundredths, STANDARDS[standard])
    to_roof = max(0, min(reached, _ROOF) - standard)
    return -(10 * to_roof + 15 * max(0, reached - max(standard, _ROOF)))
