"""Later due dates: what is owed is taken out and put in again, due later.

Entries never change, so a deferral is two of them through `books.BETWEEN`: one that settles what
is due first, and one of the same amount with the new due date.  The account's case is paused; when
the new date passes and nothing was paid, it goes on at its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from billing.collecting.ageing import due_day
from billing.collecting.cases import (
    CaseState,
    Outcome,
    change,
    close_case,
    pause_case,
    resume_case,
    running_cases,
)
from billing.collecting.faults import PlanError
from billing.collecting.requests import Requests, require_reason
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import DeferralTerms
from billing.collecting.standings import overdue_of
from billing.collecting.stepping import reconnect
from billing.collecting.tables import collection_cases, deferrals
from billing.ledger.books import BETWEEN
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import lock, post
from billing.office import Office
from billing.person import Right


@dataclass(frozen=True, slots=True)
class Deferral:
    """A due date that was put off."""

    deferral_id: int
    account_id: int
    state: str
    """``asked``, ``granted``, ``refused``."""
    amount_minor: int
    due_at: datetime
    reason: str
    two_because: str | None
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    granted_at: datetime | None

    @property
    def number(self) -> int:
        """Its own."""
        return self.deferral_id

    @property
    def detail(self) -> str:
        """What the audit trail says of it."""
        return f"{self.amount_minor} until {self.due_at.isoformat()}"


_DEFERRALS: Final[Requests[Deferral]] = Requests(
    name="deferral",
    action="deferral",
    done="put off",
    table=deferrals,
    read=lambda _, rows: [Deferral(**row._mapping) for row in rows],
)


@dataclass(frozen=True, slots=True)
class DeferralDesk:
    """Put due dates off, approve that."""

    office: Office

    def ask(
        self, account_id: int, *, until: date, reason: str, amount_minor: int | None = None
    ) -> Deferral:
        """Put the due date of a debt off; above a limit it waits for a second person.

        Args:
            account_id: whose.
            until: the last day to pay.
            reason: why.
            amount_minor: of what is owed; None: all that is overdue, or else all that is owed.

        Raises:
            NothingOwedError: so much is not owed.
            PlanError: the day is not one that the rules allow.
            BadEntryError: no reason.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        require_reason(reason, "it may be paid later")
        with self.office.writing() as connection:
            lock(connection, [account_id])
            terms = rules_in_force(connection).rules.deferral
            days = (until - self.office.today()).days
            if not 1 <= days <= terms.days_max:
                raise PlanError(f"A due date is put off by 1 to {terms.days_max} days from today.")
            amount = _DEFERRALS.amount(connection, self.office, account_id, amount_minor)
            two = _two_because(self.office, terms, amount, days)
            due_at = self.office.day_start(until + timedelta(days=1))
            number = _DEFERRALS.add(
                connection,
                self.office,
                account_id,
                amount,
                reason,
                due_at=due_at,
                two_because=two,
            )
            found = _DEFERRALS.find(connection, number)
            if two is None:
                _grant(connection, self.office, found, None)
                found = _DEFERRALS.find(connection, number)
            _DEFERRALS.record(connection, self.office, "ask", found, found.reason)
            return found

    def approve(self, deferral_id: int) -> Deferral:
        """Be the second person of a deferral.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            OtherPersonError: who asked approves.
            NothingOwedError: so much is not owed any more.
            PlanError: its new due date has passed.
            RightMissingError: the person may not approve.
        """
        return _DEFERRALS.approve(self.office, deferral_id, _grant)

    def refuse(self, deferral_id: int, why: str) -> Deferral:
        """Refuse one that waits for a second person; nothing was moved.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            RightMissingError: the person may not collect.
        """
        return _DEFERRALS.refuse(self.office, deferral_id, why)

    def list(self, *, state: str | None = None, limit: int = 100) -> list[Deferral]:
        """Deferrals, the newest first."""
        return _DEFERRALS.listed(self.office, state, limit)


def resume_deferred(office: Office, limit: int = 100) -> int:
    """Let cases go on whose later due date has passed, end those that were paid; how many."""
    at = office.now()
    with office.reading() as connection:
        account_ids = connection.scalars(
            select(collection_cases.c.account_id)
            .where(
                collection_cases.c.state == CaseState.PAUSED.value,
                collection_cases.c.next_at <= at,
            )
            .order_by(collection_cases.c.next_at)
            .limit(limit)
        ).all()
    for account_id in account_ids:
        with office.writing() as connection:
            _resume(connection, office, account_id, at)
    return len(account_ids)


def _resume(connection: Connection, office: Office, account_id: int, at: datetime) -> None:
    lock(connection, [account_id])
    case = running_cases(connection, [account_id]).get(account_id)
    if (
        case is None
        or case.state is not CaseState.PAUSED
        or case.next_at is None
        or case.next_at > at
    ):
        return
    left = overdue_of(connection, [account_id], at)[account_id]
    if left.items:
        words = "The later due date has passed."
        resume_case(connection, office, case, words, left.debt(office, at))
    elif left.owed_minor:  # put off once more, or a new bill
        change(connection, case.case_id, next_at=at + timedelta(days=1))
    else:
        close_case(connection, office, case, Outcome.PAID, "Nothing is owed.")


def _grant(
    connection: Connection, office: Office, found: Deferral, approved_by: str | None
) -> None:
    at = office.now()
    if found.due_at <= at:
        raise PlanError(f"The new due date of deferral {found.deferral_id} has passed.")
    granted = {"state": "granted", "granted_at": at, "approved_by": approved_by}
    _DEFERRALS.change(connection, found.deferral_id, granted)
    overdue = overdue_of(connection, [found.account_id], at)[found.account_id]
    case = running_cases(connection, [found.account_id]).get(found.account_id)
    words = f"A later due date was granted: {due_day(office, found.due_at).isoformat()}."
    if case is not None and overdue.minor <= found.amount_minor:
        # before the posting: what that pays must not end the case
        pause_case(connection, office, case, words, overdue.debt(office, at), until=found.due_at)
        reconnect(connection, office, case, words)
    source, of = f"deferral {found.deferral_id}", "a later due date"
    account_id, amount, kind = found.account_id, found.amount_minor, EntryKind.ADJUSTMENT
    entries = [
        Entry(account_id, kind, amount, BETWEEN, source, of),
        Entry(account_id, kind, -amount, BETWEEN, source, of, due_at=found.due_at),
    ]
    post(connection, office, entries)


def _two_because(office: Office, terms: DeferralTerms, amount: int, days: int) -> str | None:
    if amount > terms.approve_above_minor:
        return f"it is for more than {office.currency.text(terms.approve_above_minor)}"
    if days > terms.approve_above_days:
        return f"it is for more than {terms.approve_above_days} days"
    return None
