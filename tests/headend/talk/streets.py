"""Simulated streets beside a station: the same true time for both, and the meters registered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from headend.station import Station
from headend.talk.device import Device, load_devices
from simulators.street import Street, build_street
from simulators.street_clock import HeldClock
from simulators.street_plan import BusPlan, StreetPlan
from tests.headend.registered import add_device, add_line

LISTEN = "127.0.0.1:0"


def street_beside(station: Station, *buses: BusPlan, days: int = 3) -> tuple[Street, HeldClock]:
    """A street that was put up so many days ago, whose time is the station's."""
    clock = HeldClock(station.now() - timedelta(days=days))
    street = build_street(StreetPlan(buses=buses), clock)
    clock.wait(days=days)
    return street, clock


def register(station: Station, street: Street) -> list[Device]:
    """All meters of a street that is reachable, in its order."""
    ids: list[int] = []
    for port, bus in zip(street.ports, street.buses, strict=True):
        link_id = add_line(station, port.url, name=port.name)
        protocol = _protocol(port.name, port.url)
        for unit, meter in enumerate(bus.wire.meters, 1):
            modbus = protocol == "modbus"
            ids.append(
                add_device(
                    station,
                    meter.address[1:],
                    link_id,
                    protocol=protocol,
                    address=str(unit) if modbus else meter.address,
                    profile="meterhouse-keypad" if modbus else None,
                )
            )
    return in_order(station, ids)


def in_order(station: Station, ids: Iterable[int]) -> list[Device]:
    """The devices of these ids."""
    wanted = list(ids)
    with station.reading() as connection:
        found = load_devices(connection, wanted)
    return [found[device_id] for device_id in wanted]


def _protocol(name: str, url: str) -> str:
    """Buses of the old edition have a name that begins with ``old``."""
    if url.startswith("modbus"):
        return "modbus"
    return "dlt645-1997" if name.startswith("old") else "dlt645-2007"
