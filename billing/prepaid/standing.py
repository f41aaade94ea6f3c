"""How a balance stands with its limits.  Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What a prepaid account's balance asks for."""

    OK = "ok"
    WARNED = "warned"
    """Below the warning limit: the customer was told."""
    DISCONNECT_DUE = "disconnect_due"
    """Below the floor: a disconnect follows, unless a rule spares the customer or money comes."""
    HELD = "held"
    """Below the floor, and a disconnect came to nothing: a person decides."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one account, in minor units."""

    warn_minor: int
    floor_minor: int

    def level(self, balance_minor: int) -> Level:
        """What a balance asks for; never `Level.HELD`."""
        if balance_minor < self.floor_minor:
            return Level.DISCONNECT_DUE
        return Level.WARNED if balance_minor < self.warn_minor else Level.OK


_CYCLE_DAYS = {"hourly": 0, "daily": 1, "monthly": 31}


def limits_from_use(floor_minor: int, cycle: str, day_minor: int, warn_days: int) -> Limits:
    """Limits that follow from what an account uses and how often it is settled.

    What is used within one cycle is not settled yet: the floor keeps so much back.  The warning
    comes so many days before the floor.

    Args:
        floor_minor: the agreement's, below which nothing may be owed.
        cycle: of settlement: ``hourly``, ``daily``, ``monthly``.
        day_minor: what a day costs; zero or more.
        warn_days: how many days ahead the warning is to come.
    """
    floor = floor_minor + day_minor * _CYCLE_DAYS[cycle]
    return Limits(floor + day_minor * warn_days, floor)
