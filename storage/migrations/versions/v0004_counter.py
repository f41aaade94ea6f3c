"""The counter: reports of meters' faults, a clock that is far ahead, payments that are undone."""

from __future__ import annotations

from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    foreign,
    identity,
    primary,
    reference,
    table,
    text,
    time,
    unique,
)

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KINDS = "('display', 'keypad', 'no_supply', 'tamper_seen', 'wrong_display', 'other')"


def upgrade() -> None:
    """Make everything."""
    _make_fault_reports()
    _make_fault_closures()
    _answer_reports()
    _watch_the_clock()
    _undo_payments()


def _make_fault_reports() -> None:
    name = "meter_fault_reports"
    table(
        name,
        *identity(name, "report_no"),
        text("client"),
        text("message_id"),
        reference("meter_id"),
        text("kind"),
        text("words"),
        text("contact", comment="how to reach who reported it"),
        time("reported_at"),
        text("operator"),
        text("terminal"),
        foreign(name, ["client", "message_id"], "requests"),
        foreign(name, ["meter_id"], "meters"),
        unique(name, "client", "message_id"),
        check(name, "kind", f"kind IN {_KINDS}"),
        check(name, "words", "kind <> 'other' OR length(words) > 0"),
    )
    op.create_index("ix_meter_fault_reports_meter_id", name, ["meter_id"])
    triggers.immutable(name, ["report_no"], ["client", "message_id"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM requests WHERE client = NEW.client "
        "AND message_id = NEW.message_id AND operation = 'fault_report' AND outcome IS NULL)",
        "a report is made with its answer",
    )


def _make_fault_closures() -> None:
    name = "meter_fault_closures"
    table(
        name,
        reference("report_no"),
        time("closed_at"),
        text("closed_by"),
        text("words"),
        primary(name, "report_no"),
        foreign(name, ["report_no"], "meter_fault_reports"),
        check(name, "words", "length(words) > 0"),
    )
    triggers.immutable(name, ["report_no"])


def _answer_reports() -> None:
    """What is done is a receipt, or the report that was asked for."""
    triggers.drop("requests", "requests_fits")
    mine = "WHERE client = NEW.client AND message_id = NEW.message_id"
    triggers.updated_only_if(
        "requests",
        "NEW.outcome IS NULL OR (NEW.outcome = 'done') = (CASE NEW.operation "
        f"WHEN 'fault_report' THEN EXISTS (SELECT 1 FROM meter_fault_reports {mine}) "
        f"ELSE EXISTS (SELECT 1 FROM receipts {mine}) END)",
        "done means a receipt or a report, failed means none",
    )


def _watch_the_clock() -> None:
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    op.execute(
        f"ALTER TABLE counter_rules ADD COLUMN clock_ahead_max_h {kind} NOT NULL DEFAULT 840 "
        "CONSTRAINT ck_counter_rules_clock_ahead_max_h CHECK (clock_ahead_max_h >= 0)"
    )
    name = "clock_acceptances"
    table(
        name,
        *identity(name, "acceptance_id"),
        time("accepted_at"),
        text("accepted_by"),
        text("reason"),
        check(name, "reason", "length(reason) > 0"),
    )
    op.create_index("ix_clock_acceptances_accepted_at", name, ["accepted_at"])
    triggers.immutable(name, ["acceptance_id"])


def _undo_payments() -> None:
    """Advice is about payments on account, too; those leave no token that must be the latest."""
    for trigger in ("advices_insert", "advices_unprinted"):
        triggers.drop("advices", trigger)
    advised = "SELECT 1 FROM receipts WHERE receipt_no = NEW.receipt_no AND kind"
    triggers.inserted_only_if(
        "advices",
        f"EXISTS ({advised} IN ('credit', 'account_payment'))",
        "advice is about a sale or a payment",
    )
    triggers.inserted_only_if(
        "advices",
        "NEW.advice = 'confirmed' OR ("
        "NOT EXISTS (SELECT 1 FROM prints WHERE receipt_no = NEW.receipt_no) "
        "AND NOT EXISTS (SELECT 1 FROM reprints WHERE receipt_no = NEW.receipt_no) "
        f"AND (EXISTS ({advised} = 'account_payment') "
        "OR NOT EXISTS (SELECT 1 FROM receipts, receipts later "
        "WHERE receipts.receipt_no = NEW.receipt_no AND later.meter_id = receipts.meter_id "
        "AND later.receipt_no > receipts.receipt_no AND later.kind IN "
        "('credit', 'free_issue', 'free_basic', 'replacement') AND NOT EXISTS ("
        "SELECT 1 FROM advices gone WHERE gone.receipt_no = later.receipt_no "
        "AND gone.advice = 'reversed'))))",
        "only what is unprinted is reversed, of sales only the latest",
        name="advices_unprinted",
    )
