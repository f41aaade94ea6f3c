"""Settlements."""

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
    """Make the tables."""
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
        clustered=True,
    )
    op.create_index("ix_settlements_account_until", name, ["account_id", "until"])
    triggers.immutable(name, ["supply_id", "seq"])
