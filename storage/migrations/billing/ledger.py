"""Entries of customers' accounts."""

from __future__ import annotations

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
)


def make() -> None:
    """Make the table; every entry continues the chain of its purse."""
    name = "account_entries"
    table(
        name,
        reference("account_id"),
        text("purse"),
        number("seq", comment="1, 2, 3, ... in its purse"),
        time("posted_at"),
        text("kind"),
        text("counter", comment="the other side"),
        text("currency"),
        number("amount_minor", comment="above zero: for the customer"),
        number("balance_minor", comment="after it"),
        text("source", comment="what it comes from: 'payment 12'"),
        text("words", comment="for the customer"),
        time("due_at", null=True),
        number("reverses_seq", null=True, comment="of the same purse"),
        primary(name, "account_id", "purse", "seq"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["counter", "currency"], "accounts", to=["account", "currency"]),
        check(name, "purse", "purse IN ('current', 'deposit', 'plan')"),
        check(name, "seq", "seq > 0"),
        check(name, "amount_minor", "amount_minor <> 0"),
        check(name, "source", "length(source) > 0 AND length(kind) > 0"),
        check(name, "due_at", "due_at IS NULL OR amount_minor < 0"),
        check(name, "reverses", "reverses_seq < seq"),
        clustered=True,
    )
    op.create_index("ix_account_entries_posted_at", name, ["posted_at"])
    triggers.immutable(name, ["account_id", "purse", "seq"])
    triggers.inserted_only_if(
        name,
        "(NEW.seq = 1 AND NEW.balance_minor = NEW.amount_minor) OR EXISTS "
        "(SELECT 1 FROM account_entries e WHERE e.account_id = NEW.account_id "
        "AND e.purse = NEW.purse AND e.seq = NEW.seq - 1 "
        "AND e.balance_minor = NEW.balance_minor - NEW.amount_minor)",
        "an entry continues its purse",
    )
