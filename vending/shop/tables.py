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
                What is paid for has its tender and its ledger transaction, what is given
                away has units and no money, a key change has neither (CHECK).  A receipt is
                reversed at most once (partial unique index)
`tokens`        what was given out; immutable, and none is added once the request is
                answered (trigger).  A TID must be greater than the last of the
                same meter and base date (trigger), which covers the same meter and key:
                a meter keeps its used TIDs through a key change.  All tokens have one but
                those of a key change and those of class 1 (CHECK)
`intents`       sales whose token is being made by a module outside of this process: open
                until it is known what became of it, with what was agreed.  At most one is open
                for a meter (partial unique index)
`intent_holds`  what belongs to an open intent: while a meter or its service point is held,
                nobody else stores a receipt there (trigger); see `vending.shop.holds`
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
    text,
)

from storage.ledger import ledger_transactions
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber
from vending.cash.tables import vendors

_RESOURCES: Final = "('electricity', 'water', 'gas', 'time')"
_KINDS: Final = (
    "('credit', 'free_issue', 'free_basic', 'replacement', 'engineering', 'key_change', "
    "'account_payment', 'reversal', 'refund')"
)
_FREE: Final = "('free_issue', 'free_basic', 'replacement')"
_MONEY: Final = "('credit', 'account_payment', 'reversal', 'refund')"
# 2**24 minutes; 00:01 of a day is reserved (integer division, as both databases do it)
_TID: Final = "tid BETWEEN 0 AND 16777215 AND tid - tid / 1440 * 1440 <> 1"


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
    Column("language", Text, nullable=False, server_default="en"),
    CheckConstraint("utility_id = 1", name="one_row"),
    CheckConstraint("length(language) >= 2", name="language"),
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
    Column("resource", Text, nullable=False, server_default="electricity"),
    Column("tariff_id", Identifier),
    Column("minimum_minor", WholeNumber),
    Column("maximum_minor", WholeNumber),
    Column("service_point", Text, nullable=False, server_default=""),
    Column("account", Text, nullable=False, server_default=""),
    Column("id_number", Text, nullable=False, server_default=""),
    # 1 when a debt is open or change is carried: a sale looks for them only then
    Column("has_dues", WholeNumber, nullable=False, server_default=text("0")),
    CheckConstraint(f"length(number) IN (11, 13) AND {_digits('number')}", name="number"),
    CheckConstraint("algorithm IN (7, 11)", name="algorithm"),
    CheckConstraint("has_dues IN (0, 1)", name="has_dues"),
    CheckConstraint(f"resource IN {_RESOURCES}", name="resource"),
    CheckConstraint(
        "minimum_minor > 0 AND maximum_minor > 0 AND minimum_minor <= maximum_minor",
        name="limits",
    ),
)
for _known_by in (meters.c.account, meters.c.id_number):
    Index(
        f"ix_meters_{_known_by.name}",
        _known_by,
        sqlite_where=_known_by != "",
        postgresql_where=_known_by != "",
    )
