"""The tables of pricing.  Their invariants are held by the database itself.

====================  ===============================================================
`tariffs`             a name and a resource; immutable
`tariff_versions`     definitions (see ``docs/tariffs.md``); immutable.  A version is valid
                      until the next one is, and each begins after the one before it
                      (trigger): two are never valid together
`tariff_assignments`  which tariff a meter had from when on; immutable.  `meters.tariff_id`
                      is the last of them and names a tariff that is there (trigger)
`debts`               what is owed and how it is collected; immutable
`debt_payments`       what was paid of it, given back, written off; immutable.  Their sum
                      lies between zero and the principal (trigger): what is left of a debt
                      is never below zero
`charges_paid`        a month of a charge is paid once (primary key and trigger), until it is
                      given back by a row of `charge_reversals`; both immutable
`carried_change`      change kept for the next sale, and used; immutable.  The sum of a
                      meter is never below zero (trigger)
====================  ===============================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from storage.ledger import ledger_transactions
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber
from vending.shop.tables import meters, receipts

tariffs: Final = table(
    "tariffs",
    Column("tariff_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("resource", Text, nullable=False),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("resource IN ('electricity', 'water', 'gas', 'time')", name="resource"),
)

tariff_versions: Final = table(
    "tariff_versions",
    Column("version_id", Identifier, primary_key=True),
    Column("tariff_id", Identifier, ForeignKey(tariffs.c.tariff_id), nullable=False),
    Column("version", WholeNumber, nullable=False, comment="1, 2, ... of the tariff"),
    Column("valid_from", UtcTimestamp, nullable=False),
    Column("definition", Text, nullable=False, comment="JSON"),
    Column("added_at", UtcTimestamp, nullable=False),
    Column("added_by", Text, nullable=False),
    UniqueConstraint("tariff_id", "version"),
    UniqueConstraint("tariff_id", "valid_from"),
    CheckConstraint("version > 0", name="version"),
)

tariff_assignments: Final = table(
    "tariff_assignments",
    Column("assignment_id", Identifier, primary_key=True),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("tariff_id", Identifier, ForeignKey(tariffs.c.tariff_id)),
    Column("assigned_at", UtcTimestamp, nullable=False),
    Column("assigned_by", Text, nullable=False),
    Index("ix_tariff_assignments_meter_id", "meter_id"),
)

debts: Final = table(
    "debts",
    Column("debt_id", Identifier, primary_key=True),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("name", Text, nullable=False),
    Column("principal_minor", WholeNumber, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("rate_bp", WholeNumber),
    Column("fixed_minor", WholeNumber),
    Column("share_of", Text, nullable=False),
    Column("opened_at", UtcTimestamp, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column(
        "transaction_id",
        Identifier,
        ForeignKey(ledger_transactions.c.transaction_id),
        nullable=False,
        unique=True,
    ),
    Index("ix_debts_meter_id", "meter_id"),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("principal_minor > 0", name="principal_minor"),
    CheckConstraint("scheme IN ('percent', 'fixed', 'lesser', 'all', 'block')", name="scheme"),
    CheckConstraint("share_of IN ('tendered', 'rest')", name="share_of"),
    CheckConstraint(
        "(scheme IN ('percent', 'lesser')) = (rate_bp IS NOT NULL) "
        "AND (rate_bp IS NULL OR rate_bp BETWEEN 1 AND 10000)",
        name="rate_bp",
    ),
    CheckConstraint(
        "(scheme IN ('fixed', 'lesser')) = (fixed_minor IS NOT NULL) "
        "AND (fixed_minor IS NULL OR fixed_minor > 0)",
        name="fixed_minor",
    ),
)

debt_payments: Final = table(
    "debt_payments",
    Column("payment_id", Identifier, primary_key=True),
    Column("debt_id", Identifier, ForeignKey(debts.c.debt_id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount_minor", WholeNumber, nullable=False, comment="below zero: given back"),
    Column("paid_at", UtcTimestamp, nullable=False),
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no)),
    Column(
        "transaction_id",
        Identifier,
        ForeignKey(ledger_transactions.c.transaction_id),
        unique=True,
        comment="of a write-off; a payment is posted with its receipt",
    ),
    Column("reason", Text, nullable=False),
    UniqueConstraint("receipt_no", "debt_id"),
    Index("ix_debt_payments_debt_id", "debt_id"),
    CheckConstraint("kind IN ('payment', 'reversal', 'write_off')", name="kind"),
    CheckConstraint(
        "amount_minor <> 0 AND (kind = 'reversal') = (amount_minor < 0)", name="amount_minor"
    ),
    CheckConstraint(
        "(kind = 'write_off') = (receipt_no IS NULL) "
        "AND (kind = 'write_off') = (transaction_id IS NOT NULL)",
        name="booked",
    ),
)

charges_paid: Final = table(
    "charges_paid",
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id)),
    Column("charge", Text),
    Column("month", Text),
    Column("turn", WholeNumber, comment="how often it was given back before"),
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), nullable=False),
    Column("amount_minor", WholeNumber, nullable=False, comment="before tax"),
    PrimaryKeyConstraint("meter_id", "charge", "month", "turn"),
    Index("ix_charges_paid_receipt_no", "receipt_no"),
    CheckConstraint("length(month) = 7", name="month"),
    CheckConstraint("turn >= 0", name="turn"),
    CheckConstraint("amount_minor > 0", name="amount_minor"),
)

_SAME_CHARGE: Final = ("meter_id", "charge", "month", "turn")
charge_reversals: Final = table(
    "charge_reversals",
    Column("meter_id", Identifier),
    Column("charge", Text),
    Column("month", Text),
    Column("turn", WholeNumber),
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), nullable=False),
    PrimaryKeyConstraint(*_SAME_CHARGE),
    ForeignKeyConstraint(
        _SAME_CHARGE,
        [charges_paid.c[name] for name in _SAME_CHARGE],
        name="fk_charge_reversals_paid",
    ),
)

carried_change: Final = table(
    "carried_change",
    Column("move_id", Identifier, primary_key=True),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), nullable=False),
    Column("amount_minor", WholeNumber, nullable=False, comment="below zero: used"),
    Index("ix_carried_change_meter_id", "meter_id"),
    Index("ix_carried_change_receipt_no", "receipt_no"),
    CheckConstraint("amount_minor <> 0", name="amount_minor"),
)
