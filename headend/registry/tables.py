"""The tables of the registry.

==================  ====================================================================
`networks`          budgets that lines share: a mobile network, a radio cell
`links`             lines: serial, TCP that we open, modems that call in
`places`            substation > feeder > transformer area
`service_points`    where a customer, or an area's supply, is metered; what endures
                    when a meter is replaced
`end_devices`       meters (IEC 61968: EndDevice): what they speak, where they answer
`installations`     which device is, or was, at which point, and its registers then
==================  ====================================================================

A device's number is the one on its plate, by which the vending house knows it too.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text, UniqueConstraint, text

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

networks: Final = table(
    "networks",
    Column("network_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("connects_per_s_max", WholeNumber, nullable=False, comment="new connections"),
    Column("open_links_max", WholeNumber, nullable=False),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("connects_per_s_max > 0 AND open_links_max > 0", name="budgets"),
)

links: Final = table(
    "links",
    Column("link_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("url", Text, comment="of a line that we open; see protocols.transport"),
    Column("caller", Text, unique=True, comment="identity of a modem that calls in"),
    Column("network_id", Identifier, ForeignKey(networks.c.network_id)),
    Column("state", Text, nullable=False),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("kind IN ('serial', 'tcp', 'modem')", name="kind"),
    CheckConstraint("state IN ('active', 'suspended')", name="state"),
    CheckConstraint("(kind = 'modem') = (caller IS NOT NULL)", name="caller"),
    CheckConstraint("(kind = 'modem') = (url IS NULL)", name="url"),
    UniqueConstraint("url"),
)

places: Final = table(
    "places",
    Column("place_id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("parent_id", Identifier, ForeignKey("places.place_id")),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("kind IN ('substation', 'feeder', 'area')", name="kind"),
    CheckConstraint("(kind = 'substation') = (parent_id IS NULL)", name="parent"),
    CheckConstraint("parent_id <> place_id", name="itself"),
)

service_points: Final = table(
    "service_points",
    Column("point_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("place_id", Identifier, ForeignKey(places.c.place_id)),
    Column("parent_id", Identifier, ForeignKey("service_points.point_id")),
    Column("role", Text, nullable=False, comment="customer, or what an area or feeder is fed by"),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("role IN ('customer', 'supply', 'check')", name="role"),
    CheckConstraint("role <> 'supply' OR place_id IS NOT NULL", name="supply"),
    CheckConstraint("parent_id <> point_id", name="itself"),
    Index("ix_service_points_place_id", "place_id"),
    Index("ix_service_points_parent_id", "parent_id"),
)

end_devices: Final = table(
    "end_devices",
    Column("device_id", Identifier, primary_key=True),
    Column("number", Text, nullable=False, unique=True),
    Column("protocol", Text, nullable=False),
    Column("address", Text, nullable=False, comment="12 digits; Modbus: the unit"),
    Column("profile", Text, comment="Modbus: what its registers mean"),
    Column("link_id", Identifier, ForeignKey(links.c.link_id)),
    Column("credential", Text, comment="name of an entry in the operator's file of passwords"),
    Column("kind", Text, nullable=False, comment="how it is paid for"),
    Column("ratio", WholeNumber, nullable=False, comment="of its transformers: multiplies energy"),
    Column("state", Text, nullable=False),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(number) > 0 AND length(address) > 0", name="number"),
    CheckConstraint("protocol IN ('dlt645-2007', 'dlt645-1997', 'modbus')", name="protocol"),
    CheckConstraint("(protocol = 'modbus') = (profile IS NOT NULL)", name="profile"),
    CheckConstraint("kind IN ('credit', 'keypad', 'money')", name="kind"),
    CheckConstraint("ratio > 0", name="ratio"),
    CheckConstraint("state IN ('active', 'suspended', 'removed')", name="state"),
    Index(
        "uq_end_devices_address",
        "link_id",
        "protocol",
        "address",
        unique=True,
        sqlite_where=text("state <> 'removed'"),
        postgresql_where=text("state <> 'removed'"),
    ),
)

installations: Final = table(
    "installations",
    Column("installation_id", Identifier, primary_key=True),
    Column("point_id", Identifier, ForeignKey(service_points.c.point_id), nullable=False),
    Column("device_id", Identifier, ForeignKey(end_devices.c.device_id), nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Column("until", UtcTimestamp),
    Column("first_wh", WholeNumber, comment="its import register when it came"),
    Column("last_wh", WholeNumber, comment="its import register when it went"),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    CheckConstraint("until IS NULL OR until >= since", name="span"),
    CheckConstraint("until IS NOT NULL OR last_wh IS NULL", name="last"),
    Index(
        "uq_installations_point",
        "point_id",
        unique=True,
        sqlite_where=text("until IS NULL"),
        postgresql_where=text("until IS NULL"),
    ),
    Index(
        "uq_installations_device",
        "device_id",
        unique=True,
        sqlite_where=text("until IS NULL"),
        postgresql_where=text("until IS NULL"),
    ),
    Index("ix_installations_point_since", "point_id", "since"),
)
