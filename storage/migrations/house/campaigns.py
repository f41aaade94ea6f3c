"""Key change campaigns."""

from __future__ import annotations

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
    _make_campaigns()
    _make_meters()


def _make_campaigns() -> None:
    name = "campaigns"
    table(
        name,
        *identity(name, "campaign_id"),
        text("name"),
        text("selection", comment="canonical JSON: the keys they have"),
        text("changes", comment="canonical JSON: what is changed"),
        text("reason"),
        time("made_at"),
        text("made_by"),
        text("state"),
        unique(name, "name"),
        check(name, "name", "length(name) > 0"),
        check(name, "state", "state IN ('open', 'closed', 'cancelled')"),
    )
    triggers.no_delete(name, ["campaign_id"], ["name"])
    triggers.frozen(
        name,
        ["campaign_id", "name", "selection", "changes", "reason", "made_at", "made_by"],
        after="OLD.state <> 'open'",
    )


def _make_meters() -> None:
    name = "campaign_meters"
    table(
        name,
        reference("campaign_id"),
        reference("meter_id"),
        text("state"),
        number("attempt"),
        reference("receipt_no", null=True),
        text("fault", null=True, comment="the code of the refusal"),
        primary(name, "campaign_id", "meter_id"),
        foreign(name, ["campaign_id"], "campaigns"),
        foreign(name, ["meter_id"], "meters"),
        foreign(name, ["receipt_no"], "receipts"),
        unique(name, "receipt_no"),
        check(name, "state", "state IN ('waiting', 'issued', 'refused')"),
        check(name, "attempt", "attempt > 0"),
        check(name, "issued", "(state = 'issued') = (receipt_no IS NOT NULL)"),
        check(name, "refused", "(state = 'refused') = (fault IS NOT NULL)"),
    )
    op.create_index("ix_campaign_meters_state", name, ["campaign_id", "state", "meter_id"])
    triggers.no_delete(name, ["campaign_id", "meter_id"], ["receipt_no"])
    triggers.frozen(name, ["campaign_id", "meter_id"], after="OLD.state = 'issued'")
