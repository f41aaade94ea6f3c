"""Alarms, findings, limits, days, losses, outages."""

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

_SEVERITIES = "severity IN ('notice', 'warning', 'critical')"
_SUBJECTS = ("device_id", "link_id", "place_id")


def make() -> None:
    """Make the tables."""
    _make_alarms()
    _make_alarm_history()
    _make_escalation()
    _make_limits()
    _make_findings()
    _make_days()
    _make_outages()


def _make_alarms() -> None:
    name = "alarms"
    subject = (
        "subject = CASE WHEN device_id IS NOT NULL THEN 'device ' || device_id "
        "WHEN link_id IS NOT NULL THEN 'link ' || link_id "
        "WHEN place_id IS NOT NULL THEN 'place ' || place_id ELSE 'station' END"
    )
    table(
        name,
        *identity(name, "alarm_id"),
        text("kind"),
        text("subject", comment="the one of the next three that is given"),
        *(reference(column, null=True) for column in _SUBJECTS),
        text("severity"),
        text("words", comment="what is wrong and what to do"),
        time("first_at"),
        time("last_at"),
        number("count"),
        number("step", comment="of its escalation"),
        sa.Column("next_at", time("x").type, nullable=True, comment="when the next step is due"),
        time("acknowledged_at", null=True),
        text("acknowledged_by", null=True),
        time("closed_at", null=True),
        text("closed_by", null=True),
        foreign(name, ["device_id"], "end_devices"),
        foreign(name, ["link_id"], "links"),
        foreign(name, ["place_id"], "places"),
        check(name, "words", "length(kind) > 0 AND length(words) > 0"),
        check(name, "subject", subject),
        check(
            name,
            "one_subject",
            "(device_id IS NULL OR link_id IS NULL) AND (device_id IS NULL OR place_id IS NULL) "
            "AND (link_id IS NULL OR place_id IS NULL)",
        ),
        check(name, "severity", _SEVERITIES),
        check(name, "count", "last_at >= first_at AND count > 0 AND step >= 0"),
        check(name, "acknowledged", "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)"),
        check(name, "closed", "(closed_at IS NULL) = (closed_by IS NULL)"),
        check(
            name,
            "next_at",
            "next_at IS NULL OR (acknowledged_at IS NULL AND closed_at IS NULL)",
        ),
    )
    _index_while("uq_alarms_open", name, ["kind", "subject"], "closed_at IS NULL", unique=True)
    _index_while("ix_alarms_next_at", name, ["next_at"], "next_at IS NOT NULL")
    op.create_index("ix_alarms_last_at", name, ["last_at"])
    triggers.no_delete(name, ["alarm_id"])
    triggers.frozen(
        name,
        ["alarm_id", "kind", "subject", *_SUBJECTS, "first_at"],
        after="OLD.closed_at IS NOT NULL",
    )
    triggers.set_once(name, ["acknowledged_at", "acknowledged_by"])


def _make_alarm_history() -> None:
    name = "alarm_history"
    table(
        name,
        *identity(name, "entry_id"),
        reference("alarm_id"),
        time("at"),
        text("act"),
        text("actor"),
        text("severity"),
        text("words"),
        foreign(name, ["alarm_id"], "alarms"),
        check(name, "act", "act IN ('raised', 'acknowledged', 'escalated', 'closed')"),
        check(name, "severity", _SEVERITIES),
    )
    op.create_index("ix_alarm_history_alarm_id", name, ["alarm_id"])
    triggers.immutable(name, ["entry_id"])


def _make_escalation() -> None:
    name = "alarm_steps"
    table(
        name,
        text("kind", comment="of alarm; * is every other"),
        sa.Column("step", number("x").type, nullable=False, autoincrement=False),
        number("after_min", comment="unacknowledged"),
        text("severity", comment="at least"),
        text("recipients", comment="a group that the channel knows"),
        primary(name, "kind", "step"),
        check(name, "step", "step > 0 AND after_min >= 0"),
        check(name, "recipients", "length(recipients) > 0"),
        check(name, "severity", _SEVERITIES),
    )
    name = "alarm_notices"
    table(
        name,
        *identity(name, "notice_id"),
        reference("alarm_id"),
        number("step"),
        text("severity"),
        text("recipients"),
        text("words"),
        time("due_at"),
        sa.Column(
            "taken_at", time("x").type, nullable=True, comment="by the channel that sends it"
        ),
        foreign(name, ["alarm_id"], "alarms"),
        check(name, "severity", _SEVERITIES),
        unique(name, "alarm_id", "step"),
    )
    _index_while("ix_alarm_notices_due_at", name, ["due_at"], "taken_at IS NULL")
    triggers.no_delete(name, ["notice_id"], ["alarm_id", "step"])
    triggers.frozen(
        name,
        ["notice_id", "alarm_id", "step", "severity", "recipients", "words", "due_at"],
        after="OLD.taken_at IS NOT NULL",
    )


