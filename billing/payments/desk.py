"""The payment desk: look at payments, put those in suspense where they belong, undo what was wrong.

To undo takes two people.  Nothing is taken away: a reversing entry stands beside the payment's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from billing.accounts.tables import customer_accounts
from billing.faults import UnknownAccountError
from billing.office import Office
from billing.payments.acts import Act, ActDone, acts_of, keep_act
from billing.payments.faults import (
    CashDoesNotBounceError,
    PaymentStateError,
    SecondPersonError,
    UnknownPaymentError,
)
from billing.payments.payee import account_of_number
from billing.payments.payment import PaymentState
from billing.payments.placing import assign, send_back, take_away
from billing.payments.refund import require_reason
from billing.payments.row import PaymentRow, find_payment, lock_payment, payment_of, shown
from billing.payments.tables import payment_undos, payments
from billing.person import Right
from storage.audit import record
from vending.cash.office_moves import tender_of
from vending.shop.books import Tender

_LIST_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Undo:
    """Somebody asks to undo a payment."""

    undo_id: int
    payment_id: int
    why: str
    """``bounced``: the money is not in the house; ``another``: it was another's."""
    to_account_id: int | None
    to_number: str
    """Of the account that it belongs to; empty: into suspense."""
    reason: str
    asked_at: datetime
    asked_by: str
    state: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A payment with all that became of it."""

    payment: PaymentRow
    note: str
    """What the payer wrote; empty for who may not see personal fields."""
    acts: Sequence[ActDone]


@dataclass(frozen=True, slots=True)
class PaymentDesk:
    """Payments (specs/utility.md 5 and 8)."""

    office: Office

    # --- suspense -------------------------------------------------------------------------

    def assign(self, payment_id: int, number: str, reason: str) -> PaymentRow:
        """Put a payment from suspense on the account that it belongs to.

        Args:
            payment_id: which.
            number: of the account, or of a meter on it.
            reason: how one knows.

        Raises:
            RightMissingError: needs ``serve``.
            UnknownPaymentError, PaymentStateError, UnknownAccountError, BadEntryError: as they
                say.
        """
        self.office.require(Right.SERVE)
        words = require_reason(reason)
        with self.office.writing() as connection:
            payment = self._locked(connection, payment_id, PaymentState.SUSPENSE, "assigned")
            assign(connection, self.office, payment, number)
            return self._told(connection, payment_id, Act.ASSIGNED, words)

    def send_back(self, payment_id: int, reason: str) -> int:
        """Have a payment in suspense paid back by its channel; gives the refund's number.

        Raises:
            RightMissingError: needs ``serve``.
            UnknownPaymentError, PaymentStateError, BadEntryError: as they say.
        """
        self.office.require(Right.SERVE)
        words = require_reason(reason)
        with self.office.writing() as connection:
            payment = self._locked(connection, payment_id, PaymentState.SUSPENSE, "sent back")
            refund_id = send_back(connection, self.office, payment, words)
            self._told(connection, payment_id, Act.RETURNED, words)
            return refund_id

    # --- undoing --------------------------------------------------------------------------

    def ask_undo(
        self, payment_id: int, reason: str, *, bounced: bool, to_number: str | None = None
    ) -> Undo:
        """Ask to undo a payment; another person approves.

        Args:
            payment_id: which.
            reason: what happened.
            bounced: the money is not in the house; else it was another's.
            to_number: whose it is (account or meter); None: not known, into suspense.

        Raises:
            RightMissingError: needs ``serve``.
            CashDoesNotBounceError: it is cash in a drawer.
            UnknownPaymentError, PaymentStateError, UnknownAccountError, BadEntryError: as they
                say.
        """
        self.office.require(Right.SERVE)
        words, now = require_reason(reason), self.office.now()
        with self.office.writing() as connection:
            payment = lock_payment(connection, payment_id)
            self._require_undoable(connection, payment, bounced=bounced)
            target = None
            if to_number is not None and not bounced:
                target = _account(connection, to_number)
            row = {
                "payment_id": payment_id,
                "why": "bounced" if bounced else "another",
                "to_account_id": target,
                "reason": words,
                "asked_at": now,
                "asked_by": self.office.person.name,
                "state": "asked",
            }
            undo_id = connection.execute(
                insert(payment_undos).returning(payment_undos.c.undo_id), row
            ).scalar_one()
            self._record(connection, "payment.undo_asked", payment_id, words)
            return _undo(connection, payment_undos.c.undo_id == undo_id)

    def decide_undo(self, payment_id: int, *, approve: bool) -> PaymentRow:
        """Be the second person: undo the payment, or say no.

        Raises:
            RightMissingError: needs ``approve``.
            SecondPersonError: one's own.
            PaymentStateError: nobody has asked, or somebody has acted meanwhile.
            UnknownPaymentError: there is none of this number.
        """
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            payment = lock_payment(connection, payment_id)
            undo = _undo(
                connection,
                (payment_undos.c.payment_id == payment_id) & (payment_undos.c.state == "asked"),
            )
            if approve and undo.asked_by == self.office.person.name:
                raise SecondPersonError(
                    f"{undo.asked_by or 'You'} asked to undo payment {payment_id}: another person "
                    "approves it."
                )
            connection.execute(
                update(payment_undos)
                .where(payment_undos.c.undo_id == undo.undo_id)
                .values(
                    state="done" if approve else "refused",
                    decided_at=self.office.now(),
                    approved_by=self.office.person.name,
                )
            )
            if not approve:
                self._record(connection, "payment.undo_refused", payment_id, undo.reason)
                return find_payment(connection, payment_id)
            bounced = undo.why == "bounced"
            self._require_undoable(connection, payment, bounced=bounced, asked=True)
            act = take_away(
                connection, self.office, payment, bounced=bounced, to_account=undo.to_account_id
            )
            return self._told(connection, payment_id, act, undo.reason)

    def undos(self) -> list[Undo]:
        """What waits for a second person, the oldest first."""
        self.office.require(Right.LOOK)
        query = _undos().where(payment_undos.c.state == "asked")
        with self.office.reading() as connection:
            rows = connection.execute(query.order_by(payment_undos.c.undo_id).limit(_LIST_MAX))
            return [_undo_of(row) for row in rows]

    # --- looking --------------------------------------------------------------------------

    def show(self, payment_id: int) -> Shown:
        """A payment, and what became of it.

        What the payer wrote is opened for who may see it; that it was is kept.

        Raises:
            RightMissingError: needs ``look``.
            UnknownPaymentError: there is none of this number.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            payment = find_payment(connection, payment_id)
            sealed = connection.scalar(
                select(payments.c.note_sealed).where(payments.c.payment_id == payment_id)
            )
            acts = acts_of(connection, payment_id)
        note = ""
        if sealed is not None and self.office.person.may(Right.PERSONAL):
            with self.office.writing() as connection:
                record(
                    connection,
                    self.office.now(),
                    actor=self.office.person.name,
                    action="personal.open",
                    subject=payment.source,
                    detail="note",
                )
            note = self.office.seal.open("payment.note", bytes(sealed))
        return Shown(payment, note, acts)

    def find(self, channel: str, reference: str) -> PaymentRow:
        """A payment by its channel's own reference.

        Raises:
            RightMissingError: needs ``look``.
            UnknownPaymentError: there is none.
        """
        self.office.require(Right.LOOK)
        query = shown().where(payments.c.channel == channel, payments.c.reference == reference)
        with self.office.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownPaymentError(f"There is no payment {reference} of the channel {channel}.")
        return payment_of(row)

    def list(
        self,
        *,
        account_id: int | None = None,
        channel: str | None = None,
        state: PaymentState | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> list[PaymentRow]:
        """Payments, the newest first.

        Args:
            account_id: of one account.
            channel: of one channel.
            state: in one state; ``suspense`` is what waits for a person.
            since, until: when they were taken.
            limit: how many at most.
        """
        self.office.require(Right.LOOK)
        query = shown()
        if account_id is not None:
            query = query.where(payments.c.account_id == account_id)
        if channel is not None:
            query = query.where(payments.c.channel == channel)
        if state is not None:
            query = query.where(payments.c.state == state.value)
        if since is not None:
            query = query.where(payments.c.taken_at >= since)
        if until is not None:
            query = query.where(payments.c.taken_at < until)
        query = query.order_by(payments.c.payment_id.desc()).limit(min(limit, _LIST_MAX))
        with self.office.reading() as connection:
            return [payment_of(row) for row in connection.execute(query)]

    # --- inside ---------------------------------------------------------------------------

    def _locked(
        self, connection: Connection, payment_id: int, state: PaymentState, act: str
    ) -> PaymentRow:
        payment = lock_payment(connection, payment_id)
        if payment.state is not state:
            raise PaymentStateError(
                f"Payment {payment_id} is {payment.state.value}: only one that is {state.value} "
                f"can be {act}."
            )
        return payment

    def _require_undoable(
        self, connection: Connection, payment: PaymentRow, *, bounced: bool, asked: bool = False
    ) -> None:
        states = [PaymentState.POSTED, *([PaymentState.SUSPENSE] if bounced else [])]
        waits = connection.scalar(
            select(payment_undos.c.undo_id).where(
                payment_undos.c.payment_id == payment.payment_id,
                payment_undos.c.state == "asked",
            )
        )
        if payment.state not in states or (waits is not None and not asked):
            raise PaymentStateError(
                f"Payment {payment.payment_id} is {payment.state.value}"
                f"{', and somebody has asked to undo it' if waits is not None else ''}: it cannot "
                "be undone so."
            )
        if bounced and tender_of(connection, payment.source) is Tender.CASH:
            raise CashDoesNotBounceError(
                f"Payment {payment.payment_id} was cash, which is in the house. Move it to the "
                "account that it belongs to, or refund it."
            )

    def _told(self, connection: Connection, payment_id: int, act: Act, words: str) -> PaymentRow:
        payment = find_payment(connection, payment_id)
        keep_act(connection, self.office, payment_id, act, payment.account_id, words)
        self._record(connection, f"payment.{act.value}", payment_id, words)
        return payment

    def _record(self, connection: Connection, action: str, payment_id: int, words: str) -> None:
        record(
            connection,
            self.office.now(),
            actor=self.office.person.name,
            action=action,
            subject=str(payment_id),
            reason=words,
        )


def _account(connection: Connection, number: str) -> int:
    account_id = account_of_number(connection, number)
    if account_id is None:
        raise UnknownAccountError(
            f"There is no account, or not one alone, for the number {number}."
        )
    return account_id


def _undos() -> Select[Any]:
    return select(payment_undos, customer_accounts.c.number).outerjoin(
        customer_accounts, customer_accounts.c.account_id == payment_undos.c.to_account_id
    )


def _undo(connection: Connection, which: Any) -> Undo:
    row = connection.execute(_undos().where(which)).one_or_none()
    if row is None:
        raise PaymentStateError(
            "Nobody has asked to undo this payment (`meterhouse payment undo`)."
        )
    return _undo_of(row)


def _undo_of(row: Any) -> Undo:
    return Undo(
        row.undo_id,
        row.payment_id,
        row.why,
        row.to_account_id,
        row.number or "",
        row.reason,
        row.asked_at,
        row.asked_by,
        row.state,
    )
