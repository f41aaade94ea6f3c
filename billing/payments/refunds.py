"""The refund desk: asked by one person, approved by another, paid out by a day.

==============================  ============================  =============================
act                             the account                   the general books
==============================  ============================  =============================
payout approved (closing: asked) less, against                 ``billing.refunds`` more
paid out                        –                             ``billing.refunds`` less, the
                                                              channel's money less
payout failed, or refused then  more again                    ``billing.refunds`` less
sent another way                –                             –
correction approved             more or less                  ``billing.adjustments``
==============================  ============================  =============================

Nobody pays out a second time: who pays locks the refund's row first, and it has a state.  By which
way money leaves is a part of what was approved: one that is sent another way waits for approval
again, by somebody who has neither asked for it nor sent it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from billing.faults import BadEntryError
from billing.ledger.books import ADJUSTMENTS, REFUNDED, received
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import balance, lock, post
from billing.office import Office
from billing.payments.channels import Adapter, channel_for_money, find_channel
from billing.payments.faults import RefundStateError, RefundTooMuchError, SecondPersonError
from billing.payments.payee import takes_money
from billing.payments.payment import REFERENCE_LENGTH_MAX
from billing.payments.refund import (
    Asked,
    Cause,
    Refund,
    RefundKind,
    RefundState,
    add_refund,
    find_refund,
    locked,
    refund_of,
    require_reason,
    set_refund,
    shown,
)
from billing.payments.tables import refunds
from billing.payments.telling import tell_refund
from billing.person import Right
from storage import ledger
from storage.audit import record
from storage.ledger import Transfer
from vending.cash.office_moves import DrawerMove, put_through_drawer
from vending.shop.books import Tender

_LIST_MAX: Final = 1_000


def refund_to_pay(
    connection: Connection,
    office: Office,
    account_id: int,
    amount_minor: int,
    channel: str,
    reason: str,
    *,
    due_at: datetime,
    asked_by: str | None = None,
) -> int:
    """What is left on an account that closes, to be paid out; gives the refund's number.

    The account is debited at once, so that it can be closed; another person approves the payout
    before any money leaves the house.

    Args:
        connection: in a write transaction.
        office: the office; its person asks.
        account_id: whose money.
        amount_minor: how much, at most what the current purse holds.
        channel: by which it is paid out, as agreed.
        reason: for the record.
        due_at: until when it is to be paid, as the rules for accounts have it.
        asked_by: who wants it, and so cannot approve it; None: the office's person.

    Raises:
        RefundTooMuchError: the account does not hold so much.
        BadEntryError, UnknownAccountError, UnknownChannelError, ChannelClosedError: as they say.
    """
    asked = Asked(
        RefundKind.PAYOUT,
        amount_minor,
        Cause.CLOSING,
        reason,
        account_id=account_id,
        channel=channel,
        due_at=due_at,
        is_entered=True,
        asked_by=asked_by,
    )
    _require_held(connection, account_id, amount_minor)
    refund_id = add_refund(connection, office, asked)
    refund = find_refund(connection, refund_id)
    post(connection, office, [_entry(refund, -amount_minor, "Refund")])
    _record(connection, office, "refund.asked", refund)
    return refund_id


@dataclass(frozen=True, slots=True)
class CauseOfMonth:
    """How often something was given back or corrected for one cause, in one month."""

    month: str
    """YYYY-MM, in the utility's zone, when it was asked."""
    cause: str
    asked: int
    """How many."""
    entered: int
    """Of them, how many came to be."""
    amount_minor: int
    """Of those, sizes added up."""


