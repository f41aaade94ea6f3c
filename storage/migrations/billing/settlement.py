"""Settlements, their runs, what waits, what is reviewed, monthly reports."""

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
    _make_settlements()
    _guard_settlements()
    _make_runs()
    _make_waits()
    _make_reviews()
    _make_policy()
    _make_reports()


def _make_settlements() -> None:
    name = "settlements"
    table(
        name,
        reference("supply_id"),
        number("seq", comment="1, 2, 3, ... of the supply"),
        reference("account_id", comment="the supply's, at that time"),
        time("since"),
        time("until"),
        number("sign", comment="1; -1: takes another one back"),
        number("reverses_seq", null=True, comment="of the same supply"),
        number("replaces_seq", null=True, comment="of the same supply: settles its span anew"),
        number("energy_wh", comment="total; below zero when reversing"),
        number("amount_minor", comment="below zero when reversing"),
        number("tax_minor"),
        text("lines", comment="canonical JSON: explained to the line"),
        text("readings", comment="canonical JSON: what it rests on"),
        text("carried", comment="fraction of a minor unit, a decimal"),
        time("settled_at"),
        text("settled_by"),
        text("reason", null=True, comment="of a correction"),
        primary(name, "supply_id", "seq"),
        foreign(name, ["supply_id"], "supplies"),
        check(name, "seq", "seq > 0"),
        check(name, "span", "until > since"),
        check(name, "sign", "sign IN (1, -1)"),
        check(name, "reverses", "(sign = -1) = (reverses_seq IS NOT NULL)"),
        check(name, "earlier", "reverses_seq < seq AND replaces_seq < seq"),
        check(
            name,
            "reason",
            "(reverses_seq IS NULL AND replaces_seq IS NULL) OR reason IS NOT NULL",
        ),
    )
    op.create_index("ix_settlements_account_until", name, ["account_id", "until"])
    for column in ("reverses", "replaces"):
        _unique_where(
            f"uq_settlements_{column}",
            name,
            ["supply_id", f"{column}_seq"],
            f"{column}_seq IS NOT NULL",
        )
    op.create_index(
        "ix_settlements_corrected",
        name,
        ["settled_at"],
        sqlite_where=sa.text("reason IS NOT NULL"),
        postgresql_where=sa.text("reason IS NOT NULL"),
    )
    triggers.immutable(
        name,
        ["supply_id", "seq"],
        ["supply_id", "reverses_seq"],
        ["supply_id", "replaces_seq"],
    )


def _guard_settlements() -> None:
    name = "settlements"
    # first settlements come by the million: one trigger for them, of few looks at indexes
    first = "NEW.reverses_seq IS NULL AND NEW.replaces_seq IS NULL"
    before = (
        "FROM settlements e WHERE e.supply_id = NEW.supply_id AND e.reverses_seq IS NULL "
        "AND e.replaces_seq IS NULL ORDER BY e.seq DESC LIMIT 1"
    )
    triggers.guarded(
        name,
        "insert",
        "EXISTS (SELECT 1 FROM supplies s WHERE s.supply_id = NEW.supply_id "
        "AND s.account_id = NEW.account_id "
        f"AND NEW.since = coalesce((SELECT e.until {before}), s.since)) "
        "AND (NEW.seq = 1 OR EXISTS (SELECT 1 FROM settlements p "
        "WHERE p.supply_id = NEW.supply_id AND p.seq = NEW.seq - 1))",
        "a settlement begins where the supply''s last one ended",
        name="settlements_continue",
        only=first,
    )
    triggers.guarded(
        name,
        "insert",
        "NEW.replaces_seq IS NULL AND EXISTS (SELECT 1 FROM settlements o "
        "WHERE o.supply_id = NEW.supply_id "
        "AND o.seq = NEW.reverses_seq AND o.sign = 1 AND o.account_id = NEW.account_id "
        "AND o.since = NEW.since AND o.until = NEW.until AND o.energy_wh = -NEW.energy_wh "
        "AND o.amount_minor = -NEW.amount_minor AND o.tax_minor = -NEW.tax_minor) "
        "AND EXISTS (SELECT 1 FROM settlements p "
        "WHERE p.supply_id = NEW.supply_id AND p.seq = NEW.seq - 1)",
        "a reversal takes all of one settlement back",
        name="settlements_reverse",
        only="NEW.reverses_seq IS NOT NULL",
    )
    triggers.guarded(
        name,
        "insert",
        "EXISTS (SELECT 1 FROM settlements o WHERE o.supply_id = NEW.supply_id "
        "AND o.seq = NEW.replaces_seq AND o.sign = 1 AND o.account_id = NEW.account_id "
        "AND o.since = NEW.since AND o.until = NEW.until) "
        "AND EXISTS (SELECT 1 FROM settlements r WHERE r.supply_id = NEW.supply_id "
        "AND r.reverses_seq = NEW.replaces_seq) "
        "AND EXISTS (SELECT 1 FROM settlements p "
        "WHERE p.supply_id = NEW.supply_id AND p.seq = NEW.seq - 1)",
        "what is settled anew was reversed before, and has the same span",
        name="settlements_replace",
        only="NEW.replaces_seq IS NOT NULL",
    )


