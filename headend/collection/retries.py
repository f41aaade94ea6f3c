"""When a meter is asked again, and how urgent that is.  Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from headend.work.port import Urgency

_DOUBLINGS_MAX: Final = 16


def next_try(now: datetime, attempts: int, first_min: int, max_min: int) -> datetime:
    """The moment of the next attempt: pauses double up to a limit.

    Args:
        now: when the last attempt ended.
        attempts: how many there were, 1 or more.
        first_min: the first pause.
        max_min: the longest.
    """
    doublings = min(max(attempts, 1) - 1, _DOUBLINGS_MAX)
    return now + timedelta(minutes=min(first_min * 2**doublings, max_min))


def urgency_of(planned: Urgency, attempt: int) -> Urgency:
    """How urgent a link's share of a round is at its n-th attempt, counted from 0.

    The second goes before other rounds, since a lost answer is mostly chance; what still fails
    then goes behind them.  What a person waits for stays before routine; what never was urgent
    does not become so.
    """
    if attempt == 0 or planned >= Urgency.RETRY_LATE:
        return planned
    if attempt == 1 or planned < Urgency.RETRY_SOON:
        return Urgency.RETRY_SOON
    return Urgency.RETRY_LATE
