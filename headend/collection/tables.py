"""The tables of collection.

====================  ==================================================================
`plans`               reading schedules; never changed, ended and made anew
`device_lists`        meters under a name of the utility's own
`reading_days`        on which day of the month a service point is read, from a month on
`rounds`              one for each plan and due moment
`round_links`         a link's share of a round, and its job
`round_devices`       a meter's standing in a round
`event_counts`        how many events of a kind are known of a meter
`clock_offsets`       how far a meter's clock was ahead
`contact_hours`       visits of a meter, and those that it answered, by the hour
`link_hours`          the same of a link, with the time that it took
`network_seconds`     connections that a network's links made in a second
`link_permits`        who may hold a link's connection, until when
`manual_readings`     what a person read, with the note
====================  ==================================================================

A month is a whole number: year times 12 plus month less 1.  A plan without `next_due` has ended.
From `rounds.closes_at` on nobody is asked any more.  `round_links.requeue_at` is when a resting
link goes on, and of a queued one when its job is doubted and queued anew.  `round_devices.due_at`
is, while waiting, the moment before which the meter is not asked, and afterwards when that ended.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text, UniqueConstraint, text

from headend.registry.tables import end_devices, links, networks, service_points
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

plans: Final = table(
    "plans",
    Column("plan_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False, comment="what, whom, when: canonical JSON"),
    Column("next_due", UtcTimestamp),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("ended_at", UtcTimestamp),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("(ended_at IS NULL) = (next_due IS NOT NULL)", name="ended"),
    Index(
        "uq_plans_name",
        "name",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("ix_plans_next_due", "next_due"),
)

device_lists: Final = table(
    "device_lists",
    Column("name", Text, primary_key=True),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), primary_key=True),
    CheckConstraint("length(name) > 0", name="name"),
    clustered=True,
)

reading_days: Final = table(
    "reading_days",
    Column("move_id", Identifier, primary_key=True),
    Column("point_id", Identifier, ForeignKey(service_points.c.point_id), nullable=False),
    Column("day", WholeNumber, nullable=False, comment="1-31; later than a month's last: the last"),
    Column("from_month", WholeNumber, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_first", WholeNumber, nullable=False, comment="1: the point had none before"),
    Column("notice_on", Text, comment="when the customer is, or was, told: YYYY-MM-DD"),
    Column("reason", Text, nullable=False),
    Column("ordered_by", Text, nullable=False),
    Column("ordered_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", UtcTimestamp),
    CheckConstraint("day BETWEEN 1 AND 31", name="day"),
    CheckConstraint("state IN ('asked', 'agreed', 'refused')", name="state"),
    CheckConstraint("is_first IN (0, 1)", name="is_first"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("approved_by IS NULL OR approved_by <> ordered_by", name="second_person"),
    CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved"),
    CheckConstraint(
        "is_first = 1 OR state = 'asked' OR approved_by IS NOT NULL", name="needs_approval"
    ),
    CheckConstraint("is_first = 1 OR notice_on IS NOT NULL", name="needs_notice"),
    CheckConstraint("is_first = 0 OR state = 'agreed'", name="first"),
    Index(
        "uq_reading_days_first",
        "point_id",
        unique=True,
        sqlite_where=text("is_first = 1"),
        postgresql_where=text("is_first = 1"),
    ),
    Index(
        "uq_reading_days_asked",
        "point_id",
        unique=True,
        sqlite_where=text("state = 'asked'"),
        postgresql_where=text("state = 'asked'"),
    ),
    Index(
        "uq_reading_days_agreed",
        "point_id",
        "from_month",
        unique=True,
        sqlite_where=text("state = 'agreed'"),
        postgresql_where=text("state = 'agreed'"),
    ),
)

rounds: Final = table(
    "rounds",
    Column("round_id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, comment="its plan's, or what a person called it"),
    Column("plan_id", Identifier, ForeignKey(plans.c.plan_id)),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("document", Text, nullable=False, comment="the plan as it was: canonical JSON"),
    Column("closes_at", UtcTimestamp, nullable=False),
    Column("devices", WholeNumber, nullable=False, comment="how many it has"),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("ended_at", UtcTimestamp),
    UniqueConstraint("plan_id", "kind", "due_at"),
    CheckConstraint("kind IN ('plan', 'chase', 'demand')", name="kind"),
    CheckConstraint("kind <> 'plan' OR plan_id IS NOT NULL", name="plan"),
    CheckConstraint("closes_at > due_at", name="window"),
    CheckConstraint("devices >= 0", name="devices"),
    Index(
        "ix_rounds_open",
        "closes_at",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("ix_rounds_ended_at", "ended_at"),
)

round_links: Final = table(
    "round_links",
    Column("round_id", Identifier, ForeignKey(rounds.c.round_id), primary_key=True),
    Column("link_id", Identifier, ForeignKey(links.c.link_id), primary_key=True),
    Column("state", Text, nullable=False),
    Column("key", Text, comment="of the job that carries it"),
    Column("attempt", WholeNumber, nullable=False, comment="jobs so far that came to their end"),
    Column("requeue_at", UtcTimestamp),
    Column("asked", WholeNumber, nullable=False, comment="requests to its meters"),
    Column("spent_ms", WholeNumber, nullable=False, comment="on the line"),
    CheckConstraint("state IN ('queued', 'resting', 'done')", name="state"),
    CheckConstraint("(state = 'done') = (requeue_at IS NULL)", name="requeue_at"),
    CheckConstraint("state <> 'queued' OR key IS NOT NULL", name="key"),
    CheckConstraint("attempt >= 0 AND asked >= 0 AND spent_ms >= 0", name="counts"),
    Index(
        "ix_round_links_requeue_at",
        "requeue_at",
        sqlite_where=text("requeue_at IS NOT NULL"),
        postgresql_where=text("requeue_at IS NOT NULL"),
    ),
    clustered=True,
)

round_devices: Final = table(
    "round_devices",
    Column("round_id", Identifier, ForeignKey(rounds.c.round_id), primary_key=True),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), primary_key=True),
    Column("link_id", Identifier, ForeignKey(links.c.link_id)),
    Column("state", Text, nullable=False),
    Column("attempts", WholeNumber, nullable=False),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("remaining", Text, comment="what is still to be read, by commas; none: everything"),
    Column("why", Text, comment="code of what kept it from being read"),
    Column("words", Text, comment="the same for a person"),
    CheckConstraint("state IN ('waiting', 'read', 'partial', 'failed', 'skipped')", name="state"),
    CheckConstraint("attempts >= 0", name="attempts"),
    CheckConstraint(
        "state IN ('waiting', 'read') OR (why IS NOT NULL AND words IS NOT NULL)", name="why"
    ),
    Index("ix_round_devices_link", "round_id", "link_id", "state"),
    Index("ix_round_devices_device_id", "device_id"),
    clustered=True,
)

event_counts: Final = table(
    "event_counts",
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("count", WholeNumber, nullable=False),
    Column("is_open", WholeNumber, nullable=False, comment="1: the last one has not ended"),
    CheckConstraint("count >= 0 AND is_open IN (0, 1)", name="count"),
    clustered=True,
)

clock_offsets: Final = table(
    "clock_offsets",
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), primary_key=True),
    Column("at", UtcTimestamp, primary_key=True),
    Column("offset_s", WholeNumber, nullable=False, comment="positive: the meter is ahead"),
    clustered=True,
)

contact_hours: Final = table(
    "contact_hours",
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), primary_key=True),
    Column("hour", UtcTimestamp, primary_key=True),
    Column("asked", WholeNumber, nullable=False, comment="visits"),
    Column("answered", WholeNumber, nullable=False),
    CheckConstraint("answered BETWEEN 0 AND asked", name="answered"),
    Index("ix_contact_hours_hour", "hour"),
    clustered=True,
)

link_hours: Final = table(
    "link_hours",
    Column("link_id", Identifier, ForeignKey(links.c.link_id), primary_key=True),
    Column("hour", UtcTimestamp, primary_key=True),
    Column("asked", WholeNumber, nullable=False, comment="visits of its meters"),
    Column("answered", WholeNumber, nullable=False),
    Column("broken", WholeNumber, nullable=False, comment="visits that found the line broken"),
    Column("busy_ms", WholeNumber, nullable=False),
    CheckConstraint("answered BETWEEN 0 AND asked AND broken BETWEEN 0 AND asked", name="asked"),
    CheckConstraint("busy_ms >= 0", name="busy_ms"),
    Index("ix_link_hours_hour", "hour"),
    clustered=True,
)

network_seconds: Final = table(
    "network_seconds",
    Column("network_id", Identifier, ForeignKey(networks.c.network_id), primary_key=True),
    Column("second", WholeNumber, primary_key=True, comment="since 1970"),
    Column("connects", WholeNumber, nullable=False),
    CheckConstraint("connects > 0", name="connects"),
    clustered=True,
)

link_permits: Final = table(
    "link_permits",
    Column("link_id", Identifier, ForeignKey(links.c.link_id), primary_key=True),
    Column("network_id", Identifier, ForeignKey(networks.c.network_id), nullable=False),
    Column("holder", Text, nullable=False, comment="the process"),
    Column("expires_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(holder) > 0", name="holder"),
    Index("ix_link_permits_network_id", "network_id", "expires_at"),
)

manual_readings: Final = table(
    "manual_readings",
    Column("entry_id", Identifier, primary_key=True),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), nullable=False),
    Column("quantity", Text, nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("value", WholeNumber, nullable=False),
    Column("note", Text, nullable=False),
    Column("photo", Text, comment="name of the file, kept where the utility keeps such"),
    Column("photo_sha256", Text),
    Column("entered_by", Text, nullable=False),
    Column("entered_at", UtcTimestamp, nullable=False),
    UniqueConstraint("device_id", "quantity", "at"),
    CheckConstraint("length(note) > 0", name="note"),
    CheckConstraint("(photo IS NULL) = (photo_sha256 IS NULL)", name="photo"),
    CheckConstraint("photo_sha256 IS NULL OR length(photo_sha256) = 64", name="photo_sha256"),
)