def _make_limits() -> None:
    name = "watch_limits"
    table(
        name,
        text("name", comment="of limits.toml"),
        text("customer_group", comment="empty: everybody's"),
        number("value"),
        time("set_at"),
        text("set_by"),
        primary(name, "name", "customer_group"),
    )
    name = "point_groups"
    table(
        name,
        reference("point_id"),
        text("customer_group"),
        primary(name, "point_id"),
        foreign(name, ["point_id"], "service_points"),
        check(name, "customer_group", "length(customer_group) > 0"),
    )


def _make_findings() -> None:
    name = "findings"
    subject = (
        "subject = CASE WHEN device_id IS NOT NULL THEN 'device ' || device_id "
        "ELSE 'place ' || place_id END AND (device_id IS NULL) <> (place_id IS NULL)"
    )
    table(
        name,
        *identity(name, "finding_id"),
        text("check_name"),
        text("subject", comment="the one of the next two that is given"),
        reference("device_id", null=True),
        reference("place_id", null=True),
        sa.Column(
            "since", time("x").type, nullable=False, comment="of the values that it is about"
        ),
        time("until"),
        text("reason", comment="in words"),
        text("figures", comment="what it was judged by; canonical JSON"),
        text("cause", comment="for the monthly summary"),
        number("holds", comment="1: nothing is billed meanwhile"),
        text("state"),
        time("found_at"),
        foreign(name, ["device_id"], "end_devices"),
        foreign(name, ["place_id"], "places"),
        check(name, "subject", subject),
        check(name, "span", "until > since"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "holds", "holds IN (0, 1) AND (holds = 0 OR device_id IS NOT NULL)"),
        check(name, "state", "state IN ('open', 'confirmed', 'dismissed')"),
        check(name, "dismissed", "state <> 'dismissed' OR holds = 0"),
        unique(name, "check_name", "subject", "since"),
    )
    op.create_index("ix_findings_state_found_at", name, ["state", "found_at"])
    _index_while("ix_findings_held", name, ["device_id", "since"], "holds = 1")
    triggers.no_delete(name, ["finding_id"], ["check_name", "subject", "since"])
    kept = "finding_id check_name subject device_id place_id since until reason figures found_at"
    triggers.frozen(name, kept.split(), after="OLD.state = 'dismissed'")
    triggers.never_back(name, "state", "open")
    name = "finding_history"
    table(
        name,
        *identity(name, "entry_id"),
        reference("finding_id"),
        time("at"),
        text("act"),
        text("actor"),
        text("words"),
        foreign(name, ["finding_id"], "findings"),
        check(name, "act", "act IN ('confirmed', 'dismissed', 'released')"),
        check(name, "words", "length(words) > 0"),
    )
    op.create_index("ix_finding_history_finding_id", name, ["finding_id"])
    triggers.immutable(name, ["entry_id"])


def _make_days() -> None:
    name = "point_days"
    table(
        name,
        reference("point_id"),
        number("day"),
        number("wh", comment="import"),
        number("out_wh", comment="export"),
        number("state", comment="0 known, 1 estimated, 2 missing"),
        primary(name, "point_id", "day"),
        foreign(name, ["point_id"], "service_points"),
        check(name, "wh", "wh >= 0 AND out_wh >= 0"),
        check(name, "state", "state IN (0, 1, 2) AND (state <> 2 OR wh + out_wh = 0)"),
        clustered=True,
    )
    name = "loss_days"
    table(
        name,
        reference("place_id"),
        number("day"),
        number("supplied_wh"),
        number("sold_wh"),
        number("estimated_wh", comment="part of the sold"),
        number("meters", comment="customers' meters"),
        number("known", comment="of them"),
        text("state"),
        number("loss_bp", null=True, comment="hundredths of a percent of the supplied"),
        primary(name, "place_id", "day"),
        foreign(name, ["place_id"], "places"),
        check(name, "state", "state IN ('good', 'high', 'low', 'uncovered', 'unsupplied')"),
        check(name, "known", "known BETWEEN 0 AND meters"),
        check(name, "loss_bp", "(state IN ('good', 'high', 'low')) = (loss_bp IS NOT NULL)"),
        clustered=True,
    )
    op.create_index("ix_loss_days_day", name, ["day"])


def _make_outages() -> None:
    name = "outages"
    table(
        name,
        *identity(name, "outage_id"),
        reference("place_id"),
        time("began_at"),
        time("found_at"),
        time("ended_at", null=True),
        reference("alarm_id"),
        foreign(name, ["place_id"], "places"),
        foreign(name, ["alarm_id"], "alarms"),
        check(name, "span", "ended_at IS NULL OR ended_at >= began_at"),
    )
    _index_while("uq_outages_open", name, ["place_id"], "ended_at IS NULL", unique=True)
    triggers.no_delete(name, ["outage_id"])
    name = "outage_meters"
    table(
        name,
        reference("outage_id"),
        reference("device_id"),
        time("silent_at"),
        time("back_at", null=True),
        primary(name, "outage_id", "device_id"),
        foreign(name, ["outage_id"], "outages"),
        foreign(name, ["device_id"], "end_devices"),
        clustered=True,
    )
    name = "watch_marks"
    table(name, text("step"), time("done_until"), primary(name, "step"))


def _index_while(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool = False
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
