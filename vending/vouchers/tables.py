"""The tables of vouchers.

==================  ====================================================================
`voucher_house`     one row: the salt of all vouchers' proofs; immutable
`voucher_batches`   made → active → blocked, or made → blocked; never back.  What was
                    printed on the vouchers never changes
`vouchers`          serial number, proof of the PIN (unique); blocked one by one.  What
                    pays is `voucher_payments`
`voucher_payments`  a voucher has paid for a receipt: once (primary key), of an active
                    batch only (trigger); immutable
`voucher_account_payments`  a voucher has paid onto an account: once, and for no receipt
                    (triggers); immutable
`voucher_tries`     what was tried: counted before it is known to be right, so that no
                    try can be made without being counted; the result is set once
==================  ====================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
)

from storage.ledger import ledger_transactions
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber
from vending.shop.tables import receipts

voucher_house: Final = table(
    "voucher_house",
    Column("house_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    CheckConstraint("house_id = 1", name="one_row"),
    CheckConstraint("length(salt) = 16", name="salt"),
)

voucher_batches: Final = table(
    "voucher_batches",
    Column("batch_id", Identifier, primary_key=True),
    Column("face_minor", WholeNumber, nullable=False),
    Column("count", WholeNumber, nullable=False),
    Column("expires_at", UtcTimestamp, nullable=False, comment="not valid from then on"),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reseller", Text, nullable=False, comment="who sells them; named at activation"),
    Column(
        "transaction_id", Identifier, ForeignKey(ledger_transactions.c.transaction_id), unique=True
    ),
    CheckConstraint("face_minor > 0", name="face_minor"),
    CheckConstraint("count BETWEEN 1 AND 100000", name="count"),
    CheckConstraint("state IN ('made', 'active', 'blocked')", name="state"),
    CheckConstraint("state <> 'active' OR transaction_id IS NOT NULL", name="active"),
)

vouchers: Final = table(
    "vouchers",
    Column("voucher_id", Identifier, primary_key=True),
    Column("batch_id", Identifier, ForeignKey(voucher_batches.c.batch_id), nullable=False),
    Column("serial", WholeNumber, nullable=False, comment="within the batch, from 1"),
    Column("proof", LargeBinary, nullable=False, unique=True),
    Column("blocked", Text, comment="why it is blocked; NULL when it is not"),
    UniqueConstraint("batch_id", "serial"),
    CheckConstraint("serial > 0", name="serial"),
    CheckConstraint("length(proof) = 32", name="proof"),
)

voucher_payments: Final = table(
    "voucher_payments",
    Column("voucher_id", Identifier, ForeignKey(vouchers.c.voucher_id), primary_key=True),
    Column(
        "receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), nullable=False, unique=True
    ),
    Column("paid_at", UtcTimestamp, nullable=False),
)

voucher_account_payments: Final = table(
    "voucher_account_payments",
    Column("voucher_id", Identifier, ForeignKey(vouchers.c.voucher_id), primary_key=True),
    Column("subject", Text, nullable=False, unique=True, comment="'payment 12' of the office"),
    Column("paid_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(subject) > 0", name="subject"),
)

voucher_tries: Final = table(
    "voucher_tries",
    Column("try_id", Identifier, primary_key=True),
    Column("client", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("tried_at", UtcTimestamp, nullable=False),
    Column("result", Text, comment="NULL: not known, counts as wrong"),
    CheckConstraint("result IN ('right', 'wrong')", name="result"),
    Index("ix_voucher_tries_meter", "meter", "tried_at"),
    Index("ix_voucher_tries_client", "client", "tried_at"),
    Index("ix_voucher_tries_tried_at", "tried_at"),
)
