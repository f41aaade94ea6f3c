"""Links, places, service points, devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    foreign,
    identity,
    number,
    reference,
    table,
    text,
    time,
    unique,
)


def make() -> None:
    """Make the tables."""
    _make_lines()
    _make_network()
    _make_devices()
    _make_installations()


def _make_lines() -> None:
    name = "networks"
    table(
        name,
        *identity(name, "network_id"),
        text("name"),
        number("connects_per_s_max", comment="new connections"),
        number("open_links_max"),
        unique(name, "name"),
        check(name, "name", "length(name) > 0"),
        check(name, "budgets", "connects_per_s_max > 0 AND open_links_max > 0"),
    )
    name = "links"
    table(
        name,
        *identity(name, "link_id"),
        text("name"),
        text("kind"),
        text("url", null=True, comment="of a line that we open; see protocols.transport"),
        text("caller", null=True, comment="identity of a modem that calls in"),
        reference("network_id", null=True),
        text("state"),
        time("added_at"),
        foreign(name, ["network_id"], "networks"),
        unique(name, "name"),
        unique(name, "caller"),
        unique(name, "url"),
        check(name, "name", "length(name) > 0"),
        check(name, "kind", "kind IN ('serial', 'tcp', 'modem')"),
        check(name, "state", "state IN ('active', 'suspended')"),
        check(name, "caller", "(kind = 'modem') = (caller IS NOT NULL)"),
        check(name, "url", "(kind = 'modem') = (url IS NULL)"),
    )


def _make_network() -> None:
    name = "places"
    table(
        name,
        *identity(name, "place_id"),
        text("kind"),
        text("name"),
        reference("parent_id", null=True),
        foreign(name, ["parent_id"], "places", to=["place_id"]),
        unique(name, "name"),
        check(name, "name", "length(name) > 0"),
        check(name, "kind", "kind IN ('substation', 'feeder', 'area')"),
        check(name, "parent", "(kind = 'substation') = (parent_id IS NULL)"),
        check(name, "itself", "parent_id <> place_id"),
    )
    name = "service_points"
    table(
        name,
        *identity(name, "point_id"),
        text("name"),
        reference("place_id", null=True),
        reference("parent_id", null=True),
        text("role", comment="customer, or what an area or feeder is fed by"),
        time("added_at"),
        foreign(name, ["place_id"], "places"),
        foreign(name, ["parent_id"], "service_points", to=["point_id"]),
        unique(name, "name"),
        check(name, "name", "length(name) > 0"),
        check(name, "role", "role IN ('customer', 'supply', 'check')"),
        check(name, "supply", "role <> 'supply' OR place_id IS NOT NULL"),
        check(name, "itself", "parent_id <> point_id"),
    )
    op.create_index("ix_service_points_place_id", name, ["place_id"])
    op.create_index("ix_service_points_parent_id", name, ["parent_id"])


def _make_devices() -> None:
    name = "end_devices"
    table(
        name,
        *identity(name, "device_id"),
        text("number"),
        text("protocol"),
        text("address", comment="12 digits; Modbus: the unit"),
        text("profile", null=True, comment="Modbus: what its registers mean"),
        reference("link_id", null=True),
        text(
            "credential", null=True, comment="name of an entry in the operator's file of passwords"
        ),
        text("kind", comment="how it is paid for"),
        number("ratio", comment="of its transformers: multiplies energy"),
        text("state"),
        time("added_at"),
        foreign(name, ["link_id"], "links"),
        unique(name, "number"),
        check(name, "number", "length(number) > 0 AND length(address) > 0"),
        check(name, "protocol", "protocol IN ('dlt645-2007', 'dlt645-1997', 'modbus')"),
        check(name, "profile", "(protocol = 'modbus') = (profile IS NOT NULL)"),
        check(name, "kind", "kind IN ('credit', 'keypad', 'money')"),
        check(name, "ratio", "ratio > 0"),
        check(name, "state", "state IN ('active', 'suspended', 'removed')"),
    )
    _unique_while(
        "uq_end_devices_address", name, ["link_id", "protocol", "address"], "state <> 'removed'"
    )
    triggers.no_delete(name, ["device_id"], ["number"])
    triggers.frozen(name, ["device_id", "number", "added_at"])


def _make_installations() -> None:
    name = "installations"
    table(
        name,
        *identity(name, "installation_id"),
        reference("point_id"),
        reference("device_id"),
        time("since"),
        time("until", null=True),
        number("first_wh", null=True, comment="its import register when it came"),
        number("last_wh", null=True, comment="its import register when it went"),
        text("reason"),
        text("made_by"),
        foreign(name, ["point_id"], "service_points"),
        foreign(name, ["device_id"], "end_devices"),
        check(name, "span", "until IS NULL OR until >= since"),
        check(name, "last", "until IS NOT NULL OR last_wh IS NULL"),
    )
    _unique_while("uq_installations_point", name, ["point_id"], "until IS NULL")
    _unique_while("uq_installations_device", name, ["device_id"], "until IS NULL")
    op.create_index("ix_installations_point_since", name, ["point_id", "since"])
    triggers.no_delete(name, ["installation_id"])
    triggers.frozen(
        name,
        ["installation_id", "point_id", "device_id", "since", "first_wh", "reason", "made_by"],
        after="OLD.until IS NOT NULL",
    )


def _unique_while(name: str, table: str, columns: list[str], condition: str) -> None:
    """A unique key of the rows for which a condition holds."""
    op.create_index(
        name,
        table,
        columns,
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
