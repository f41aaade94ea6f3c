"""How long one waits with whom (specs/utility.md 22): good payers, small sums, the first time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from billing.office import Office
from billing.prepaid.cuts import CutState
from billing.prepaid.policy import PrepaidPolicy
from billing.prepaid.tables import supply_cut_moves, supply_cuts

GoodPayer = Callable[[Connection, Office, int], bool]
"""Whether an account pays well, as somebody else knows it: collections by its score."""


def nobody(_connection: Connection, _office: Office, _account_id: int) -> bool:
    """Nobody is known to pay well."""
    return False


@dataclass(frozen=True, slots=True)
class Grace:
    """How long an account is spared from when it fell short, and why."""

    hours: int
    why: str
    """For a person; empty: it is not spared."""


NONE: Final = Grace(0, "")


def grace_of(policy: PrepaidPolicy, *, short_minor: int, is_first: bool, is_good: bool) -> Grace:
    """The longest that applies.

    Args:
        policy: the numbers.
        short_minor: by how much the balance is below the floor.
        is_first: it was not cut of late.
        is_good: it pays well.
    """
    chosen = NONE
    for applies, hours, why in (
        (is_first, policy.first_grace_h, "it is the first time"),
        (short_minor <= policy.small_minor, policy.small_grace_h, "the sum is small"),
        (is_good, policy.good_grace_h, "the customer pays well"),
    ):
        if applies and hours > chosen.hours:
            chosen = Grace(hours, why)
    return chosen


def is_first_time(connection: Connection, account_id: int, within_days: int, now: datetime) -> bool:
    """Whether an account was not dark by the office's doing for so many days."""
    found = connection.scalar(
        select(supply_cuts.c.cut_id)
        .join(supply_cut_moves, supply_cut_moves.c.cut_id == supply_cuts.c.cut_id)
        .where(
            supply_cuts.c.account_id == account_id,
            supply_cut_moves.c.state == CutState.DARK.value,
            supply_cut_moves.c.at > now - timedelta(days=within_days),
        )
        .limit(1)
    )
    return found is None
