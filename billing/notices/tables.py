"""Messages to people, and what became of them.

===================  =================================================================
`notices`            what is to be told, once for each `once`; append-only
`notice_messages`    one for each notice, person and channel: the outbox
`notice_history`     every change of a message; append-only, part of the contact record
`notice_channels`    how each channel is set up, how it does
`notice_quiet`       the utility's own quiet hours
`notice_callbacks`   whom a person is to call, because messages do not reach them
`contact_notes`      what people noted of a contact (a call, a visit); append-only
`notice_staff`       where the utility's own people are told of alarms
`staff_alarms`       alarms that wait to be told to a role
===================  =================================================================

The database refuses (triggers) any step of a message's state that could send it twice: out of
``sending`` and ``unknown`` a message comes by its outcome alone; only an e-mail, which carries
the same Message-ID then, may be queued again from ``unknown``.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

_CHANNEL: Final = "channel IN ('email', 'sms', 'wechat')"

notices: Final = table(
    "notices",
    Column("notice_id", Identifier, primary_key=True),
    Column("once", Text, nullable=False, unique=True),
    Column("event", Text, nullable=False),
    Column("account_id", Identifier, ForeignKey("customer_accounts.account_id")),
    Column("about", Text, nullable=False, comment="canonical JSON; no personal data"),
    Column("bill_id", Identifier, comment="of bills: attached"),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("asked_by", Text, nullable=False),
    CheckConstraint("(account_id IS NULL) = (event = 'staff_alarms')", name="whose"),
    CheckConstraint("length(once) > 0", name="once"),
    Index("ix_notices_account_id", "account_id", "notice_id"),
    Index("ix_notices_bill_id", "bill_id"),
)

notice_staff: Final = table(
    "notice_staff",
    Column("staff_id", Identifier, primary_key=True),
    Column("role", Text, nullable=False, comment="recipients of alarm steps: duty"),
    Column("channel", Text, nullable=False),
    Column("address_sealed", LargeBinary, nullable=False, comment="staff.address"),
    Column("language", Text),
    Column("added_at", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp),
    CheckConstraint(_CHANNEL, name="channel"),
    CheckConstraint("length(role) > 0", name="role"),
    Index("ix_notice_staff_role", "role"),
)

notice_messages: Final = table(
    "notice_messages",
    Column("message_id", Identifier, primary_key=True),
    Column("notice_id", Identifier, ForeignKey(notices.c.notice_id), nullable=False),
    Column("contact_id", Identifier, ForeignKey("contacts.contact_id")),
    Column("staff_id", Identifier, ForeignKey(notice_staff.c.staff_id)),
    Column("channel", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("rank", WholeNumber, nullable=False, comment="0 goes first"),
    Column("state", Text, nullable=False),
    Column("due_at", UtcTimestamp),
    Column("keep_until", UtcTimestamp, nullable=False),
    Column("sending_until", UtcTimestamp),
    Column("tries", WholeNumber, nullable=False, comment="begun"),
    Column("round", WholeNumber, nullable=False, comment="2: sent again, not confirmed"),
    Column("confirm_by", UtcTimestamp),
    Column("settle_at", UtcTimestamp),
    UniqueConstraint("notice_id", "contact_id", "channel"),
    UniqueConstraint("notice_id", "staff_id", "channel"),
    CheckConstraint(_CHANNEL, name="channel"),
    CheckConstraint("(contact_id IS NULL) <> (staff_id IS NULL)", name="whom"),
    CheckConstraint(
        "state IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'unknown')", name="state"
    ),
    CheckConstraint("(state = 'queued') = (due_at IS NOT NULL)", name="due_at"),
    CheckConstraint("(state = 'sending') = (sending_until IS NOT NULL)", name="sending_until"),
    CheckConstraint("confirm_by IS NULL OR state = 'sent'", name="confirm_by"),
    CheckConstraint("settle_at IS NULL OR state = 'unknown'", name="settle_at"),
    CheckConstraint("tries >= 0 AND round BETWEEN 1 AND 9", name="counts"),
    Index(
        "ix_notice_messages_due",
        "channel",
        "rank",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "ix_notice_messages_sending_until",
        "sending_until",
        sqlite_where=text("sending_until IS NOT NULL"),
        postgresql_where=text("sending_until IS NOT NULL"),
    ),
    Index(
        "ix_notice_messages_confirm_by",
        "confirm_by",
        sqlite_where=text("confirm_by IS NOT NULL"),
        postgresql_where=text("confirm_by IS NOT NULL"),
    ),
    Index(
        "ix_notice_messages_settle_at",
        "settle_at",
        sqlite_where=text("settle_at IS NOT NULL"),
        postgresql_where=text("settle_at IS NOT NULL"),
    ),
    Index("ix_notice_messages_contact_id", "contact_id"),
)

notice_history: Final = table(
    "notice_history",
    Column("entry_id", Identifier, primary_key=True),
    Column("message_id", Identifier, ForeignKey(notice_messages.c.message_id), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("act", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reference", Text, comment="Message-ID, or the provider's own"),
    Column("words", Text, nullable=False),
    CheckConstraint("length(act) > 0", name="act"),
    Index("ix_notice_history_message_id", "message_id"),
    Index("ix_notice_history_reference", "reference"),
)

notice_channels: Final = table(
    "notice_channels",
    Column("channel", Text, nullable=False),
    Column("adapter", Text, nullable=False),
    Column("settings", Text, nullable=False, comment="canonical JSON; secrets by their file"),
    Column("enabled", WholeNumber, nullable=False),
    Column("per_minute", WholeNumber, nullable=False, comment="messages at most"),
    Column("minute_at", UtcTimestamp),
    Column("minute_count", WholeNumber, nullable=False),
    Column("paused_until", UtcTimestamp),
    Column("faults", WholeNumber, nullable=False, comment="one after another"),
    Column("last_ok_at", UtcTimestamp),
    Column("last_fault_at", UtcTimestamp),
    Column("last_fault", Text),
    Column("set_at", UtcTimestamp, nullable=False),
    Column("set_by", Text, nullable=False),
    PrimaryKeyConstraint("channel"),
    CheckConstraint(_CHANNEL, name="channel"),
    CheckConstraint("enabled IN (0, 1)", name="enabled"),
    CheckConstraint("per_minute > 0 AND minute_count >= 0 AND faults >= 0", name="counts"),
)

notice_quiet: Final = table(
    "notice_quiet",
    Column("channel", Text, nullable=False),
    Column("event", Text, nullable=False, comment="*: all without their own"),
    Column("from_min", WholeNumber, nullable=False, comment="minutes after midnight"),
    Column("until_min", WholeNumber, nullable=False, comment="the same: none"),
    PrimaryKeyConstraint("channel", "event"),
    CheckConstraint(_CHANNEL, name="channel"),
    CheckConstraint("from_min BETWEEN 0 AND 1439 AND until_min BETWEEN 0 AND 1439", name="span"),
)

notice_callbacks: Final = table(
    "notice_callbacks",
    Column("callback_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey("customer_accounts.account_id"), nullable=False),
    Column("contact_id", Identifier, ForeignKey("contacts.contact_id")),
    Column("channel", Text),
    Column("message_id", Identifier, ForeignKey(notice_messages.c.message_id)),
    Column("notice_id", Identifier, ForeignKey(notices.c.notice_id), nullable=False),
    Column("why", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", UtcTimestamp, nullable=False),
    Column("done_at", UtcTimestamp),
    Column("done_by", Text),
    Column("outcome", Text),
    Column("change_id", Identifier, ForeignKey("account_changes.change_id")),
    Column("resend", WholeNumber, nullable=False, comment="1: once the change is applied"),
    CheckConstraint("state IN ('open', 'done')", name="state"),
    CheckConstraint("resend = 0 OR (resend = 1 AND change_id IS NOT NULL)", name="resend"),
    CheckConstraint("(contact_id IS NULL) = (channel IS NULL)", name="whom"),
    CheckConstraint(
        "(state = 'done') = (done_at IS NOT NULL) AND (done_at IS NULL) = (done_by IS NULL) "
        "AND (done_at IS NULL) = (outcome IS NULL)",
        name="done",
    ),
    Index("ix_notice_callbacks_account_id", "account_id"),
    Index(
        "ix_notice_callbacks_resend",
        "callback_id",
        sqlite_where=text("resend = 1"),
        postgresql_where=text("resend = 1"),
    ),
    Index(
        "uq_notice_callbacks_contact",
        "contact_id",
        "channel",
        unique=True,
        sqlite_where=text("state = 'open' AND contact_id IS NOT NULL"),
        postgresql_where=text("state = 'open' AND contact_id IS NOT NULL"),
    ),
    Index(
        "uq_notice_callbacks_account",
        "account_id",
        unique=True,
        sqlite_where=text("state = 'open' AND contact_id IS NULL"),
        postgresql_where=text("state = 'open' AND contact_id IS NULL"),
    ),
)

contact_notes: Final = table(
    "contact_notes",
    Column("note_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey("customer_accounts.account_id"), nullable=False),
    Column("callback_id", Identifier, ForeignKey(notice_callbacks.c.callback_id)),
    Column("at", UtcTimestamp, nullable=False),
    Column("actor", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("words_sealed", LargeBinary, nullable=False, comment="contact.note"),
    CheckConstraint("way IN ('phone', 'counter', 'visit', 'letter', 'other')", name="way"),
    Index("ix_contact_notes_account_id", "account_id", "at"),
)

staff_alarms: Final = table(
    "staff_alarms",
    Column("alarm_notice_id", Identifier, primary_key=True, autoincrement=False),
    Column("alarm_id", Identifier, nullable=False),
    Column("role", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("notice_id", Identifier, ForeignKey(notices.c.notice_id)),
    Index(
        "ix_staff_alarms_waiting",
        "role",
        sqlite_where=text("notice_id IS NULL"),
        postgresql_where=text("notice_id IS NULL"),
    ),
)
