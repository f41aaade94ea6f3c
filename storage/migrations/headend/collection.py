"""Plans, reading days, rounds, contacts, budgets, readings that people bring."""

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


def make() -> None:
    """Make the tables."""
    _make_plans()
    _make_device_lists()
    _make_reading_days()
    _make_rounds()
    _make_round_links()
    _make_round_devices()
    _make_event_counts()
    _make_clock_offsets()
    _make_contact_hours()
    _make_link_hours()
    _make_network_seconds()
    _make_link_permits()
    _make_manual_readings()
    _guard()


def _make_plans() -> None:
    name = "plans"
    table(
        name,
        *identity(name, "plan_id"),
        text("name"),
        text("document", comment="what, whom, when: canonical JSON"),
        time("next_due", null=True),
        time("made_at"),
        text("made_by"),
        time("ended_at", null=True),
        check(name, "name", "length(name) > 0"),
        check(name, "ended", "(ended_at IS NULL) = (next_due IS NOT NULL)"),
    )
    op.create_index("ix_plans_next_due", name, ["next_due"])
    _index_while("uq_plans_name", name, ["name"], "ended_at IS NULL", unique=True)


def _make_device_lists() -> None:
    name = "device_lists"
    table(
        name,
        text("name"),
        reference("device_id"),
        primary(name, "name", "device_id"),
        foreign(name, ["device_id"], "end_devices"),
        check(name, "name", "length(name) > 0"),
        clustered=True,
    )


def _make_reading_days() -> None:
    name = "reading_days"
    table(
        name,
        *identity(name, "move_id"),
        reference("point_id"),
        number("day", comment="1-31; later than a month's last: the last"),
        number("from_month"),
        text("state"),
        number("is_first", comment="1: the point had none before"),
        text("notice_on", null=True, comment="when the customer is, or was, told: YYYY-MM-DD"),
        text("reason"),
        text("ordered_by"),
        time("ordered_at"),
        text("approved_by", null=True),
        time("approved_at", null=True),
        foreign(name, ["point_id"], "service_points"),
        check(name, "day", "day BETWEEN 1 AND 31"),
        check(name, "state", "state IN ('asked', 'agreed', 'refused')"),
        check(name, "is_first", "is_first IN (0, 1)"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "second_person", "approved_by IS NULL OR approved_by <> ordered_by"),
        check(name, "approved", "(approved_by IS NULL) = (approved_at IS NULL)"),
        check(name, "needs_approval", "is_first = 1 OR state = 'asked' OR approved_by IS NOT NULL"),
        check(name, "needs_notice", "is_first = 1 OR notice_on IS NOT NULL"),
        check(name, "first", "is_first = 0 OR state = 'agreed'"),
    )
    _index_while(
        "uq_reading_days_agreed", name, ["point_id", "from_month"], "state = 'agreed'", unique=True
    )
    _index_while("uq_reading_days_asked", name, ["point_id"], "state = 'asked'", unique=True)
    _index_while("uq_reading_days_first", name, ["point_id"], "is_first = 1", unique=True)


def _make_rounds() -> None:
    name = "rounds"
    table(
        name,
        *identity(name, "round_id"),
        text("kind"),
        text("name", comment="its plan's, or what a person called it"),
        reference("plan_id", null=True),
        time("due_at"),
        text("document", comment="the plan as it was: canonical JSON"),
        time("closes_at"),
        number("devices", comment="how many it has"),
        time("made_at"),
        text("made_by"),
        time("ended_at", null=True),
        foreign(name, ["plan_id"], "plans"),
        unique(name, "plan_id", "kind", "due_at"),
        check(name, "kind", "kind IN ('plan', 'chase', 'demand')"),
        check(name, "plan", "kind <> 'plan' OR plan_id IS NOT NULL"),
        check(name, "window", "closes_at > due_at"),
        check(name, "devices", "devices >= 0"),
    )
    op.create_index("ix_rounds_ended_at", name, ["ended_at"])
    _index_while("ix_rounds_open", name, ["closes_at"], "ended_at IS NULL", unique=False)


def _make_round_links() -> None:
    name = "round_links"
    table(
        name,
        reference("round_id"),
        reference("link_id"),
        text("state"),
        text("key", null=True, comment="of the job that carries it"),
        number("attempt", comment="jobs so far that came to their end"),
        time("requeue_at", null=True),
        number("asked", comment="requests to its meters"),
        number("spent_ms", comment="on the line"),
        primary(name, "round_id", "link_id"),
        foreign(name, ["round_id"], "rounds"),
        foreign(name, ["link_id"], "links"),
        check(name, "state", "state IN ('queued', 'resting', 'done')"),
        check(name, "requeue_at", "(state = 'done') = (requeue_at IS NULL)"),
        check(name, "key", "state <> 'queued' OR key IS NOT NULL"),
        check(name, "counts", "attempt >= 0 AND asked >= 0 AND spent_ms >= 0"),
        clustered=True,
    )
    _index_while(
        "ix_round_links_requeue_at", name, ["requeue_at"], "requeue_at IS NOT NULL", unique=False
    )


