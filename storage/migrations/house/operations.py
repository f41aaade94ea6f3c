"""How customers are found, the counter's rules, advice, free units of a month, exchanged meters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    foreign,
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
    _widen_meters()
    _make_rules()
    _make_prints()
    _make_advices()
    _make_gifts()


def _widen_meters() -> None:
    for column in ("account", "id_number"):
        op.execute(f"ALTER TABLE meters ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
        given = sa.text(f"{column} <> ''")
        op.create_index(
            f"ix_meters_{column}",
            "meters",
            [column],
            sqlite_where=given,
            postgresql_where=given,
        )


def _make_rules() -> None:
    name = "counter_rules"
    limits = (
        "double_sale_window_s",
        "free_issue_limit_units",
        "replacement_limit_units",
        "free_basic_units",
        "key_expiry_warning_days",
    )
    table(
        name,
        number("rules_id"),
        *(number(limit) for limit in limits),
        primary(name, "rules_id"),
        check(name, "one_row", "rules_id = 1"),
        check(name, "not_negative", " AND ".join(f"{limit} >= 0" for limit in limits)),
    )
    triggers.no_delete(name, ["rules_id"])


def _make_prints() -> None:
    name = "prints"
    table(
        name,
        reference("receipt_no"),
        time("printed_at"),
        text("operator"),
        primary(name, "receipt_no"),
        foreign(name, ["receipt_no"], "receipts"),
    )
    triggers.immutable(name, ["receipt_no"])
    not_reversed = (
        "NOT EXISTS (SELECT 1 FROM advices "
        "WHERE receipt_no = NEW.receipt_no AND advice = 'reversed')"
    )
    for printed in (name, "reprints"):
        triggers.inserted_only_if(printed, not_reversed, "a reversed sale is never printed")


def _make_advices() -> None:
    name = "advices"
    table(
        name,
        reference("receipt_no"),
        text("advice"),
        time("advised_at"),
        text("operator"),
        primary(name, "receipt_no"),
        foreign(name, ["receipt_no"], "receipts"),
        check(name, "advice", "advice IN ('confirmed', 'reversed')"),
    )
    triggers.immutable(name, ["receipt_no"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM receipts WHERE receipt_no = NEW.receipt_no AND kind = 'credit')",
        "advice is about a sale",
    )
    triggers.inserted_only_if(
        name,
        "NEW.advice = 'confirmed' OR ("
        "NOT EXISTS (SELECT 1 FROM prints WHERE receipt_no = NEW.receipt_no) "
        "AND NOT EXISTS (SELECT 1 FROM reprints WHERE receipt_no = NEW.receipt_no) "
        "AND NOT EXISTS (SELECT 1 FROM receipts, receipts later "
        "WHERE receipts.receipt_no = NEW.receipt_no AND later.meter_id = receipts.meter_id "
        "AND later.receipt_no > receipts.receipt_no AND later.kind IN "
        "('credit', 'free_issue', 'free_basic', 'replacement') AND NOT EXISTS ("
        "SELECT 1 FROM advices gone WHERE gone.receipt_no = later.receipt_no "
        "AND gone.advice = 'reversed')))",
        "only the latest sale, unprinted, is reversed",
        name="advices_unprinted",
    )
    triggers.inserted_only_if(
        "receipts",
        "NEW.kind <> 'reversal' OR EXISTS (SELECT 1 FROM advices "
        "WHERE receipt_no = NEW.reversed_receipt_no AND advice = 'reversed')",
        "a reversal is made with its advice",
        name="receipts_reversal",
    )


def _make_gifts() -> None:
    name = "free_basic_months"
    table(
        name,
        text("service_point"),
        text("month", comment="YYYY-MM in the utility's zone"),
        reference("receipt_no"),
        primary(name, "service_point", "month"),
        foreign(name, ["receipt_no"], "receipts"),
        unique(name, "receipt_no"),
        check(name, "month", "length(month) = 7"),
    )
    triggers.immutable(name, ["service_point", "month"], ["receipt_no"])
    name = "exchanges"
    table(
        name,
        reference("old_meter_id"),
        reference("new_meter_id"),
        reference("receipt_no"),
        primary(name, "old_meter_id"),
        foreign(name, ["old_meter_id"], "meters", to=["meter_id"]),
        foreign(name, ["new_meter_id"], "meters", to=["meter_id"]),
        foreign(name, ["receipt_no"], "receipts"),
        unique(name, "receipt_no"),
        check(name, "two_meters", "old_meter_id <> new_meter_id"),
    )
    triggers.immutable(name, ["old_meter_id"], ["receipt_no"])
