"""The house that is put to the proof: a shop, and a head-end with the street's links and meters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import headend.tables_all
from benchmarks.proof.asked import Asked, LinkPlan
from benchmarks.proof.street import RunningStreet
from benchmarks.registered import LinkRow, MeterRow, register
from headend.orders.calendar import CalendarDesk
from headend.orders.policy import set_policy
from headend.orders.windows import DAY_MIN, Window
from headend.person import Person
from headend.station import Station
from headend.work.durable import DurableWork
from storage.engine import open_engine
from vending import Currency, Price, PublicTestKeys, Shop, Utility
from vending.shop.rules import CounterRules

assert headend.tables_all.__doc__
_ZONE: Final = "Asia/Shanghai"
"""The simulated meters' own."""
_PROFILE: Final = "meterhouse-keypad"
CREDENTIALS: Final = '[default]\nlevel = 2\ndigits = "000000"\n'
"""Of simulated meters, public."""


@dataclass(frozen=True, slots=True)
class House:
    """What the proof holds in its hands."""

    station: Station
    work: DurableWork
    shop: Shop
    devices: dict[int, int]
    """Device id by serial number."""
    numbers: dict[int, str]
    """What stands on the plate, by serial number."""


def make_house(url: str) -> None:
    """Make the database: a shop that asks nobody about a sale."""
    utility = Utility(name="Proof", currency=Currency.named("ZAR"), zone=_ZONE, minimum_minor=500)
    price = Price(250_000, 1_500)
    with Shop.create(url, utility, price, security=PublicTestKeys()) as shop:
        shop.rules.set(CounterRules(double_sale_window_s=0))


def write_credentials(folder: Path) -> Path:
    """The file of meter passwords that workers are given."""
    path = folder / "passwords.toml"
    path.touch(mode=0o600)
    path.write_text(CREDENTIALS, "utf-8")
    return path


@contextmanager
def opened(url: str, asked: Asked, street: RunningStreet) -> Iterator[House]:
    """The house with the street registered in it."""
    engine = open_engine(url)
    try:
        station = Station(engine, ZoneInfo(_ZONE), lambda: datetime.now(UTC), Person("proof"))
        # Whatever day it is: supply may be cut on all of it.
        CalendarDesk(station).set_windows(Window(day, 0, DAY_MIN) for day in range(1, 8))
        # One person cuts the supply of all of them within minutes.
        set_policy(station, {"trips_at_once_max": len(asked.happenings)})
        with station.writing() as connection:
            ids = register(connection, _rows(asked, street), station.now())
        devices = {number: ids[address[1:]] for number, address in street.addresses.items()}
        numbers = {number: address[1:] for number, address in street.addresses.items()}
        with Shop.open(url, security=PublicTestKeys()) as shop:
            sold = [numbers[each.which] for each in asked.happenings if each.what == "sell"]
            shop.import_meters(["number", *sold])
            yield House(station, DurableWork(engine), shop, devices, numbers)
    finally:
        engine.dispose()


def _rows(asked: Asked, street: RunningStreet) -> list[LinkRow]:
    return [
        LinkRow(
            link.name,
            None if link.kind == "modem" else street.doors[link.name],
            tuple(
                _meter(link, place, street.addresses[number])
                for place, number in enumerate(link.numbers, 1)
            ),
        )
        for link in asked.streets
    ]


def _meter(link: LinkPlan, place: int, address: str) -> MeterRow:
    if link.kind.startswith("modbus"):
        return MeterRow(address[1:], "modbus", str(place), _PROFILE)
    return MeterRow(address[1:], link.protocol, address)
