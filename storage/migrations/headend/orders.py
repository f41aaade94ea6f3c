"""Orders to meters, and what forbids them: keep-power, windows, holidays, emergency stops."""

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

_KINDS = (
    "('relay_trip', 'relay_close', 'relay_allow_close', 'keep_power_on', 'keep_power_off', "
    "'token', 'recharge', 'set_clock', 'write_parameter', 'tariff_table', 'balance')"
)
_DISCONNECTS = "('relay_trip', 'keep_power_off')"
_CONTACT = "('relay_trip', 'relay_close', 'relay_allow_close')"
_ENDED = "('done', 'failed', 'cancelled', 'expired')"
_WAYS = "('close', 'allow_close')"
_DAY_S = 86_400
_WORKING_DAYS = ((1, 540, 690), (1, 810, 960), (2, 540, 690), (2, 810, 960), (3, 540, 690))
_BEFORE_THE_WEEKEND = ((3, 810, 960), (4, 540, 690), (4, 810, 960), (5, 540, 690))
"""9:00-11:30 and 13:30-16:00; on Fridays the morning, so that whoever pays has light again."""


def make() -> None:
    """Make the tables."""
    _make_policy()
    _make_windows()
    _make_keep_powers()
    _make_emergency_stops()
    _make_orders()
    _make_events()
    _disconnect_nobody_protected()
    _reverse_nothing_delivered()
    _deliver_nothing_reversed()


def _make_policy() -> None:
    name = "order_policy"
    made = op.create_table(
        name,
        number("policy_id"),
        number("trips_at_once_max", comment="more take two people"),
        number("trips_window_s", comment="one person's count together"),
        text("two_for_roles", comment="roles of points; with commas"),
        number("recharge_two_above_minor"),
        number("tariff_needs_two"),
        number("protected_needs_two"),
        number("lift_needs_two", comment="end keep-power early"),
        text("outside_window"),
        text("close_credit", comment="how supply comes back, by kind"),
        text("close_keypad"),
        text("close_money"),
        number("order_life_s"),
        number("disconnect_life_s"),
        number("reconnect_life_s"),
        primary(name, "policy_id"),
        check(name, "one_row", "policy_id = 1"),
        check(name, "limits", "trips_at_once_max >= 0 AND recharge_two_above_minor >= 0"),
        check(
            name,
            "flags",
            "tariff_needs_two IN (0, 1) AND protected_needs_two IN (0, 1) "
            "AND lift_needs_two IN (0, 1)",
        ),
        check(name, "outside_window", "outside_window IN ('wait', 'refuse')"),
        check(
            name,
            "ways",
            f"close_credit IN {_WAYS} AND close_keypad IN {_WAYS} AND close_money IN {_WAYS}",
        ),
        check(
            name,
            "lives",
            "order_life_s > 0 AND disconnect_life_s > 0 AND reconnect_life_s > 0",
        ),
        check(name, "trips_window", "trips_window_s > 0"),
        sqlite_strict=True,
    )
    first = {
        "policy_id": 1,
        "trips_at_once_max": 20,
        "trips_window_s": 3_600,
        "two_for_roles": "supply",
        "recharge_two_above_minor": 1_000_00,
        "tariff_needs_two": 1,
        "protected_needs_two": 1,
        "lift_needs_two": 1,
        "outside_window": "wait",
        "close_credit": "allow_close",
        "close_keypad": "allow_close",
        "close_money": "allow_close",
        "order_life_s": _DAY_S,
        "disconnect_life_s": 7 * _DAY_S,
        "reconnect_life_s": 90 * _DAY_S,
    }
    op.bulk_insert(made, [first])
    triggers.no_delete(name, ["policy_id"])


def _make_windows() -> None:
    name = "disconnect_windows"
    made = op.create_table(
        name,
        *identity(name, "window_id"),
        number("weekday", comment="1 Monday to 7 Sunday"),
        number("from_min", comment="of the day, the utility's time"),
        number("until_min"),
        unique(name, "weekday", "from_min"),
        check(name, "weekday", "weekday BETWEEN 1 AND 7"),
        check(name, "span", "from_min >= 0 AND from_min < until_min AND until_min <= 1440"),
        sqlite_strict=True,
    )
    spans = [
        {"weekday": weekday, "from_min": since, "until_min": until}
        for weekday, since, until in (*_WORKING_DAYS, *_BEFORE_THE_WEEKEND)
    ]
    op.bulk_insert(made, spans)
    name = "holidays"
    table(
        name,
        text("day", comment="2026-10-01, the utility's day"),
        text("name"),
        primary(name, "day"),
        check(name, "day", "length(day) = 10"),
        check(name, "name", "length(name) > 0"),
    )


