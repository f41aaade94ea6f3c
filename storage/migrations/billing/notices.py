"""Messages to people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    foreign,
    identity,
    number,
    primary,
    reference,
    table,
    text,
    time,
    unique,
)

_CHANNEL = "channel IN ('email', 'sms', 'wechat')"
_STEPS = (
    ("queued", "NEW.state IN ('sending', 'failed')"),
    ("sending", "NEW.state IN ('queued', 'sent', 'failed', 'unknown')"),
    ("sent", "NEW.state IN ('delivered', 'failed')"),
    ("sent", "NEW.state = 'queued' AND NEW.channel = 'email' AND NEW.round = OLD.round + 1"),
    ("unknown", "NEW.state IN ('sent', 'delivered', 'failed')"),
    ("unknown", "NEW.state = 'queued' AND NEW.channel = 'email' AND NEW.round = OLD.round"),
    ("failed", "NEW.state = 'queued'"),
)


def make() -> None:
    """Make the tables."""
    _make_notices()
    _make_staff()
    _make_messages()
    _make_history()
    _make_channels()
    _make_quiet()
    _make_callbacks()
    _make_notes()
    _make_staff_alarms()


def _sealed(name: str, comment: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False, comment=comment)


def _partial_index(
    name: str, table_name: str, columns: list[str], rule: str, *, is_unique: bool = False
) -> None:
    op.create_index(
        name,
        table_name,
        columns,
        unique=is_unique,
        sqlite_where=sa.text(rule),
        postgresql_where=sa.text(rule),
    )


def _make_notices() -> None:
    name = "notices"
    table(
        name,
        *identity(name, "notice_id"),
        text("once"),
        text("event"),
        reference("account_id", null=True),
        text("about", comment="canonical JSON; no personal data"),
        reference("bill_id", null=True, comment="of bills: attached"),
        time("asked_at"),
        text("asked_by"),
        foreign(name, ["account_id"], "customer_accounts"),
        unique(name, "once"),
        check(name, "whose", "(account_id IS NULL) = (event = 'staff_alarms')"),
        check(name, "once", "length(once) > 0"),
    )
    op.create_index("ix_notices_account_id", name, ["account_id", "notice_id"])
    op.create_index("ix_notices_bill_id", name, ["bill_id"])
    triggers.immutable(name, ["notice_id"], ["once"])


def _make_staff() -> None:
    name = "notice_staff"
    table(
        name,
        *identity(name, "staff_id"),
        text("role", comment="recipients of alarm steps: duty"),
        text("channel"),
        _sealed("address_sealed", "staff.address"),
        text("language", null=True),
        time("added_at"),
        time("until", null=True),
        check(name, "channel", _CHANNEL),
        check(name, "role", "length(role) > 0"),
    )
    op.create_index("ix_notice_staff_role", name, ["role"])
    triggers.no_delete(name, ["staff_id"])


def _make_messages() -> None:
    name = "notice_messages"
    table(
        name,
        *identity(name, "message_id"),
        reference("notice_id"),
        reference("contact_id", null=True),
        reference("staff_id", null=True),
        text("channel"),
        text("language"),
        number("rank", comment="0 goes first"),
        text("state"),
        time("due_at", null=True),
        time("keep_until"),
        time("sending_until", null=True),
        number("tries", comment="begun"),
        number("round", comment="2: sent again, not confirmed"),
        time("confirm_by", null=True),
        time("settle_at", null=True),
        foreign(name, ["notice_id"], "notices"),
        foreign(name, ["contact_id"], "contacts"),
        foreign(name, ["staff_id"], "notice_staff"),
        unique(name, "notice_id", "contact_id", "channel"),
        unique(name, "notice_id", "staff_id", "channel"),
        check(name, "channel", _CHANNEL),
        check(name, "whom", "(contact_id IS NULL) <> (staff_id IS NULL)"),
        check(
            name,
            "state",
            "state IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'unknown')",
        ),
        check(name, "due_at", "(state = 'queued') = (due_at IS NOT NULL)"),
        check(name, "sending_until", "(state = 'sending') = (sending_until IS NOT NULL)"),
        check(name, "confirm_by", "confirm_by IS NULL OR state = 'sent'"),
        check(name, "settle_at", "settle_at IS NULL OR state = 'unknown'"),
        check(name, "counts", "tries >= 0 AND round BETWEEN 1 AND 9"),
    )
    for column, columns in (
        ("due_at", ["channel", "rank", "due_at"]),
        ("sending_until", ["sending_until"]),
        ("confirm_by", ["confirm_by"]),
        ("settle_at", ["settle_at"]),
    ):
        index = "due" if column == "due_at" else column
        _partial_index(f"ix_{name}_{index}", name, columns, f"{column} IS NOT NULL")
    op.create_index(f"ix_{name}_contact_id", name, ["contact_id"])
    triggers.no_delete(
        name,
        ["message_id"],
        ["notice_id", "contact_id", "channel"],
        ["notice_id", "staff_id", "channel"],
    )
    triggers.frozen(name, ["message_id", "notice_id", "contact_id", "staff_id", "channel"])
    triggers.inserted_only_if(
        name, "NEW.state = 'queued' AND NEW.tries = 0", "a message begins in the queue"
    )
    steps = " OR ".join(f"(OLD.state = '{old}' AND {rule})" for old, rule in _STEPS)
    triggers.updated_only_if(
        name,
        f"(NEW.state = OLD.state OR {steps}) AND NEW.tries = OLD.tries + "
        "CASE WHEN OLD.state = 'queued' AND NEW.state = 'sending' THEN 1 ELSE 0 END",
        "this step could send it twice",
    )


def _make_history() -> None:
    name = "notice_history"
    table(
        name,
        *identity(name, "entry_id"),
        reference("message_id"),
        time("at"),
        text("act"),
        text("actor"),
        text("reference", null=True, comment="Message-ID, or the provider's own"),
        text("words"),
        foreign(name, ["message_id"], "notice_messages"),
        check(name, "act", "length(act) > 0"),
    )
    op.create_index("ix_notice_history_message_id", name, ["message_id"])
    op.create_index("ix_notice_history_reference", name, ["reference"])
    triggers.immutable(name, ["entry_id"])


def _make_channels() -> None:
    name = "notice_channels"
    table(
        name,
        text("channel"),
        text("adapter"),
        text("settings", comment="canonical JSON; secrets by their file"),
        number("enabled"),
        number("per_minute", comment="messages at most"),
        time("minute_at", null=True),
        number("minute_count"),
        time("paused_until", null=True),
        number("faults", comment="one after another"),
        time("last_ok_at", null=True),
        time("last_fault_at", null=True),
        text("last_fault", null=True),
        time("set_at"),
        text("set_by"),
        primary(name, "channel"),
        check(name, "channel", _CHANNEL),
        check(name, "enabled", "enabled IN (0, 1)"),
        check(name, "counts", "per_minute > 0 AND minute_count >= 0 AND faults >= 0"),
    )


def _make_quiet() -> None:
    name = "notice_quiet"
    table(
        name,
        text("channel"),
        text("event", comment="*: all without their own"),
        number("from_min", comment="minutes after midnight"),
        number("until_min", comment="the same: none"),
        primary(name, "channel", "event"),
        check(name, "channel", _CHANNEL),
        check(name, "span", "from_min BETWEEN 0 AND 1439 AND until_min BETWEEN 0 AND 1439"),
    )


def _make_callbacks() -> None:
    name = "notice_callbacks"
    table(
        name,
        *identity(name, "callback_id"),
        reference("account_id"),
        reference("contact_id", null=True),
        text("channel", null=True),
        reference("message_id", null=True),
        reference("notice_id"),
        text("why"),
        text("state"),
        time("opened_at"),
        time("done_at", null=True),
        text("done_by", null=True),
        text("outcome", null=True),
        reference("change_id", null=True),
        number("resend", comment="1: once the change is applied"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["contact_id"], "contacts"),
        foreign(name, ["message_id"], "notice_messages"),
        foreign(name, ["notice_id"], "notices"),
        foreign(name, ["change_id"], "account_changes"),
        check(name, "state", "state IN ('open', 'done')"),
        check(name, "resend", "resend = 0 OR (resend = 1 AND change_id IS NOT NULL)"),
        check(name, "whom", "(contact_id IS NULL) = (channel IS NULL)"),
        check(
            name,
            "done",
            "(state = 'done') = (done_at IS NOT NULL) AND (done_at IS NULL) = (done_by IS NULL) "
            "AND (done_at IS NULL) = (outcome IS NULL)",
        ),
    )
    op.create_index("ix_notice_callbacks_account_id", name, ["account_id"])
    _partial_index("ix_notice_callbacks_resend", name, ["callback_id"], "resend = 1")
    _partial_index(
        "uq_notice_callbacks_contact",
        name,
        ["contact_id", "channel"],
        "state = 'open' AND contact_id IS NOT NULL",
        is_unique=True,
    )
    _partial_index(
        "uq_notice_callbacks_account",
        name,
        ["account_id"],
        "state = 'open' AND contact_id IS NULL",
        is_unique=True,
    )
    triggers.no_delete(name, ["callback_id"])
    triggers.forward_only(name, "state", ["open", "done"])
    triggers.set_once(name, ["done_at", "done_by", "outcome", "change_id"])


def _make_notes() -> None:
    name = "contact_notes"
    table(
        name,
        *identity(name, "note_id"),
        reference("account_id"),
        reference("callback_id", null=True),
        time("at"),
        text("actor"),
        text("way"),
        _sealed("words_sealed", "contact.note"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["callback_id"], "notice_callbacks"),
        check(name, "way", "way IN ('phone', 'counter', 'visit', 'letter', 'other')"),
    )
    op.create_index("ix_contact_notes_account_id", name, ["account_id", "at"])
    triggers.no_delete(name, ["note_id"])
    # what was noted is sealed anew when keys change; all the rest stays
    triggers.frozen(name, ["note_id", "account_id", "callback_id", "at", "actor", "way"])


def _make_staff_alarms() -> None:
    name = "staff_alarms"
    table(
        name,
        reference("alarm_notice_id"),
        reference("alarm_id"),
        text("role"),
        text("severity"),
        text("words"),
        time("due_at"),
        reference("notice_id", null=True),
        primary(name, "alarm_notice_id"),
        foreign(name, ["notice_id"], "notices"),
    )
    _partial_index("ix_staff_alarms_waiting", name, ["role"], "notice_id IS NULL")
    triggers.no_delete(name, ["alarm_notice_id"])
    triggers.set_once(name, ["notice_id"])
