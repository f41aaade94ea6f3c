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
    _make_applications()
    _make_changes()
    _make_closings()
    _make_rules()


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
        time("checked_at", null=True),
        reference("same_as", null=True, comment="known before"),
        time("erased_at", null=True),
        foreign(name, ["same_as"], "customers", to=["customer_id"]),
        check(name, "kind", "kind IN ('person', 'company')"),
        check(name, "identity", "(identity_sealed IS NULL) = (identity_digest IS NULL)"),
        check(name, "erased", "erased_at IS NULL OR identity_sealed IS NULL"),
    )
    op.create_index("ix_customers_name_digest", name, ["name_digest"])
    op.create_index("ix_customers_identity_digest", name, ["identity_digest"])
    op.create_index(
        "uq_customers_identity",
        name,
        ["identity_digest"],
        unique=True,
        sqlite_where=sa.text("checked_at IS NOT NULL"),
        postgresql_where=sa.text("checked_at IS NOT NULL"),
    )
    triggers.no_delete(name, ["customer_id"])
    triggers.frozen(name, ["customer_id", "added_at"])
    triggers.set_once(name, ["same_as", "erased_at"])


def _make_accounts() -> None:
    name = "customer_accounts"
    table(
        name,
        *identity(name, "account_id"),
        text("number", comment="10 digits, the last checks"),
        text("old_number", null=True, comment="in the system before this one"),
        reference("customer_id"),
        text("class"),
        text("mode"),
        text("state"),
        time("opened_at"),
        time("closed_at", null=True),
        foreign(name, ["customer_id"], "customers"),
        unique(name, "number"),
        unique(name, "old_number"),
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
    op.create_index("ix_customer_accounts_state", name, ["state", "account_id"])
    triggers.no_delete(name, ["account_id"], ["number"], ["old_number"])
    triggers.frozen(name, ["account_id", "number", "old_number", "opened_at"])
    triggers.set_once(name, ["closed_at"])
    triggers.updated_only_if(
        name,
        "(NEW.state = OLD.state "
        "OR (OLD.state = 'applied' AND NEW.state IN ('checked', 'rejected')) "
        "OR (OLD.state = 'checked' AND NEW.state IN ('active', 'rejected')) "
        "OR (OLD.state = 'active' AND NEW.state = 'closing') "
        "OR (OLD.state = 'closing' AND NEW.state IN ('active', 'closed'))) "
        "AND (NEW.customer_id = OLD.customer_id OR OLD.state = 'applied')",
        "neither the state nor the customer can change so",
    )
    ended = "NEW.state IN ('closed', 'rejected') AND OLD.state <> NEW.state"
    triggers.guarded(
        name,
        "update",
        "NOT EXISTS (SELECT 1 FROM supplies s WHERE s.account_id = NEW.account_id "
        "AND s.until IS NULL)",
        "a supply is still on it",
        name="customer_accounts_supplied",
        only=ended,
    )
    triggers.guarded(
        name,
        "update",
        "NOT EXISTS (SELECT 1 FROM account_entries e WHERE e.account_id = NEW.account_id "
        "AND e.balance_minor <> 0 AND NOT EXISTS (SELECT 1 FROM account_entries l "
        "WHERE l.account_id = e.account_id AND l.purse = e.purse AND l.seq > e.seq))",
        "there is still money on it",
        name="customer_accounts_empty",
        only=ended,
    )


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
    triggers.inserted_only_if(
        name,
        "NEW.version = 1 OR EXISTS (SELECT 1 FROM agreements a "
        "WHERE a.account_id = NEW.account_id AND a.version = NEW.version - 1 "
        "AND a.since <= NEW.since)",
        "a version follows the one before it",
    )


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
        text("tariff", comment="code; its versions are `rate_versions`"),
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
        _sealed("phone_digest", null=True),
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
    op.create_index("ix_contacts_phone_digest", name, ["phone_digest"])
    triggers.no_delete(name, ["contact_id"])
    triggers.frozen(name, ["contact_id", "account_id", "role", "since"])
    triggers.set_once(name, ["until"])


def _make_applications() -> None:
    name = "applications"
    table(
        name,
        reference("account_id"),
        text("channel", comment="how it came: counter, web, ..."),
        reference("point_id", null=True),
        text("tariff", null=True),
        _sealed("address_sealed", null=True, comment="application.address"),
        time("applied_at"),
        text("applied_by"),
        text("decision", null=True),
        text("reason", null=True, comment="of a rejection; no personal data"),
        time("decided_at", null=True),
        text("decided_by", null=True),
        text("waits", null=True, comment="why an active account has no supply yet"),
        primary(name, "account_id"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["point_id"], "service_points"),
        check(name, "channel", "length(channel) > 0"),
        check(name, "decision", "decision IN ('checked', 'rejected')"),
        check(name, "reason", "decision <> 'rejected' OR reason IS NOT NULL"),
        check(
            name,
            "decided",
            "(decision IS NULL) = (decided_at IS NULL) "
            "AND (decided_at IS NULL) = (decided_by IS NULL)",
        ),
    )
    triggers.no_delete(name, ["account_id"])
    triggers.frozen(name, ["account_id", "channel", "applied_at", "applied_by"])


def _make_changes() -> None:
    name = "account_changes"
    table(
        name,
        *identity(name, "change_id"),
        reference("account_id"),
        text("kind"),
        reference("supply_id", null=True),
        reference("contact_id", null=True),
        text("new_value", null=True, comment="canonical JSON; of what is not personal"),
        _sealed("new_sealed", null=True, comment="change.new: canonical JSON"),
        text("old_value", null=True, comment="at the time of the change"),
        _sealed("old_sealed", null=True, comment="change.old"),
        text("reason", comment="no personal data"),
        text("consent", null=True, comment="how the customer has said so"),
        time("from_at"),
        text("state"),
        text("asked_by"),
        time("asked_at"),
        text("approved_by", null=True),
        time("approved_at", null=True),
        text("ended_by", null=True, comment="who refused it or took it back"),
        time("ended_at", null=True),
        text("words", null=True, comment="why it was refused or could not be applied"),
        foreign(name, ["account_id"], "customer_accounts"),
        foreign(name, ["supply_id"], "supplies"),
        foreign(name, ["contact_id"], "contacts"),
        check(
            name,
            "kind",
            "kind IN ('name', 'identity', 'language', 'class', 'contact_add', 'contact_change', "
            "'contact_end', 'address', 'terms', 'mode', 'tariff')",
        ),
        check(
            name,
            "state",
            "state IN ('asked', 'approved', 'applied', 'refused', 'withdrawn', 'failed')",
        ),
        check(name, "new", "new_value IS NULL OR new_sealed IS NULL"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "never_forced", "kind <> 'mode' OR length(consent) > 0"),
        check(name, "two_persons", "approved_by <> asked_by"),
        check(
            name,
            "approved",
            "state NOT IN ('approved', 'applied', 'failed') "
            "OR (approved_by IS NOT NULL AND approved_at IS NOT NULL)",
        ),
        check(name, "ended", "(state IN ('asked', 'approved')) = (ended_at IS NULL)"),
    )
    op.create_index("ix_account_changes_account_id", name, ["account_id", "change_id"])
    op.create_index(
        "ix_account_changes_waiting",
        name,
        ["state", "from_at"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    triggers.no_delete(name, ["change_id"])
    triggers.frozen(
        name,
        [
            "change_id", "account_id", "kind", "supply_id", "new_value", "reason", "consent",
            "from_at", "asked_by", "asked_at",
        ],
    )  # fmt: skip
    triggers.set_once(name, ["old_value", "approved_by", "approved_at", "ended_by", "ended_at"])
    triggers.updated_only_if(
        name,
        "NEW.state = OLD.state "
        "OR (OLD.state = 'asked' AND NEW.state IN ('approved', 'refused', 'withdrawn')) "
        "OR (OLD.state = 'approved' AND NEW.state IN ('applied', 'failed', 'withdrawn'))",
        "this state does not follow",
    )


def _make_closings() -> None:
    name = "closings"
    table(
        name,
        *identity(name, "closing_id"),
        reference("account_id"),
        text("reason", comment="no personal data"),
        time("ends_at"),
        text("refund_channel"),
        text("state"),
        text("waits", null=True, comment="for what, in words"),
        text("asked_by"),
        time("asked_at"),
        time("settled_at", null=True),
        reference("refund_id", null=True, comment="of the room of payments"),
        number("refund_minor", null=True),
        time("refund_due_at", null=True),
        time("refunded_at", null=True),
        time("ended_at", null=True),
        text("ended_by", null=True),
        foreign(name, ["account_id"], "customer_accounts"),
        check(
            name,
            "state",
            "state IN ('asked', 'settling', 'owing', 'refunding', 'closed', 'withdrawn')",
        ),
        check(name, "reason", "length(reason) > 0"),
        check(name, "ended", "(state IN ('closed', 'withdrawn')) = (ended_at IS NOT NULL)"),
        check(
            name,
            "settled",
            "state IN ('asked', 'settling', 'withdrawn') OR settled_at IS NOT NULL",
        ),
        check(
            name,
            "refund",
            "(refund_id IS NULL) = (refund_due_at IS NULL) "
            "AND (refund_id IS NULL) = (refund_minor IS NULL)",
        ),
        check(name, "refund_minor", "refund_minor > 0"),
        check(
            name, "refunded", "state <> 'closed' OR refund_id IS NULL OR refunded_at IS NOT NULL"
        ),
    )
    op.create_index("ix_closings_state", name, ["state", "ends_at"])
    op.create_index(
        "uq_closings_account",
        name,
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'withdrawn'"),
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )
    triggers.no_delete(name, ["closing_id"])
    triggers.frozen(name, ["closing_id", "account_id", "reason", "ends_at", "asked_by", "asked_at"])
    triggers.set_once(name, ["settled_at", "ended_at", "ended_by"])
    triggers.updated_only_if(
        name,
        "NEW.state = OLD.state "
        "OR (OLD.state = 'asked' AND NEW.state IN ('settling', 'withdrawn')) "
        "OR (OLD.state = 'settling' AND NEW.state IN ('owing', 'refunding', 'closed')) "
        "OR (OLD.state = 'owing' AND NEW.state IN ('refunding', 'closed')) "
        "OR (OLD.state = 'refunding' AND NEW.state IN ('owing', 'closed'))",
        "this state does not follow",
    )


def _make_rules() -> None:
    name = "account_rules"
    table(
        name,
        *identity(name, "rules_id"),
        number("refund_days", comment="from final settlement to refund"),
        number("keep_years", comment="personal fields, after the end"),
        time("set_at"),
        text("set_by"),
        check(name, "refund_days", "refund_days BETWEEN 1 AND 366"),
        check(name, "keep_years", "keep_years BETWEEN 1 AND 100"),
    )
    triggers.immutable(name, ["rules_id"])
