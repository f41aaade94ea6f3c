"""Whom a person is to call, because messages do not reach them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from billing.notices.tables import notice_callbacks

NO_ADDRESS: Final = "no_address"
FAILED: Final = "failed"
NOT_CONFIRMED: Final = "not_confirmed"
UNSURE: Final = "unsure"


def open_callbacks(
    connection: Connection, unheard: Sequence[tuple[int, int]], at: datetime
) -> None:
    """Ask a person to call accounts nobody of which has an address; one open task for each.

    Args:
        connection: in a write transaction.
        unheard: the accounts, and the notices that did not reach them.
        at: the time.
    """
    wanted = dict(unheard)
    there = connection.scalars(
        select(notice_callbacks.c.account_id).where(
            notice_callbacks.c.account_id.in_(wanted),
            notice_callbacks.c.state == "open",
            notice_callbacks.c.contact_id.is_(None),
        )
    )
    for account_id in there:
        del wanted[account_id]
    rows = [
        {
            "account_id": account_id,
            "notice_id": notice_id,
            "why": NO_ADDRESS,
            "state": "open",
            "opened_at": at,
            "resend": 0,
        }
        for account_id, notice_id in wanted.items()
    ]
    _insert_new(connection, rows)


def _insert_new(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """One open task for each; on PostgreSQL somebody else may have been faster."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(insert(notice_callbacks), list(rows))
    else:
        connection.execute(postgresql_insert(notice_callbacks).on_conflict_do_nothing(), list(rows))


def open_contact_callback(connection: Connection, row: Any, why: str, at: datetime) -> None:
    """Ask a person to call a contact whom messages of a channel do not reach.

    One task is open for a contact and channel, whatever else fails meanwhile.

    Args:
        connection: in a write transaction.
        row: of the message, with the notice's ``account_id``.
        why: one of the reasons above.
        at: the time.
    """
    there = connection.scalar(
        select(notice_callbacks.c.callback_id).where(
            notice_callbacks.c.contact_id == row.contact_id,
            notice_callbacks.c.channel == row.channel,
            notice_callbacks.c.state == "open",
        )
    )
    if there is not None:
        return
    task = {
        "account_id": row.account_id,
        "contact_id": row.contact_id,
        "channel": row.channel,
        "message_id": row.message_id,
        "notice_id": row.notice_id,
        "why": why,
        "state": "open",
        "opened_at": at,
        "resend": 0,
    }
    _insert_new(connection, [task])


def close_callbacks(connection: Connection, row: Any, who: str, outcome: str, at: datetime) -> None:
    """Nobody needs to call any more: the channel reaches the contact.

    Args:
        connection: in a write transaction.
        row: of the message that came through.
        who: says so.
        outcome: what happened, for people.
        at: the time.
    """
    connection.execute(
        update(notice_callbacks)
        .where(
            notice_callbacks.c.contact_id == row.contact_id,
            notice_callbacks.c.channel == row.channel,
            notice_callbacks.c.state == "open",
        )
        .values(state="done", done_at=at, done_by=who, outcome=outcome)
    )
