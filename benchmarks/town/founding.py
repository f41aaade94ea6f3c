"""The town's office: accounts, supplies, meters, tariffs; made in a few large steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, insert

import billing.tables_all
from benchmarks.town.people import FIRST, TARIFFS, Household
from billing.accounts.numbers import account_number
from billing.accounts.tables import (
    agreements,
    customer_accounts,
    customers,
    supplies,
    supply_tariffs,
)
from billing.ledger.books import open_books
from billing.office import Office
from billing.person import Person
from billing.privacy.seal import KEY_BYTES, Seal
from billing.settlement.policy import Act, Kind, set_act
from billing.tariffs.store import add_version, approve_version
from headend.registry.tables import end_devices, installations, service_points
from headend.station import Station
from storage.engine import open_engine
from vending import Currency, Price, Shop, Utility

assert billing.tables_all.__doc__
ZONE: Final = ZoneInfo("Asia/Shanghai")
BEGIN: Final = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=ZONE).astimezone(UTC)
_AT_ONCE: Final = 2_000
_SECOND: Final = Person("second")
_FIRST: Final = Person("first")


class TownClock:
    """The town's time."""

    def __init__(self, now: datetime = BEGIN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """What time it is."""
        return self.now


def make_database(url: str) -> None:
    """An empty office."""
    utility = Utility("Town Power", Currency.named("CNY"), zone=str(ZONE))
    Shop.create(url, utility, Price(per_kwh=55_000), now=lambda: BEGIN).close()


def open_town(url: str, clock: TownClock) -> Office:
    """The office on a database."""
    engine = open_engine(url)
    return Office(
        engine=engine,
        zone=ZONE,
        currency=Currency.named("CNY"),
        clock=clock,
        seal=Seal(bytes(KEY_BYTES)),  # nobody lives there
        person=_FIRST,
        name="Town Power",
        station=Station(engine, ZONE, clock),
    )


def found(office: Office, clock: TownClock, town: Sequence[Household]) -> None:
    """Write everybody down.  A household's number is the id of its account, supply and meter."""
    clock.now = BEGIN - timedelta(days=2)
    with office.writing() as connection:
        open_books(connection, office.currency.code)
        for code, versions in TARIFFS.items():
            for place, (since, document) in enumerate(versions, 1):
                add_version(connection, office, document, since=since)
                approve_version(connection, office.acting(_SECOND), code, place)
    for check in ("not_judged", "use_swing", "exchange", "first_reading", "tariff_gap"):
        set_act(office, check, Kind.MONTHLY, Act.PASS)
        set_act(office, check, Kind.PREPAID, Act.PASS)
    for start in range(0, len(town), _AT_ONCE):
        with office.writing() as connection:
            for table, row in _ROWS:
                rows = [row(office, each) for each in town[start : start + _AT_ONCE]]
                _insert(connection, table, rows)
    clock.now = BEGIN


def at_end_of(day: date) -> datetime:
    """When a day ends."""
    later = day + timedelta(days=1)
    return datetime(later.year, later.month, later.day, tzinfo=ZONE).astimezone(UTC)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(table), rows)


def _customer(office: Office, household: Household) -> dict[str, Any]:
    name = f"Household {household.number}"
    return {
        "customer_id": household.number,
        "kind": "person",
        "name_sealed": office.seal.seal("customer.name", name),
        "name_digest": office.seal.digest("customer.name", name),
        "added_at": BEGIN,
    }


def _account(_office: Office, household: Household) -> dict[str, Any]:
    return {
        "account_id": household.number,
        "number": account_number(household.number),
        "customer_id": household.number,
        "customer_class": "residential",
        "mode": household.mode,
        "state": "active",
        "opened_at": BEGIN,
    }


def _agreement(_office: Office, household: Household) -> dict[str, Any]:
    return {
        "account_id": household.number,
        "version": 1,
        "since": BEGIN,
        "mode": household.mode,
        "cycle": "daily" if household.mode == "prepaid" else "monthly",
        "bill_day": 1,
        "due_days": 14,
        "payment_channel": "counter",
        "notice_channel": "email",
        "refund_channel": "counter",
        "warn_minor": 20_00,
        "floor_minor": 0,
        "deposit_minor": 0,
        "signed_at": BEGIN,
        "signed_by": "first",
    }


def _point(_office: Office, household: Household) -> dict[str, Any]:
    return {
        "point_id": household.number,
        "name": f"house {household.number}",
        "role": "customer",
        "added_at": BEGIN,
    }


def _device(_office: Office, household: Household) -> dict[str, Any]:
    return {
        "device_id": household.number,
        "number": f"{household.number:011d}",
        "protocol": "dlt645-2007",
        "address": f"{household.number:012d}",
        "kind": "credit",
        "ratio": 1,
        "state": "active",
        "added_at": BEGIN,
    }


def _installation(_office: Office, household: Household) -> dict[str, Any]:
    return {
        "point_id": household.number,
        "device_id": household.number,
        "since": BEGIN,
        "first_wh": 0,
        "reason": "installed",
        "made_by": "first",
    }


def _supply(_office: Office, household: Household) -> dict[str, Any]:
    return {
        "supply_id": household.number,
        "account_id": household.number,
        "point_id": household.number,
        "since": BEGIN,
    }


def _supply_tariff(_office: Office, household: Household) -> dict[str, Any]:
    return {
        "supply_id": household.number,
        "since": BEGIN,
        "tariff": household.tariff,
        "set_by": "first",
    }


_ROWS: Final = (
    (customers, _customer),
    (customer_accounts, _account),
    (agreements, _agreement),
    (service_points, _point),
    (end_devices, _device),
    (installations, _installation),
    (supplies, _supply),
    (supply_tariffs, _supply_tariff),
)
