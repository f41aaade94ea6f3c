"""Rows of the outbox: one for each notice, person and channel, with its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from billing.notices.rules import Rule
from billing.notices.tables import notice_history, notice_messages
from billing.office import Office


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who is told, by which channel: a contact, or one of the utility's own people."""

    channel: str
    language: str
    contact_id: int | None = None
    staff_id: int | None = None


def queue_messages(
    connection: Connection,
    office: Office,
    wanted: Sequence[tuple[int, Rule, datetime, Sequence[Addressee]]],
    at: datetime,
) -> list[int]:
    """Put messages into the outbox; gives their numbers.

    Args:
        connection: in a write transaction.
        office: the office.
        wanted: the notice's number, its rule, until when it says something, who is told.
        at: the time.
    """
    rows = [
        {
            "notice_id": notice_id,
            "contact_id": each.contact_id,
            "staff_id": each.staff_id,
            "channel": each.channel,
            "language": each.language,
            "rank": rule.rank,
            "state": "queued",
            "due_at": at,
            "keep_until": keep_until,
            "tries": 0,
            "round": 1,
        }
        for notice_id, rule, keep_until, whom in wanted
        for each in whom
    ]
    if not rows:
        return []
    numbers = list(
        connection.scalars(insert(notice_messages).returning(notice_messages.c.message_id), rows)
    )
    connection.execute(
        insert(notice_history),
        [history_row(number, at, "queued", office.person.name) for number in numbers],
    )
    return numbers


def note(
    connection: Connection,
    message_id: int,
    at: datetime,
    act: str,
    actor: str,
    words: str = "",
    reference: str | None = None,
) -> None:
    """Add a line to a message's history.

    Args:
        connection: in a write transaction.
        message_id: of which.
        at: when.
        act: what happened, one word.
        actor: who did it; the office itself: its service.
        words: for people, no personal data.
        reference: by which others know the message.
    """
    connection.execute(
        insert(notice_history), history_row(message_id, at, act, actor, words, reference)
    )


def history_row(
    message_id: int,
    at: datetime,
    act: str,
    actor: str,
    words: str = "",
    reference: str | None = None,
) -> dict[str, Any]:
    """A line of the history, as it is inserted."""
    return {
        "message_id": message_id,
        "at": at,
        "act": act,
        "actor": actor,
        "reference": reference,
        "words": words[:300],
    }
