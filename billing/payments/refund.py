"""Money that goes back, and corrections of accounts: their rows (specs/utility.md 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from billing.accounts.tables import customer_accounts
from billing.faults import BadEntryError
from billing.office import Office
from billing.payments.channels import channel_for_money
from billing.payments.faults import RefundStateError, UnknownRefundError
from billing.payments.tables import refunds

REFUND_DAYS: Final = 10
"""Until when a refund is to be decided and paid, unless somebody says another day."""
_REASON_LENGTH_MAX: Final = 500


class RefundKind(StrEnum):
    """What goes back how."""

    PAYOUT = "payout"
    """Money leaves the house."""
    CORRECTION = "correction"
    """An entry on the account."""


class Cause(StrEnum):
    """Why, for the count by month."""

    WRONG_READING = "wrong_reading"
    WRONG_TARIFF = "wrong_tariff"
    PAID_TWICE = "paid_twice"
    WRONG_ACCOUNT = "wrong_account"
    CLOSING = "closing"
    GOODWILL = "goodwill"
    OTHER = "other"


class RefundState(StrEnum):
    """Where a refund stands."""

    ASKED = "asked"
    APPROVED = "approved"
    """To be paid out; the account has been debited."""
    REFUSED = "refused"
    PAID = "paid"
    FAILED = "failed"
    """It could not be paid out and is on the account again."""
    DONE = "done"
    """A correction that was entered."""


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund or correction."""

    refund_id: int
    kind: RefundKind
    account_id: int | None
    number: str
    """Of the account; empty: money from suspense goes back to who paid it."""
    payment_id: int | None
    amount_minor: int
    channel: str | None
    cause: Cause
    reason: str
    asked_at: datetime
    asked_by: str
    due_at: datetime
    state: RefundState
    entered_at: datetime | None
    """When the account was debited; None: not yet."""
    decided_at: datetime | None
    approved_by: str | None
    paid_at: datetime | None
    paid_by: str | None
    paid_reference: str | None
    routed_by: str | None
    """Who last sent it another way; None: it goes as it was asked."""

    @property
    def source(self) -> str:
        """As entries name it."""
        return f"refund {self.refund_id}"

    @property
    def waits(self) -> bool:
        """For a person."""
        return self.state in (RefundState.ASKED, RefundState.APPROVED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for."""

    kind: RefundKind
    amount_minor: int
    cause: Cause
    reason: str
    account_id: int | None = None
    payment_id: int | None = None
    channel: str | None = None
    due_at: datetime | None = None
    is_entered: bool = False
    """Whether the account is debited already."""
    asked_by: str | None = None
    """Who wants it; None: who acts."""


def add_refund(connection: Connection, office: Office, asked: Asked) -> int:
    """Write down what is asked; gives its number.

    Raises:
        BadEntryError: no reason, or no amount.
        UnknownChannelError, ChannelClosedError: it cannot be paid out that way.
    """
    if type(asked.amount_minor) is not int or asked.amount_minor == 0:
        raise BadEntryError("A refund is a whole number of minor units, and not zero.")
    if asked.kind is RefundKind.PAYOUT and asked.amount_minor < 0:
        raise BadEntryError("What is paid out is above zero.")
    at = office.now()
    if asked.channel is not None:
        channel_for_money(connection, office, asked.channel)
    row = {
        "kind": asked.kind.value,
        "account_id": asked.account_id,
        "payment_id": asked.payment_id,
        "amount_minor": asked.amount_minor,
        "channel": asked.channel,
        "cause": asked.cause.value,
        "reason": require_reason(asked.reason),
        "asked_at": at,
        "asked_by": office.person.name if asked.asked_by is None else asked.asked_by,
        "due_at": asked.due_at or at + timedelta(days=REFUND_DAYS),
        "state": RefundState.ASKED.value,
        "entered_at": at if asked.is_entered else None,
    }
    refund_id: int = connection.execute(
        insert(refunds).returning(refunds.c.refund_id), row
    ).scalar_one()
    return refund_id


def find_refund(connection: Connection, refund_id: int, *, lock: bool = False) -> Refund:
    """A refund.

    Raises:
        UnknownRefundError: there is none of this number.
    """
    if lock:
        connection.execute(
            select(refunds.c.refund_id).where(refunds.c.refund_id == refund_id).with_for_update()
        )
    row = connection.execute(shown().where(refunds.c.refund_id == refund_id)).one_or_none()
    if row is None:
        raise UnknownRefundError(
            f"There is no refund {refund_id}; `meterhouse refund list` shows them."
        )
    return refund_of(row)


def locked(connection: Connection, refund_id: int, state: RefundState, act: str) -> Refund:
    """A refund in one state, which stays so until the transaction ends.

    Raises:
        UnknownRefundError: there is none of this number.
        RefundStateError: it is in another state.
    """
    found = find_refund(connection, refund_id, lock=True)
    if found.state is not state:
        raise RefundStateError(
            f"Refund {refund_id} is {found.state.value}: only one that is {state.value} can be "
            f"{act}."
        )
    return found


def set_refund(connection: Connection, refund_id: int, **values: Any) -> None:
    """Bring a refund on; the database lets none go back, but for another way."""
    connection.execute(update(refunds).where(refunds.c.refund_id == refund_id).values(**values))


def require_reason(reason: str) -> str:
    """A reason in somebody's own words.

    Raises:
        BadEntryError: it is missing, or longer than a person writes.
    """
    plain = " ".join(reason.split())
    if not plain or len(plain) > _REASON_LENGTH_MAX:
        raise BadEntryError(
            f"Give a reason, in at most {_REASON_LENGTH_MAX} characters: an auditor will ask."
        )
    return plain


def shown() -> Select[Any]:
    """Refunds with their accounts' numbers."""
    return select(refunds, customer_accounts.c.number).outerjoin(
        customer_accounts, customer_accounts.c.account_id == refunds.c.account_id
    )


def refund_of(row: Any) -> Refund:
    """A refund from its row."""
    return Refund(
        refund_id=row.refund_id,
        kind=RefundKind(row.kind),
        account_id=row.account_id,
        number=row.number or "",
        payment_id=row.payment_id,
        amount_minor=row.amount_minor,
        channel=row.channel,
        cause=Cause(row.cause),
        reason=row.reason,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        due_at=row.due_at,
        state=RefundState(row.state),
        entered_at=row.entered_at,
        decided_at=row.decided_at,
        approved_by=row.approved_by,
        paid_at=row.paid_at,
        paid_by=row.paid_by,
        paid_reference=row.paid_reference,
        routed_by=row.routed_by,
    )
