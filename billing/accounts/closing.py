"""End an account (specs/utility.md 3).

``asked`` (with reason and date; every supply ends then) → ``settling`` (its day has come: the final
readings and settlements) → ``owing`` or ``refunding`` (deposit and instalments come together with
the rest; what is left goes to the agreed channel within a set time) → ``closed``.  Nothing is
deleted, and the database closes no account that holds money or owes any.

Settling is the room of settlements' own work; whoever puts the rooms together hands it in
(`FinalSettlement`), so that the clerk need not wait for its next run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from billing.accounts.checks import require_text
from billing.accounts.faults import AccountStateError, ClosingStateError
from billing.accounts.looking import agreement_at
from billing.accounts.rows import lock_account, record
from billing.accounts.rules import refund_due
from billing.accounts.supplying import end_supply, follow_on
from billing.accounts.tables import closings, customer_accounts, supplies
from billing.accounts.values import Closing, ClosingState
from billing.collecting.plan_ending import end_with_account
from billing.faults import BillingError
from billing.ledger.books import BETWEEN
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, post
from billing.ledger.tables import account_entries
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.office import Office
from billing.payments.channels import find_channel
from billing.payments.refund import RefundState, find_refund
from billing.payments.refunds import refund_to_pay
from billing.payments.tables import refunds
from billing.settlement.tables import settlements

LIST_MAX: Final = 1_000
_SWEEP_MAX: Final = 500
_OPEN: Final = [
    each.value for each in ClosingState if each not in (ClosingState.CLOSED, ClosingState.WITHDRAWN)
]
_BACK: Final = (RefundState.REFUSED, RefundState.FAILED)


class FinalSettlement(Protocol):
    """The room of settlements."""

    def __call__(self, office: Office, supply_ids: Sequence[int]) -> Mapping[int, str]:
        """Settle supplies up to their ends, as far as readings allow.

        Args:
            office: the office, in no transaction.
            supply_ids: which.

        Returns:
            What is waited for, in words, of those that are not settled to their ends yet.
        """


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """An account is to end."""

    reason: str
    """No personal data."""
    day: date | None = None
    """The first day without supply; None: it ends now."""
    refund_channel: str | None = None
    """None: the one that was agreed."""


def ask(connection: Connection, office: Office, account_id: int, wanted: CloseRequest) -> int:
    """Begin to close an account; gives the closing's number.

    Raises:
        AccountStateError: it is not active.
        SettledSinceError: days after the end are settled already.
        BadEntryError: no reason, or a date that cannot be.
        UnknownChannelError: there is no such channel for the refund.
    """
    row = lock_account(connection, account_id)
    if row.state != "active":
        raise AccountStateError(
            f"Account {row.number} is {row.state}: only an active one can be closed."
        )
    reason = require_text("The reason", wanted.reason)
    now = office.now()
    ends_at = now if wanted.day is None else office.day_start(wanted.day)
    channel = wanted.refund_channel
    if channel is None:
        channel = agreement_at(connection, account_id, now).refund_channel
    find_channel(connection, channel)
    for supply_id in _open_supplies(connection, account_id):
        end_supply(connection, office, supply_id, ends_at, reason)
    closing_id: int = connection.execute(
        insert(closings)
        .values(
            account_id=account_id,
            reason=reason,
            ends_at=ends_at,
            refund_channel=channel,
            state=ClosingState.ASKED.value,
            asked_by=office.person.name,
            asked_at=now,
        )
        .returning(closings.c.closing_id)
    ).scalar_one()
    _set_account(connection, account_id, state="closing")
    record(
        connection,
        office,
        "account.close_ask",
        row.number,
        detail=f"ends {ends_at.isoformat(timespec='minutes')}",
        reason=reason,
    )
    return closing_id


def ask_if_empty(connection: Connection, office: Office, supply_id: int, day: date) -> int | None:
    """Begin to close the account of a supply that was handed over, unless others are on it."""
    account_id = connection.scalar(
        select(supplies.c.account_id).where(supplies.c.supply_id == supply_id)
    )
    if account_id is None or _open_supplies(connection, account_id):
        return None
    if lock_account(connection, account_id).state != "active":
        return None
    return ask(connection, office, account_id, CloseRequest("moved out", day))


def withdraw(connection: Connection, office: Office, account_id: int, reason: str) -> None:
    """The customer stays: supplies go on where they were to end.

    Raises:
        ClosingStateError: its day has come, or nobody asked for it.
        PointTakenError: somebody else has a service point from then on.
        BadEntryError: no reason.
    """
    why = require_text("The reason", reason)
    row = lock_account(connection, account_id)
    found = _locked(connection, account_id)
    if found.state != ClosingState.ASKED.value:
        raise ClosingStateError(
            f"Account {row.number} is being closed already ({found.state}): open another account."
        )
    for supply in connection.execute(
        select(supplies).where(
            supplies.c.account_id == account_id, supplies.c.until == found.ends_at
        )
    ).all():
        follow_on(connection, office, supply)
    _set(
        connection,
        found.closing_id,
        state=ClosingState.WITHDRAWN.value,
        ended_at=office.now(),
        ended_by=office.person.name,
    )
    _set_account(connection, account_id, state="active")
    record(connection, office, "account.close_withdraw", row.number, reason=why)


def proceed(office: Office, account_id: int, settle: FinalSettlement | None = None) -> Closing:
    """Bring a closing on as far as it goes; each step in a transaction.

    Args:
        office: who acts.
        account_id: whose.
        settle: the room of settlements; None: its next run settles.

    Raises:
        ClosingStateError: nobody asked to close it.
        UnknownChannelError, ChannelClosedError: nothing can be refunded by the agreed channel.
    """
    with office.writing() as connection:
        lock_account(connection, account_id)
        _begin(connection, office, _locked(connection, account_id))
    with office.reading() as connection:
        waiting = _unsettled(connection, account_id)
        found = closing_of(connection, account_id)
    if found.state is ClosingState.SETTLING and waiting:
        words = dict(settle(office, waiting)) if settle is not None else {}
        _tell(office, found, words)
    try:
        with office.writing() as connection:
            lock_account(connection, account_id)
            _go_on(connection, office, _locked(connection, account_id))
            return closing_of(connection, account_id)
    except BillingError as fault:
        if not fault.is_system:  # a person is to see it in the list, not in a log
            _tell(office, found, {0: str(fault)})
        raise


def refund_again(connection: Connection, office: Office, account_id: int, channel: str) -> Closing:
    """Ask for the refund once more, perhaps by another channel: the first one came back.

    Raises:
        ClosingStateError: no refund has come back.
    """
    lock_account(connection, account_id)
    found = _locked(connection, account_id)
    if (
        found.refund_id is None
        or found.refunded_at is not None
        or find_refund(connection, found.refund_id).state not in _BACK
    ):
        raise ClosingStateError("No refund of this account has come back.")
    find_channel(connection, channel)
    _set(
        connection,
        found.closing_id,
        refund_channel=channel,
        refund_id=None,
        refund_minor=None,
        refund_due_at=None,
        waits=None,
    )
    _money(connection, office, _locked(connection, account_id))
    return closing_of(connection, account_id)


def due(connection: Connection, office: Office) -> list[int]:
    """Accounts whose closing can be brought on now; `_SWEEP_MAX` at most."""
    now = office.now()
    settled = (
        select(func.max(settlements.c.until))
        .where(settlements.c.supply_id == supplies.c.supply_id)
        .scalar_subquery()
    )
    unsettled = exists().where(
        supplies.c.account_id == closings.c.account_id,
        supplies.c.until > func.coalesce(settled, supplies.c.since),
    )
    paid = exists().where(
        refunds.c.refund_id == closings.c.refund_id, refunds.c.state == RefundState.PAID.value
    )
    state = closings.c.state
    return list(
        connection.scalars(
            select(closings.c.account_id)
            .where(
                state.in_(_OPEN),
                or_(
                    and_(state == ClosingState.ASKED.value, closings.c.ends_at <= now),
                    and_(state == ClosingState.SETTLING.value, ~unsettled),
                    and_(
                        state == ClosingState.OWING.value,
                        _held(Purse.CURRENT) + _held(Purse.DEPOSIT) >= 0,
                        _held(Purse.PLAN) == 0,
                    ),
                    and_(state == ClosingState.REFUNDING.value, paid),
                ),
            )
            .order_by(closings.c.ends_at, closings.c.closing_id)
            .limit(_SWEEP_MAX)
        )
    )


def _held(purse: Purse) -> ColumnElement[int]:
    last = (
        select(account_entries.c.balance_minor)
        .where(
            account_entries.c.account_id == closings.c.account_id,
            account_entries.c.purse == purse.value,
        )
        .order_by(account_entries.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(last, 0)


def closing_of(connection: Connection, account_id: int) -> Closing:
    """How far the end of an account has come.

    Raises:
        ClosingStateError: nobody asked to close it.
    """
    row = connection.execute(
        select(closings).where(
            closings.c.account_id == account_id,
            closings.c.state != ClosingState.WITHDRAWN.value,
        )
    ).one_or_none()
    if row is None:
        raise ClosingStateError("Nobody has asked to close this account.")
    return _closing(row)


def closings_open(connection: Connection, *, overdue_at: datetime | None = None) -> list[Closing]:
    """Accounts on their way to their end, what is due first; `LIST_MAX` at most.

    Args:
        connection: in any transaction.
        overdue_at: those alone whose refund should have been paid by then.
    """
    query = select(closings).where(closings.c.state.in_(_OPEN))
    if overdue_at is not None:
        query = query.where(closings.c.refund_due_at < overdue_at, closings.c.refunded_at.is_(None))
    first = func.coalesce(closings.c.refund_due_at, closings.c.ends_at)
    rows = connection.execute(query.order_by(first, closings.c.closing_id).limit(LIST_MAX))
    return [_closing(row) for row in rows]


def _begin(connection: Connection, office: Office, found: Row[Any]) -> None:
    if found.state == ClosingState.ASKED.value and found.ends_at <= office.now():
        _set(
            connection,
            found.closing_id,
            state=ClosingState.SETTLING.value,
            waits="the final reading and its settlement",
        )


def _tell(office: Office, found: Closing, words: Mapping[int, str]) -> None:
    if not words:
        return
    with office.writing() as connection:
        _set(connection, found.closing_id, waits="; ".join(sorted(set(words.values()))))


def _go_on(connection: Connection, office: Office, found: Row[Any]) -> None:
    if found.state == ClosingState.SETTLING.value:
        if _unsettled(connection, found.account_id):
            return
        _set(connection, found.closing_id, settled_at=office.now(), waits=None)
        _end_plan(connection, office, found.account_id)
        found = _locked(connection, found.account_id)
    if found.settled_at is not None and found.state != ClosingState.CLOSED.value:
        _money(connection, office, found)


def _money(connection: Connection, office: Office, found: Row[Any]) -> None:
    """What is left goes back; what is owed is waited for; nothing left closes the account."""
    _together(connection, office, found.account_id)
    if found.refund_id is not None and found.refunded_at is None:
        refund = find_refund(connection, found.refund_id)
        if refund.state in _BACK:
            words = f"refund {refund.refund_id} was {refund.state.value}: ask for it again"
            _set(connection, found.closing_id, waits=words)
            return
        if refund.state is not RefundState.PAID:
            return
        _set(connection, found.closing_id, refunded_at=refund.paid_at or office.now())
    later = -balance(connection, found.account_id, Purse.PLAN)
    left = balance(connection, found.account_id)
    if later > 0:  # agreed on after the end
        owed = f"the customer pays {office.currency.text(later)} by instalments"
        _set(connection, found.closing_id, state=ClosingState.OWING.value, waits=owed)
    elif left > 0:
        _refund(connection, office, found, left)
    elif left < 0:
        owed = f"the customer owes {office.currency.text(-left)}"
        _set(connection, found.closing_id, state=ClosingState.OWING.value, waits=owed)
    else:
        _close(connection, office, found)


def _refund(connection: Connection, office: Office, found: Row[Any], left: int) -> None:
    due_at = refund_due(connection, office)
    refund_id = refund_to_pay(
        connection,
        office,
        found.account_id,
        left,
        found.refund_channel,
        "account closed",
        due_at=due_at,
        asked_by=found.asked_by,  # whose hand, or sweep, brings it on now does not matter
    )
    _set(
        connection,
        found.closing_id,
        state=ClosingState.REFUNDING.value,
        refund_id=refund_id,
        refund_minor=left,
        refund_due_at=due_at,
        refunded_at=None,
        waits=f"refund {refund_id} of {office.currency.text(left)}",
    )


def _close(connection: Connection, office: Office, found: Row[Any]) -> None:
    now = office.now()
    about: dict[str, str | int] = {"closed_on": office.today().isoformat()}
    if found.refund_minor is not None:
        about["refund_minor"] = found.refund_minor
    queue_notice(
        connection,
        office,
        Notice(Event.ACCOUNT_CLOSED, found.account_id, f"account closed {found.closing_id}", about),
    )
    _set(
        connection,
        found.closing_id,
        state=ClosingState.CLOSED.value,
        waits=None,
        ended_at=now,
        ended_by=office.person.name,
    )
    _set_account(connection, found.account_id, state="closed", closed_at=now)
    number = connection.scalar(
        select(customer_accounts.c.number).where(customer_accounts.c.account_id == found.account_id)
    )
    record(connection, office, "account.close", str(number), detail=f"closing {found.closing_id}")


def _together(connection: Connection, office: Office, account_id: int) -> None:
    """The deposit comes to the rest."""
    if balance(connection, account_id, Purse.DEPOSIT):
        _to_current(connection, office, account_id, Purse.DEPOSIT, "Deposit given back")


def _end_plan(connection: Connection, office: Office, account_id: int) -> None:
    """What was to be paid in parts is due now, whether we know the plan or another system did."""
    end_with_account(connection, office, account_id)
    if balance(connection, account_id, Purse.PLAN):
        words = "Instalments due with the account's end"
        _to_current(connection, office, account_id, Purse.PLAN, words)


def _to_current(
    connection: Connection, office: Office, account_id: int, purse: Purse, words: str
) -> None:
    held = balance(connection, account_id, purse)
    kind = EntryKind.PLAN if purse is Purse.PLAN else EntryKind.DEPOSIT
    source = f"account {account_id}"
    entries = [
        Entry(account_id, kind, -held, BETWEEN, source, words, purse),
        Entry(account_id, kind, held, BETWEEN, source, words),
    ]
    post(connection, office, entries)


def _unsettled(connection: Connection, account_id: int) -> list[int]:
    """Supplies of an account that are not settled to their ends."""
    settled = (
        select(func.max(settlements.c.until))
        .where(settlements.c.supply_id == supplies.c.supply_id)
        .scalar_subquery()
    )
    return list(
        connection.scalars(
            select(supplies.c.supply_id)
            .where(
                supplies.c.account_id == account_id,
                or_(
                    supplies.c.until.is_(None),
                    supplies.c.until > func.coalesce(settled, supplies.c.since),
                ),
            )
            .order_by(supplies.c.supply_id)
        )
    )


def _open_supplies(connection: Connection, account_id: int) -> list[int]:
    return list(
        connection.scalars(
            select(supplies.c.supply_id)
            .where(supplies.c.account_id == account_id, supplies.c.until.is_(None))
            .order_by(supplies.c.supply_id)
        )
    )


def _locked(connection: Connection, account_id: int) -> Row[Any]:
    """The closing of an account that the caller holds."""
    row = connection.execute(
        select(closings)
        .where(
            closings.c.account_id == account_id,
            closings.c.state != ClosingState.WITHDRAWN.value,
        )
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise ClosingStateError("Nobody has asked to close this account.")
    return row


def _set(connection: Connection, closing_id: int, **values: object) -> None:
    connection.execute(update(closings).where(closings.c.closing_id == closing_id).values(**values))


def _set_account(connection: Connection, account_id: int, **values: object) -> None:
    connection.execute(
        update(customer_accounts)
        .where(customer_accounts.c.account_id == account_id)
        .values(**values)
    )


def _closing(row: Row[Any]) -> Closing:
    values = {each.name: getattr(row, each.name) for each in fields(Closing)}
    return Closing(**{**values, "state": ClosingState(row.state)})