def _make_keep_powers() -> None:
    name = "keep_powers"
    table(
        name,
        *identity(name, "keep_power_id"),
        reference("point_id", null=True),
        reference("place_id", null=True),
        text("owner", comment="who answers for it"),
        text("reason"),
        time("since"),
        time("until"),
        text("added_by"),
        time("added_at"),
        text("lift_asked_by", null=True),
        time("lift_asked_at", null=True),
        text("lift_why", null=True),
        number("lift_needs_two"),
        text("lifted_by", null=True),
        time("lifted_at", null=True),
        foreign(name, ["point_id"], "service_points"),
        foreign(name, ["place_id"], "places"),
        check(name, "what", "(point_id IS NULL) <> (place_id IS NULL)"),
        check(name, "span", "until > since"),
        check(name, "owner", "length(owner) > 0 AND length(reason) > 0"),
        check(name, "lifted", "(lifted_by IS NULL) = (lifted_at IS NULL)"),
        check(name, "asked", "lifted_at IS NULL OR lift_asked_at IS NOT NULL"),
        check(name, "two", "lifted_by IS NULL OR lift_needs_two = 0 OR lifted_by <> lift_asked_by"),
    )
    op.create_index("ix_keep_powers_point_id", name, ["point_id"])
    op.create_index("ix_keep_powers_place_id", name, ["place_id"])
    triggers.no_delete(name, ["keep_power_id"])
    triggers.frozen(
        name,
        [
            "keep_power_id",
            "point_id",
            "place_id",
            "owner",
            "reason",
            "since",
            "until",
            "added_by",
            "added_at",
            "lift_needs_two",
        ],
        after="OLD.lifted_at IS NOT NULL",
    )


def _make_emergency_stops() -> None:
    name = "emergency_stops"
    table(
        name,
        *identity(name, "stop_id"),
        reference("place_id", null=True, comment="NULL: everybody"),
        text("reason"),
        time("since"),
        text("declared_by"),
        time("resumed_at", null=True),
        text("resumed_by", null=True),
        foreign(name, ["place_id"], "places"),
        check(name, "reason", "length(reason) > 0"),
        check(name, "resumed", "(resumed_at IS NULL) = (resumed_by IS NULL)"),
        check(name, "span", "resumed_at >= since"),
    )
    triggers.no_delete(name, ["stop_id"])
    triggers.frozen(
        name,
        ["stop_id", "place_id", "reason", "since", "declared_by"],
        after="OLD.resumed_at IS NOT NULL",
    )


