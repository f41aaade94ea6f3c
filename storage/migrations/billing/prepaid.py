"""The prepay loop: policy, states, cuts of supplies, emergency credit."""

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

_ENDED = "('lit', 'dropped', 'failed')"


def make() -> None:
    """Make the tables."""
    _make_policy()
    _make_states()
    _make_uses()
    _make_cuts()
    _make_cut_orders()
    _make_emergency_credits()


def _make_policy() -> None:
    name = "prepaid_policy"
    made = op.create_table(
        name,
        number("policy_id"),
        text("limits", comment="of the agreement, or from the own use"),
        number("warn_days", comment="limits from use: so long ahead"),
        number("notice_h", comment="a disconnect is announced ahead"),
        number("notice_valid_h", comment="then it is announced anew"),
        number("first_grace_h", comment="for the first time"),
        number("first_within_days", comment="and what the first is"),
        number("small_minor", comment="what a small sum is"),
        number("small_grace_h"),
        number("good_grace_h", comment="for good payers"),
        number("reconnect_above_minor", comment="above the floor"),
        number("asks_max", comment="disconnects that came to nothing"),
        number("look_again_h", comment="at whoever is not cut now"),
        number("remind_days", comment="so long before it runs out"),
        number("remind_from_hour", comment="of the utility's day"),
        number("use_days", comment="of which the use is taken"),
        number("emergency_each_max_minor"),
        primary(name, "policy_id"),
        check(name, "one_row", "policy_id = 1"),
        check(name, "limits", "limits IN ('agreement', 'use')"),
        check(
            name,
            "amounts",
            "warn_days >= 0 AND notice_h >= 0 AND notice_valid_h > 0 AND first_grace_h >= 0 "
            "AND first_within_days >= 0 AND small_minor >= 0 AND small_grace_h >= 0 "
            "AND good_grace_h >= 0 AND reconnect_above_minor >= 0 AND remind_days >= 0 "
            "AND emergency_each_max_minor >= 0",
        ),
        check(name, "again", "asks_max > 0 AND look_again_h > 0"),
        check(name, "hour", "remind_from_hour BETWEEN 0 AND 23"),
        check(name, "use_days", "use_days BETWEEN 7 AND 366"),
        sqlite_strict=True,
    )
    first = {
        "policy_id": 1,
        "limits": "agreement",
        "warn_days": 5,
        "notice_h": 24,
        "notice_valid_h": 72,
        "first_grace_h": 48,
        "first_within_days": 365,
        "small_minor": 10_00,
        "small_grace_h": 72,
        "good_grace_h": 72,
        "reconnect_above_minor": 0,
        "asks_max": 3,
        "look_again_h": 24,
        "remind_days": 4,
        "remind_from_hour": 8,
        "use_days": 28,
        "emergency_each_max_minor": 100_00,
    }
    op.bulk_insert(made, [first])
    triggers.no_delete(name, ["policy_id"])


def _make_states() -> None:
    name = "prepaid_states"
    table(
        name,
        reference("account_id"),
        text("state"),
        time("since"),
        number("balance_minor", comment="when it came into the state"),
        text("words", comment="why it is as it is"),
        time("look_at", null=True),
        time("disconnect_at", null=True),
        number("asks", comment="disconnects since it was below"),
        time("reminded_at", null=True),
        primary(name, "account_id"),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "state", "state IN ('ok', 'warned', 'disconnect_due', 'held')"),
        check(name, "look_at", "(look_at IS NOT NULL) = (state = 'disconnect_due')"),
        check(name, "disconnect_at", "disconnect_at IS NULL OR state = 'disconnect_due'"),
        check(name, "asks", "asks >= 0"),
    )
    op.create_index("ix_prepaid_states_look_at", name, ["look_at"])
    triggers.no_delete(name, ["account_id"])
    name = "prepaid_moves"
    table(
        name,
        *identity(name, "move_id"),
        reference("account_id"),
        time("at"),
        text("state"),
        number("balance_minor"),
        text("words"),
        foreign(name, ["account_id"], "customer_accounts"),
    )
    op.create_index("ix_prepaid_moves_account_id", name, ["account_id"])
    triggers.immutable(name, ["move_id"])


