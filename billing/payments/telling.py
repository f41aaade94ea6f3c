"""What customers are told of their payments and refunds, through the office's outbox."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.office import Office
from billing.payments.refund import Refund


def tell_received(
    connection: Connection,
    office: Office,
    account_id: int,
    *,
    payment_id: int,
    amount_minor: int,
    balance_minor: int,
    paid_at: datetime,
) -> None:
    """A payment has come onto an account; told once for each account that has had it."""
    about: dict[str, str | int] = {
        "amount_minor": amount_minor,
        "balance_minor": balance_minor,
        "paid_at": paid_at.astimezone(UTC).isoformat(timespec="seconds"),
        "reference": f"{payment_id}",
    }
    once = f"payment {payment_id} account {account_id}"
    queue_notice(connection, office, Notice(Event.PAYMENT_RECEIVED, account_id, once, about))


def tell_refund(connection: Connection, office: Office, refund: Refund) -> None:
    """Money will be paid out; told when that was approved, once for each way."""
    if refund.account_id is None or refund.channel is None:
        return
    about: dict[str, str | int] = {
        "amount_minor": refund.amount_minor,
        "by_on": refund.due_at.astimezone(office.zone).date().isoformat(),
        "refund_channel": refund.channel,
    }
    once = f"refund {refund.refund_id} by {refund.channel}"
    queue_notice(connection, office, Notice(Event.REFUND, refund.account_id, once, about))
