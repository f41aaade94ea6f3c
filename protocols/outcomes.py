"""How an order to a meter ended: done, failed or unknown, and nothing in between."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """How an order ended."""

    DONE = "done"
    """The meter has done it, and that was read back where it can be."""
    FAILED = "failed"
    """It was not done: nothing was sent, the meter refused, or its state shows it."""
    UNKNOWN = "unknown"
    """Nobody can tell: the answer was lost and the state says nothing either way."""
