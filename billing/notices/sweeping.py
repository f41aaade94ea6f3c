"""All that is due, again and again: lost senders, word of outcomes, confirmations, sending."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Connection, select

from billing.notices.attachments import BillFiles, bill_file
from billing.notices.bounces import read_folder
from billing.notices.calling import resend_corrected
from billing.notices.channels.port import CHANNELS
from billing.notices.fates import ask_again, locked, lost, settle_unknown
from billing.notices.faults import MailboxError
from billing.notices.proofs import ask_providers
from billing.notices.sending import send_due
from billing.notices.staff import take_alarms, tell_staff
from billing.notices.tables import notice_channels, notice_messages
from billing.office import Office

_log: Final = structlog.get_logger("notices")
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
    bill_files: BillFiles = bill_file,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Do what is due with messages; how much was done.  Safe in several processes at once.

    Args:
        office: the office.
        limit: messages to send by each channel, at most.
        bill_files: gives the files of bills.
        stop: asked now and then.
        progress: told now and then how much was done.
    """
    done = ask_providers(office)
    for column, act in _DUE:
        done += _every(office, column, act, stop)
    done += _answers(office, limit)
    done += resend_corrected(office)
    done += take_alarms(office) + tell_staff(office)
    for channel in CHANNELS:
        done += send_due(
            office,
            channel,
            limit=limit,
            bill_files=bill_files,
            stop=stop,
            progress=partial(_told, progress, done),
        )
    return done


def _told(progress: Callable[[int], object], before: int, sent: int) -> None:
    progress(before + sent)


def _answers(office: Office, limit: int) -> int:
    """Read what mail servers have answered, where the e-mail channel names a folder."""
    with office.reading() as connection:
        settings = connection.scalar(
            select(notice_channels.c.settings).where(
                notice_channels.c.channel == "email", notice_channels.c.enabled == 1
            )
        )
    folder = json.loads(settings or "{}").get("maildir")
    if not folder:
        return 0
    try:
        return read_folder(office, Path(folder), limit=limit)
    except MailboxError as fault:  # messages leave all the same
        _log.warning("notice_mailbox", code=fault.code)
        return 0


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
