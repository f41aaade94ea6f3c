"""Who acts at the office, and what they may do (specs/utility.md 29).  Pure values.

Whoever puts the rooms together (`commands`) says which rights the utility's roles have here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Right(StrEnum):
    """One thing that may be done; acts of the office name the one that they need."""

    LOOK = "look"
    """See accounts, bills, payments; personal fields masked."""
    PERSONAL = "personal"
    """See personal fields in full."""
    SERVE = "serve"
    """Serve customers: open accounts, ask for changes, take payments at the counter."""
    SETTLE = "settle"
    """Run settlements, review what is held, correct."""
    TARIFFS = "tariffs"
    """Tariffs, fees, terms."""
    BILL = "bill"
    """Make, send and withdraw bills."""
    COLLECT = "collect"
    """Collection steps, instalment plans, deferrals."""
    APPROVE = "approve"
    """Be the second person of an act that needs two."""
    EMERGENCY = "emergency"
    """Suspend disconnects, give emergency credit."""
    CONFIGURE = "configure"
    """Channels, notice templates, rules of warning and collection."""
    REPORT = "report"
    """Figures and exports."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts; the name stands on entries and audit lines."""

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
"""The office itself: settlements, sweeps."""
