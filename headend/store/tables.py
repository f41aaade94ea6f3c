"""The tables of the store.

======================  =================================================================
`quantities`            names of quantities, as small numbers
`readings`              registers: one row per device, quantity, moment and source
`reading_corrections`   another value for a reading, with the reason; append-only
`interval_arrivals`     interval values that wait to be packed
`interval_days`         one row per day, device, quantity and interval length
`meter_events`          what meters say has happened to them
`differing_values`      values that contradict what is kept, for a person
`store_months`          which months are archived
`archive_files`         the files of the archived months
`archive_folders`       where the archive lies: one row
`store_retention`       what is archived when, and how long it is kept
======================  =================================================================

On PostgreSQL `readings`, `interval_days` and `meter_events` are partitioned by the month, see
`months`.  On SQLite rows of narrow tables lie in the tree of their primary key.

The wide tables have no foreign keys: each row would look its device up again.  Devices
are looked up once for each batch instead, and neither devices nor quantities are ever deleted
(triggers).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

SmallNumber: Final = SmallInteger().with_variant(Integer(), "sqlite")
"""16 bits where the database knows them: a row of a billion is as narrow as it can be."""

quantities: Final = table(
    "quantities",
    Column("quantity_id", SmallNumber, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    CheckConstraint("length(name) > 0", name="name"),
)

readings: Final = table(
    "readings",
    Column("device_id", Identifier, nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("value", WholeNumber, nullable=False),
    Column("quantity_id", SmallNumber, nullable=False),
    Column("source", SmallNumber, nullable=False),
    Column("quality", SmallNumber, nullable=False),
    PrimaryKeyConstraint("device_id", "quantity_id", "at", "source"),
    CheckConstraint("source BETWEEN 1 AND 5", name="source"),
    CheckConstraint("quality BETWEEN 0 AND 3", name="quality"),
    clustered=True,
)

reading_corrections: Final = table(
    "reading_corrections",
    Column("correction_id", Identifier, primary_key=True),
    Column("device_id", Identifier, ForeignKey("end_devices.device_id"), nullable=False),
    Column("quantity_id", SmallNumber, ForeignKey(quantities.c.quantity_id), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("source", SmallNumber, nullable=False),
    Column("value", WholeNumber, nullable=False),
    Column("quality", SmallNumber, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", UtcTimestamp, nullable=False),
    CheckConstraint("quality BETWEEN 0 AND 3", name="quality"),
    CheckConstraint("length(reason) > 0", name="reason"),
    Index("ix_reading_corrections_reading", "device_id", "quantity_id", "at"),
)

interval_arrivals: Final = table(
    "interval_arrivals",
    Column("device_id", Identifier, nullable=False),
    Column("day", Integer, nullable=False),
    Column("value", Integer, nullable=False),
    Column("quantity_id", SmallNumber, nullable=False),
    Column("interval_min", SmallNumber, nullable=False),
    Column("slot", SmallNumber, nullable=False),
    Column("quality", SmallNumber, nullable=False),
    PrimaryKeyConstraint("day", "device_id", "quantity_id", "interval_min", "slot"),
    CheckConstraint("interval_min BETWEEN 1 AND 60 AND 60 % interval_min = 0", name="interval"),
    CheckConstraint("slot >= 0 AND slot * interval_min < 1440", name="slot"),
    CheckConstraint("value BETWEEN -2147483648 AND 2147483647", name="value"),
    CheckConstraint("quality BETWEEN 0 AND 3", name="quality"),
    clustered=True,
)

interval_days: Final = table(
    "interval_days",
    Column("total", WholeNumber, nullable=False, comment="sum of the values that are there"),
    Column("device_id", Identifier, nullable=False),
    Column("day", Integer, nullable=False, comment="UTC, since 1970-01-01"),
    Column("quantity_id", SmallNumber, nullable=False),
    Column("interval_min", SmallNumber, nullable=False),
    Column("present", SmallNumber, nullable=False, comment="how many values are there"),
    Column("packed", LargeBinary, nullable=False, comment="int32, little-endian"),
    Column("qualities", LargeBinary, nullable=False, comment="a byte each; empty: all good"),
    PrimaryKeyConstraint("day", "device_id", "quantity_id", "interval_min"),
    CheckConstraint("interval_min BETWEEN 1 AND 60 AND 60 % interval_min = 0", name="interval"),
    CheckConstraint("length(packed) * interval_min = 5760", name="packed"),
    CheckConstraint("length(qualities) * interval_min IN (0, 1440)", name="qualities"),
    CheckConstraint("present > 0 AND present * interval_min <= 1440", name="present"),
)

meter_events: Final = table(
    "meter_events",
    Column("device_id", Identifier, nullable=False),
    Column("kind", Text, nullable=False),
    Column("began_at", UtcTimestamp, nullable=False),
    Column("variant", SmallNumber, nullable=False),
    Column("ended_at", UtcTimestamp),
    Column("details", Text, nullable=False),
    Column("seen_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("device_id", "kind", "began_at", "variant"),
    CheckConstraint("length(kind) > 0", name="kind"),
    CheckConstraint("variant >= 0", name="variant"),
)

differing_values: Final = table(
    "differing_values",
    Column("differing_id", Identifier, primary_key=True),
    Column("device_id", Identifier, ForeignKey("end_devices.device_id"), nullable=False),
    Column("quantity_id", SmallNumber, ForeignKey(quantities.c.quantity_id), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("source", SmallNumber, nullable=False),
    Column("interval_min", SmallNumber, nullable=False, comment="0: a register"),
    Column("value", WholeNumber, nullable=False),
    Column("quality", SmallNumber, nullable=False),
    Column("kept_value", WholeNumber, nullable=False),
    Column("kept_quality", SmallNumber, nullable=False),
    Column("seen_at", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False),
    Column("settled_at", UtcTimestamp),
    Column("settled_by", Text),
    Column("reason", Text),
    UniqueConstraint(
        "device_id",
        "quantity_id",
        "at",
        "source",
        "interval_min",
        "value",
        "quality",
        name="uq_differing_values_value",
    ),
    CheckConstraint("state IN ('open', 'superseded', 'kept', 'taken')", name="state"),
    CheckConstraint("(state IN ('kept', 'taken')) = (settled_at IS NOT NULL)", name="settled"),
    CheckConstraint(
        "(settled_at IS NULL) = (settled_by IS NULL) AND (settled_at IS NULL) = (reason IS NULL)",
        name="settled_by",
    ),
    Index("ix_differing_values_state", "state", "differing_id"),
)

store_months: Final = table(
    "store_months",
    Column("kind", Text, nullable=False),
    Column("month", Text, nullable=False, comment="YYYY-MM, UTC"),
    Column("state", Text, nullable=False),
    Column("rows", WholeNumber, nullable=False, comment="that the database held when written"),
    Column("high_sum", WholeNumber, nullable=False, comment="their sum is high × 2^32 + low"),
    Column("low_sum", WholeNumber, nullable=False),
    Column("changed_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("kind", "month"),
    CheckConstraint("kind IN ('readings', 'intervals', 'events')", name="kind"),
    CheckConstraint("length(month) = 7", name="month"),
    CheckConstraint("state IN ('writing', 'verified', 'archived', 'deleted')", name="state"),
)

archive_files: Final = table(
    "archive_files",
    Column("file_id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("state", Text, nullable=False, comment="in use: read instead of the database"),
    Column("name", Text, nullable=False, unique=True, comment="below the folder"),
    Column("first_device", Identifier, nullable=False),
    Column("last_device", Identifier, nullable=False),
    Column("rows", WholeNumber, nullable=False),
    Column("high_sum", WholeNumber, nullable=False, comment="their sum is high × 2^32 + low"),
    Column("low_sum", WholeNumber, nullable=False),
    Column("bytes", WholeNumber, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("written_at", UtcTimestamp, nullable=False),
    CheckConstraint("kind IN ('readings', 'intervals', 'events')", name="kind"),
    CheckConstraint("state IN ('written', 'in_use', 'deleted')", name="state"),
    CheckConstraint("rows > 0 AND bytes > 0 AND length(sha256) = 64", name="content"),
    Index("ix_archive_files_month", "kind", "month"),
)

archive_folders: Final = table(
    "archive_folders",
    Column("folder_id", Identifier, nullable=False),
    Column("path", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("folder_id"),
    CheckConstraint("folder_id = 1", name="one"),
    CheckConstraint("length(path) > 0", name="path"),
)

store_retention: Final = table(
    "store_retention",
    Column("kind", Text, nullable=False),
    Column("archive_after_months", WholeNumber, comment="NULL: never"),
    Column("keep_months", WholeNumber, comment="NULL: for ever"),
    Column("set_by", Text, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("kind"),
    CheckConstraint("kind IN ('readings', 'intervals', 'events')", name="kind"),
    CheckConstraint("archive_after_months >= 3", name="archive"),
    CheckConstraint("kind = 'events' OR keep_months >= 36", name="billing"),
    CheckConstraint("keep_months >= 12", name="keep"),
)
