"""Read the folder in which mail servers' answers arrive, and tell the outbox.

The folder is a Maildir: whoever fetches the mailbox (the mail server itself, fetchmail, getmail)
delivers into its ``new``.  A letter that was read is moved to ``cur``; one that is no answer to a
message of ours is flagged there, for a person.  A letter that is read twice, because the power went
between the commit and the move, changes nothing the second time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from billing.notices.channels.port import Fate, Outcome
from billing.notices.dsn import BYTES_MAX, Action, DeliveryStatus, read_dsn
from billing.notices.fates import find_message, settle
from billing.notices.faults import MailboxError
from billing.notices.tables import notice_history
from billing.office import Office

WHO: Final = "mail server"
_FATES: Final = {
    Action.FAILED: Fate.FAILED,
    Action.DELIVERED: Fate.DELIVERED,
    Action.RELAYED: Fate.SENT,
    Action.EXPANDED: Fate.SENT,
    Action.DELAYED: Fate.AGAIN,
}


def read_folder(office: Office, folder: Path, *, limit: int = 1_000) -> int:
    """Read what is new; how many answers to our messages were among it.

    Args:
        office: the office.
        folder: the Maildir.
        limit: letters at most.

    Raises:
        MailboxError: the folder is no Maildir, or cannot be read.
    """
    fresh, seen = folder / "new", folder / "cur"
    if not fresh.is_dir() or not seen.is_dir():
        raise MailboxError(f"{folder} is no Maildir: it has no folders new and cur.")
    known = 0
    try:
        letters = sorted(path for path in fresh.iterdir() if not path.name.startswith("."))
        for path in letters[:limit]:
            count = _read_letter(office, path)
            known += count
            flags = "S" if count else "FS"
            path.replace(seen / f"{path.name.partition(':')[0]}:2,{flags}")
    except OSError as fault:
        raise MailboxError(
            f"The folder of answers to e-mails, {folder}, cannot be read: {fault.strerror}."
        ) from None
    return known


def take_status(connection: Connection, office: Office, status: DeliveryStatus) -> bool:
    """Note what a server says of a message; False: it is none of ours, or known already.

    Args:
        connection: in a write transaction.
        office: the office.
        status: as the letter has it.
    """
    number = find_message(connection, status.reference)
    if number is None:
        return False
    same = select(notice_history.c.entry_id).where(
        notice_history.c.message_id == number,
        notice_history.c.actor == WHO,
        notice_history.c.reference == status.reference,
        notice_history.c.words == status.words,
    )
    if connection.execute(same.limit(1)).first() is not None:
        return True
    outcome = Outcome(_FATES[status.action], status.words, status.reference)
    settle(connection, office, number, outcome, actor=WHO)
    return True


def _read_letter(office: Office, path: Path) -> int:
    with path.open("rb") as file:
        found = read_dsn(file.read(BYTES_MAX + 1))
    if not found:
        return 0
    with office.writing() as connection:
        return sum(take_status(connection, office, status) for status in found)
