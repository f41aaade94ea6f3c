"""An instalment plan and its parts, as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from billing.collecting.requests import ASKED, Requests
from billing.collecting.tables import instalment_plans, instalments
from billing.ledger.books import BETWEEN
from billing.ledger.entry import Entry, EntryKind, Purse


class PlanState(StrEnum):
    """Where a plan stands."""

    ASKED = ASKED
    """It waits for a second person; nothing was moved."""
    ACTIVE = "active"
    KEPT = "kept"
    BROKEN = "broken"
    ENDED = "ended"
    """With the account, which was closed; nobody has broken it."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Instalment:
    """A part of a plan."""

    number: int
    amount_minor: int
    call_at: datetime
    due_at: datetime
    called_at: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """An instalment plan."""

    plan_id: int
    account_id: int
    state: PlanState
    amount_minor: int
    reason: str
    two_because: str | None
    """Why it takes a second person; None: it does not."""
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    agreed_at: datetime | None
    ended_at: datetime | None
    parts: tuple[Instalment, ...]

    @property
    def number(self) -> int:
        """Its own."""
        return self.plan_id

    @property
    def detail(self) -> str:
        """What the audit trail says of it."""
        return f"{len(self.parts)} parts of {self.amount_minor} in all"

    @property
    def left_minor(self) -> int:
        """What has not come back yet."""
        return sum(each.amount_minor for each in self.parts if each.called_at is None)


def source_of(plan_id: int, number: int | None) -> str:
    """What the entries of a part name as their source; None: of the whole plan."""
    return f"plan {plan_id}" if number is None else f"instalment {plan_id}-{number}"


def back(
    plan: Plan, amount_minor: int, due_at: datetime, words: str, number: int | None
) -> list[Entry]:
    """What comes back to the current purse: the two entries.

    Args:
        plan: of which.
        amount_minor: how much.
        due_at: until when it is to be paid.
        words: what it is.
        number: of the part; None: of several.
    """
    source = source_of(plan.plan_id, number)
    account_id, kind = plan.account_id, EntryKind.PLAN
    return [
        Entry(account_id, kind, amount_minor, BETWEEN, source, words, Purse.PLAN),
        Entry(account_id, kind, -amount_minor, BETWEEN, source, words, Purse.CURRENT, due_at),
    ]


def running_plan(connection: Connection, account_id: int) -> int | None:
    """The number of an account's plan that is asked for or active; there is one at most."""
    return connection.scalar(
        select(instalment_plans.c.plan_id).where(
            instalment_plans.c.account_id == account_id,
            instalment_plans.c.state.in_([PlanState.ASKED.value, PlanState.ACTIVE.value]),
        )
    )


def plans_in(connection: Connection, rows: Sequence[Row[Any]]) -> list[Plan]:
    """Rows of plans, with their parts."""
    parts: dict[int, list[Instalment]] = {}
    found = connection.execute(
        select(instalments)
        .where(instalments.c.plan_id.in_([row.plan_id for row in rows]))
        .order_by(instalments.c.plan_id, instalments.c.number)
    )
    for row in found:
        each = Instalment(row.number, row.amount_minor, row.call_at, row.due_at, row.called_at)
        parts.setdefault(row.plan_id, []).append(each)
    return [
        Plan(**{**row._mapping, "state": PlanState(row.state)}, parts=tuple(parts[row.plan_id]))
        for row in rows
    ]


PLANS: Final[Requests[Plan]] = Requests(
    name="plan", action="plan", done="paid in parts", table=instalment_plans, read=plans_in
)