def _make_runs() -> None:
    name = "settlement_runs"
    table(
        name,
        *identity(name, "run_id"),
        text("cycle"),
        time("until"),
        text("state"),
        time("started_at"),
        text("started_by"),
        time("ended_at", null=True),
        check(name, "cycle", "cycle IN ('hourly', 'daily', 'monthly')"),
        check(name, "state", "state IN ('open', 'done')"),
        check(name, "ended", "(ended_at IS NOT NULL) = (state = 'done')"),
    )
    _unique_where("uq_settlement_runs_open", name, ["cycle", "until"], "state = 'open'")
    op.create_index("ix_settlement_runs_cycle_until", name, ["cycle", "until"])
    triggers.frozen(name, ["run_id", "cycle", "until", "started_at"], after="OLD.state = 'done'")
    triggers.no_delete(name, ["run_id"])
    name = "settlement_parts"
    table(
        name,
        reference("run_id"),
        number("part"),
        reference("first_account"),
        reference("last_account"),
        number("accounts", comment="how many"),
        text("state"),
        number("settled", comment="spans"),
        number("waiting", comment="supplies"),
        number("energy_wh"),
        number("amount_minor"),
        time("done_at", null=True),
        primary(name, "run_id", "part"),
        foreign(name, ["run_id"], "settlement_runs"),
        check(name, "state", "state IN ('open', 'done')"),
        check(name, "accounts", "last_account >= first_account AND accounts > 0"),
        check(name, "done", "(done_at IS NOT NULL) = (state = 'done')"),
    )
    triggers.frozen(
        name, ["run_id", "part", "first_account", "last_account"], after="OLD.state = 'done'"
    )


def _make_waits() -> None:
    name = "settlement_waits"
    table(
        name,
        reference("supply_id"),
        reference("account_id"),
        time("since"),
        time("until"),
        text("why", comment="a code"),
        text("words"),
        time("first_at"),
        time("seen_at"),
        primary(name, "supply_id"),
        foreign(name, ["supply_id"], "supplies"),
        check(name, "span", "until > since"),
        check(name, "words", "length(why) > 0 AND length(words) > 0"),
    )
    op.create_index("ix_settlement_waits_seen_at", name, ["seen_at"])


def _make_reviews() -> None:
    name = "settlement_reviews"
    table(
        name,
        *identity(name, "review_id"),
        reference("supply_id"),
        reference("account_id"),
        time("since"),
        time("until"),
        text("check_name"),
        text("cause", comment="for the monthly summary"),
        text("reason", comment="in words"),
        text("figures", comment="what it was judged by; canonical JSON"),
        number("holds", comment="1: the span is not settled meanwhile"),
        text("state"),
        time("found_at"),
        time("decided_at", null=True),
        text("decided_by", null=True),
        text("words", null=True, comment="of the decision"),
        text("energy", null=True, comment="estimated: Wh by register; canonical JSON"),
        foreign(name, ["supply_id"], "supplies"),
        check(name, "span", "until > since"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "holds", "holds IN (0, 1)"),
        check(name, "state", "state IN ('open', 'released', 'estimated', 'corrected', 'passed')"),
        check(
            name,
            "decided",
            "(state = 'open') = (decided_at IS NULL) AND "
            "(decided_at IS NULL) = (decided_by IS NULL) "
            "AND (decided_at IS NULL) = (words IS NULL)",
        ),
        check(name, "energy", "(energy IS NOT NULL) = (state = 'estimated')"),
    )
    _unique_where(
        "uq_settlement_reviews_open",
        name,
        ["supply_id", "since", "until", "check_name"],
        "state = 'open'",
    )
    op.create_index("ix_settlement_reviews_supply_since", name, ["supply_id", "since"])
    op.create_index("ix_settlement_reviews_state", name, ["state", "review_id"])
    op.create_index("ix_settlement_reviews_found_at", name, ["found_at"])
    triggers.frozen(
        name,
        ["review_id", "supply_id", "account_id", "since", "until", "check_name", "found_at"],
        after="OLD.state <> 'open'",
    )
    triggers.no_delete(name, ["review_id"])


