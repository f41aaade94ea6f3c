"""Homes with registers, for tests of settlement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from billing.office import Office
from billing.settlement.spans import midnight
from headend.store.readings import add_readings
from headend.values import Quality, Reading, Source
from headend.watching.marks import CHECKED, set_mark
from tests.billing.made import make_account, make_rate, make_supply

HOME = """
code = "home"
name = "Home"
[energy]
rate = "0.50"
"""
BLOCKS = """
code = "steps"
name = "Steps"
[blocks]
period = "month"
steps = [{ up_to = 100, rate = "0.50" }, { up_to = 200, rate = "0.80" }, { rate = "1.20" }]
"""
NAMES = {
    "total": "energy_import_total",
    "reactive": "reactive_energy_import_total",
    **{f"t{number}": f"energy_import_t{number}" for number in range(1, 9)},
}


@dataclass(frozen=True)
class Home:
    """An account with one supply and its meter."""

    office: Office
    account_id: int
    supply_id: int
    device_id: int

    def read(
        self,
        day: date,
        wh: int,
        *,
        minutes: int = 0,
        quality: Quality = Quality.GOOD,
        source: Source = Source.FREEZE,
        device_id: int | None = None,
        **others: int,
    ) -> None:
        """A register at the begin of a day of the zone, or so many minutes after it."""
        at = midnight(day, self.office.zone) + timedelta(minutes=minutes)
        self.read_at(at, wh, quality=quality, source=source, device_id=device_id, **others)

    def read_at(
        self,
        at: datetime,
        wh: int,
        *,
        quality: Quality = Quality.GOOD,
        source: Source = Source.FREEZE,
        device_id: int | None = None,
        **others: int,
    ) -> None:
        """Registers at a moment."""
        device = self.device_id if device_id is None else device_id
        values: Mapping[str, int] = {"total": wh, **others}
        with self.office.writing() as connection:
            add_readings(
                connection,
                [
                    Reading(device, NAMES[code], at, value, source, quality)
                    for code, value in values.items()
                ],
            )


def home(
    office: Office,
    *,
    since: date,
    tariff: str = "home",
    mode: str = "postpaid",
    cycle: str = "daily",
    customer_class: str = "residential",
) -> Home:
    """A home that is supplied since the begin of a day."""
    at = midnight(since, office.zone)
    with office.writing() as connection:
        account_id = make_account(
            connection, office, mode=mode, cycle=cycle, since=at, customer_class=customer_class
        )
        supply_id, device_id = make_supply(connection, office, account_id, tariff=tariff, since=at)
    return Home(office, account_id, supply_id, device_id)


def rate(office: Office, document: str, since: date) -> None:
    """A tariff that is approved."""
    with office.writing() as connection:
        make_rate(connection, office, document, since)


def judged(office: Office, day: date) -> None:
    """The head-end has judged all days before this one."""
    assert office.station is not None
    set_mark(office.station, CHECKED, midnight(day, office.zone))
