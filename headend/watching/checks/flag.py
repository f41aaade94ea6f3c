"""What a check says when it finds something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Flag:
    """Something odd about a meter's values."""

    check: str
    """Which check."""
    reason: str
    """In words, for the clerk who decides."""
    figures: Mapping[str, int] = field(default_factory=dict)
    """What it was judged by."""
    cause: str = ""
    """For the monthly summary; empty: the check's name."""
    holds: bool = True
    """Whether nothing is billed before a person has decided."""


def kwh(wh: int) -> str:
    """An energy in words: 12.34 kWh; exact to 10 Wh."""
    tens = (abs(wh) + 5) // 10
    sign = "-" if wh < 0 and tens else ""
    return f"{sign}{tens // 100:,}.{tens % 100:02d} kWh"
