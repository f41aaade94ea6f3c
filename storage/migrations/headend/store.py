"""Readings, packed days, events; what contradicts them; the archive."""

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

_INTERVAL = "interval_min BETWEEN 1 AND 60 AND 60 % interval_min = 0"
_KIND = "kind IN ('readings', 'intervals', 'events')"


def make() -> None:
    """Make the tables."""
    if _is_postgresql():
        # partitions lie apart, so that a list of the tables stays a list of the tables
        op.execute("CREATE SCHEMA months")
    _make_quantities()
    _make_readings()
    _make_corrections()
    _make_intervals()
    _make_events()
    _make_differing()
    _make_archive()
    _make_retention()
    _guard()


def _make_quantities() -> None:
    name = "quantities"
    table(
        name,
        sa.Column("quantity_id", _small_type(), nullable=False, autoincrement=True),
        primary(name, "quantity_id"),
        text("name"),
        unique(name, "name"),
        check(name, "name", "length(name) > 0"),
    )
    triggers.immutable(name, ["quantity_id"], ["name"])


def _make_readings() -> None:
    name = "readings"
    _by_month(
        name,
        "at",
        reference("device_id"),
        time("at"),
        number("value"),
        _small("quantity_id"),
        _small("source"),
        _small("quality"),
        primary(name, "device_id", "quantity_id", "at", "source"),
        check(name, "source", "source BETWEEN 1 AND 5"),
        check(name, "quality", "quality BETWEEN 0 AND 3"),
        clustered=True,
    )


def _make_corrections() -> None:
    name = "reading_corrections"
    table(
        name,
        *identity(name, "correction_id"),
        reference("device_id"),
        _small("quantity_id"),
        time("at"),
        _small("source"),
        number("value"),
        _small("quality"),
        text("reason"),
        text("made_by"),
        time("made_at"),
        foreign(name, ["device_id"], "end_devices"),
        foreign(name, ["quantity_id"], "quantities"),
        check(name, "quality", "quality BETWEEN 0 AND 3"),
        check(name, "reason", "length(reason) > 0"),
    )
    op.create_index("ix_reading_corrections_reading", name, ["device_id", "quantity_id", "at"])
    triggers.immutable(name, ["correction_id"])


def _make_intervals() -> None:
    name = "interval_arrivals"
    table(
        name,
        reference("device_id"),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        _small("quantity_id"),
        _small("interval_min"),
        _small("slot"),
        _small("quality"),
        primary(name, "day", "device_id", "quantity_id", "interval_min", "slot"),
        check(name, "interval", _INTERVAL),
        check(name, "slot", "slot >= 0 AND slot * interval_min < 1440"),
        check(name, "value", "value BETWEEN -2147483648 AND 2147483647"),
        check(name, "quality", "quality BETWEEN 0 AND 3"),
        clustered=True,
    )
    name = "interval_days"
    _by_month(
        name,
        "day",
        number("total", comment="sum of the values that are there"),
        reference("device_id"),
        sa.Column("day", sa.Integer(), nullable=False, comment="UTC, since 1970-01-01"),
        _small("quantity_id"),
        _small("interval_min"),
        _small("present", comment="how many values are there"),
        sa.Column("packed", sa.LargeBinary(), nullable=False, comment="int32, little-endian"),
        sa.Column(
            "qualities", sa.LargeBinary(), nullable=False, comment="a byte each; empty: all good"
        ),
        primary(name, "day", "device_id", "quantity_id", "interval_min"),
        check(name, "interval", _INTERVAL),
        check(name, "packed", "length(packed) * interval_min = 5760"),
        check(name, "qualities", "length(qualities) * interval_min IN (0, 1440)"),
        check(name, "present", "present > 0 AND present * interval_min <= 1440"),
    )


def _make_events() -> None:
    name = "meter_events"
    _by_month(
        name,
        "began_at",
        reference("device_id"),
        text("kind"),
        time("began_at"),
        _small("variant"),
        time("ended_at", null=True),
        text("details"),
        time("seen_at"),
        primary(name, "device_id", "kind", "began_at", "variant"),
        check(name, "kind", "length(kind) > 0"),
        check(name, "variant", "variant >= 0"),
    )