_AT_POINT: Final = meters.c.service_point != ""
Index(
    "ix_meters_service_point",
    meters.c.service_point,
    sqlite_where=_AT_POINT,
    postgresql_where=_AT_POINT,
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
    Column("operator", Text, nullable=False, server_default=""),
    Column("terminal", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("client", "message_id"),
    CheckConstraint("length(operation) > 0", name="operation"),
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
    Column("units", WholeNumber, nullable=False, comment="tenths of a kWh, a m3 or a minute"),
    Column(
        "transaction_id", Identifier, ForeignKey(ledger_transactions.c.transaction_id), unique=True
    ),
    Column("tender", Text, comment="NULL when nothing was paid"),
    Column("resource", Text, nullable=False, server_default="electricity"),
    Column("operator", Text, nullable=False, server_default=""),
    Column("terminal", Text, nullable=False, server_default=""),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id)),
    Column("shift_id", Identifier),
    Column("reversed_receipt_no", Identifier, ForeignKey("receipts.receipt_no")),
    Column("tariff_version_id", Identifier),
    ForeignKeyConstraint(["client", "message_id"], [requests.c.client, requests.c.message_id]),
    UniqueConstraint("client", "message_id"),
    Index("ix_receipts_of_meter", "meter_id", "issued_at"),
    Index("ix_receipts_issued_at", "issued_at"),
    CheckConstraint(f"kind IN {_KINDS}", name="kind"),
    CheckConstraint(f"resource IN {_RESOURCES}", name="resource"),
    CheckConstraint(
        f"units >= 0 AND (kind = 'credit' OR kind IN {_FREE} OR kind = 'reversal' OR units = 0) "
        f"AND (units > 0 OR NOT (kind = 'credit' OR kind IN {_FREE}))",
        name="units",
    ),
    CheckConstraint("0 <= change_minor AND change_minor <= tendered_minor", name="change_minor"),
    CheckConstraint(
        f"(kind IN {_MONEY}) = (tendered_minor > 0) "
        f"AND (transaction_id IS NOT NULL OR kind NOT IN {_MONEY}) "
        "AND (transaction_id IS NULL OR kind NOT IN ('engineering', 'key_change'))",
        name="paid",
    ),
    CheckConstraint("(tender IS NOT NULL) = (tendered_minor > 0)", name="tender"),
    CheckConstraint(
        "(reversed_receipt_no IS NOT NULL) = (kind IN ('reversal', 'refund'))", name="reversal"
    ),
)
_REVERSED: Final = receipts.c.reversed_receipt_no.is_not(None)
Index(
    "uq_receipts_reversed",
    receipts.c.reversed_receipt_no,
    unique=True,
    sqlite_where=_REVERSED,
    postgresql_where=_REVERSED,
)
_IN_SHIFT: Final = receipts.c.shift_id.is_not(None)
Index(
    "ix_receipts_of_shift",
    receipts.c.shift_id,
    sqlite_where=_IN_SHIFT,
    postgresql_where=_IN_SHIFT,
)
_BY_VENDOR: Final = receipts.c.vendor_id.is_not(None)
Index(
    "ix_receipts_of_vendor",
    receipts.c.vendor_id,
    receipts.c.issued_at,
    sqlite_where=_BY_VENDOR,
    postgresql_where=_BY_VENDOR,
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
    Column("tid", WholeNumber, comment="NULL on tokens that carry none"),
    Column("units", WholeNumber, nullable=False, comment="tenths of a kWh, a m3 or a minute"),
    Column("digits", Text, nullable=False),
    PrimaryKeyConstraint("receipt_no", "position"),
    ForeignKeyConstraint(
        ["meter_key_id", "meter_id", "base_year"],
        [meter_keys.c.meter_key_id, meter_keys.c.meter_id, meter_keys.c.base_year],
        name="fk_tokens_meter_key",
    ),
    # a key belongs to one meter and base date: this covers the same key, too
    UniqueConstraint("meter_id", "base_year", "tid"),
    CheckConstraint("position > 0", name="position"),
    CheckConstraint(_TID, name="tid"),
    CheckConstraint("token_class IN (0, 1, 2) AND subclass BETWEEN 0 AND 15", name="token_class"),
    CheckConstraint("units >= 0 AND (token_class = 0) = (units > 0)", name="units"),
    # class 1 and the four sections of a decoder key carry no TID
    CheckConstraint(
        "(tid IS NULL) = (token_class = 1 OR (token_class = 2 AND subclass IN (3, 4, 8, 9)))",
        name="has_tid",
    ),
    CheckConstraint(f"length(digits) = 20 AND {_digits('digits')}", name="digits"),
    clustered=True,
)

intents: Final = table(
    "intents",
    Column("client", Text),
    Column("message_id", Text),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("base_year", WholeNumber, comment="NULL when nothing with a TID is ordered"),
    Column("tid", WholeNumber),
    Column("vendor_id", Identifier),
    Column("bucket", WholeNumber, comment="of the vendor's credit"),
    Column(
        "reserved_minor",
        WholeNumber,
        nullable=False,
        server_default=text("0"),
        comment="of the vendor's credit; 0 without one",
    ),
    Column("essence", LargeBinary, nullable=False, comment="what is asked, JSON"),
    Column("orders", LargeBinary, nullable=False, comment="to the module, JSON"),
    Column("state", Text, nullable=False),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("settled_at", UtcTimestamp),
    Column("agreed", LargeBinary),
    PrimaryKeyConstraint("client", "message_id"),
    ForeignKeyConstraint(["client", "message_id"], [requests.c.client, requests.c.message_id]),
    UniqueConstraint("meter_id", "base_year", "tid"),
    CheckConstraint(_TID, name="tid"),
    CheckConstraint("(tid IS NULL) = (base_year IS NULL)", name="has_tid"),
    CheckConstraint("state IN ('open', 'done', 'void')", name="state"),
    CheckConstraint("(state = 'open') = (settled_at IS NULL)", name="settled"),
    CheckConstraint(
        "reserved_minor >= 0 AND (reserved_minor > 0) = (bucket IS NOT NULL) "
        "AND (bucket IS NULL OR vendor_id IS NOT NULL)",
        name="reserved_minor",
    ),
)
_OPEN: Final = intents.c.state == "open"
Index(
    "uq_intents_open",
    intents.c.meter_id,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

intent_holds: Final = table(
    "intent_holds",
    Column("what", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    ForeignKeyConstraint(["client", "message_id"], [intents.c.client, intents.c.message_id]),
    CheckConstraint("length(what) > 0", name="what"),
    Index("ix_intent_holds_client_message_id", "client", "message_id"),
    clustered=True,
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
