"""Vendors, their credit, terminals."""

from __future__ import annotations

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
    name = "vendors"
    table(
        name,
        *identity(name, "vendor_id"),
        text("name"),
        number("prepaid", default=1, comment="1: sells from credit; 0: settles afterwards"),
        number("credit_limit_minor", default=0, comment="how far below nothing credit may go"),
        text("blocked", null=True, comment="why it may not sell; NULL when it may"),
        time("added_at"),
        unique(name, "name"),
        check(name, "name", "length(name) > 0"),
        check(name, "prepaid", "prepaid IN (0, 1)"),
        check(name, "credit_limit_minor", "credit_limit_minor >= 0"),
    )
    triggers.no_delete(name, ["vendor_id"], ["name"])
    triggers.frozen(name, ["vendor_id", "added_at"])
    name = "vendor_credit"
    table(
        name,
        reference("vendor_id"),
        number("bucket"),
        number("available_minor", comment="what may be sold yet, the credit limit included"),
        number("reserved_minor", default=0, comment="set aside for tokens in the making"),
        primary(name, "vendor_id", "bucket"),
        foreign(name, ["vendor_id"], "vendors"),
        check(name, "bucket", "bucket >= 0"),
        check(name, "available_minor", "available_minor >= 0"),
        check(name, "reserved_minor", "reserved_minor >= 0"),
        clustered=True,
    )
    triggers.no_delete(name, ["vendor_id", "bucket"])
    triggers.frozen(name, ["vendor_id", "bucket"])
    name = "terminals"
    table(
        name,
        *identity(name, "terminal_id"),
        text("name"),
        reference("vendor_id", null=True),
        text("blocked", null=True, comment="why it may not sell; NULL when it may"),
        time("added_at"),
        unique(name, "name"),
        foreign(name, ["vendor_id"], "vendors"),
        check(name, "name", "length(name) > 0"),
    )
    triggers.no_delete(name, ["terminal_id"], ["name"])
    triggers.frozen(name, ["terminal_id", "name", "added_at"])
