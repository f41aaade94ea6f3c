"""The tables of watching.

==================  ====================================================================
`alarms`            one open alarm for each kind and subject (unique index)
`alarm_history`     what happened to an alarm; append-only
`alarm_steps`       the utility's own escalation, where it differs from the defaults
`alarm_notices`     who is to be told; the channel that sends marks them as taken
`watch_limits`      the utility's own thresholds, where they differ from the defaults
`point_groups`      the customer group of a service point, for thresholds of its own
`findings`          what a check found; open until a person confirms or dismisses it
`finding_history`   who decided what; append-only
`point_days`        energy of a service point on a day
`loss_days`         supplied and sold at a place on a day
`outages`           many meters of one place silent at once
`outage_meters`     which
`watch_marks`       how far a step of the sweep has come
==================  ====================================================================

A day is a whole number: days since 1970-01-01 of the utility's calendar.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text, UniqueConstraint, text

from headend.registry.tables import end_devices, links, places, service_points
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

_ONE_SUBJECT: Final = (
    "subject = CASE WHEN device_id IS NOT NULL THEN 'device ' || device_id "
    "WHEN link_id IS NOT NULL THEN 'link ' || link_id "
    "WHEN place_id IS NOT NULL THEN 'place ' || place_id ELSE 'station' END"
)
_SEVERITIES: Final = "severity IN ('notice', 'warning', 'critical')"

alarms: Final = table(
    "alarms",
    Column("alarm_id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="the one of the next three that is given"),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id)),
    Column("link_id", Identifier, ForeignKey(links.c.link_id)),
    Column("place_id", Identifier, ForeignKey(places.c.place_id)),
    Column("severity", Text, nullable=False),
    Column("words", Text, nullable=False, comment="what is wrong and what to do"),
    Column("first_at", UtcTimestamp, nullable=False),
    Column("last_at", UtcTimestamp, nullable=False),
    Column("count", WholeNumber, nullable=False),
    Column("step", WholeNumber, nullable=False, comment="of its escalation"),
    Column("next_at", UtcTimestamp, comment="when the next step is due"),
    Column("acknowledged_at", UtcTimestamp),
    Column("acknowledged_by", Text),
    Column("closed_at", UtcTimestamp),
    Column("closed_by", Text),
    CheckConstraint("length(kind) > 0 AND length(words) > 0", name="words"),
    CheckConstraint(_ONE_SUBJECT, name="subject"),
    CheckConstraint(
        "(device_id IS NULL OR link_id IS NULL) AND (device_id IS NULL OR place_id IS NULL) "
        "AND (link_id IS NULL OR place_id IS NULL)",
        name="one_subject",
    ),
    CheckConstraint(_SEVERITIES, name="severity"),
    CheckConstraint("last_at >= first_at AND count > 0 AND step >= 0", name="count"),
    CheckConstraint("(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged"),
    CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name="closed"),
    CheckConstraint(
        "next_at IS NULL OR (acknowledged_at IS NULL AND closed_at IS NULL)", name="next_at"
    ),
    Index(
        "uq_alarms_open",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index(
        "ix_alarms_next_at",
        "next_at",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    Index("ix_alarms_last_at", "last_at"),
)

alarm_history: Final = table(
    "alarm_history",
    Column("entry_id", Identifier, primary_key=True),
    Column("alarm_id", Identifier, ForeignKey(alarms.c.alarm_id), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("act", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("words", Text, nullable=False),
    CheckConstraint("act IN ('raised', 'acknowledged', 'escalated', 'closed')", name="act"),
    CheckConstraint(_SEVERITIES, name="severity"),
    Index("ix_alarm_history_alarm_id", "alarm_id"),
)

alarm_steps: Final = table(
    "alarm_steps",
    Column("kind", Text, primary_key=True, comment="of alarm; * is every other"),
    Column("step", WholeNumber, primary_key=True, autoincrement=False),
    Column("after_min", WholeNumber, nullable=False, comment="unacknowledged"),
    Column("severity", Text, nullable=False, comment="at least"),
    Column("recipients", Text, nullable=False, comment="a group that the channel knows"),
    CheckConstraint("step > 0 AND after_min >= 0", name="step"),
    CheckConstraint("length(recipients) > 0", name="recipients"),
    CheckConstraint(_SEVERITIES, name="severity"),
)

alarm_notices: Final = table(
    "alarm_notices",
    Column("notice_id", Identifier, primary_key=True),
    Column("alarm_id", Identifier, ForeignKey(alarms.c.alarm_id), nullable=False),
    Column("step", WholeNumber, nullable=False),
    Column("severity", Text, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("taken_at", UtcTimestamp, comment="by the channel that sends it"),
    CheckConstraint(_SEVERITIES, name="severity"),
    UniqueConstraint("alarm_id", "step"),
    Index(
        "ix_alarm_notices_due_at",
        "due_at",
        sqlite_where=text("taken_at IS NULL"),
        postgresql_where=text("taken_at IS NULL"),
    ),
)

watch_limits: Final = table(
    "watch_limits",
    Column("name", Text, primary_key=True, comment="of limits.toml"),
    Column("customer_group", Text, primary_key=True, comment="empty: everybody's"),
    Column("value", WholeNumber, nullable=False),
    Column("set_at", UtcTimestamp, nullable=False),
    Column("set_by", Text, nullable=False),
)

point_groups: Final = table(
    "point_groups",
    Column(
        "point_id",
        Identifier,
        ForeignKey(service_points.c.point_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column("customer_group", Text, nullable=False),
    CheckConstraint("length(customer_group) > 0", name="customer_group"),
)

findings: Final = table(
    "findings",
    Column("finding_id", Identifier, primary_key=True),
    Column("check_name", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="the one of the next two that is given"),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id)),
    Column("place_id", Identifier, ForeignKey(places.c.place_id)),
    Column("since", UtcTimestamp, nullable=False, comment="of the values that it is about"),
    Column("until", UtcTimestamp, nullable=False),
    Column("reason", Text, nullable=False, comment="in words"),
    Column("figures", Text, nullable=False, comment="what it was judged by; canonical JSON"),
    Column("cause", Text, nullable=False, comment="for the monthly summary"),
    Column("holds", WholeNumber, nullable=False, comment="1: nothing is billed meanwhile"),
    Column("state", Text, nullable=False),
    Column("found_at", UtcTimestamp, nullable=False),
    CheckConstraint(
        "subject = CASE WHEN device_id IS NOT NULL THEN 'device ' || device_id "
        "ELSE 'place ' || place_id END AND (device_id IS NULL) <> (place_id IS NULL)",
        name="subject",
    ),
    CheckConstraint("until > since", name="span"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("holds IN (0, 1) AND (holds = 0 OR device_id IS NOT NULL)", name="holds"),
    CheckConstraint("state IN ('open', 'confirmed', 'dismissed')", name="state"),
    CheckConstraint("state <> 'dismissed' OR holds = 0", name="dismissed"),
    UniqueConstraint("check_name", "subject", "since"),
    Index("ix_findings_state_found_at", "state", "found_at"),
    Index(
        "ix_findings_held",
        "device_id",
        "since",
        sqlite_where=text("holds = 1"),
        postgresql_where=text("holds = 1"),
    ),
)

finding_history: Final = table(
    "finding_history",
    Column("entry_id", Identifier, primary_key=True),
    Column("finding_id", Identifier, ForeignKey(findings.c.finding_id), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("act", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("words", Text, nullable=False),
    CheckConstraint("act IN ('confirmed', 'dismissed', 'released')", name="act"),
    CheckConstraint("length(words) > 0", name="words"),
    Index("ix_finding_history_finding_id", "finding_id"),
)

point_days: Final = table(
    "point_days",
    Column(
        "point_id",
        Identifier,
        ForeignKey(service_points.c.point_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column("day", WholeNumber, primary_key=True, autoincrement=False),
    Column("wh", WholeNumber, nullable=False, comment="import"),
    Column("out_wh", WholeNumber, nullable=False, comment="export"),
    Column("state", WholeNumber, nullable=False, comment="0 known, 1 estimated, 2 missing"),
    CheckConstraint("wh >= 0 AND out_wh >= 0", name="wh"),
    CheckConstraint("state IN (0, 1, 2) AND (state <> 2 OR wh + out_wh = 0)", name="state"),
    clustered=True,
)

loss_days: Final = table(
    "loss_days",
    Column(
        "place_id",
        Identifier,
        ForeignKey(places.c.place_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column("day", WholeNumber, primary_key=True, autoincrement=False),
    Column("supplied_wh", WholeNumber, nullable=False),
    Column("sold_wh", WholeNumber, nullable=False),
    Column("estimated_wh", WholeNumber, nullable=False, comment="part of the sold"),
    Column("meters", WholeNumber, nullable=False, comment="customers' meters"),
    Column("known", WholeNumber, nullable=False, comment="of them"),
    Column("state", Text, nullable=False),
    Column("loss_bp", WholeNumber, comment="hundredths of a percent of the supplied"),
    CheckConstraint("state IN ('good', 'high', 'low', 'uncovered', 'unsupplied')", name="state"),
    CheckConstraint("known BETWEEN 0 AND meters", name="known"),
    CheckConstraint("(state IN ('good', 'high', 'low')) = (loss_bp IS NOT NULL)", name="loss_bp"),
    Index("ix_loss_days_day", "day"),
    clustered=True,
)

outages: Final = table(
    "outages",
    Column("outage_id", Identifier, primary_key=True),
    Column("place_id", Identifier, ForeignKey(places.c.place_id), nullable=False),
    Column("began_at", UtcTimestamp, nullable=False),
    Column("found_at", UtcTimestamp, nullable=False),
    Column("ended_at", UtcTimestamp),
    Column("alarm_id", Identifier, ForeignKey(alarms.c.alarm_id), nullable=False),
    CheckConstraint("ended_at IS NULL OR ended_at >= began_at", name="span"),
    Index(
        "uq_outages_open",
        "place_id",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

outage_meters: Final = table(
    "outage_meters",
    Column(
        "outage_id",
        Identifier,
        ForeignKey(outages.c.outage_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column(
        "device_id",
        Identifier,
        ForeignKey(end_devices.c.device_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column("silent_at", UtcTimestamp, nullable=False),
    Column("back_at", UtcTimestamp),
    clustered=True,
)

watch_marks: Final = table(
    "watch_marks",
    Column("step", Text, primary_key=True),
    Column("done_until", UtcTimestamp, nullable=False),
)
