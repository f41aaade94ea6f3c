"""Collection cases and what was done in them.

An account has one case at a time.  Whoever changes a case has locked its account (`ledger.posting.
lock`), as whoever posts to it has: a payment and a step wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from billing.accounts.tables import customer_accounts
from billing.collecting.faults import UnknownCaseError
from billing.collecting.tables import collection_acts, collection_cases
from billing.notices.fates import withdraw_notices
from billing.office import Office


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    """Steps are taken."""
    PAUSED = "paused"
    """Something was agreed on: an instalment plan, a later due date."""
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a case ended."""

    PAID = "paid"
    PLAN_KEPT = "plan_kept"
    WRITTEN_OFF = "written_off"
    DROPPED = "dropped"
    """By a person, for a reason."""


class ActKind(StrEnum):
    """What was done in a case."""

    OPENED = "opened"
    STEP = "step"
    HELD = "held"
    PART_PAID = "part_paid"
    PAUSED = "paused"
    RESUMED = "resumed"
    RECONNECT = "reconnect"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Case:
    """A debt that is being collected."""

    case_id: int
    account_id: int
    number: str
    """The account's."""
    customer_class: str
    mode: str
    state: CaseState
    opened_at: datetime
    due_since: datetime
    debt_class: str
    steps_done: int
    last_step: str | None
    last_step_at: datetime | None
    next_at: datetime | None
    announced_at: datetime | None
    disconnect_asked_at: datetime | None
    held_because: str | None
    closed_at: datetime | None
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done in a case."""

    seq: int
    at: datetime
    act: ActKind
    step: str | None
    step_no: int | None
    words: str
    overdue_minor: int
    days: int
    paid_minor: int
    actor: str


@dataclass(frozen=True, slots=True)
class Debt:
    """What is overdue at the moment of an act."""

    overdue_minor: int
    days: int


NO_DEBT = Debt(0, 0)


def select_cases() -> Select[Any]:
    """Cases with what is asked of their accounts."""
    own = [each for each in collection_cases.c if each is not collection_cases.c.debt_class]
    return select(
        *own,
        collection_cases.c.debt_class.label("debt_class"),
        customer_accounts.c.number,
        customer_accounts.c.customer_class.label("customer_class"),
        customer_accounts.c.mode,
    ).join(customer_accounts, customer_accounts.c.account_id == collection_cases.c.account_id)


def case_of(row: Any) -> Case:
    """A case from its row."""
    found = dict(row._mapping)
    found["state"] = CaseState(found["state"])
    found["outcome"] = None if found["outcome"] is None else Outcome(found["outcome"])
    return Case(**found)


def find_case(connection: Connection, case_id: int) -> Case:
    """A case by its number.

    Raises:
        UnknownCaseError: there is none.
    """
    row = connection.execute(
        select_cases().where(collection_cases.c.case_id == case_id)
    ).one_or_none()
    if row is None:
        raise UnknownCaseError(
            f"There is no collection case {case_id}. `meterhouse collect cases` shows them."
        )
    return case_of(row)


def running_cases(connection: Connection, account_ids: Sequence[int]) -> dict[int, Case]:
    """The cases of accounts that are not closed, by account."""
    rows = connection.execute(
        select_cases().where(
            collection_cases.c.account_id.in_(account_ids),
            collection_cases.c.state != CaseState.CLOSED.value,
        )
    )
    return {row.account_id: case_of(row) for row in rows}


def acts_of(connection: Connection, case_id: int) -> list[Act]:
    """What was done in a case, in order."""
    there = collection_acts.c
    rows = connection.execute(
        select(*(each for each in there if each is not there.case_id))
        .where(there.case_id == case_id)
        .order_by(there.seq)
    )
    return [Act(**{**row._mapping, "act": ActKind(row.act)}) for row in rows]


def open_case(
    connection: Connection,
    office: Office,
    account_id: int,
    *,
    due_since: datetime,
    debt_class: str,
    debt: Debt,
    next_at: datetime,
) -> int:
    """Begin a case; the account is locked and has none.  Gives its number."""
    case_id: int = connection.execute(
        insert(collection_cases)
        .values(
            account_id=account_id,
            state=CaseState.OPEN.value,
            opened_at=office.now(),
            due_since=due_since,
            debt_class=debt_class,
            steps_done=0,
            next_at=next_at,
        )
        .returning(collection_cases.c.case_id)
    ).scalar_one()
    log(connection, office, case_id, ActKind.OPENED, f"A {debt_class} debt.", debt)
    return case_id


def step_once(case_id: int, number: int) -> str:
    """What names a step of a case: its notice, its disconnect."""
    return f"collection {case_id} {number}"


def close_case(
    connection: Connection,
    office: Office,
    case: Case,
    outcome: Outcome,
    words: str,
    *,
    paid_minor: int = 0,
    debt: Debt = NO_DEBT,
) -> None:
    """End a case: nothing more is done in it, and word of it that has not left does not leave."""
    onces = [step_once(case.case_id, number) for number in range(1, case.steps_done + 1)]
    withdraw_notices(connection, office, onces, words)
    log(connection, office, case.case_id, ActKind.CLOSED, words, debt, paid_minor=paid_minor)
    change(
        connection,
        case.case_id,
        state=CaseState.CLOSED.value,
        closed_at=office.now(),
        outcome=outcome.value,
        next_at=None,
        held_because=None,
    )


def pause_case(
    connection: Connection,
    office: Office,
    case: Case,
    words: str,
    debt: Debt = NO_DEBT,
    until: datetime | None = None,
) -> None:
    """Stop the steps of a case until what was agreed on is kept or broken.

    Args:
        connection: in a write transaction.
        office: the office.
        case: which.
        words: what was agreed on.
        debt: what is overdue.
        until: when it is looked at again; None: whoever has paused it lets it go on.
    """
    log(connection, office, case.case_id, ActKind.PAUSED, words, debt)
    change(connection, case.case_id, state=CaseState.PAUSED.value, next_at=until, held_because=None)


def resume_case(
    connection: Connection, office: Office, case: Case, words: str, debt: Debt = NO_DEBT
) -> None:
    """Let a case go on at the step where it stopped."""
    log(connection, office, case.case_id, ActKind.RESUMED, words, debt)
    change(connection, case.case_id, state=CaseState.OPEN.value, next_at=office.now())


def change(connection: Connection, case_id: int, **values: object) -> None:
    """Change a case's row."""
    connection.execute(
        update(collection_cases).where(collection_cases.c.case_id == case_id).values(**values)
    )


def log(
    connection: Connection,
    office: Office,
    case_id: int,
    act: ActKind,
    words: str,
    debt: Debt,
    *,
    step: str | None = None,
    step_no: int | None = None,
    paid_minor: int = 0,
) -> None:
    """Keep what was done."""
    there = collection_acts.c
    last = connection.scalar(select(func.max(there.seq)).where(there.case_id == case_id)) or 0
    row = {
        "case_id": case_id,
        "seq": last + 1,
        "at": office.now(),
        "act": act.value,
        "step": step,
        "step_no": step_no,
        "words": words,
        "overdue_minor": debt.overdue_minor,
        "days": debt.days,
        "paid_minor": paid_minor,
        "actor": office.person.name,
    }
    connection.execute(insert(collection_acts), row)
