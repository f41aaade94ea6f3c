"""Customers, accounts, agreements, supplies, contacts."""

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
    _make_customers()
    _make_accounts()
    _make_agreements()
    _make_supplies()
    _make_contacts()


def _sealed(name: str, *, null: bool = False, comment: str | None = None) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=null, comment=comment)


def _make_customers() -> None:
    name = "customers"
    table(
        name,
        *identity(name, "customer_id"),
        text("kind"),
        _sealed("name_sealed", comment="customer.name"),
        _sealed("name_digest"),
        _sealed("identity_sealed", null=True, comment="customer.identity: number of a document"),
        _sealed("identity_digest", null=True),
        text("language", null=True, comment="of bills and notices; none: the utility's"),
        time("added_at"),
        check(name, "kind", "kind IN ('person', 'company')"),
        check(name, "identity", "(identity_sealed IS NULL) = (identity_digest IS NULL)"),
    )
    op.create_index("ix_customers_name_digest", name, ["name_digest"])
    op.create_index("ix_customers_identity_digest", name, ["identity_digest"])
    triggers.no_delete(name, ["customer_id"])


def _make_accounts() -> None:
    name = "customer_accounts"
    table(
        name,
        *identity(name, "account_id"),
        text("number", comment="10 digits, the last checks"),
        reference("customer_id"),
        text("class"),
        text("mode"),
        text("state"),
        time("opened_at"),
        time("closed_at", null=True),
        foreign(name, ["customer_id"], "customers"),
        unique(name, "number"),
        check(name, "number", "length(number) = 10"),
        check(name, "class", "class IN ('residential', 'commercial', 'industrial', 'public')"),
        check(name, "mode", "mode IN ('prepaid', 'postpaid')"),
        check(
            name,
            "state",
            "state IN ('applied', 'checked', 'active', 'closing', 'closed', 'rejected')",
        ),
        check(name, "closed", "(closed_at IS NOT NULL) = (state IN ('closed', 'rejected'))"),
    )
    op.create_index("ix_customer_accounts_customer_id", name, ["customer_id"])
    triggers.no_delete(name, ["account_id"], ["number"])
    triggers.frozen(name, ["account_id", "number", "opened_at"])


def _make_agreements() -> None:
    name = "agreements"
    table(
        name,
        *identity(name, "agreement_id"),
        reference("account_id"),
        number("version", comment="1, 2, 3, ..."),
        time("since"),
        text("mode"),
        text("cycle", comment="of settlement"),
        number("bill_day", comment="day of the month, 1-28"),
        number("due_days", comment="from bill to due date"),
        text("payment_channel"),
        text("notice_channel"),
        text("refund_channel"),
        number("warn_minor", comment="prepaid: warn below it"),
        number("floor_minor", comment="prepaid: disconnect below it"),
        number("deposit_minor", comment="first deposit that is asked"),
        time("signed_at"),
        text("signed_by", comment="who took the signature"),
        foreign(name, ["account_id"], "customer_accounts"),
        unique(name, "account_id", "version"),
        check(name, "mode", "mode IN ('prepaid', 'postpaid')"),
        check(name, "cycle", "cycle IN ('hourly', 'daily', 'monthly')"),
        check(name, "version", "version > 0"),
        check(name, "bill_day", "bill_day BETWEEN 1 AND 28"),
        check(name, "due_days", "due_days BETWEEN 1 AND 366"),
        check(name, "limits", "floor_minor <= warn_minor"),
        check(name, "deposit", "deposit_minor >= 0"),
    )
    triggers.immutable(name, ["agreement_id"], ["account_id", "version"])


def _make_supplies() -> None:
    name = "supplies"
    table(
        name,
        *identity(name, "supply_id"),
        reference("account_id"),
        reference("point_id"),
        time("since"),
        time("until", null=True),
        _sealed("address_sealed", null=True, comment="supply.address"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["point_id"], "service_points"),
        check(name, "span", "until IS NULL OR until > since"),
    )
    op.create_index("ix_supplies_account_id", name, ["account_id"])
    op.create_index("ix_supplies_point_since", name, ["point_id", "since"])
    op.create_index(
        "uq_supplies_point",
        name,
        ["point_id"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    triggers.no_delete(name, ["supply_id"])
    triggers.frozen(name, ["supply_id", "account_id", "point_id", "since"])
    triggers.set_once(name, ["until"])
    triggers.inserted_only_if(
        name,
        "NOT EXISTS (SELECT 1 FROM supplies s WHERE s.point_id = NEW.point_id "
        "AND (s.until IS NULL OR s.until > NEW.since))",
        "the service point is on another account then",
    )
    name = "supply_tariffs"
    table(
        name,
        reference("supply_id"),
        time("since"),
        text("tariff", comment="code; its versions are `tariff_versions`"),
        text("set_by"),
        foreign(name, ["supply_id"], "supplies"),
        primary(name, "supply_id", "since"),
    )
    triggers.immutable(name, ["supply_id", "since"])


def _make_contacts() -> None:
    name = "contacts"
    table(
        name,
        *identity(name, "contact_id"),
        reference("account_id"),
        text("role"),
        _sealed("name_sealed", comment="contact.name"),
        _sealed("email_sealed", null=True, comment="contact.email"),
        _sealed("phone_sealed", null=True, comment="contact.phone"),
        _sealed("wechat_sealed", null=True, comment="contact.wechat"),
        _sealed("post_sealed", null=True, comment="contact.post: address for letters"),
        text("language", null=True),
        number("gets_bill", comment="1: bills go there"),
        number("gets_notices", comment="1: warnings go there"),
        time("since"),
        time("until", null=True),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "role", "role IN ('customer', 'tenant', 'landlord', 'accountant')"),
        check(name, "gets", "gets_bill IN (0, 1) AND gets_notices IN (0, 1)"),
        check(name, "span", "until IS NULL OR until >= since"),
    )
    op.create_index("ix_contacts_account_id", name, ["account_id"])
    triggers.no_delete(name, ["contact_id"])
