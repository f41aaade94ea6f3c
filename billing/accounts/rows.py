"""Rows of customers and accounts, with their personal fields sealed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select

from billing.accounts.faults import PointTakenError, SettledSinceError
from billing.accounts.looking import in_force
from billing.accounts.numbers import account_number
from billing.accounts.tables import (
    agreements,
    contacts,
    customer_accounts,
    customers,
    supplies,
    supply_tariffs,
)
from billing.accounts.values import ContactDetails, Terms
from billing.faults import UnknownAccountError
from billing.office import Office
from billing.settlement.tables import settlements
from billing.tariffs.faults import UnknownRateError
from billing.tariffs.tables import rates
from headend.registry.tables import service_points
from storage import audit
from storage.prepared import NextId

_NEXT_ACCOUNT: Final = NextId("customer_accounts", "account_id")


def sealed(office: Office, field: str, text: str | None) -> bytes | None:
    """A personal field for the database; None where there is none."""
    return None if text is None else office.seal.seal(field, text)


def insert_customer(
    connection: Connection,
    office: Office,
    *,
    name: str,
    identity: str | None,
    kind: str,
    language: str | None,
    checked: bool = False,
) -> int:
    """Keep a customer; gives the id."""
    now = office.now()
    customer_id: int = connection.execute(
        insert(customers)
        .values(
            kind=kind,
            name_sealed=sealed(office, "customer.name", name),
            name_digest=office.seal.digest("customer.name", name),
            identity_sealed=sealed(office, "customer.identity", identity),
            identity_digest=identity and office.seal.digest("customer.identity", identity),
            language=language,
            added_at=now,
            checked_at=now if checked else None,
        )
        .returning(customers.c.customer_id)
    ).scalar_one()
    return customer_id


def insert_account(
    connection: Connection,
    office: Office,
    customer_id: int,
    *,
    customer_class: str,
    mode: str,
    state: str,
    old_number: str | None = None,
) -> tuple[int, str]:
    """Open an account; gives its id and its number."""
    account_id = _NEXT_ACCOUNT.take(connection)
    if account_id is None:  # SQLite: nobody else writes
        account_id = (connection.scalar(select(func.max(customer_accounts.c.account_id))) or 0) + 1
    number = account_number(account_id)
    connection.execute(
        insert(customer_accounts).values(
            account_id=account_id,
            number=number,
            old_number=old_number,
            customer_id=customer_id,
            customer_class=customer_class,
            mode=mode,
            state=state,
            opened_at=office.now(),
        )
    )
    return account_id, number


def insert_agreement(
    connection: Connection,
    office: Office,
    account_id: int,
    terms: Terms,
    *,
    mode: str,
    since: datetime,
    version: int = 1,
) -> None:
    """Keep what was signed."""
    connection.execute(
        insert(agreements).values(
            account_id=account_id,
            version=version,
            since=since,
            mode=mode,
            **asdict(terms),
            signed_at=office.now(),
            signed_by=office.person.name,
        )
    )


def insert_contact(
    connection: Connection, office: Office, account_id: int, contact: ContactDetails
) -> int:
    """Keep one of an account's people; gives the id."""
    seal = office.seal
    contact_id: int = connection.execute(
        insert(contacts)
        .values(
            account_id=account_id,
            role=contact.role,
            name_sealed=seal.seal("contact.name", contact.name),
            email_sealed=sealed(office, "contact.email", contact.email),
            phone_sealed=sealed(office, "contact.phone", contact.phone),
            phone_digest=contact.phone and seal.digest("contact.phone", contact.phone),
            wechat_sealed=sealed(office, "contact.wechat", contact.wechat),
            post_sealed=sealed(office, "contact.post", contact.post),
            language=contact.language,
            gets_bill=int(contact.gets_bill),
            gets_notices=int(contact.gets_notices),
            since=office.now(),
        )
        .returning(contacts.c.contact_id)
    ).scalar_one()
    return contact_id


def insert_supply(
    connection: Connection,
    office: Office,
    account_id: int,
    point_id: int,
    *,
    tariff: str,
    since: datetime,
    address: str | None,
) -> int:
    """Put a service point on an account; gives the supply's id.

    Raises:
        PointTakenError: it is on another account then.
        SettledSinceError: see `require_unsettled`.
    """
    require_free(connection, point_id, since)
    supply_id: int = connection.execute(
        insert(supplies)
        .values(
            account_id=account_id,
            point_id=point_id,
            since=since,
            address_sealed=sealed(office, "supply.address", address),
        )
        .returning(supplies.c.supply_id)
    ).scalar_one()
    connection.execute(
        insert(supply_tariffs).values(
            supply_id=supply_id, since=since, tariff=tariff, set_by=office.person.name
        )
    )
    return supply_id


def require_free(connection: Connection, point_id: int, since: datetime) -> None:
    """Refuse a service point that is on an account at a moment, or later.

    Raises:
        PointTakenError: says so, and on which.
    """
    # its row is locked, so that of two that want it the second sees the first
    connection.execute(
        select(service_points.c.point_id)
        .where(service_points.c.point_id == point_id)
        .with_for_update()
    )
    number = connection.scalar(
        select(customer_accounts.c.number)
        .join(supplies, supplies.c.account_id == customer_accounts.c.account_id)
        .where(supplies.c.point_id == point_id, in_force(supplies, since, by_now=True))
        .limit(1)
    )
    if number is not None:
        raise PointTakenError(
            f"The service point is on account {number} then: close that one, or transfer the "
            "point from it."
        )


def require_tariff(connection: Connection, code: str) -> str:
    """A tariff's code; one that nobody has made prices nothing, and would be found out too late.

    Raises:
        UnknownRateError: there is no such tariff.
    """
    found = connection.scalar(select(rates.c.code).where(rates.c.code == code.strip()))
    if found is None:
        raise UnknownRateError(f"There is no tariff {code[:40]!r}; see `meterhouse rate list`.")
    return str(found)


def find_point(connection: Connection, name: str) -> int:
    """A service point by its name.

    Raises:
        PointTakenError: there is none.
    """
    point_id = connection.scalar(
        select(service_points.c.point_id).where(service_points.c.name == name.strip())
    )
    if point_id is None:
        raise PointTakenError(
            f"There is no service point {name[:80]!r}. `meterhouse device add` makes one with its "
            "meter."
        )
    return int(point_id)


def require_unsettled(connection: Connection, supply_id: int, moment: datetime) -> None:
    """Refuse what would begin or end before the end of what is settled.

    Raises:
        SettledSinceError: says until when.
    """
    until = connection.scalar(
        select(func.max(settlements.c.until)).where(settlements.c.supply_id == supply_id)
    )
    if until is not None and until > moment:
        raise SettledSinceError(
            f"The supply is settled until {until.isoformat(timespec='minutes')}: choose a later "
            "time."
        )


def lock_account(connection: Connection, account_id: int) -> Row[Any]:
    """The row of an account; nobody else changes it until the transaction ends.

    Raises:
        UnknownAccountError: there is none.
    """
    row = connection.execute(
        select(customer_accounts)
        .where(customer_accounts.c.account_id == account_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise UnknownAccountError(f"There is no account with the id {account_id}.")
    return row


def record(
    connection: Connection,
    office: Office,
    action: str,
    subject: str,
    *,
    detail: str = "",
    reason: str = "",
) -> None:
    """Keep an audit line of an act at the desk; nothing personal goes in."""
    audit.record(
        connection,
        office.now(),
        actor=office.person.name,
        action=action,
        subject=subject,
        detail=detail,
        reason=reason,
    )
