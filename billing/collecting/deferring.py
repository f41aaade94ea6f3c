"""Later due dates: what is owed is taken out and put in again, due later.

Entries never change, so a deferral is two of them through `books.BETWEEN`: one that settles what
is due first, and one of the same amount with the new due date.  The account's case is paused; when
the new date passes and nothing was paid, it goes on at its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

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
from billing.collecting.faults import (
    NothingOwedError,
    OtherPersonError,
    PlanError,
    PlanStateError,
    UnknownPlanError,
)
from billing.collecting.rule_store import rules_in_force
from billing.collecting.rules import DeferralTerms
from billing.collecting.standings import overdue_of
from billing.collecting.stepping import reconnect
from billing.collecting.tables import collection_cases, deferrals
from billing.faults import BadEntryError
from billing.ledger.books import BETWEEN
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import balances, lock, post
from billing.office import Office
from billing.person import Right
from storage import audit


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
        if not reason.strip():
            raise BadEntryError("Say why it may be paid later: an auditor will ask.")
        with self.office.writing() as connection:
            lock(connection, [account_id])
            terms = rules_in_force(connection).rules.deferral
            days = (until - self.office.today()).days
            if not 1 <= days <= terms.days_max:
                raise PlanError(f"A due date is put off by 1 to {terms.days_max} days from today.")
            amount = _amount(connection, self.office, account_id, amount_minor)
            two = _two_because(self.office, terms, amount, days)
            deferral_id: int = connection.execute(
                insert(deferrals)
                .values(
                    account_id=account_id,
                    state="asked",
                    amount_minor=amount,
                    due_at=self.office.day_start(until + timedelta(days=1)),
                    reason=reason.strip(),
                    two_because=two,
                    asked_by=self.office.person.name,
                    asked_at=self.office.now(),
                )
                .returning(deferrals.c.deferral_id)
            ).scalar_one()
            found = deferral_of(connection, deferral_id)
            if two is None:
                found = _grant(connection, self.office, found, None)
            _record(connection, self.office, "deferral.ask", found, found.reason)
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
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            found = _asked(connection, deferral_id)
            who = self.office.person.name
            if not who or who == found.asked_by:
                raise OtherPersonError(
                    f"Deferral {deferral_id} takes a second person ({found.two_because}): "
                    f"{found.asked_by or 'nobody'} asked for it and cannot approve it too."
                )
            if found.due_at <= self.office.now():
                raise PlanError(f"The new due date of deferral {deferral_id} has passed.")
            _amount(connection, self.office, found.account_id, found.amount_minor)
            found = _grant(connection, self.office, found, who)
            _record(connection, self.office, "deferral.approve", found, found.two_because or "")
            return found

    def refuse(self, deferral_id: int, why: str) -> Deferral:
        """Refuse one that waits for a second person; nothing was moved.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        with self.office.writing() as connection:
            found = _asked(connection, deferral_id)
            _change(connection, deferral_id, state="refused")
            _record(connection, self.office, "deferral.refuse", found, why)
            return deferral_of(connection, deferral_id)

    def list(self, *, state: str | None = None, limit: int = 100) -> list[Deferral]:
        """Deferrals, the newest first."""
        self.office.require(Right.LOOK)
        query = select(deferrals).order_by(deferrals.c.deferral_id.desc()).limit(limit)
        if state is not None:
            query = query.where(deferrals.c.state == state)
        with self.office.reading() as connection:
            return [_deferral(row) for row in connection.execute(query)]


def deferral_of(connection: Connection, deferral_id: int) -> Deferral:
    """A deferral by its number.

    Raises:
        UnknownPlanError: there is none.
    """
    row = connection.execute(
        select(deferrals).where(deferrals.c.deferral_id == deferral_id)
    ).one_or_none()
    if row is None:
        raise UnknownPlanError(f"There is no deferral {deferral_id}.")
    return _deferral(row)


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
) -> Deferral:
    at = office.now()
    _change(
        connection,
        found.deferral_id,
        state="granted",
        granted_at=at,
        approved_by=approved_by,
    )
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
    return deferral_of(connection, found.deferral_id)


def _amount(
    connection: Connection, office: Office, account_id: int, amount_minor: int | None
) -> int:
    owed = -balances(connection, [account_id])[account_id]
    overdue = overdue_of(connection, [account_id], office.now())[account_id].minor
    amount = (overdue or owed) if amount_minor is None else amount_minor
    if amount <= 0 or amount > owed:
        raise NothingOwedError(
            f"The account owes {office.currency.text(max(owed, 0))}: no more can be put off."
        )
    return amount


def _two_because(office: Office, terms: DeferralTerms, amount: int, days: int) -> str | None:
    if amount > terms.approve_above_minor:
        return f"it is for more than {office.currency.text(terms.approve_above_minor)}"
    if days > terms.approve_above_days:
        return f"it is for more than {terms.approve_above_days} days"
    return None


def _asked(connection: Connection, deferral_id: int) -> Deferral:
    lock(connection, [deferral_of(connection, deferral_id).account_id])
    found = deferral_of(connection, deferral_id)
    if found.state != "asked":
        raise PlanStateError(f"Deferral {deferral_id} is {found.state}: it waits for nobody.")
    return found


def _change(connection: Connection, deferral_id: int, **values: object) -> None:
    connection.execute(
        update(deferrals).where(deferrals.c.deferral_id == deferral_id).values(**values)
    )


def _deferral(row: Any) -> Deferral:
    return Deferral(**row._mapping)


def _record(
    connection: Connection, office: Office, action: str, found: Deferral, reason: str
) -> None:
    audit.record(
        connection,
        office.now(),
        actor=office.person.name,
        action=action,
        subject=str(found.deferral_id),
        detail=f"account {found.account_id}, {found.amount_minor} until {found.due_at.isoformat()}",
        reason=reason,
    )
