"""Customers and their accounts.

===================  =================================================================
`customers`          who pays; personal fields are sealed (`billing.privacy`)
`customer_accounts`  what is paid for together; one balance, one bill
`agreements`         what was agreed, version by version; append-only
`supplies`           which service point is on which account, since when, until when
`supply_tariffs`     by which tariff a supply is priced, since the start of which day
`contacts`           people of an account, with roles; several may get the bill
===================  =================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    text,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

customers: Final = table(
    "customers",
    Column("customer_id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name_sealed", LargeBinary, nullable=False, comment="customer.name"),
    Column("name_digest", LargeBinary, nullable=False),
    Column("identity_sealed", LargeBinary, comment="customer.identity: number of a document"),
    Column("identity_digest", LargeBinary),
    Column("language", Text, comment="of bills and notices; none: the utility's"),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint("kind IN ('person', 'company')", name="kind"),
    CheckConstraint("(identity_sealed IS NULL) = (identity_digest IS NULL)", name="identity"),
    Index("ix_customers_name_digest", "name_digest"),
    Index("ix_customers_identity_digest", "identity_digest"),
)

customer_accounts: Final = table(
    "customer_accounts",
    Column("account_id", Identifier, primary_key=True),
    Column("number", Text, nullable=False, unique=True, comment="10 digits, the last checks"),
    Column("customer_id", Identifier, ForeignKey(customers.c.customer_id), nullable=False),
    Column("class", Text, nullable=False, key="customer_class"),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", UtcTimestamp, nullable=False),
    Column("closed_at", UtcTimestamp),
    CheckConstraint("length(number) = 10", name="number"),
    CheckConstraint("class IN ('residential', 'commercial', 'industrial', 'public')", name="class"),
    CheckConstraint("mode IN ('prepaid', 'postpaid')", name="mode"),
    CheckConstraint(
        "state IN ('applied', 'checked', 'active', 'closing', 'closed', 'rejected')", name="state"
    ),
    CheckConstraint("(closed_at IS NOT NULL) = (state IN ('closed', 'rejected'))", name="closed"),
    Index("ix_customer_accounts_customer_id", "customer_id"),
)

agreements: Final = table(
    "agreements",
    Column("agreement_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("version", WholeNumber, nullable=False, comment="1, 2, 3, ..."),
    Column("since", UtcTimestamp, nullable=False),
    Column("mode", Text, nullable=False),
    Column("cycle", Text, nullable=False, comment="of settlement"),
    Column("bill_day", WholeNumber, nullable=False, comment="day of the month, 1-28"),
    Column("due_days", WholeNumber, nullable=False, comment="from bill to due date"),
    Column("payment_channel", Text, nullable=False),
    Column("notice_channel", Text, nullable=False),
    Column("refund_channel", Text, nullable=False),
    Column("warn_minor", WholeNumber, nullable=False, comment="prepaid: warn below it"),
    Column("floor_minor", WholeNumber, nullable=False, comment="prepaid: disconnect below it"),
    Column("deposit_minor", WholeNumber, nullable=False, comment="first deposit that is asked"),
    Column("signed_at", UtcTimestamp, nullable=False),
    Column("signed_by", Text, nullable=False, comment="who took the signature"),
    UniqueConstraint("account_id", "version"),
    CheckConstraint("mode IN ('prepaid', 'postpaid')", name="mode"),
    CheckConstraint("cycle IN ('hourly', 'daily', 'monthly')", name="cycle"),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("bill_day BETWEEN 1 AND 28", name="bill_day"),
    CheckConstraint("due_days BETWEEN 1 AND 366", name="due_days"),
    CheckConstraint("floor_minor <= warn_minor", name="limits"),
    CheckConstraint("deposit_minor >= 0", name="deposit"),
)

supplies: Final = table(
    "supplies",
    Column("supply_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("point_id", Identifier, ForeignKey("service_points.point_id"), nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp),
    Column("address_sealed", LargeBinary, comment="supply.address"),
    CheckConstraint("until IS NULL OR until > since", name="span"),
    Index("ix_supplies_account_id", "account_id"),
    Index("ix_supplies_point_since", "point_id", "since"),
    Index(
        "uq_supplies_point",
        "point_id",
        unique=True,
        sqlite_where=text("until IS NULL"),
        postgresql_where=text("until IS NULL"),
    ),
)

supply_tariffs: Final = table(
    "supply_tariffs",
    Column("supply_id", Identifier, ForeignKey(supplies.c.supply_id), nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("tariff", Text, nullable=False, comment="code; its versions are `tariff_versions`"),
    Column("set_by", Text, nullable=False),
    PrimaryKeyConstraint("supply_id", "since"),
)

contacts: Final = table(
    "contacts",
    Column("contact_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("role", Text, nullable=False),
    Column("name_sealed", LargeBinary, nullable=False, comment="contact.name"),
    Column("email_sealed", LargeBinary, comment="contact.email"),
    Column("phone_sealed", LargeBinary, comment="contact.phone"),
    Column("wechat_sealed", LargeBinary, comment="contact.wechat"),
    Column("post_sealed", LargeBinary, comment="contact.post: address for letters"),
    Column("language", Text),
    Column("gets_bill", WholeNumber, nullable=False, comment="1: bills go there"),
    Column("gets_notices", WholeNumber, nullable=False, comment="1: warnings go there"),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp),
    CheckConstraint("role IN ('customer', 'tenant', 'landlord', 'accountant')", name="role"),
    CheckConstraint("gets_bill IN (0, 1) AND gets_notices IN (0, 1)", name="gets"),
    CheckConstraint("until IS NULL OR until >= since", name="span"),
    Index("ix_contacts_account_id", "account_id"),
)
