"""The contact record of an account: what it was told, what became of it, who spoke with whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from billing.notices.tables import (
    contact_notes,
    notice_callbacks,
    notice_history,
    notice_messages,
    notices,
)
from billing.office import Office

WAYS = ("phone", "counter", "visit", "letter", "other")


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One contact, or attempt."""

    at: datetime
    way: str
    """A channel, or how a person met them."""
    about: str
    """The event, or what kind of line it is."""
    act: str
    actor: str
    words: str
    message_id: int | None = None


def contact_record(
    connection: Connection, office: Office, account_id: int, *, limit: int = 200
) -> list[RecordLine]:
    """All contacts with an account, the newest first.

    Args:
        connection: in any transaction.
        office: opens what people noted.
        account_id: whose.
        limit: lines at most.
    """
    of_messages = connection.execute(
        select(
            notice_history.c.at,
            notice_messages.c.channel,
            notices.c.event,
            notice_history.c.act,
            notice_history.c.actor,
            notice_history.c.words,
            notice_messages.c.message_id,
        )
        .join(notice_messages, notice_messages.c.message_id == notice_history.c.message_id)
        .join(notices, notices.c.notice_id == notice_messages.c.notice_id)
        .where(notices.c.account_id == account_id)
        .order_by(notice_history.c.entry_id.desc())
        .limit(limit)
    )
    lines = [RecordLine(*row) for row in of_messages]
    of_notes = connection.execute(
        select(contact_notes)
        .where(contact_notes.c.account_id == account_id)
        .order_by(contact_notes.c.at.desc())
        .limit(limit)
    )
    for row in of_notes:
        words = office.seal.open("contact.note", bytes(row.words_sealed))
        about = "note" if row.callback_id is None else f"call-back {row.callback_id}"
        lines.append(RecordLine(row.at, row.way, about, "noted", row.actor, words))
    of_tasks = connection.execute(
        select(notice_callbacks)
        .where(notice_callbacks.c.account_id == account_id)
        .order_by(notice_callbacks.c.opened_at.desc())
        .limit(limit)
    )
    for task in of_tasks:
        about, way = f"call-back {task.callback_id}", task.channel or "other"
        lines.append(RecordLine(task.opened_at, way, about, "asked for", "", task.why))
        if task.done_at is not None:
            lines.append(RecordLine(task.done_at, way, about, "done", task.done_by, task.outcome))
    return sorted(lines, key=lambda line: line.at, reverse=True)[:limit]


def note_contact(
    connection: Connection,
    office: Office,
    account_id: int,
    way: str,
    words: str,
    callback_id: int | None = None,
) -> None:
    """Put a contact that a person had onto the record.

    Args:
        connection: in a write transaction.
        office: gives who, and seals the words.
        account_id: whose.
        way: one of `WAYS`.
        words: what was said.
        callback_id: the task that it belongs to.
    """
    connection.execute(
        insert(contact_notes),
        {
            "account_id": account_id,
            "callback_id": callback_id,
            "at": office.now(),
            "actor": office.person.name,
            "way": way,
            "words_sealed": office.seal.seal("contact.note", words),
        },
    )
