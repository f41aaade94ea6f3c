"""The tables of the shop.  Their invariants are held by the database itself.

==============  =====================================================================
`utility`       one row: who sells, in which currency and zone, within which limits
`prices`        flat prices; the last one set is valid; immutable
`meters`        meter numbers; what a key depends on never changes
`meter_keys`    the keys that a meter has had; attributes only, never a key.  At most one
                is in use (partial unique index); one that was in use never waits again
`requests`      (client, message id) is the primary key: one id, one request, one outcome;
                once it has an outcome it is immutable
`receipts`      one for each done request, none for a failed one (trigger); immutable.
                Credit is paid and has its ledger transaction, a key change neither (CHECK)
`tokens`        what was given out; immutable, and none is added once the request is
                answered (trigger).  A TID must be greater than the last of the
                same meter and base date (trigger), which covers the same meter and key:
                a meter keeps its used TIDs through a key change.  All tokens have one but
                those of a key change (CHECK)
`reprints`      numbered copies of receipts; immutable
`key_changes`   pending → issued → confirmed, never back; keys and receipt stay as they were
==============  =====================================================================

Triggers are made by the migrations (``storage/migrations``), one text for each database.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from storage.ledger import ledger_transactions
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber


def _digits(column: str) -> str:
    """An SQL condition that both databases understand: nothing but 0-9."""
    return f"ltrim({column}, '0123456789') = ''"


utility: Final = table(
    "utility",
    Column("utility_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("tax_number", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("minor_digits", WholeNumber, nullable=False),
    Column("zone", Text, nullable=False),
    Column("minimum_minor", WholeNumber, nullable=False),
    Column("maximum_minor", WholeNumber, nullable=False),
    CheckConstraint("utility_id = 1", name="one_row"),
    CheckConstraint("length(currency) = 3", name="currency"),
    CheckConstraint("minor_digits BETWEEN 0 AND 4", name="minor_digits"),
    CheckConstraint("0 < minimum_minor AND minimum_minor <= maximum_minor", name="limits"),
)

prices: Final = table(
    "prices",
    Column("price_id", Identifier, primary_key=True),
    Column("set_at", UtcTimestamp, nullable=False),
    Column("per_kwh", WholeNumber, nullable=False),
    Column("tax_bp", WholeNumber, nullable=False),
    CheckConstraint("per_kwh > 0", name="per_kwh"),
    CheckConstraint("tax_bp BETWEEN 0 AND 10000", name="tax_bp"),
)

meters: Final = table(
    "meters",
    Column("meter_id", Identifier, primary_key=True),
    Column("number", Text, nullable=False, unique=True),
    Column("algorithm", WholeNumber, nullable=False),
    Column("customer", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("blocked", Text, comment="why sales are blocked; NULL when they are not"),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint(f"length(number) IN (11, 13) AND {_digits('number')}", name="number"),
    CheckConstraint("algorithm IN (7, 11)", name="algorithm"),
)

meter_keys: Final = table(
    "meter_keys",
    Column("meter_key_id", Identifier, primary_key=True),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("sgc", Text, nullable=False),
    Column("krn", WholeNumber, nullable=False),
    Column("key_type", WholeNumber, nullable=False),
    Column("tariff_index", Text, nullable=False),
    Column("base_year", WholeNumber, nullable=False),
    Column("ken", WholeNumber, nullable=False),
    Column("state", Text, nullable=False),
    UniqueConstraint(
        "meter_id",
        "sgc",
        "krn",
        "key_type",
        "tariff_index",
        "base_year",
        "ken",
        name="uq_meter_keys_attributes",
    ),
    UniqueConstraint("meter_key_id", "meter_id", "base_year", name="uq_meter_keys_tokens"),
    CheckConstraint(f"length(sgc) = 6 AND {_digits('sgc')}", name="sgc"),
    CheckConstraint("krn BETWEEN 1 AND 9", name="krn"),
    CheckConstraint("key_type BETWEEN 0 AND 3", name="key_type"),
    CheckConstraint(f"length(tariff_index) = 2 AND {_digits('tariff_index')}", name="tariff_index"),
    CheckConstraint("base_year IN (1993, 2014, 2035)", name="base_year"),
    CheckConstraint("ken BETWEEN 0 AND 255", name="ken"),
    CheckConstraint("state IN ('waiting', 'in_use', 'replaced')", name="state"),
)
_IN_USE: Final = meter_keys.c.state == "in_use"
Index(
    "uq_meter_keys_in_use",
    meter_keys.c.meter_id,
    unique=True,
    sqlite_where=_IN_USE,
    postgresql_where=_IN_USE,
)

requests: Final = table(
    "requests",
    Column("client", Text),
    Column("message_id", Text),
    Column("operation", Text, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("received_at", UtcTimestamp, nullable=False),
    Column("outcome", Text),
    Column("response", LargeBinary),
    PrimaryKeyConstraint("client", "message_id"),
    CheckConstraint("operation IN ('vend', 'key_change')", name="operation"),
    CheckConstraint("length(request_sha256) = 32", name="request_sha256"),
    CheckConstraint("outcome IN ('done', 'failed')", name="outcome"),
    CheckConstraint("(outcome IS NULL) = (response IS NULL)", name="answered"),
)

receipts: Final = table(
    "receipts",
    Column("receipt_no", Identifier, primary_key=True),
    Column("client", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("issued_at", UtcTimestamp, nullable=False),
    Column("tendered_minor", WholeNumber, nullable=False),
    Column("change_minor", WholeNumber, nullable=False),
    Column("units", WholeNumber, nullable=False, comment="tenths of a kWh"),
    Column(
        "transaction_id", Identifier, ForeignKey(ledger_transactions.c.transaction_id), unique=True
    ),
    ForeignKeyConstraint(["client", "message_id"], [requests.c.client, requests.c.message_id]),
    UniqueConstraint("client", "message_id"),
    Index("ix_receipts_of_meter", "meter_id", "receipt_no"),
    Index("ix_receipts_issued_at", "issued_at"),
    CheckConstraint("kind IN ('credit', 'key_change')", name="kind"),
    CheckConstraint("units >= 0 AND (kind = 'credit') = (units > 0)", name="units"),
    CheckConstraint("0 <= change_minor AND change_minor <= tendered_minor", name="change_minor"),
    CheckConstraint(
        "(kind = 'credit') = (tendered_minor > 0) "
        "AND (kind = 'credit') = (transaction_id IS NOT NULL)",
        name="paid",
    ),
)

tokens: Final = table(
    "tokens",
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no)),
    Column("position", WholeNumber, comment="entry order, from 1"),
    Column("meter_id", Identifier, nullable=False),
    Column("meter_key_id", Identifier, nullable=False, comment="the key it is encrypted under"),
    Column("base_year", WholeNumber, nullable=False),
    Column("token_class", WholeNumber, nullable=False),
    Column("subclass", WholeNumber, nullable=False),
    Column("tid", WholeNumber, comment="NULL on key change tokens, which carry none"),
    Column("units", WholeNumber, nullable=False, comment="tenths of a kWh"),
    Column("digits", Text, nullable=False),
    PrimaryKeyConstraint("receipt_no", "position"),
    ForeignKeyConstraint(
        ["meter_key_id", "meter_id", "base_year"],
        [meter_keys.c.meter_key_id, meter_keys.c.meter_id, meter_keys.c.base_year],
        name="fk_tokens_meter_key",
    ),
    UniqueConstraint("meter_key_id", "tid"),
    UniqueConstraint("meter_id", "base_year", "tid"),
    CheckConstraint("position > 0", name="position"),
    # 2**24 minutes; 00:01 of a day is reserved (integer division, as both databases do it)
    CheckConstraint("tid BETWEEN 0 AND 16777215 AND tid - tid / 1440 * 1440 <> 1", name="tid"),
    CheckConstraint("token_class IN (0, 2) AND subclass BETWEEN 0 AND 15", name="token_class"),
    CheckConstraint("units >= 0 AND (token_class = 0) = (units > 0)", name="units"),
    # the four sections of a decoder key carry no TID
    CheckConstraint(
        "(tid IS NULL) = (token_class = 2 AND subclass IN (3, 4, 8, 9))", name="has_tid"
    ),
    CheckConstraint(f"length(digits) = 20 AND {_digits('digits')}", name="digits"),
)

reprints: Final = table(
    "reprints",
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no)),
    Column("copy_no", WholeNumber),
    Column("printed_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    PrimaryKeyConstraint("receipt_no", "copy_no"),
    CheckConstraint("copy_no > 0", name="copy_no"),
)

key_changes: Final = table(
    "key_changes",
    Column("key_change_id", Identifier, primary_key=True),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("from_key_id", Identifier, ForeignKey(meter_keys.c.meter_key_id), nullable=False),
    Column("to_key_id", Identifier, ForeignKey(meter_keys.c.meter_key_id), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_at", UtcTimestamp, nullable=False),
    Column("issued_at", UtcTimestamp),
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), unique=True),
    CheckConstraint("from_key_id <> to_key_id", name="another_key"),
    CheckConstraint("state IN ('pending', 'issued', 'confirmed')", name="state"),
    CheckConstraint(
        "(state = 'pending') = (receipt_no IS NULL) AND (receipt_no IS NULL) = (issued_at IS NULL)",
        name="issued",
    ),
    Index("ix_key_changes_meter_id", "meter_id"),
)