@dataclass(frozen=True, slots=True)
class RefundDesk:
    """Refunds and corrections (specs/utility.md 8)."""

    office: Office

    # --- asking and deciding --------------------------------------------------------------

    def ask(
        self,
        account_id: int,
        amount_minor: int,
        *,
        channel: str,
        cause: Cause,
        reason: str,
        due_at: datetime | None = None,
    ) -> Refund:
        """Ask for money of an account to be paid out.

        Raises:
            RightMissingError: needs ``serve``.
            RefundTooMuchError: the account does not hold so much.
            BadEntryError, UnknownAccountError, UnknownChannelError, ChannelClosedError: as they
                say.
        """
        self.office.require(Right.SERVE)
        with self.office.writing() as connection:
            _require_held(connection, account_id, amount_minor)
            asked = Asked(
                RefundKind.PAYOUT,
                amount_minor,
                cause,
                reason,
                account_id=account_id,
                channel=channel,
                due_at=self._due(due_at),
            )
            return self._added(connection, asked)

    def ask_correction(
        self,
        account_id: int,
        amount_minor: int,
        *,
        cause: Cause,
        reason: str,
        due_at: datetime | None = None,
    ) -> Refund:
        """Ask for an entry that puts an account right.

        Args:
            account_id: which.
            amount_minor: above zero: for the customer; below: against.
            cause: for the count by month.
            reason: what was wrong.
            due_at: until when it is to be decided.

        Raises:
            RightMissingError: needs ``serve``.
            BadEntryError, UnknownAccountError: as they say.
        """
        self.office.require(Right.SERVE)
        with self.office.writing() as connection:
            lock(connection, [account_id])
            asked = Asked(
                RefundKind.CORRECTION,
                amount_minor,
                cause,
                reason,
                account_id=account_id,
                due_at=self._due(due_at),
            )
            return self._added(connection, asked)

    def approve(self, refund_id: int) -> Refund:
        """Be the second person: a correction is entered, a payout may be paid.

        Raises:
            RightMissingError: needs ``approve``.
            SecondPersonError: one's own, or one that oneself has sent another way.
            RefundTooMuchError: the account does not hold so much any more.
            UnknownRefundError, RefundStateError: as they say.
        """
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            refund = locked(connection, refund_id, RefundState.ASKED, "approved")
            if refund.asked_by == self.office.person.name:
                raise SecondPersonError(
                    f"{refund.asked_by or 'You'} asked for refund {refund_id}: another person "
                    "approves it."
                )
            if refund.routed_by == self.office.person.name:
                raise SecondPersonError(
                    f"{refund.routed_by or 'You'} sent refund {refund_id} by {refund.channel}: "
                    "another person approves it."
                )
            self._enter(connection, refund)
            is_payout = refund.kind is RefundKind.PAYOUT
            now = self.office.now()
            set_refund(
                connection,
                refund_id,
                state=(RefundState.APPROVED if is_payout else RefundState.DONE).value,
                entered_at=refund.entered_at or now,
                decided_at=now,
                approved_by=self.office.person.name,
            )
            if is_payout:
                tell_refund(connection, self.office, refund)
            return self._told(connection, "refund.approved", refund_id)

    def refuse(self, refund_id: int, reason: str) -> Refund:
        """Say no; what was set aside is on the account again.

        Raises:
            RightMissingError: needs ``approve``.
            RefundStateError: it is not asked, or the account is closed and the money has to go.
            UnknownRefundError, BadEntryError: as they say.
        """
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            refund = locked(connection, refund_id, RefundState.ASKED, "refused")
            self._take_back(connection, refund, "refused")
            set_refund(
                connection,
                refund_id,
                state=RefundState.REFUSED.value,
                decided_at=self.office.now(),
                approved_by=self.office.person.name,
            )
            return self._told(connection, "refund.refused", refund_id, require_reason(reason))

    def pay(self, refund_id: int, *, reference: str = "", terminal: str = "") -> Refund:
        """The money has left the house, or leaves the drawer now.

        Args:
            refund_id: which.
            reference: the channel's own, of the transfer that was made; not at the counter.
            terminal: at which till the counter pays.

        Raises:
            RightMissingError: needs ``serve``.
            UnknownRefundError, RefundStateError: as they say; one that is paid is not paid again.
            BadEntryError: no reference.
            NoShiftError: the counter pays in a shift only.
        """
        self.office.require(Right.SERVE)
        with self.office.writing() as connection:
            refund = locked(connection, refund_id, RefundState.APPROVED, "paid")
            assert refund.channel is not None, "a CHECK holds it"
            at_counter = find_channel(connection, refund.channel).adapter is Adapter.COUNTER
            given = refund.source if at_counter else " ".join(reference.split())
            if not given or len(given) > REFERENCE_LENGTH_MAX:
                raise BadEntryError(
                    f"Name the transfer by which {refund.channel} paid refund {refund_id}."
                )
            now = self.office.now()
            move = Transfer(REFUNDED, received(refund.channel), refund.amount_minor, "refund paid")
            ledger.post(connection, "refund.paid", now, self.office.currency.code, [move])
            if at_counter:
                self._out_of_drawer(connection, refund, terminal)
            set_refund(
                connection,
                refund_id,
                state=RefundState.PAID.value,
                paid_at=now,
                paid_by=self.office.person.name,
                paid_reference=given,
            )
            return self._told(connection, "refund.paid", refund_id, f"{refund.channel} {given}")

    def fail(self, refund_id: int, reason: str) -> Refund:
        """It cannot be paid out; the money is on the account again.

        Raises:
            RightMissingError: needs ``serve``.
            RefundStateError: it is not approved, or the account is closed: pay it another way.
            UnknownRefundError, BadEntryError: as they say.
        """
        self.office.require(Right.SERVE)
        with self.office.writing() as connection:
            refund = locked(connection, refund_id, RefundState.APPROVED, "given up")
            self._take_back(connection, refund, "given up")
            set_refund(connection, refund_id, state=RefundState.FAILED.value)
            return self._told(connection, "refund.failed", refund_id, require_reason(reason))

    def reroute(self, refund_id: int, channel: str, reason: str) -> Refund:
        """Have it paid by another channel: the agreed one cannot be used any more.

        It waits for approval again: what was approved was another way.

        Raises:
            RightMissingError: needs ``serve``.
            RefundStateError: it waits for no payout, or goes this way already.
            UnknownRefundError, UnknownChannelError, ChannelClosedError, BadEntryError: as they
                say.
        """
        self.office.require(Right.SERVE)
        with self.office.writing() as connection:
            refund = find_refund(connection, refund_id, lock=True)
            if not refund.waits or refund.kind is not RefundKind.PAYOUT:
                raise RefundStateError(f"Refund {refund_id} waits for no payout.")
            if refund.channel == channel:
                raise RefundStateError(f"Refund {refund_id} is to be paid by {channel} already.")
            channel_for_money(connection, self.office, channel)
            set_refund(
                connection,
                refund_id,
                channel=channel,
                routed_by=self.office.person.name,
                state=RefundState.ASKED.value,
                decided_at=None,
                approved_by=None,
            )
            words = f"{refund.channel} to {channel}: {require_reason(reason)}"
            return self._told(connection, "refund.rerouted", refund_id, words)

    def refund(self, refund_id: int) -> Refund:
        """A refund.

        Raises:
            RightMissingError: needs ``look``.
            UnknownRefundError: there is none.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return find_refund(connection, refund_id)

    def causes(self, since: datetime, until: datetime) -> list[CauseOfMonth]:
        """How often each cause was asked for, by month.

        Raises:
            RightMissingError: needs ``look``.
        """
        self.office.require(Right.LOOK)
        query = (
            select(
                refunds.c.asked_at,
                refunds.c.cause,
                refunds.c.state,
                refunds.c.amount_minor,
            )
            .where(refunds.c.asked_at >= since, refunds.c.asked_at < until)
            .order_by(refunds.c.asked_at)
        )
        found: dict[tuple[str, str], list[int]] = {}
        with self.office.reading() as connection:
            for row in connection.execute(query):
                month = row.asked_at.astimezone(self.office.zone).strftime("%Y-%m")
                counts = found.setdefault((month, row.cause), [0, 0, 0])
                counts[0] += 1
                if row.state in ("approved", "paid", "done"):
                    counts[1] += 1
                    counts[2] += abs(row.amount_minor)
        return [CauseOfMonth(*key, *counts) for key, counts in sorted(found.items())]

    def list(
        self,
        *,
        states: Sequence[RefundState] = (RefundState.ASKED, RefundState.APPROVED),
        overdue: bool = False,
        account_id: int | None = None,
        limit: int = 100,
    ) -> list[Refund]:
        """Refunds, those that are due first.

        Args:
            states: which; empty: all.
            overdue: only what should have been paid or decided by now.
            account_id: of one account.
            limit: how many at most.
        """
        self.office.require(Right.LOOK)
        query = shown()
        if states:
            query = query.where(refunds.c.state.in_([each.value for each in states]))
        if overdue:
            query = query.where(
                refunds.c.due_at < self.office.now(), refunds.c.state.in_(["asked", "approved"])
            )
        if account_id is not None:
            query = query.where(refunds.c.account_id == account_id)
        query = query.order_by(refunds.c.due_at, refunds.c.refund_id).limit(min(limit, _LIST_MAX))
        with self.office.reading() as connection:
            return [refund_of(row) for row in connection.execute(query)]

    # --- inside ---------------------------------------------------------------------------

    def _due(self, due_at: datetime | None) -> datetime | None:
        if due_at is not None and due_at <= self.office.now():
            raise BadEntryError("A refund is due in the future.")
        return due_at

    def _added(self, connection: Connection, asked: Asked) -> Refund:
        return self._told(connection, "refund.asked", add_refund(connection, self.office, asked))

    def _enter(self, connection: Connection, refund: Refund) -> None:
        """Debit (or put right) the account, unless that was done when it was asked."""
        if refund.entered_at is not None or refund.account_id is None:
            return
        if refund.kind is RefundKind.CORRECTION:
            amount, words = refund.amount_minor, "Correction"
        else:
            _require_held(connection, refund.account_id, refund.amount_minor)
            amount, words = -refund.amount_minor, "Refund"
        post(connection, self.office, [_entry(refund, amount, words)])

    def _out_of_drawer(self, connection: Connection, refund: Refund, terminal: str) -> None:
        assert refund.channel is not None, "a CHECK holds it"
        move = DrawerMove(
            self.office.person.name,
            terminal,
            Tender.CASH,
            received(refund.channel),
            -refund.amount_minor,
            refund.source,
        )
        now, currency = self.office.now(), self.office.currency.code
        put_through_drawer(connection, move, now, currency)

    def _take_back(self, connection: Connection, refund: Refund, act: str) -> None:
        if refund.entered_at is None:
            return
        if refund.account_id is not None:
            lock(connection, [refund.account_id])
        if refund.account_id is None or not takes_money(connection, refund.account_id):
            raise RefundStateError(
                f"Refund {refund.refund_id} cannot be {act}: no open account could have the money. "
                "Pay it by another channel (`meterhouse refund reroute`)."
            )
        post(connection, self.office, [_entry(refund, refund.amount_minor, "Refund taken back")])

    def _told(
        self, connection: Connection, action: str, refund_id: int, reason: str = ""
    ) -> Refund:
        refund = find_refund(connection, refund_id)
        _record(connection, self.office, action, refund, reason)
        return refund


def _require_held(connection: Connection, account_id: int, amount_minor: int) -> None:
    lock(connection, [account_id])
    held = balance(connection, account_id)
    if amount_minor > held:
        raise RefundTooMuchError(
            f"The account holds {held} minor units, less than the {amount_minor} that are to be "
            "paid out."
        )


def _entry(refund: Refund, amount_minor: int, words: str) -> Entry:
    assert refund.account_id is not None, "only accounts have entries"
    is_correction = refund.kind is RefundKind.CORRECTION
    return Entry(
        refund.account_id,
        EntryKind.ADJUSTMENT if is_correction else EntryKind.REFUND,
        amount_minor,
        ADJUSTMENTS if is_correction else REFUNDED,
        refund.source,
        words,
    )


def _record(
    connection: Connection, office: Office, action: str, refund: Refund, reason: str = ""
) -> None:
    record(
        connection,
        office.now(),
        actor=office.person.name,
        action=action,
        subject=str(refund.refund_id),
        detail=f"amount_minor={refund.amount_minor} account={refund.number}",
        reason=reason or refund.reason,
    )
