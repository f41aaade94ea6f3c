"""Customers and their accounts.

===================  =================================================================
`customers`          who pays; personal fields are sealed (`billing.privacy`)
`customer_accounts`  what is paid for together; one balance, one bill
`applications`       how an account was applied for, and what the check said
`agreements`         what was agreed, version by version; append-only
`supplies`           which service point is on which account, since when, until when
`supply_tariffs`     by which tariff a supply is priced, since the start of which day
`contacts`           people of an account, with roles; several may get the bill
`account_changes`    what was to be changed, by whom, when; old values and new ones
`closings`           accounts on their way to their end
`account_rules`      within which time money is given back, how long names are kept
===================  =================================================================

Of what is append-only the sealed columns may change all the same: they are sealed anew under
another key, and erased when nobody has a use for them any more.
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
    Column("checked_at", UtcTimestamp),
    Column("same_as", Identifier, ForeignKey("customers.customer_id"), comment="known before"),
    Column("erased_at", UtcTimestamp),
    CheckConstraint("kind IN ('person', 'company')", name="kind"),
    CheckConstraint("(identity_sealed IS NULL) = (identity_digest IS NULL)", name="identity"),
    CheckConstraint("erased_at IS NULL OR identity_sealed IS NULL", name="erased"),
    Index("ix_customers_name_digest", "name_digest"),
    Index("ix_customers_identity_digest", "identity_digest"),
    Index(  # who was checked is there once
        "uq_customers_identity",
        "identity_digest",
        unique=True,
        sqlite_where=text("checked_at IS NOT NULL"),
        postgresql_where=text("checked_at IS NOT NULL"),
    ),
)

customer_accounts: Final = table(
    "customer_accounts",
    Column("account_id", Identifier, primary_key=True),
    Column("number", Text, nullable=False, unique=True, comment="10 digits, the last checks"),
    Column("old_number", Text, unique=True, comment="in the system before this one"),
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
    Index("ix_customer_accounts_state", "state", "account_id"),
)

applications: Final = table(
    "applications",
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), primary_key=True),
    Column("channel", Text, nullable=False, comment="how it came: counter, web, ..."),
    Column("point_id", Identifier, ForeignKey("service_points.point_id")),
    Column("tariff", Text),
    Column("address_sealed", LargeBinary, comment="application.address"),
    Column("applied_at", UtcTimestamp, nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("decision", Text),
    Column("reason", Text, comment="of a rejection; no personal data"),
    Column("decided_at", UtcTimestamp),
    Column("decided_by", Text),
    Column("waits", Text, comment="why an active account has no supply yet"),
    CheckConstraint("length(channel) > 0", name="channel"),
    CheckConstraint("decision IN ('checked', 'rejected')", name="decision"),
    CheckConstraint("decision <> 'rejected' OR reason IS NOT NULL", name="reason"),
    CheckConstraint(
        "(decision IS NULL) = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
        name="decided",
    ),
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
    Column("tariff", Text, nullable=False, comment="code; its versions are `rate_versions`"),
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
    Column("phone_digest", LargeBinary),
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
    Index("ix_contacts_phone_digest", "phone_digest"),
)

account_changes: Final = table(
    "account_changes",
    Column("change_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("supply_id", Identifier, ForeignKey(supplies.c.supply_id)),
    Column("contact_id", Identifier, ForeignKey("contacts.contact_id")),
    Column("new_value", Text, comment="canonical JSON; of what is not personal"),
    Column("new_sealed", LargeBinary, comment="change.new: canonical JSON"),
    Column("old_value", Text, comment="at the time of the change"),
    Column("old_sealed", LargeBinary, comment="change.old"),
    Column("reason", Text, nullable=False, comment="no personal data"),
    Column("consent", Text, comment="how the customer has said so"),
    Column("from_at", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", UtcTimestamp),
    Column("ended_by", Text, comment="who refused it or took it back"),
    Column("ended_at", UtcTimestamp),
    Column("words", Text, comment="why it was refused or could not be applied"),
    CheckConstraint(
        "kind IN ('name', 'identity', 'language', 'class', 'contact_add', 'contact_change', "
        "'contact_end', 'address', 'terms', 'mode', 'tariff')",
        name="kind",
    ),
    CheckConstraint(
        "state IN ('asked', 'approved', 'applied', 'refused', 'withdrawn', 'failed')", name="state"
    ),
    CheckConstraint("new_value IS NULL OR new_sealed IS NULL", name="new"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("kind <> 'mode' OR length(consent) > 0", name="never_forced"),
    CheckConstraint("approved_by <> asked_by", name="two_persons"),
    CheckConstraint(
        "state NOT IN ('approved', 'applied', 'failed') "
        "OR (approved_by IS NOT NULL AND approved_at IS NOT NULL)",
        name="approved",
    ),
    CheckConstraint("(state IN ('asked', 'approved')) = (ended_at IS NULL)", name="ended"),
    Index("ix_account_changes_account_id", "account_id", "change_id"),
    Index(
        "ix_account_changes_waiting",
        "state",
        "from_at",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

closings: Final = table(
    "closings",
    Column("closing_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("reason", Text, nullable=False, comment="no personal data"),
    Column("ends_at", UtcTimestamp, nullable=False),
    Column("refund_channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("waits", Text, comment="for what, in words"),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("settled_at", UtcTimestamp),
    Column("refund_id", Identifier, comment="of the room of payments"),
    Column("refund_minor", WholeNumber),
    Column("refund_due_at", UtcTimestamp),
    Column("refunded_at", UtcTimestamp),
    Column("ended_at", UtcTimestamp),
    Column("ended_by", Text),
    CheckConstraint(
        "state IN ('asked', 'settling', 'owing', 'refunding', 'closed', 'withdrawn')", name="state"
    ),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("(state IN ('closed', 'withdrawn')) = (ended_at IS NOT NULL)", name="ended"),
    CheckConstraint(
        "state IN ('asked', 'settling', 'withdrawn') OR settled_at IS NOT NULL", name="settled"
    ),
    CheckConstraint(
        "(refund_id IS NULL) = (refund_due_at IS NULL) "
        "AND (refund_id IS NULL) = (refund_minor IS NULL)",
        name="refund",
    ),
    CheckConstraint("refund_minor > 0", name="refund_minor"),
    CheckConstraint(
        "state <> 'closed' OR refund_id IS NULL OR refunded_at IS NOT NULL", name="refunded"
    ),
    Index("ix_closings_state", "state", "ends_at"),
    Index(
        "uq_closings_account",
        "account_id",
        unique=True,
        sqlite_where=text("state <> 'withdrawn'"),
        postgresql_where=text("state <> 'withdrawn'"),
    ),
)

account_rules: Final = table(
    "account_rules",
    Column("rules_id", Identifier, primary_key=True),
    Column("refund_days", WholeNumber, nullable=False, comment="from final settlement to refund"),
    Column("keep_years", WholeNumber, nullable=False, comment="personal fields, after the end"),
    Column("set_at", UtcTimestamp, nullable=False),
    Column("set_by", Text, nullable=False),
    CheckConstraint("refund_days BETWEEN 1 AND 366", name="refund_days"),
    CheckConstraint("keep_years BETWEEN 1 AND 100", name="keep_years"),
)