def _make_round_devices() -> None:
    name = "round_devices"
    table(
        name,
        reference("round_id"),
        reference("device_id"),
        reference("link_id", null=True),
        text("state"),
        number("attempts"),
        time("due_at"),
        text(
            "remaining", null=True, comment="what is still to be read, by commas; none: everything"
        ),
        text("why", null=True, comment="code of what kept it from being read"),
        text("words", null=True, comment="the same for a person"),
        primary(name, "round_id", "device_id"),
        foreign(name, ["round_id"], "rounds"),
        foreign(name, ["device_id"], "end_devices"),
        foreign(name, ["link_id"], "links"),
        check(name, "state", "state IN ('waiting', 'read', 'partial', 'failed', 'skipped')"),
        check(name, "attempts", "attempts >= 0"),
        check(
            name, "why", "state IN ('waiting', 'read') OR (why IS NOT NULL AND words IS NOT NULL)"
        ),
        clustered=True,
    )
    op.create_index("ix_round_devices_device_id", name, ["device_id"])
    op.create_index("ix_round_devices_link", name, ["round_id", "link_id", "state"])


def _make_event_counts() -> None:
    name = "event_counts"
    table(
        name,
        reference("device_id"),
        text("source"),
        number("count"),
        number("is_open", comment="1: the last one has not ended"),
        primary(name, "device_id", "source"),
        foreign(name, ["device_id"], "end_devices"),
        check(name, "count", "count >= 0 AND is_open IN (0, 1)"),
        clustered=True,
    )


def _make_clock_offsets() -> None:
    name = "clock_offsets"
    table(
        name,
        reference("device_id"),
        time("at"),
        number("offset_s", comment="positive: the meter is ahead"),
        primary(name, "device_id", "at"),
        foreign(name, ["device_id"], "end_devices"),
        clustered=True,
    )


def _make_contact_hours() -> None:
    name = "contact_hours"
    table(
        name,
        reference("device_id"),
        time("hour"),
        number("asked", comment="visits"),
        number("answered"),
        primary(name, "device_id", "hour"),
        foreign(name, ["device_id"], "end_devices"),
        check(name, "answered", "answered BETWEEN 0 AND asked"),
        clustered=True,
    )
    op.create_index("ix_contact_hours_hour", name, ["hour"])


def _make_link_hours() -> None:
    name = "link_hours"
    table(
        name,
        reference("link_id"),
        time("hour"),
        number("asked", comment="visits of its meters"),
        number("answered"),
        number("broken", comment="visits that found the line broken"),
        number("busy_ms"),
        primary(name, "link_id", "hour"),
        foreign(name, ["link_id"], "links"),
        check(name, "asked", "answered BETWEEN 0 AND asked AND broken BETWEEN 0 AND asked"),
        check(name, "busy_ms", "busy_ms >= 0"),
        clustered=True,
    )
    op.create_index("ix_link_hours_hour", name, ["hour"])


def _make_network_seconds() -> None:
    name = "network_seconds"
    table(
        name,
        reference("network_id"),
        number("second", comment="since 1970"),
        number("connects"),
        primary(name, "network_id", "second"),
        foreign(name, ["network_id"], "networks"),
        check(name, "connects", "connects > 0"),
        clustered=True,
    )


def _make_link_permits() -> None:
    name = "link_permits"
    table(
        name,
        reference("link_id"),
        reference("network_id"),
        text("holder", comment="the process"),
        time("expires_at"),
        primary(name, "link_id"),
        foreign(name, ["link_id"], "links"),
        foreign(name, ["network_id"], "networks"),
        check(name, "holder", "length(holder) > 0"),
    )
    op.create_index("ix_link_permits_network_id", name, ["network_id", "expires_at"])


def _make_manual_readings() -> None:
    name = "manual_readings"
    table(
        name,
        *identity(name, "entry_id"),
        reference("device_id"),
        text("quantity"),
        time("at"),
        number("value"),
        text("note"),
        text("photo", null=True, comment="name of the file, kept where the utility keeps such"),
        text("photo_sha256", null=True),
        text("entered_by"),
        time("entered_at"),
        foreign(name, ["device_id"], "end_devices"),
        unique(name, "device_id", "quantity", "at"),
        check(name, "note", "length(note) > 0"),
        check(name, "photo", "(photo IS NULL) = (photo_sha256 IS NULL)"),
        check(name, "photo_sha256", "photo_sha256 IS NULL OR length(photo_sha256) = 64"),
    )


def _guard() -> None:
    triggers.no_delete("plans", ["plan_id"])
    triggers.frozen("plans", ["plan_id", "name", "document", "made_at", "made_by"])
    triggers.set_once("plans", ["ended_at"])
    triggers.no_delete("reading_days", ["move_id"])
    triggers.frozen(
        "reading_days",
        [
            "move_id",
            "point_id",
            "day",
            "from_month",
            "is_first",
            "notice_on",
            "reason",
            "ordered_by",
            "ordered_at",
        ],
        after="OLD.state <> 'asked'",
    )
    triggers.frozen("rounds", ["round_id", "kind", "plan_id", "due_at", "document", "made_at"])
    triggers.set_once("rounds", ["ended_at"])
    triggers.never_back("round_devices", "state", "waiting")
    triggers.immutable("clock_offsets", ["device_id", "at"])
    triggers.immutable("manual_readings", ["entry_id"], ["device_id", "quantity", "at"])


def _index_while(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool
) -> None:
    """An index of the rows for which a condition holds."""
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
