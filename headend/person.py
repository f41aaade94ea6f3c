"""Who acts at the head-end, and what they may do.  Pure values.

Whoever puts the rooms together (`commands`) says which rights the utility's roles have here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Right(StrEnum):
    """One thing that may be done; acts of the head-end name the one that they need."""

    LOOK = "look"
    """See meters, readings, alarms, orders."""
    REGISTER = "register"
    """Links, meters, places; replacement; import."""
    READ = "read"
    """Read meters now; plan readings."""
    COMMAND = "command"
    """Orders that change a meter: relay, token, clock, parameters."""
    APPROVE = "approve"
    """Be the second person of an order that needs two."""
    PROTECT = "protect"
    """Keep-power orders, holidays, disconnect windows, emergency stops."""
    ALARMS = "alarms"
    """Acknowledge and close alarms."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts; the name stands on orders and audit lines."""

    name: str
    rights: frozenset[Right] = frozenset(Right)
    where: str = ""
    """From where: a host, a terminal."""

    def may(self, right: Right) -> bool:
        """Whether they may do this."""
        return right in self.rights


NOBODY: Final = Person("")
"""Who acts where nobody has signed in: a box under a desk, a demonstration."""
SERVICE: Final = Person("meterhouse")
"""The head-end itself: schedules, workflows."""