def _make_policy() -> None:
    name = "settlement_policy"
    table(
        name,
        text("check_name"),
        text("kind"),
        text("act"),
        time("set_at"),
        text("set_by"),
        primary(name, "check_name", "kind"),
        check(name, "kind", "kind IN ('prepaid', 'daily', 'monthly')"),
        check(name, "act", "act IN ('hold', 'flag', 'pass')"),
    )
    name = "supply_capacities"
    table(
        name,
        reference("supply_id"),
        time("since"),
        number("capacity", comment="W, or VA where the tariff has kVA"),
        text("set_by"),
        primary(name, "supply_id", "since"),
        foreign(name, ["supply_id"], "supplies"),
        check(name, "capacity", "capacity >= 0"),
    )
    triggers.immutable(name, ["supply_id", "since"])
    name = "settlement_marks"
    table(name, text("name"), number("value"), primary(name, "name"))
    # there from the beginning, so that whoever moves them, or waits for it, finds a row to lock
    for mark in ("reading_corrections", "reported"):
        op.execute(f"INSERT INTO {name} (name, value) VALUES ('{mark}', 0)")


def _make_reports() -> None:
    name = "settlement_reports"
    table(
        name,
        *identity(name, "report_id"),
        text("month", comment="YYYY-MM of the utility's zone"),
        text("state"),
        text("asked_by"),
        time("asked_at"),
        text("approved_by", null=True),
        time("decided_at", null=True),
        text("words", null=True, comment="of the review"),
        check(name, "month", "length(month) = 7"),
        check(name, "state", "state IN ('draft', 'final', 'refused')"),
        check(name, "decided", "(state = 'draft') = (decided_at IS NULL)"),
        check(
            name,
            "decision",
            "(decided_at IS NULL) = (approved_by IS NULL) "
            "AND (decided_at IS NULL) = (words IS NULL)",
        ),
        check(name, "two_persons", "state <> 'final' OR approved_by <> asked_by"),
    )
    _unique_where("uq_settlement_reports_month", name, ["month"], "state <> 'refused'")
    triggers.frozen(
        name, ["report_id", "month", "asked_by", "asked_at"], after="OLD.state <> 'draft'"
    )
    triggers.no_delete(name, ["report_id"])
    name = "settlement_report_lines"
    table(
        name,
        reference("report_id"),
        number("line"),
        text("area", comment="name of the place; empty: none"),
        number("accounts"),
        number("supplies"),
        number("waiting", comment="supplies not settled to the end"),
        number("energy_wh"),
        number("amount_minor", comment="settled, tax with it"),
        number("tax_minor"),
        number("corrected_minor", comment="part of it: of earlier months"),
        number("paid_minor"),
        number("outstanding_minor", comment="owed at the month's end"),
        primary(name, "report_id", "line"),
        foreign(name, ["report_id"], "settlement_reports"),
        unique(name, "report_id", "area"),
        check(name, "line", "line > 0"),
        check(name, "outstanding", "outstanding_minor >= 0"),
    )
    triggers.immutable(name, ["report_id", "line"], ["report_id", "area"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM settlement_reports r "
        "WHERE r.report_id = NEW.report_id AND r.state = 'draft')",
        "a report that was reviewed is whole",
    )


def _unique_where(index: str, name: str, columns: list[str], condition: str) -> None:
    op.create_index(
        index,
        name,
        columns,
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