def _make_uses() -> None:
    name = "prepaid_uses"
    table(
        name,
        reference("account_id"),
        number("workday_minor", comment="what a working day costs"),
        number("restday_minor", comment="weekends and holidays"),
        number("days", comment="that it rests on"),
        number("warn_minor"),
        number("floor_minor"),
        time("computed_at"),
        primary(name, "account_id"),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "use", "workday_minor >= 0 AND restday_minor >= 0 AND days >= 0"),
        check(name, "limits", "floor_minor <= warn_minor"),
    )
    name = "prepaid_passes"
    table(
        name,
        number("pass_id"),
        text("day", comment="2026-11-21, the utility's; of the last pass"),
        reference("after_account_id"),
        number("is_over"),
        primary(name, "pass_id"),
        check(name, "one_row", "pass_id = 1"),
        check(name, "day", "length(day) = 10"),
        check(name, "is_over", "is_over IN (0, 1)"),
    )
    op.execute(
        "INSERT INTO prepaid_passes (pass_id, day, after_account_id, is_over) "
        "VALUES (1, '0001-01-01', 0, 1)"
    )


def _make_cuts() -> None:
    name = "supply_cuts"
    table(
        name,
        *identity(name, "cut_id"),
        reference("account_id"),
        text("asker", comment="the part of the office that asked"),
        text("once"),
        text("why"),
        text("state"),
        time("asked_at"),
        text("words", comment="what came of it"),
        number("tries", comment="reconnects that were asked"),
        time("look_at", null=True),
        time("ended_at", null=True),
        foreign(name, ["account_id"], "customer_accounts"),
        unique(name, "once"),
        check(name, "why", "length(asker) > 0 AND length(once) > 0 AND length(why) > 0"),
        check(
            name,
            "state",
            "state IN ('ordered', 'dark', 'reconnecting', 'lit', 'dropped', 'failed')",
        ),
        check(name, "ended", f"(ended_at IS NOT NULL) = (state IN {_ENDED})"),
        check(name, "look_at", "look_at IS NULL OR state = 'reconnecting'"),
        check(name, "tries", "tries >= 0"),
    )
    op.create_index("ix_supply_cuts_state", name, ["state", "look_at"])
    op.create_index("ix_supply_cuts_account_id", name, ["account_id"])
    op.create_index(
        "uq_supply_cuts_open",
        name,
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    triggers.no_delete(name, ["cut_id"], ["once"])
    triggers.frozen(
        name,
        ["cut_id", "account_id", "asker", "once", "why", "asked_at"],
        after=f"OLD.state IN {_ENDED}",
    )
    triggers.inserted_only_if(name, "NEW.state = 'ordered'", "a cut begins with its orders")
    triggers.updated_only_if(
        name,
        "OLD.state = NEW.state "
        "OR (OLD.state = 'ordered' AND NEW.state IN ('dark', 'reconnecting', 'dropped', 'failed')) "
        "OR (OLD.state = 'dark' AND NEW.state = 'reconnecting') "
        "OR (OLD.state = 'reconnecting' AND NEW.state IN ('lit', 'dropped'))",
        "a state never goes back",
    )
    name = "supply_cut_moves"
    table(
        name,
        *identity(name, "move_id"),
        reference("cut_id"),
        time("at"),
        text("state"),
        text("words"),
        foreign(name, ["cut_id"], "supply_cuts"),
    )
    op.create_index("ix_supply_cut_moves_cut_id", name, ["cut_id"])
    triggers.immutable(name, ["move_id"])


def _make_cut_orders() -> None:
    name = "supply_cut_orders"
    table(
        name,
        reference("cut_id"),
        reference("supply_id"),
        number("position", comment="1, 2, 3, ... of the supply"),
        reference("device_id"),
        text("does"),
        reference("order_id"),
        text("outcome", null=True, comment="none: the order has not ended"),
        primary(name, "cut_id", "supply_id", "position"),
        foreign(name, ["cut_id"], "supply_cuts"),
        foreign(name, ["supply_id"], "supplies"),
        foreign(name, ["device_id"], "end_devices"),
        foreign(name, ["order_id"], "orders"),
        check(name, "position", "position > 0"),
        check(name, "does", "does IN ('off', 'on')"),
        check(name, "once_off", "(does = 'off') = (position = 1)"),
        check(name, "outcome", "outcome IN ('done', 'failed', 'cancelled', 'expired')"),
        clustered=True,
    )
    op.create_index("ix_supply_cut_orders_order_id", name, ["order_id"])
    op.create_index(
        "ix_supply_cut_orders_open",
        name,
        ["order_id"],
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )
    triggers.no_delete(name, ["cut_id", "supply_id", "position"])
    triggers.frozen(name, ["cut_id", "supply_id", "position", "device_id", "does", "order_id"])
    triggers.set_once(name, ["outcome"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM supply_cuts c WHERE c.cut_id = NEW.cut_id AND c.state = "
        "CASE NEW.does WHEN 'off' THEN 'ordered' ELSE 'reconnecting' END)",
        "who is to have light again is not cut",
    )


def _make_emergency_credits() -> None:
    name = "emergency_credits"
    table(
        name,
        *identity(name, "emergency_id"),
        reference("place_id", null=True, comment="NULL: everybody"),
        number("each_minor"),
        number("share_bp", comment="of payments, to pay it back"),
        text("reason"),
        text("asked_by"),
        time("asked_at"),
        text("approved_by", null=True),
        time("approved_at", null=True),
        reference("after_account_id", comment="given up to here"),
        time("given_at", null=True),
        time("recovered_from", null=True),
        text("recovered_by", null=True),
        foreign(name, ["place_id"], "places"),
        check(name, "each_minor", "each_minor > 0"),
        check(name, "share", "share_bp BETWEEN 1 AND 10000"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "approved", "(approved_by IS NULL) = (approved_at IS NULL)"),
        check(name, "two_people", "approved_by <> asked_by"),
        check(name, "given", "given_at IS NULL OR approved_at IS NOT NULL"),
        check(name, "recovered", "(recovered_from IS NULL) = (recovered_by IS NULL)"),
        check(name, "after", "recovered_from IS NULL OR given_at IS NOT NULL"),
    )
    triggers.no_delete(name, ["emergency_id"])
    triggers.frozen(
        name, ["emergency_id", "place_id", "each_minor", "share_bp", "reason", "asked_by"]
    )
    triggers.set_once(
        name, ["approved_by", "approved_at", "given_at", "recovered_from", "recovered_by"]
    )
    name = "emergency_credits_given"
    table(
        name,
        reference("emergency_id"),
        reference("account_id"),
        number("amount_minor"),
        number("recovered_minor"),
        time("given_at"),
        primary(name, "emergency_id", "account_id"),
        foreign(name, ["emergency_id"], "emergency_credits"),
        foreign(name, ["account_id"], "customer_accounts"),
        check(name, "amount", "amount_minor > 0"),
        check(name, "recovered", "recovered_minor BETWEEN 0 AND amount_minor"),
        clustered=True,
    )
    op.create_index(
        "ix_emergency_credits_given_open",
        name,
        ["account_id"],
        sqlite_where=sa.text("recovered_minor < amount_minor"),
        postgresql_where=sa.text("recovered_minor < amount_minor"),
    )
    triggers.no_delete(name, ["emergency_id", "account_id"])
    triggers.frozen(name, ["emergency_id", "account_id", "amount_minor", "given_at"])
    triggers.inserted_only_if(
        name,
        "EXISTS (SELECT 1 FROM emergency_credits e WHERE e.emergency_id = NEW.emergency_id "
        "AND e.approved_at IS NOT NULL AND e.given_at IS NULL "
        "AND e.each_minor = NEW.amount_minor) AND NEW.recovered_minor = 0",
        "nobody has approved it",
    )
