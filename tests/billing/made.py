"""Accounts and supplies for tests that are not about opening them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import Connection, func, insert, select

from billing.accounts.numbers import account_number
from billing.accounts.tables import (
    agreements,
    customer_accounts,
    customers,
    supplies,
    supply_tariffs,
)
from billing.office import Office
from billing.person import Person
from billing.tariffs.store import add_version, approve_version
from billing.tariffs.version import TariffVersion
from headend.registry.tables import end_devices, installations, links, service_points


def make_account(
    connection: Connection,
    office: Office,
    *,
    mode: str = "postpaid",
    customer_class: str = "residential",
    cycle: str = "daily",
    warn_minor: int = 20_00,
    floor_minor: int = 0,
    deposit_minor: int = 0,
    name: str = "Li Wei",
    since: datetime | None = None,
) -> int:
    """An active account with an agreement; gives its id."""
    at = since or office.now()
    customer_id = connection.execute(
        insert(customers)
        .values(
            kind="person",
            name_sealed=office.seal.seal("customer.name", name),
            name_digest=office.seal.digest("customer.name", name),
            added_at=at,
        )
        .returning(customers.c.customer_id)
    ).scalar_one()
    count = connection.scalar(select(func.count()).select_from(customer_accounts)) or 0
    account_id: int = connection.execute(
        insert(customer_accounts)
        .values(
            number=account_number(count + 1),
            customer_id=customer_id,
            customer_class=customer_class,
            mode=mode,
            state="active",
            opened_at=at,
        )
        .returning(customer_accounts.c.account_id)
    ).scalar_one()
    connection.execute(
        insert(agreements).values(
            account_id=account_id,
            version=1,
            since=at,
            mode=mode,
            cycle=cycle,
            bill_day=1,
            due_days=14,
            payment_channel="counter",
            notice_channel="email",
            refund_channel="counter",
            warn_minor=warn_minor,
            floor_minor=floor_minor,
            deposit_minor=deposit_minor,
            signed_at=at,
            signed_by="test",
        )
    )
    return account_id


def make_supply(
    connection: Connection,
    office: Office,
    account_id: int,
    *,
    tariff: str = "home",
    since: datetime | None = None,
    url: str | None = None,
) -> tuple[int, int]:
    """A service point with a meter, on an account; gives (supply id, device id).

    Args:
        connection: in a write transaction.
        office: the office.
        account_id: whose.
        tariff: code of its tariff.
        since: from when on; None: now.
        url: of the line on which the meter answers; None: it is on no line.
    """
    at = since or office.now()
    count = connection.scalar(select(func.count()).select_from(service_points)) or 0
    point_id = connection.execute(
        insert(service_points)
        .values(name=f"point {count + 1}", role="customer", added_at=at)
        .returning(service_points.c.point_id)
    ).scalar_one()
    link_id = None
    if url is not None:
        link_id = connection.scalar(select(links.c.link_id).where(links.c.url == url))
        if link_id is None:
            link_id = connection.execute(
                insert(links)
                .values(name=f"line {url}", kind="tcp", url=url, state="active", added_at=at)
                .returning(links.c.link_id)
            ).scalar_one()
    device_id: int = connection.execute(
        insert(end_devices)
        .values(
            number=f"{count + 1:011d}",
            protocol="dlt645-2007",
            address=f"{count + 1:012d}",
            link_id=link_id,
            kind="credit",
            ratio=1,
            state="active",
            added_at=at,
        )
        .returning(end_devices.c.device_id)
    ).scalar_one()
    connection.execute(
        insert(installations).values(
            point_id=point_id,
            device_id=device_id,
            since=at,
            first_wh=0,
            reason="installed",
            made_by="test",
        )
    )
    supply_id: int = connection.execute(
        insert(supplies)
        .values(account_id=account_id, point_id=point_id, since=at)
        .returning(supplies.c.supply_id)
    ).scalar_one()
    connection.execute(
        insert(supply_tariffs).values(
            supply_id=supply_id, since=at - timedelta(days=1), tariff=tariff, set_by="test"
        )
    )
    return supply_id, device_id


def make_rate(connection: Connection, office: Office, document: str, since: date) -> TariffVersion:
    """An approved version of a tariff, from the start of a day on (docs/rates.md)."""
    version = add_version(connection, office.acting(Person("proposer")), document, since=since)
    approver = office.acting(Person("approver"))
    approve_version(connection, approver, version.code, version.version)
    return version
