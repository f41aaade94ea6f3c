"""All that is due, again and again: lost senders, word of outcomes, confirmations, sending."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from billing.notices.channels.port import CHANNELS
from billing.notices.fates import ask_again, locked, lost, settle_unknown
from billing.notices.sending import BillFiles, send_due
from billing.notices.tables import notice_messages
from billing.office import Office

_BATCH: Final = 200
_DUE: Final = (
    (notice_messages.c.sending_until, lost),
    (notice_messages.c.settle_at, settle_unknown),
    (notice_messages.c.confirm_by, ask_again),
)


def sweep(
    office: Office,
    *,
    limit: int = 1_000,
    bill_files: BillFiles | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Do what is due with messages; how much was done.  Safe in several processes at once.

    Args:
        office: the office.
        limit: messages to send by each channel, at most.
        bill_files: gives the files of bills; None: bills go without.
        stop: asked now and then.
    """
    done = 0
    for column, act in _DUE:
        done += _every(office, column, act, stop)
    for channel in CHANNELS:
        done += send_due(office, channel, limit=limit, bill_files=bill_files, stop=stop)
    return done


def _every(
    office: Office,
    column: Any,
    act: Callable[[Connection, Any, datetime], None],
    stop: Callable[[], bool],
) -> int:
    """Take a step with each message whose moment in a column has come."""
    done = 0
    while not stop():
        with office.writing() as connection:
            now = office.now()
            rows = connection.execute(
                locked()
                .where(column <= now)
                .order_by(column, notice_messages.c.message_id)
                .limit(_BATCH)
                .with_for_update(of=notice_messages, skip_locked=True)
            ).all()
            for row in rows:
                act(connection, row, now)
        done += len(rows)
        if len(rows) < _BATCH:
            break
    return done