def _make_orders() -> None:
    name = "orders"
    table(
        name,
        *identity(name, "order_id"),
        text("client"),
        text("message_id"),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        text("kind"),
        reference("device_id"),
        text("says", comment="canonical JSON, no secret"),
        text("token_ref", null=True, comment="where the token lives"),
        number("fingerprint", null=True, comment="of the token"),
        text("why"),
        text("ordered_by"),
        text("from_where"),
        time("ordered_at"),
        text("batch", null=True, comment="orders that were given together"),
        text("outside_window"),
        time("not_before", null=True),
        text("two_because", null=True, comment="why it takes two people"),
        text("approved_by", null=True),
        time("approved_at", null=True),
        text("state"),
        time("due_at", null=True),
        time("expires_at"),
        text("job_key", null=True, comment="of the job that is to carry it out"),
        number("tries", default=0),
        text("evidence", null=True, comment="what the meter told before it was sent, JSON"),
        time("allowed_until", null=True),
        time("sending_at", null=True),
        time("ended_at", null=True),
        text("words", null=True, comment="what came of it, for a person"),
        text("result", null=True, comment="the same, JSON"),
        reference("supersedes", null=True),
        foreign(name, ["device_id"], "end_devices"),
        foreign(name, ["supersedes"], "orders", to=["order_id"]),
        unique(name, "client", "message_id"),
        check(name, "id", "length(client) > 0 AND length(message_id) > 0"),
        check(name, "request_sha256", "length(request_sha256) = 32"),
        check(name, "kind", f"kind IN {_KINDS}"),
        check(name, "why", "length(why) > 0"),
        check(
            name,
            "token",
            "(kind = 'token') = (token_ref IS NOT NULL) "
            "AND (token_ref IS NULL) = (fingerprint IS NULL)",
        ),
        check(name, "outside_window", "outside_window IN ('wait', 'refuse')"),
        check(
            name,
            "state",
            "state IN ('waiting_approval', 'queued', 'sending', 'done', 'failed', 'unknown', "
            "'cancelled', 'expired')",
        ),
        check(name, "approved", "(approved_by IS NULL) = (approved_at IS NULL)"),
        check(name, "two_people", "approved_by <> ordered_by"),
        check(
            name,
            "needs_approval",
            "two_because IS NULL OR approved_by IS NOT NULL "
            "OR state IN ('waiting_approval', 'cancelled', 'expired')",
        ),
        check(name, "waits", "state <> 'waiting_approval' OR two_because IS NOT NULL"),
        check(name, "sending", "sending_at IS NOT NULL OR state NOT IN ('sending', 'unknown')"),
        check(
            name,
            "not_sent",
            "sending_at IS NULL "
            "OR state NOT IN ('waiting_approval', 'queued', 'cancelled', 'expired')",
        ),
        check(
            name,
            "in_a_window",
            f"kind NOT IN {_DISCONNECTS} OR sending_at IS NULL "
            "OR (allowed_until IS NOT NULL AND sending_at < allowed_until)",
        ),
        check(name, "not_before", "sending_at >= not_before"),
        check(name, "ended", f"(ended_at IS NOT NULL) = (state IN {_ENDED})"),
        check(name, "life", "expires_at > ordered_at"),
    )
    op.create_index("ix_orders_device_id", name, ["device_id", "order_id"])
    op.create_index("ix_orders_state", name, ["state", "due_at"])
    _index_while(
        "uq_orders_contact",
        ["device_id"],
        f"kind IN {_CONTACT} AND state IN ('waiting_approval', 'queued')",
        unique=True,
    )
    _index_while(
        "uq_orders_token_ref",
        ["token_ref"],
        "token_ref IS NOT NULL AND state NOT IN ('failed', 'cancelled', 'expired')",
        unique=True,
    )
    _index_while(
        "uq_orders_open_token",
        ["device_id"],
        "kind = 'token' AND state IN ('sending', 'unknown')",
        unique=True,
    )
    _index_while("ix_orders_token_ref", ["token_ref"], "token_ref IS NOT NULL", unique=False)
    _index_while(
        "ix_orders_disconnects",
        ["ordered_by", "ordered_at"],
        f"kind IN {_DISCONNECTS}",
        unique=False,
    )
    _index_while("ix_orders_batch", ["batch"], "batch IS NOT NULL", unique=False)
    triggers.no_delete(name, ["order_id"], ["client", "message_id"])
    triggers.frozen(
        name,
        [
            "order_id",
            "client",
            "message_id",
            "request_sha256",
            "kind",
            "device_id",
            "says",
            "token_ref",
            "fingerprint",
            "why",
            "ordered_by",
            "from_where",
            "ordered_at",
            "batch",
            "outside_window",
            "not_before",
            "two_because",
            "expires_at",
            "supersedes",
        ],
        after=f"OLD.state IN {_ENDED}",
    )
    triggers.set_once(
        name, ["approved_by", "approved_at", "sending_at", "evidence", "allowed_until"]
    )
    triggers.updated_only_if(
        name,
        "OLD.state = NEW.state "
        "OR (OLD.state = 'waiting_approval' AND NEW.state IN ('queued', 'cancelled', 'expired')) "
        "OR (OLD.state = 'queued' "
        "AND NEW.state IN ('sending', 'done', 'failed', 'cancelled', 'expired')) "
        "OR (OLD.state = 'sending' AND NEW.state IN ('done', 'failed', 'unknown')) "
        "OR (OLD.state = 'unknown' AND NEW.state IN ('done', 'failed'))",
        "a state never goes back",
    )
    triggers.inserted_only_if(
        name, "NEW.state IN ('waiting_approval', 'queued')", "an order begins by waiting"
    )


