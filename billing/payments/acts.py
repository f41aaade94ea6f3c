"""What became of a payment, act by act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, func, insert, select

from billing.office import Office
from billing.payments.tables import payment_acts


class Act(StrEnum):
    """One thing that happened to a payment."""

    POSTED = "posted"
    SUSPENDED = "suspended"
    """Put into suspense."""
    ASSIGNED = "assigned"
    """Out of suspense, to an account."""
    MOVED = "moved"
    """From one account to another."""
    UNDONE = "undone"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class ActDone:
    """An act as it stands in the history."""

    at: datetime
    act: Act
    account_id: int | None
    """Where the payment lay afterwards."""
    actor: str
    words: str


def keep_act(
    connection: Connection,
    office: Office,
    payment_id: int,
    act: Act,
    account_id: int | None,
    words: str = "",
) -> None:
    """Add an act; in the transaction that has inserted or locked the payment's row."""
    last = connection.scalar(
        select(func.max(payment_acts.c.seq)).where(payment_acts.c.payment_id == payment_id)
    )
    row = {
        "payment_id": payment_id,
        "seq": (last or 0) + 1,
        "at": office.now(),
        "act": act.value,
        "account_id": account_id,
        "actor": office.person.name,
        "words": words,
    }
    connection.execute(insert(payment_acts), row)


def acts_of(connection: Connection, payment_id: int) -> list[ActDone]:
    """The acts of a payment, in order."""
    rows = connection.execute(
        select(payment_acts)
        .where(payment_acts.c.payment_id == payment_id)
        .order_by(payment_acts.c.seq)
    )
    return [ActDone(row.at, Act(row.act), row.account_id, row.actor, row.words) for row in rows]
