"""What became of a message: the one place where its state moves on.

Definite failures that may pass (a busy server) go back to the queue, later each time, until the
message says nothing new any more.  An e-mail whose outcome is unknown may be sent again, with the
same Message-ID, as every mail server does: those on the way drop the second one, and a reader who
gets both loses nothing.  A short message would be read twice, and paid twice: it stays unknown
until the provider or a person says what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, select, update

from billing.notices.callbacks import (
    FAILED,
    NOT_CONFIRMED,
    UNSURE,
    close_callbacks,
    open_contact_callback,
)
from billing.notices.channels.port import Fate, Outcome
from billing.notices.messages import note
from billing.notices.rules import Rule, rule_of
from billing.notices.tables import notice_history, notice_messages, notices
from billing.office import Office
from billing.person import SERVICE

_BACK_OFF_MIN: Final = (1, 5, 15, 60, 240)
"""Minutes after the first, second, ... try; then the last again and again."""
UNKNOWN_WAIT: Final = timedelta(hours=1)
"""How long an e-mail of unknown outcome waits for word of it before it is sent again."""
TRIES_UNKNOWN_MAX: Final = 3
"""Tries after which an e-mail of unknown outcome is not sent again."""


def settle(
    connection: Connection, office: Office, message_id: int, outcome: Outcome, *, actor: str
) -> str | None:
    """Move a message on by an outcome; gives its new state, None when it stays as it is.

    Args:
        connection: in a write transaction.
        office: the office.
        message_id: which; its row is locked.
        outcome: what is known.
        actor: who says so.
    """
    row = connection.execute(locked().where(notice_messages.c.message_id == message_id)).one()
    at = office.now()
    rule = rule_of(row.event)
    state, values = _moved(row, rule, outcome, at)
    note(connection, message_id, at, state or "word", actor, outcome.words, outcome.reference)
    if state is None:
        if values:
            connection.execute(_of(message_id).values(**values))
        return None
    connection.execute(_of(message_id).values(**_cleared(state), **values, state=state))
    if row.contact_id is not None:
        if state == "failed":
            open_contact_callback(connection, row, FAILED, at)
        elif state == "delivered":
            close_callbacks(connection, row, SERVICE.name, "a message was delivered", at)
    return state


def locked() -> Select[Any]:
    """Messages with their events, locked for what comes."""
    return (
        select(notice_messages, notices.c.event, notices.c.account_id)
        .join(notices, notices.c.notice_id == notice_messages.c.notice_id)
        .with_for_update(of=notice_messages)
    )


def find_message(connection: Connection, reference: str) -> int | None:
    """The message that a reference, ours or a provider's, was given to."""
    return connection.scalar(
        select(notice_history.c.message_id)
        .where(notice_history.c.reference == reference)
        .order_by(notice_history.c.entry_id.desc())
        .limit(1)
    )


def withdraw_notices(connection: Connection, office: Office, onces: Sequence[str], why: str) -> int:
    """Take back what has not left yet, because it is no longer true: a payment came in.

    Args:
        connection: in a write transaction.
        office: the office.
        onces: `Notice.once` of what is taken back.
        why: for the record, no personal data.

    Returns:
        how many messages will not leave.
    """
    at = office.now()
    rows = connection.execute(
        locked()
        .where(notices.c.once.in_(onces), notice_messages.c.state == "queued")
        .order_by(notice_messages.c.message_id)
    ).all()
    for row in rows:
        connection.execute(_of(row.message_id).values(**_cleared("failed"), state="failed"))
        note(connection, row.message_id, at, "withdrawn", office.person.name, why)
    return len(rows)


def give_up(connection: Connection, row: Any, at: datetime, words: str) -> None:
    """A message that was not sent in time, or has nowhere to go."""
    connection.execute(_of(row.message_id).values(**_cleared("failed"), state="failed"))
    note(connection, row.message_id, at, "failed", SERVICE.name, words)
    if row.contact_id is not None and rule_of(row.event).callback:
        open_contact_callback(connection, row, FAILED, at)


def lost(connection: Connection, row: Any, at: datetime) -> None:
    """A message whose sender has not come back: it may have left."""
    values = {**_cleared("unknown"), "settle_at": at + UNKNOWN_WAIT}
    connection.execute(_of(row.message_id).values(state="unknown", **values))
    note(connection, row.message_id, at, "unknown", SERVICE.name, "its sender did not come back")


def settle_unknown(connection: Connection, row: Any, at: datetime) -> None:
    """Nobody has said what became of a message: an e-mail goes again, others wait for a person."""
    if row.channel == "email" and row.tries < TRIES_UNKNOWN_MAX and at < row.keep_until:
        connection.execute(
            _of(row.message_id).values(**_cleared("queued"), state="queued", due_at=at)
        )
        note(connection, row.message_id, at, "again", SERVICE.name, "with the same Message-ID")
        return
    connection.execute(_of(row.message_id).values(settle_at=None))
    if row.contact_id is not None and rule_of(row.event).callback:
        open_contact_callback(connection, row, UNSURE, at)


def ask_again(connection: Connection, row: Any, at: datetime) -> None:
    """An e-mail was not confirmed in time: once more, then a person calls."""
    if row.channel == "email" and row.round == 1 and at < row.keep_until:
        connection.execute(
            _of(row.message_id).values(
                **_cleared("queued"), state="queued", due_at=at, round=row.round + 1
            )
        )
        note(
            connection, row.message_id, at, "again", SERVICE.name, "its delivery was not confirmed"
        )
        return
    connection.execute(_of(row.message_id).values(confirm_by=None))
    note(connection, row.message_id, at, "not_confirmed", SERVICE.name, "a person is asked to call")
    if row.contact_id is not None:
        open_contact_callback(connection, row, NOT_CONFIRMED, at)


def _moved(
    row: Any, rule: Rule, outcome: Outcome, at: datetime
) -> tuple[str | None, dict[str, Any]]:
    """The state after an outcome, and what goes with it; None: it stays."""
    fate = outcome.fate
    if row.state in ("queued", "delivered", "failed"):
        return None, {}  # too late: what is said is kept in the history
    if row.state == "sent" and fate in (Fate.SENT, Fate.UNKNOWN, Fate.AGAIN):
        handed_on = fate is Fate.SENT
        return None, {"confirm_by": None} if handed_on else {}
    if row.state == "unknown" and fate in (Fate.UNKNOWN, Fate.AGAIN):
        return None, {}
    if fate is Fate.AGAIN:
        due_at = at + timedelta(minutes=_BACK_OFF_MIN[min(row.tries, len(_BACK_OFF_MIN)) - 1])
        return ("queued", {"due_at": due_at}) if due_at < row.keep_until else ("failed", {})
    if fate is Fate.SENT:
        asked = rule.confirm_days if outcome.is_asked_for_proof else 0
        return "sent", {"confirm_by": at + timedelta(days=asked) if asked else None}
    if fate is Fate.DELIVERED:
        return "delivered" if row.state != "sending" else "sent", {}
    if fate is Fate.UNKNOWN:
        return "unknown", {"settle_at": at + UNKNOWN_WAIT}
    return "failed", {}


def _cleared(state: str) -> dict[str, None]:
    kept = {"queued": ("due_at",), "sent": ("confirm_by",), "unknown": ("settle_at",)}
    names = ("due_at", "sending_until", "confirm_by", "settle_at")
    return {name: None for name in names if name not in kept.get(state, ())}


def _of(message_id: int) -> Any:
    return update(notice_messages).where(notice_messages.c.message_id == message_id)
