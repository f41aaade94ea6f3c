"""The tables of the counter's rules, of advice, and of what is given away.

===================  ================================================================
`counter_rules`      one row: the double-sale window, limits above which a second person
                     decides, how long ahead the end of a key is told of, how far ahead
                     of the last receipt a clock may be
`clock_acceptances`  moments at which a person said that the clock is right; immutable
`prints`             when a receipt was first printed or shown to the customer; immutable.
                     Not for a sale that was reversed (trigger)
`advices`            a sale or a payment was confirmed, or reversed: one of them, once;
                     immutable.  Reversed only when it was not printed and, if it is a sale,
                     is the meter's latest (trigger); a reversal receipt needs this row
                     (trigger on `receipts`)
`free_basic_months`  the month's free units of a service point: once (primary key); immutable
`exchanges`          units carried over from an exchanged meter: once (primary key); immutable
===================  ================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Text,
    text,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber
from vending.shop.tables import meters, receipts

counter_rules: Final = table(
    "counter_rules",
    Column("rules_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("double_sale_window_s", WholeNumber, nullable=False),
    Column("free_issue_limit_units", WholeNumber, nullable=False),
    Column("replacement_limit_units", WholeNumber, nullable=False),
    Column("free_basic_units", WholeNumber, nullable=False),
    Column("key_expiry_warning_days", WholeNumber, nullable=False),
    Column("clock_ahead_max_h", WholeNumber, nullable=False, server_default=text("840")),
    CheckConstraint("rules_id = 1", name="one_row"),
    CheckConstraint("clock_ahead_max_h >= 0", name="clock_ahead_max_h"),
    CheckConstraint(
        "double_sale_window_s >= 0 AND free_issue_limit_units >= 0 "
        "AND replacement_limit_units >= 0 AND free_basic_units >= 0 "
        "AND key_expiry_warning_days >= 0",
        name="not_negative",
    ),
)

clock_acceptances: Final = table(
    "clock_acceptances",
    Column("acceptance_id", Identifier, primary_key=True),
    Column("accepted_at", UtcTimestamp, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_clock_acceptances_accepted_at", "accepted_at"),
    CheckConstraint("length(reason) > 0", name="reason"),
)

prints: Final = table(
    "prints",
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), primary_key=True),
    Column("printed_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
)

advices: Final = table(
    "advices",
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), primary_key=True),
    Column("advice", Text, nullable=False),
    Column("advised_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    CheckConstraint("advice IN ('confirmed', 'reversed')", name="advice"),
)

free_basic_months: Final = table(
    "free_basic_months",
    Column("service_point", Text),
    Column("month", Text, comment="YYYY-MM in the utility's zone"),
    Column(
        "receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), nullable=False, unique=True
    ),
    PrimaryKeyConstraint("service_point", "month"),
    CheckConstraint("length(month) = 7", name="month"),
)

exchanges: Final = table(
    "exchanges",
    Column("old_meter_id", Identifier, ForeignKey(meters.c.meter_id), primary_key=True),
    Column("new_meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column(
        "receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), nullable=False, unique=True
    ),
    CheckConstraint("old_meter_id <> new_meter_id", name="two_meters"),
)
