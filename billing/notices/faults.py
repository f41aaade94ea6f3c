"""Faults of messages."""

from __future__ import annotations

from typing import ClassVar

from billing.faults import BillingError


class NoticeFieldsError(BillingError):
    """What a notice says is not complete, or malformed: a mistake of the room that asks."""

    code: ClassVar[str] = "notice_fields"


class NoticeRulesError(BillingError):
    """The utility's rules or texts of notices cannot be used."""

    code: ClassVar[str] = "notice_rules"


class UnknownMessageError(BillingError):
    """There is no message, call-back or staff address of this number."""

    code: ClassVar[str] = "no_such_message"


class MessageStateError(BillingError):
    """The message's state does not allow it."""

    code: ClassVar[str] = "message_state"


class NoticeChannelSettingsError(BillingError):
    """A channel is not set up, or its settings cannot be used."""

    code: ClassVar[str] = "notice_channel_settings"


class NoticeChannelDownError(BillingError):
    """A channel's server cannot be used now; nothing has left."""

    code: ClassVar[str] = "notice_channel_down"
    is_system: ClassVar[bool] = True


class MailboxError(BillingError):
    """The folder in which answers to e-mails come in cannot be read."""

    code: ClassVar[str] = "mailbox"
    is_system: ClassVar[bool] = True