def _make_differing() -> None:
    name = "differing_values"
    table(
        name,
        *identity(name, "differing_id"),
        reference("device_id"),
        _small("quantity_id"),
        time("at"),
        _small("source"),
        _small("interval_min", comment="0: a register"),
        number("value"),
        _small("quality"),
        number("kept_value"),
        _small("kept_quality"),
        time("seen_at"),
        text("state"),
        time("settled_at", null=True),
        text("settled_by", null=True),
        text("reason", null=True),
        foreign(name, ["device_id"], "end_devices"),
        foreign(name, ["quantity_id"], "quantities"),
        unique(
            name,
            "device_id",
            "quantity_id",
            "at",
            "source",
            "interval_min",
            "value",
            "quality",
            name="uq_differing_values_value",
        ),
        check(name, "state", "state IN ('open', 'superseded', 'kept', 'taken')"),
        check(name, "settled", "(state IN ('kept', 'taken')) = (settled_at IS NOT NULL)"),
        check(
            name,
            "settled_by",
            "(settled_at IS NULL) = (settled_by IS NULL) "
            "AND (settled_at IS NULL) = (reason IS NULL)",
        ),
    )
    op.create_index("ix_differing_values_state", name, ["state", "differing_id"])
    triggers.no_delete(name, ["differing_id"])
    triggers.frozen(
        name,
        ["differing_id", "device_id", "quantity_id", "at", "source", "interval_min", "value"],
        after="OLD.state <> 'open'",
    )


def _make_archive() -> None:
    name = "store_months"
    table(
        name,
        text("kind"),
        text("month", comment="YYYY-MM, UTC"),
        text("state"),
        number("rows", comment="that the database held when written"),
        number("high_sum", comment="their sum is high × 2^32 + low"),
        number("low_sum"),
        time("changed_at"),
        primary(name, "kind", "month"),
        check(name, "kind", _KIND),
        check(name, "month", "length(month) = 7"),
        check(name, "state", "state IN ('writing', 'verified', 'archived', 'deleted')"),
    )
    name = "archive_files"
    table(
        name,
        *identity(name, "file_id"),
        text("kind"),
        text("month"),
        text("state", comment="in use: read instead of the database"),
        text("name", comment="below the folder"),
        reference("first_device"),
        reference("last_device"),
        number("rows"),
        number("high_sum", comment="their sum is high × 2^32 + low"),
        number("low_sum"),
        number("bytes"),
        text("sha256"),
        time("written_at"),
        unique(name, "name"),
        check(name, "kind", _KIND),
        check(name, "state", "state IN ('written', 'in_use', 'deleted')"),
        check(name, "content", "rows > 0 AND bytes > 0 AND length(sha256) = 64"),
    )
    op.create_index("ix_archive_files_month", name, ["kind", "month"])
    name = "archive_folders"
    table(
        name,
        reference("folder_id"),
        text("path"),
        text("set_by"),
        time("set_at"),
        primary(name, "folder_id"),
        check(name, "one", "folder_id = 1"),
        check(name, "path", "length(path) > 0"),
    )


def _make_retention() -> None:
    name = "store_retention"
    table(
        name,
        text("kind"),
        number("archive_after_months", null=True, comment="NULL: never"),
        number("keep_months", null=True, comment="NULL: for ever"),
        text("set_by"),
        time("set_at"),
        primary(name, "kind"),
        check(name, "kind", _KIND),
        check(name, "archive", "archive_after_months >= 3"),
        check(name, "billing", "kind = 'events' OR keep_months >= 36"),
        check(name, "keep", "keep_months >= 12"),
    )


def _guard() -> None:
    """Readings are never changed; what is deleted is in the archive, or was given up."""
    triggers.frozen("readings", ["device_id", "quantity_id", "at", "source", "value", "quality"])
    triggers.frozen("interval_days", ["day", "device_id", "quantity_id", "interval_min"])
    triggers.frozen(
        "meter_events",
        ["device_id", "kind", "began_at", "variant", "details", "seen_at"],
        after="OLD.ended_at IS NOT NULL",
    )
    months = {
        "readings": ("readings", "substr(OLD.at, 1, 7)"),
        "interval_days": ("intervals", "strftime('%Y-%m', OLD.day * 86400, 'unixepoch')"),
        "meter_events": ("events", "substr(OLD.began_at, 1, 7)"),
    }
    for name, (kind, month) in months.items():
        if _is_postgresql():  # there a month goes as a partition, never row by row
            triggers.no_delete(name)
            continue
        op.execute(
            f"CREATE TRIGGER {name}_delete BEFORE DELETE ON {name} WHEN NOT EXISTS (SELECT 1 "
            f"FROM store_months WHERE kind = '{kind}' AND month = {month} "
            "AND state IN ('archived', 'deleted')) "
            f"BEGIN SELECT RAISE(ABORT, '{name} are deleted once their month is archived'); END"
        )


def _by_month(
    name: str, column: str, *items: sa.schema.SchemaItem, clustered: bool = False
) -> None:
    """A table that PostgreSQL partitions by ranges of a column."""
    op.create_table(
        name,
        *items,
        sqlite_strict=True,
        sqlite_with_rowid=not clustered,
        postgresql_partition_by=f"RANGE ({column})",
    )


def _small(name: str, *, comment: str | None = None) -> sa.Column[int]:
    """A 16-bit whole number, where the database knows them."""
    return sa.Column(name, _small_type(), nullable=False, autoincrement=False, comment=comment)


def _small_type() -> sa.types.TypeEngine[int]:
    return sa.SmallInteger().with_variant(sa.Integer(), "sqlite")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
