"""The tables of orders, and of what forbids them.

=====================  =================================================================
`order_policy`         one row: what takes two people, how long orders live, how supply
                       comes back.  Its row is also the gate: whoever protects somebody
                       waits for those who are just beginning to disconnect
`disconnect_windows`   when supply may be cut, in the utility's own time
`holidays`             days without disconnects
`keep_powers`          keep-power orders (保电): whose supply is not cut, why, until when
`emergency_stops`      disconnects suspended for a place, or for everybody
`orders`               commands to meters; one id of one client is one order.  States go
                       forward only (trigger), an ended order never changes (trigger), one
                       order to a contact waits for a device (partial unique index), who
                       orders does not approve (CHECK).  A disconnect is not marked as
                       being sent outside of a window (CHECK), nor while a keep-power order
                       or an emergency stop covers its point or the places above (trigger)
`order_events`         what happened to each order, step by step; immutable
=====================  =================================================================

A sale whose token is on its way to its meter by wire, or was delivered, is not reversed (trigger on
`receipts`).  Neither table holds a secret: of a token there is a reference and its fingerprint.
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

from headend.registry.tables import end_devices, places, service_points
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

_KINDS: Final = (
    "('relay_trip', 'relay_close', 'relay_allow_close', 'keep_power_on', 'keep_power_off', "
    "'token', 'recharge', 'set_clock', 'write_parameter', 'tariff_table', 'balance')"
)
_DISCONNECTS: Final = "('relay_trip', 'keep_power_off')"
_CONTACT: Final = "('relay_trip', 'relay_close', 'relay_allow_close')"
_ENDED: Final = "('done', 'failed', 'cancelled', 'expired')"
_WAYS: Final = "('close', 'allow_close')"

order_policy: Final = table(
    "order_policy",
    Column("policy_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("trips_at_once_max", WholeNumber, nullable=False, comment="more take two people"),
    Column("trips_window_s", WholeNumber, nullable=False, comment="one person's count together"),
    Column("two_for_roles", Text, nullable=False, comment="roles of points; with commas"),
    Column("recharge_two_above_minor", WholeNumber, nullable=False),
    Column("tariff_needs_two", WholeNumber, nullable=False),
    Column("protected_needs_two", WholeNumber, nullable=False),
    Column("lift_needs_two", WholeNumber, nullable=False, comment="end keep-power early"),
    Column("outside_window", Text, nullable=False),
    Column("close_credit", Text, nullable=False, comment="how supply comes back, by kind"),
    Column("close_keypad", Text, nullable=False),
    Column("close_money", Text, nullable=False),
    Column("order_life_s", WholeNumber, nullable=False),
    Column("disconnect_life_s", WholeNumber, nullable=False),
    Column("reconnect_life_s", WholeNumber, nullable=False),
    CheckConstraint("policy_id = 1", name="one_row"),
    CheckConstraint("trips_at_once_max >= 0 AND recharge_two_above_minor >= 0", name="limits"),
    CheckConstraint(
        "tariff_needs_two IN (0, 1) AND protected_needs_two IN (0, 1) AND lift_needs_two IN (0, 1)",
        name="flags",
    ),
    CheckConstraint("outside_window IN ('wait', 'refuse')", name="outside_window"),
    CheckConstraint(
        f"close_credit IN {_WAYS} AND close_keypad IN {_WAYS} AND close_money IN {_WAYS}",
        name="ways",
    ),
    CheckConstraint(
        "order_life_s > 0 AND disconnect_life_s > 0 AND reconnect_life_s > 0", name="lives"
    ),
    CheckConstraint("trips_window_s > 0", name="trips_window"),
)

disconnect_windows: Final = table(
    "disconnect_windows",
    Column("window_id", Identifier, primary_key=True),
    Column("weekday", WholeNumber, nullable=False, comment="1 Monday to 7 Sunday"),
    Column("from_min", WholeNumber, nullable=False, comment="of the day, the utility's time"),
    Column("until_min", WholeNumber, nullable=False),
    UniqueConstraint("weekday", "from_min"),
    CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday"),
    CheckConstraint("from_min >= 0 AND from_min < until_min AND until_min <= 1440", name="span"),
)

holidays: Final = table(
    "holidays",
    Column("day", Text, primary_key=True, comment="2026-10-01, the utility's day"),
    Column("name", Text, nullable=False),
    CheckConstraint("length(day) = 10", name="day"),
    CheckConstraint("length(name) > 0", name="name"),
)

keep_powers: Final = table(
    "keep_powers",
    Column("keep_power_id", Identifier, primary_key=True),
    Column("point_id", Identifier, ForeignKey(service_points.c.point_id)),
    Column("place_id", Identifier, ForeignKey(places.c.place_id)),
    Column("owner", Text, nullable=False, comment="who answers for it"),
    Column("reason", Text, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_at", UtcTimestamp, nullable=False),
    Column("lift_asked_by", Text),
    Column("lift_asked_at", UtcTimestamp),
    Column("lift_why", Text),
    Column("lift_needs_two", WholeNumber, nullable=False),
    Column("lifted_by", Text),
    Column("lifted_at", UtcTimestamp),
    CheckConstraint("(point_id IS NULL) <> (place_id IS NULL)", name="what"),
    CheckConstraint("until > since", name="span"),
    CheckConstraint("length(owner) > 0 AND length(reason) > 0", name="owner"),
    CheckConstraint("(lifted_by IS NULL) = (lifted_at IS NULL)", name="lifted"),
    CheckConstraint("lifted_at IS NULL OR lift_asked_at IS NOT NULL", name="asked"),
    CheckConstraint(
        "lifted_by IS NULL OR lift_needs_two = 0 OR lifted_by <> lift_asked_by", name="two"
    ),
    Index("ix_keep_powers_point_id", "point_id"),
    Index("ix_keep_powers_place_id", "place_id"),
)

emergency_stops: Final = table(
    "emergency_stops",
    Column("stop_id", Identifier, primary_key=True),
    Column("place_id", Identifier, ForeignKey(places.c.place_id), comment="NULL: everybody"),
    Column("reason", Text, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("declared_by", Text, nullable=False),
    Column("resumed_at", UtcTimestamp),
    Column("resumed_by", Text),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("(resumed_at IS NULL) = (resumed_by IS NULL)", name="resumed"),
    CheckConstraint("resumed_at >= since", name="span"),
)

orders: Final = table(
    "orders",
    Column("order_id", Identifier, primary_key=True),
    Column("client", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), nullable=False),
    Column("says", Text, nullable=False, comment="canonical JSON, no secret"),
    Column("token_ref", Text, comment="where the token lives"),
    Column("fingerprint", WholeNumber, comment="of the token"),
    Column("why", Text, nullable=False),
    Column("ordered_by", Text, nullable=False),
    Column("from_where", Text, nullable=False),
    Column("ordered_at", UtcTimestamp, nullable=False),
    Column("batch", Text, comment="orders that were given together"),
    Column("outside_window", Text, nullable=False),
    Column("not_before", UtcTimestamp),
    Column("two_because", Text, comment="why it takes two people"),
    Column("approved_by", Text),
    Column("approved_at", UtcTimestamp),
    Column("state", Text, nullable=False),
    Column("due_at", UtcTimestamp),
    Column("expires_at", UtcTimestamp, nullable=False),
    Column("job_key", Text, comment="of the job that is to carry it out"),
    Column("tries", WholeNumber, nullable=False, server_default=text("0")),
    Column("evidence", Text, comment="what the meter told before it was sent, JSON"),
    Column("allowed_until", UtcTimestamp),
    Column("sending_at", UtcTimestamp),
    Column("ended_at", UtcTimestamp),
    Column("words", Text, comment="what came of it, for a person"),
    Column("result", Text, comment="the same, JSON"),
    Column("supersedes", Identifier, ForeignKey("orders.order_id")),
    UniqueConstraint("client", "message_id"),
    CheckConstraint("length(client) > 0 AND length(message_id) > 0", name="id"),
    CheckConstraint("length(request_sha256) = 32", name="request_sha256"),
    CheckConstraint(f"kind IN {_KINDS}", name="kind"),
    CheckConstraint("length(why) > 0", name="why"),
    CheckConstraint(
        "(kind = 'token') = (token_ref IS NOT NULL) "
        "AND (token_ref IS NULL) = (fingerprint IS NULL)",
        name="token",
    ),
    CheckConstraint("outside_window IN ('wait', 'refuse')", name="outside_window"),
    CheckConstraint(
        "state IN ('waiting_approval', 'queued', 'sending', 'done', 'failed', 'unknown', "
        "'cancelled', 'expired')",
        name="state",
    ),
    CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved"),
    CheckConstraint("approved_by <> ordered_by", name="two_people"),
    CheckConstraint(
        "two_because IS NULL OR approved_by IS NOT NULL "
        "OR state IN ('waiting_approval', 'cancelled', 'expired')",
        name="needs_approval",
    ),
    CheckConstraint("state <> 'waiting_approval' OR two_because IS NOT NULL", name="waits"),
    CheckConstraint(
        "sending_at IS NOT NULL OR state NOT IN ('sending', 'unknown')", name="sending"
    ),
    CheckConstraint(
        "sending_at IS NULL OR state NOT IN ('waiting_approval', 'queued', 'cancelled', 'expired')",
        name="not_sent",
    ),
    CheckConstraint(
        f"kind NOT IN {_DISCONNECTS} OR sending_at IS NULL "
        "OR (allowed_until IS NOT NULL AND sending_at < allowed_until)",
        name="in_a_window",
    ),
    CheckConstraint("sending_at >= not_before", name="not_before"),
    CheckConstraint(f"(ended_at IS NOT NULL) = (state IN {_ENDED})", name="ended"),
    CheckConstraint("expires_at > ordered_at", name="life"),
    Index("ix_orders_device_id", "device_id", "order_id"),
    Index("ix_orders_state", "state", "due_at"),
    Index(
        "uq_orders_contact",
        "device_id",
        unique=True,
        sqlite_where=text(f"kind IN {_CONTACT} AND state IN ('waiting_approval', 'queued')"),
        postgresql_where=text(f"kind IN {_CONTACT} AND state IN ('waiting_approval', 'queued')"),
    ),
    Index(
        "uq_orders_token_ref",
        "token_ref",
        unique=True,
        sqlite_where=text(
            "token_ref IS NOT NULL AND state NOT IN ('failed', 'cancelled', 'expired')"
        ),
        postgresql_where=text(
            "token_ref IS NOT NULL AND state NOT IN ('failed', 'cancelled', 'expired')"
        ),
    ),
    Index(
        "uq_orders_open_token",
        "device_id",
        unique=True,
        sqlite_where=text("kind = 'token' AND state IN ('sending', 'unknown')"),
        postgresql_where=text("kind = 'token' AND state IN ('sending', 'unknown')"),
    ),
    Index(
        "ix_orders_token_ref",
        "token_ref",
        sqlite_where=text("token_ref IS NOT NULL"),
        postgresql_where=text("token_ref IS NOT NULL"),
    ),
    Index(
        "ix_orders_disconnects",
        "ordered_by",
        "ordered_at",
        sqlite_where=text(f"kind IN {_DISCONNECTS}"),
        postgresql_where=text(f"kind IN {_DISCONNECTS}"),
    ),
    Index(
        "ix_orders_batch",
        "batch",
        sqlite_where=text("batch IS NOT NULL"),
        postgresql_where=text("batch IS NOT NULL"),
    ),
)

order_events: Final = table(
    "order_events",
    Column("order_id", Identifier, ForeignKey(orders.c.order_id)),
    Column("position", WholeNumber, comment="from 1"),
    Column("at", UtcTimestamp, nullable=False),
    Column("state", Text, nullable=False, comment="of the order, after it"),
    Column("event", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("words", Text, nullable=False),
    PrimaryKeyConstraint("order_id", "position"),
    CheckConstraint("position > 0", name="position"),
    clustered=True,
)
