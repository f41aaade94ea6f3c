"""What providers say of short messages: they call us, or are asked before a person has to call."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import select

from billing.notices.channels.setup import adapter_of
from billing.notices.fates import find_message, settle
from billing.notices.faults import (
    NoticeChannelDownError,
    NoticeChannelSettingsError,
    UnknownMessageError,
)
from billing.notices.tables import notice_channels, notice_history, notice_messages
from billing.office import Office

WHO: Final = "provider"
_BATCH: Final = 200


def take_report(office: Office, channel: str, body: bytes, signature: str) -> bool:
    """Take what a provider calls us with (`billing.notices.reports` listens for it).

    Args:
        office: the office.
        channel: whose provider it is.
        body: as it came.
        signature: HMAC-SHA-256 of the body in hexadecimal, from the call's header.

    Returns:
        whether it said something of the message's end.

    Raises:
        NoticeChannelSettingsError: the channel takes no reports, or this one is not the provider's.
        UnknownMessageError: it is about no message that we know (yet).
    """
    adapter = _adapter(office, channel)
    read = getattr(adapter, "read_report", None)
    if read is None:
        raise NoticeChannelSettingsError(f"The channel {channel} takes no reports.")
    found = read(body, signature)
    if found is None:
        return False
    reference, outcome = found
    with office.writing() as connection:
        number = find_message(connection, reference)
        if number is None:
            raise UnknownMessageError("The report is about no message that is known here.")
        settle(connection, office, number, outcome, actor=WHO)
    return True


def ask_providers(office: Office) -> int:
    """Ask after messages whose confirmation is due; how many were answered."""
    now, answered = office.now(), 0
    with office.reading() as connection:
        due = connection.execute(
            select(notice_messages.c.message_id, notice_messages.c.channel)
            .where(notice_messages.c.confirm_by <= now, notice_messages.c.channel != "email")
            .order_by(notice_messages.c.confirm_by)
            .limit(_BATCH)
        ).all()
    for channel in sorted({row.channel for row in due}):
        try:
            ask = getattr(_adapter(office, channel), "fate_of", None)
            if ask is None:
                continue
            for row in due:
                if row.channel == channel:
                    answered += _ask_after(office, row.message_id, ask)
        except (NoticeChannelDownError, NoticeChannelSettingsError):
            continue  # then a person is asked
    return answered


def _ask_after(office: Office, message_id: int, ask: Any) -> int:
    with office.reading() as connection:
        reference = connection.scalar(
            select(notice_history.c.reference)
            .where(notice_history.c.message_id == message_id, notice_history.c.act == "sent")
            .order_by(notice_history.c.entry_id.desc())
            .limit(1)
        )
    outcome = ask(reference) if reference else None
    if outcome is None:
        return 0
    with office.writing() as connection:
        settle(connection, office, message_id, outcome, actor=WHO)
    return 1


def _adapter(office: Office, channel: str) -> Any:
    with office.reading() as connection:
        row = connection.execute(
            select(notice_channels).where(notice_channels.c.channel == channel)
        ).first()
    if row is None:
        raise NoticeChannelSettingsError(f"The channel {channel} is not set up.")
    return adapter_of(channel, row.adapter, row.settings)
