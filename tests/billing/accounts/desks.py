"""People and applications for tests of the accounts desk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select

from billing.accounts.desk import AccountDesk
from billing.accounts.values import Application, ContactDetails, Terms
from billing.accounts.watcher import DepositWatcher
from billing.ledger.books import RECEIVED, ensure_account
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from billing.person import Person
from billing.tariffs.tables import rates
from headend.registry.tables import end_devices, installations, service_points
from storage.ledger import AccountKind

CLERK = Person("Wang")
SECOND = Person("Chen")
TERMS = Terms(deposit_minor=100_00, warn_minor=20_00)


def desk_of(office: Office, person: Person = CLERK) -> AccountDesk:
    """The desk, with somebody at it; accounts become active when they are paid."""
    with office.writing() as connection:
        make_tariffs(connection, office)
    return AccountDesk(replace(office, person=person, watchers=(DepositWatcher(),)))


def make_tariffs(connection: Connection, office: Office) -> None:
    """The tariffs that the tests name."""
    there = set(connection.scalars(select(rates.c.code)))
    for code in {"home", "shop", "x", "y"} - there:
        connection.execute(insert(rates).values(code=code, added_at=office.now()))


def application(**others: Any) -> Application:
    """Somebody who wants an account."""
    values: dict[str, Any] = {
        "channel": "counter",
        "name": "Li Wei",
        "identity": "110101-19900307 123x",
        "address": "7 River Street, flat 12",
        "contact": ContactDetails("Li Wei", email="li@example.org", phone="+86 138 0013 8000"),
    }
    return Application(**{**values, **others})


def make_point(connection: Connection, office: Office, number: str) -> str:
    """A service point with a meter of this number; gives its name."""
    name = f"point of {number}"
    point_id = connection.execute(
        insert(service_points)
        .values(name=name, role="customer", added_at=office.now())
        .returning(service_points.c.point_id)
    ).scalar_one()
    device_id = connection.execute(
        insert(end_devices)
        .values(
            number=number,
            protocol="dlt645-2007",
            address=f"{int(number):012d}",
            kind="credit",
            ratio=1,
            state="active",
            added_at=office.now(),
        )
        .returning(end_devices.c.device_id)
    ).scalar_one()
    connection.execute(
        insert(installations).values(
            point_id=point_id,
            device_id=device_id,
            since=office.now(),
            first_wh=0,
            reason="installed",
            made_by="test",
        )
    )
    return name


def pay(desk: AccountDesk, account_id: int, amount_minor: int) -> None:
    """Money comes to an account."""
    office = desk.office
    with office.writing() as connection:
        ensure_account(connection, f"{RECEIVED}.test", AccountKind.ASSET, office.currency.code)
        entry = Entry(
            account_id, EntryKind.PAYMENT, amount_minor, f"{RECEIVED}.test", "payment 1", "cash"
        )
        post(connection, office, [entry])


def open_account(desk: AccountDesk, **others: Any) -> tuple[int, str]:
    """An active account with its deposit; gives its id and number."""
    applied = desk.apply(application(**others))
    desk.check(applied.number)
    desk.sign(applied.number, TERMS)
    pay(desk, applied.account_id, TERMS.deposit_minor)
    return applied.account_id, applied.number