def _make_events() -> None:
    name = "order_events"
    table(
        name,
        reference("order_id"),
        number("position", comment="from 1"),
        time("at"),
        text("state", comment="of the order, after it"),
        text("event"),
        text("who"),
        text("words"),
        primary(name, "order_id", "position"),
        foreign(name, ["order_id"], "orders"),
        check(name, "position", "position > 0"),
        clustered=True,
    )
    triggers.immutable(name, ["order_id", "position"])


def _disconnect_nobody_protected() -> None:
    """Keep-power and emergency stops beat whatever the program believes (requirement 22, 26).

    Places above a point are looked for four levels up: substation, feeder, area and one more.
    """
    here = (
        "FROM installations i JOIN service_points s ON s.point_id = i.point_id "
        "{joins} WHERE i.device_id = NEW.device_id AND i.until IS NULL"
    )
    places = [f"SELECT s.place_id {here.format(joins='')}"]
    joins, last = "", "s.place_id"
    for level in range(1, 4):
        joins += f"JOIN places p{level} ON p{level}.place_id = {last} "
        last = f"p{level}.parent_id"
        places.append(f"SELECT {last} {here.format(joins=joins)}")
    above = " UNION ".join(places)
    begins = f"NEW.state = 'sending' AND OLD.state = 'queued' AND NEW.kind IN {_DISCONNECTS}"
    gate = "SELECT 1 FROM order_policy WHERE policy_id = 1 FOR SHARE"
    triggers.guarded(
        "orders",
        "update",
        "NOT EXISTS (SELECT 1 FROM keep_powers k WHERE k.lifted_at IS NULL "
        "AND k.since <= NEW.sending_at AND k.until > NEW.sending_at AND ("
        f"k.point_id IN (SELECT s.point_id {here.format(joins='')}) OR k.place_id IN ({above})))",
        "a keep-power order forbids it",
        name="orders_keep_power",
        only=begins,
        lock=gate,
    )
    triggers.guarded(
        "orders",
        "update",
        "NOT EXISTS (SELECT 1 FROM emergency_stops e WHERE e.resumed_at IS NULL "
        f"AND (e.place_id IS NULL OR e.place_id IN ({above})))",
        "disconnects are suspended",
        name="orders_emergency",
        only=begins,
        lock=gate,
    )


def _reverse_nothing_delivered() -> None:
    """A sale is undone only while its token was not given to the meter: money back, and no units.

    Whoever reverses has the receipt's row locked, and so has whoever marks an order for one of its
    tokens (`_deliver_nothing_reversed`): the second one sees what the first has done.
    """
    refs = ", ".join(f"NEW.reversed_receipt_no || '/{position}'" for position in range(1, 17))
    triggers.guarded(
        "receipts",
        "insert",
        f"NOT EXISTS (SELECT 1 FROM orders o WHERE o.token_ref IN ({refs}) "
        "AND o.state IN ('sending', 'unknown', 'done'))",
        "its token was delivered by wire",
        name="receipts_not_delivered",
        only="NEW.kind = 'reversal'",
        lock=f"SELECT 1 FROM orders o WHERE o.token_ref IN ({refs}) FOR SHARE",
    )


def _deliver_nothing_reversed() -> None:
    """A token is given to the meter only while its sale was not undone.

    A token that is on no receipt (its reference is not ``number/position``) is on nobody's books.
    """
    if op.get_bind().dialect.name == "postgresql":
        receipt_no = (
            "CASE WHEN NEW.token_ref ~ '^[0-9]{1,18}/' "
            "THEN split_part(NEW.token_ref, '/', 1)::bigint END"
        )
    else:
        receipt_no = "CAST(substr(NEW.token_ref, 1, instr(NEW.token_ref, '/') - 1) AS INTEGER)"
    triggers.guarded(
        "orders",
        "update",
        "NOT EXISTS (SELECT 1 FROM receipts r WHERE r.kind = 'reversal' "
        f"AND r.reversed_receipt_no = {receipt_no})",
        "its sale was reversed",
        name="orders_not_reversed",
        only="NEW.kind = 'token' AND NEW.state = 'sending' AND OLD.state = 'queued'",
        lock=f"SELECT 1 FROM receipts r WHERE r.receipt_no = {receipt_no} FOR UPDATE",
    )


def _index_while(name: str, columns: list[str], condition: str, *, unique: bool) -> None:
    """An index of the rows for which a condition holds."""
    op.create_index(
        name,
        "orders",
        columns,
        unique=unique,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
