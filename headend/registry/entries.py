"""What is registered, as it is given and as it is shown.  Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LinkKind(StrEnum):
    """Who opens a line, and how."""

    SERIAL = "serial"
    TCP = "tcp"
    MODEM = "modem"
    """It calls in."""


class PlaceKind(StrEnum):
    """A level of the network, the highest first."""

    SUBSTATION = "substation"
    FEEDER = "feeder"
    AREA = "area"
    """What one transformer feeds (台区)."""


class PointRole(StrEnum):
    """What is metered at a service point."""

    CUSTOMER = "customer"
    SUPPLY = "supply"
    """What its place is fed by: the sum that customers' meters are held against."""
    CHECK = "check"
    """Neither sold nor supplied: a meter beside another."""


class DeviceKind(StrEnum):
    """How what a meter counts is paid for."""

    CREDIT = "credit"
    """From its readings: account prepay or bills."""
    KEYPAD = "keypad"
    """By STS tokens."""
    MONEY = "money"
    """Local prepayment of DL/T 645: money is written into it."""


class Standing(StrEnum):
    """Whether a link or meter is spoken to."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Left alone until somebody resumes it."""
    REMOVED = "removed"
    """A meter that went; its history stays."""


@dataclass(frozen=True, slots=True)
class Network:
    """A budget that lines share."""

    name: str
    connects_per_s_max: int
    """New connections per second."""
    open_links_max: int


@dataclass(frozen=True, slots=True)
class NewLink:
    """A line to register: one that we open has a URL, a modem has the name that it calls with."""

    name: str
    url: str | None = None
    caller: str | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A registered line."""

    link_id: int
    name: str
    kind: LinkKind
    url: str | None
    caller: str | None
    network: str | None
    standing: Standing
    meters: int
    """That are on it and not removed."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the network."""

    place_id: int
    kind: PlaceKind
    name: str
    parent: str | None
    points: int
    """Service points right here, not below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """A meter to register, and the service point that it serves."""

    number: str
    """As on its plate; for a keypad meter the number that tokens are sold for."""
    protocol: str = "dlt645-2007"
    """``dlt645-2007``, ``dlt645-1997`` or ``modbus``."""
    address: str = ""
    """Empty: DL/T 645 takes the number, Modbus needs its unit."""
    profile: str | None = None
    link: str | None = None
    kind: DeviceKind = DeviceKind.CREDIT
    credential: str | None = None
    ratio: int = 1
    point: str = ""
    """Empty: a point named as the meter."""
    place: str | None = None
    parent_point: str | None = None
    role: PointRole = PointRole.CUSTOMER


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A registered meter where it is now."""

    device_id: int
    number: str
    protocol: str
    address: str
    profile: str | None
    link: str | None
    kind: DeviceKind
    credential: str | None
    ratio: int
    standing: Standing
    added_at: datetime
    point: str | None
    """None: it hangs nowhere (any more)."""
    place: str | None
    role: PointRole | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A meter's time at a service point."""

    point: str
    number: str
    since: datetime
    until: datetime | None
    first_wh: int | None
    last_wh: int | None
    reason: str
