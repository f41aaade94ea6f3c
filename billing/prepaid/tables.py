"""What the prepay loop knows.

=========================  =============================================================
`prepaid_policy`           one row: warnings, notice, leniency, reconnection, reminders
`prepaid_states`           how each prepaid account stands with its balance, and when it
                           is looked at next; no row: nothing has happened yet
`prepaid_moves`            every change of that; append-only
`prepaid_uses`             what an account uses on a working day and on a day of rest,
                           and the limits that follow from it
`prepaid_passes`           one row: how far the daily look at everybody has come
`supply_cuts`              a disconnect of an account from the asking to the light; one
                           that is open for an account (partial unique index)
`supply_cut_orders`        the head-end's orders of a cut; a supply is switched off once
                           in a cut (partial unique index)
`supply_cut_moves`         every change of a cut; append-only
`emergency_credits`        credit in an emergency for everybody in a place; who asks does
                           not approve (CHECK)
`emergency_credits_given`  to whom, how much, how much of it is back; once for each
                           emergency and account (primary key), never back more than
                           was given (CHECK)
=========================  =============================================================
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

from billing.accounts.tables import customer_accounts, supplies
from headend.orders.tables import orders
from headend.registry.tables import end_devices, places
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

prepaid_policy: Final = table(
    "prepaid_policy",
    Column("policy_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("limits", Text, nullable=False, comment="of the agreement, or from the own use"),
    Column("warn_days", WholeNumber, nullable=False, comment="limits from use: so long ahead"),
    Column("notice_h", WholeNumber, nullable=False, comment="a disconnect is announced ahead"),
    Column("notice_valid_h", WholeNumber, nullable=False, comment="then it is announced anew"),
    Column("first_grace_h", WholeNumber, nullable=False, comment="for the first time"),
    Column("first_within_days", WholeNumber, nullable=False, comment="and what the first is"),
    Column("small_minor", WholeNumber, nullable=False, comment="what a small sum is"),
    Column("small_grace_h", WholeNumber, nullable=False),
    Column("good_grace_h", WholeNumber, nullable=False, comment="for good payers"),
    Column("reconnect_above_minor", WholeNumber, nullable=False, comment="above the floor"),
    Column("asks_max", WholeNumber, nullable=False, comment="disconnects that came to nothing"),
    Column("look_again_h", WholeNumber, nullable=False, comment="at whoever is not cut now"),
    Column("remind_days", WholeNumber, nullable=False, comment="so long before it runs out"),
    Column("remind_from_hour", WholeNumber, nullable=False, comment="of the utility's day"),
    Column("use_days", WholeNumber, nullable=False, comment="of which the use is taken"),
    Column("emergency_each_max_minor", WholeNumber, nullable=False),
    CheckConstraint("policy_id = 1", name="one_row"),
    CheckConstraint("limits IN ('agreement', 'use')", name="limits"),
    CheckConstraint(
        "warn_days >= 0 AND notice_h >= 0 AND notice_valid_h > 0 AND first_grace_h >= 0 "
        "AND first_within_days >= 0 AND small_minor >= 0 AND small_grace_h >= 0 "
        "AND good_grace_h >= 0 AND reconnect_above_minor >= 0 AND remind_days >= 0 "
        "AND emergency_each_max_minor >= 0",
        name="amounts",
    ),
    CheckConstraint("asks_max > 0 AND look_again_h > 0", name="again"),
    CheckConstraint("remind_from_hour BETWEEN 0 AND 23", name="hour"),
    CheckConstraint("use_days BETWEEN 7 AND 366", name="use_days"),
)

prepaid_states: Final = table(
    "prepaid_states",
    Column(
        "account_id",
        Identifier,
        ForeignKey(customer_accounts.c.account_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column("state", Text, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("balance_minor", WholeNumber, nullable=False, comment="when it came into the state"),
    Column("words", Text, nullable=False, comment="why it is as it is"),
    Column("look_at", UtcTimestamp),
    Column("disconnect_at", UtcTimestamp),
    Column("asks", WholeNumber, nullable=False, comment="disconnects since it was below"),
    Column("reminded_at", UtcTimestamp),
    CheckConstraint("state IN ('ok', 'warned', 'disconnect_due', 'held')", name="state"),
    CheckConstraint("(look_at IS NOT NULL) = (state = 'disconnect_due')", name="look_at"),
    CheckConstraint("disconnect_at IS NULL OR state = 'disconnect_due'", name="disconnect_at"),
    CheckConstraint("asks >= 0", name="asks"),
    Index("ix_prepaid_states_look_at", "look_at"),
)

prepaid_moves: Final = table(
    "prepaid_moves",
    Column("move_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False),
    Column("balance_minor", WholeNumber, nullable=False),
    Column("words", Text, nullable=False),
    Index("ix_prepaid_moves_account_id", "account_id"),
)

prepaid_uses: Final = table(
    "prepaid_uses",
    Column(
        "account_id",
        Identifier,
        ForeignKey(customer_accounts.c.account_id),
        primary_key=True,
        autoincrement=False,
    ),
    Column("workday_minor", WholeNumber, nullable=False, comment="what a working day costs"),
    Column("restday_minor", WholeNumber, nullable=False, comment="weekends and holidays"),
    Column("days", WholeNumber, nullable=False, comment="that it rests on"),
    Column("warn_minor", WholeNumber, nullable=False),
    Column("floor_minor", WholeNumber, nullable=False),
    Column("computed_at", UtcTimestamp, nullable=False),
    CheckConstraint("workday_minor >= 0 AND restday_minor >= 0 AND days >= 0", name="use"),
    CheckConstraint("floor_minor <= warn_minor", name="limits"),
)

prepaid_passes: Final = table(
    "prepaid_passes",
    Column("pass_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("day", Text, nullable=False, comment="2026-11-21, the utility's; of the last pass"),
    Column("after_account_id", Identifier, nullable=False),
    Column("is_over", WholeNumber, nullable=False),
    CheckConstraint("pass_id = 1", name="one_row"),
    CheckConstraint("length(day) = 10", name="day"),
    CheckConstraint("is_over IN (0, 1)", name="is_over"),
)

supply_cuts: Final = table(
    "supply_cuts",
    Column("cut_id", Identifier, primary_key=True),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("asker", Text, nullable=False, comment="the part of the office that asked"),
    Column("once", Text, nullable=False, unique=True),
    Column("why", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("words", Text, nullable=False, comment="what came of it"),
    Column("tries", WholeNumber, nullable=False, comment="reconnects that were asked"),
    Column("look_at", UtcTimestamp),
    Column("ended_at", UtcTimestamp),
    CheckConstraint("length(asker) > 0 AND length(once) > 0 AND length(why) > 0", name="why"),
    CheckConstraint(
        "state IN ('ordered', 'dark', 'reconnecting', 'lit', 'dropped', 'failed')", name="state"
    ),
    CheckConstraint(
        "(ended_at IS NOT NULL) = (state IN ('lit', 'dropped', 'failed'))", name="ended"
    ),
    CheckConstraint("look_at IS NULL OR state = 'reconnecting'", name="look_at"),
    CheckConstraint("tries >= 0", name="tries"),
    Index("ix_supply_cuts_state", "state", "look_at"),
    Index("ix_supply_cuts_account_id", "account_id"),
    Index(
        "uq_supply_cuts_open",
        "account_id",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

supply_cut_orders: Final = table(
    "supply_cut_orders",
    Column("cut_id", Identifier, ForeignKey(supply_cuts.c.cut_id), nullable=False),
    Column("supply_id", Identifier, ForeignKey(supplies.c.supply_id), nullable=False),
    Column("position", WholeNumber, nullable=False, comment="1, 2, 3, ... of the supply"),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), nullable=False),
    Column("does", Text, nullable=False),
    Column("order_id", Identifier, ForeignKey(orders.c.order_id), nullable=False),
    Column("outcome", Text, comment="none: the order has not ended"),
    PrimaryKeyConstraint("cut_id", "supply_id", "position"),
    CheckConstraint("position > 0", name="position"),
    CheckConstraint("does IN ('off', 'on')", name="does"),
    CheckConstraint("(does = 'off') = (position = 1)", name="once_off"),
    CheckConstraint("outcome IN ('done', 'failed', 'cancelled', 'expired')", name="outcome"),
    Index("ix_supply_cut_orders_order_id", "order_id"),
    Index(
        "ix_supply_cut_orders_open",
        "order_id",
        sqlite_where=text("outcome IS NULL"),
        postgresql_where=text("outcome IS NULL"),
    ),
    clustered=True,
)

supply_cut_moves: Final = table(
    "supply_cut_moves",
    Column("move_id", Identifier, primary_key=True),
    Column("cut_id", Identifier, ForeignKey(supply_cuts.c.cut_id), nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False),
    Column("words", Text, nullable=False),
    Index("ix_supply_cut_moves_cut_id", "cut_id"),
)

emergency_credits: Final = table(
    "emergency_credits",
    Column("emergency_id", Identifier, primary_key=True),
    Column("place_id", Identifier, ForeignKey(places.c.place_id), comment="NULL: everybody"),
    Column("each_minor", WholeNumber, nullable=False),
    Column("share_bp", WholeNumber, nullable=False, comment="of payments, to pay it back"),
    Column("reason", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcTimestamp, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", UtcTimestamp),
    Column("after_account_id", Identifier, nullable=False, comment="given up to here"),
    Column("given_at", UtcTimestamp),
    Column("recovered_from", UtcTimestamp),
    Column("recovered_by", Text),
    CheckConstraint("each_minor > 0", name="each_minor"),
    CheckConstraint("share_bp BETWEEN 1 AND 10000", name="share"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved"),
    CheckConstraint("approved_by <> asked_by", name="two_people"),
    CheckConstraint("given_at IS NULL OR approved_at IS NOT NULL", name="given"),
    CheckConstraint("(recovered_from IS NULL) = (recovered_by IS NULL)", name="recovered"),
    CheckConstraint("recovered_from IS NULL OR given_at IS NOT NULL", name="after"),
)

emergency_credits_given: Final = table(
    "emergency_credits_given",
    Column(
        "emergency_id", Identifier, ForeignKey(emergency_credits.c.emergency_id), nullable=False
    ),
    Column("account_id", Identifier, ForeignKey(customer_accounts.c.account_id), nullable=False),
    Column("amount_minor", WholeNumber, nullable=False),
    Column("recovered_minor", WholeNumber, nullable=False),
    Column("given_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("emergency_id", "account_id"),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("recovered_minor BETWEEN 0 AND amount_minor", name="recovered"),
    Index(
        "ix_emergency_credits_given_open",
        "account_id",
        sqlite_where=text("recovered_minor < amount_minor"),
        postgresql_where=text("recovered_minor < amount_minor"),
    ),
    clustered=True,
)
