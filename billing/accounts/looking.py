"""Look at accounts, agreements, supplies and contacts; what the other rooms of the office ask.

Personal fields are opened by `contacts_of` and `names_of` alone: for bills and notices, which go
to the people themselves.  What is shown to somebody at a desk goes through `AccountDesk`, which
masks them and keeps a line of who opened what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from billing.accounts.faults import NoAgreementError
from billing.accounts.numbers import checked_number
from billing.accounts.tables import (
    agreements,
    contacts,
    customer_accounts,
    customers,
    supplies,
    supply_tariffs,
)
from billing.faults import UnknownAccountError
from billing.office import Office

_AT_ONCE: Final = 500
"""Accounts in one look."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account; nothing of it is personal."""

    account_id: int
    number: str
    customer_id: int
    customer_class: str
    mode: str
    """``prepaid`` or ``postpaid``."""
    state: str
    """``applied``, ``checked``, ``active``, ``closing``, ``closed``, ``rejected``."""
    opened_at: datetime
    closed_at: datetime | None
    customer_kind: str
    """``person`` or ``company``."""
    language: str | None
    """The customer's own; None: the utility's."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed, in force from ``since`` until the next version begins."""

    agreement_id: int
    account_id: int
    version: int
    since: datetime
    mode: str
    cycle: str
    """Of settlement: ``hourly``, ``daily``, ``monthly``."""
    bill_day: int
    due_days: int
    payment_channel: str
    notice_channel: str
    refund_channel: str
    warn_minor: int
    floor_minor: int
    deposit_minor: int
    signed_at: datetime
    signed_by: str


@dataclass(frozen=True, slots=True)
class Supply:
    """A service point on an account."""

    supply_id: int
    account_id: int
    point_id: int
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """One of an account's people, in clear: for bills and notices, never for logs."""

    contact_id: int
    account_id: int
    role: str
    name: str
    email: str | None
    phone: str | None
    wechat: str | None
    post: str | None
    language: str | None
    gets_bill: bool
    gets_notices: bool

    def __repr__(self) -> str:
        return f"ContactPoint({self.contact_id}, {self.role})"


def account(connection: Connection, account_id: int) -> Account:
    """An account by its id.

    Raises:
        UnknownAccountError: there is none.
    """
    row = connection.execute(
        select_accounts().where(customer_accounts.c.account_id == account_id)
    ).one_or_none()
    if row is None:
        raise UnknownAccountError(f"There is no account with the id {account_id}.")
    return account_of(row)


def account_by_number(connection: Connection, number: str) -> Account:
    """An account by its number, as somebody typed it.

    Raises:
        AccountNumberError: it cannot be an account number.
        UnknownAccountError: no account has it.
    """
    digits = checked_number(number)
    row = connection.execute(
        select_accounts().where(customer_accounts.c.number == digits)
    ).one_or_none()
    if row is None:
        raise UnknownAccountError(f"There is no account {digits}.")
    return account_of(row)


def accounts_of(connection: Connection, account_ids: Sequence[int]) -> dict[int, Account]:
    """Many accounts by their ids; ids without an account are left out."""
    return {
        row.account_id: account_of(row)
        for part in _parts(account_ids)
        for row in connection.execute(
            select_accounts().where(customer_accounts.c.account_id.in_(part))
        )
    }


def agreement_at(connection: Connection, account_id: int, moment: datetime) -> Agreement:
    """The agreement that is in force at a moment.

    Raises:
        NoAgreementError: none was in force yet.
    """
    found = agreements_at(connection, [account_id], moment).get(account_id)
    if found is None:
        raise NoAgreementError(
            f"No agreement of the account with the id {account_id} is in force at "
            f"{moment.isoformat(timespec='minutes')}: have it signed first."
        )
    return found


def agreements_at(
    connection: Connection, account_ids: Sequence[int], moment: datetime
) -> dict[int, Agreement]:
    """The agreements of many accounts at a moment; accounts without one are left out."""
    found: dict[int, Agreement] = {}
    for part in _parts(account_ids):
        newest = (
            select(
                agreements.c.account_id.label("account_id"),
                func.max(agreements.c.version).label("version"),
            )
            .where(agreements.c.account_id.in_(part), agreements.c.since <= moment)
            .group_by(agreements.c.account_id)
            .subquery()
        )
        rows = connection.execute(
            select(agreements).join(
                newest,
                and_(
                    newest.c.account_id == agreements.c.account_id,
                    newest.c.version == agreements.c.version,
                ),
            )
        )
        found |= {row.account_id: Agreement(**row._mapping) for row in rows}
    return found


def supplies_of(
    connection: Connection, account_id: int, at: datetime | None = None
) -> list[Supply]:
    """The service points of an account, the oldest first.

    Args:
        connection: in any transaction.
        account_id: whose.
        at: those of that moment alone; None: all that ever were.
    """
    query = select_supplies().where(supplies.c.account_id == account_id)
    if at is not None:
        query = query.where(in_force(supplies, at))
    return [
        Supply(**row._mapping)
        for row in connection.execute(query.order_by(supplies.c.since, supplies.c.supply_id))
    ]


def supplies_of_many(
    connection: Connection, account_ids: Sequence[int], at: datetime | None = None
) -> dict[int, list[Supply]]:
    """The service points of many accounts; all of them are in it.  See `supplies_of`."""
    found: dict[int, list[Supply]] = {each: [] for each in account_ids}
    for part in _parts(account_ids):
        query = select_supplies().where(supplies.c.account_id.in_(part))
        if at is not None:
            query = query.where(in_force(supplies, at))
        for row in connection.execute(query.order_by(supplies.c.since, supplies.c.supply_id)):
            found[row.account_id].append(Supply(**row._mapping))
    return found


def supply_at_point(connection: Connection, point_id: int, at: datetime) -> Supply | None:
    """Which supply a service point is on at a moment."""
    row = connection.execute(
        select_supplies().where(supplies.c.point_id == point_id, in_force(supplies, at))
    ).one_or_none()
    return None if row is None else Supply(**row._mapping)


def tariff_at(connection: Connection, supply_id: int, moment: datetime) -> str | None:
    """The code of the tariff by which a supply is priced at a moment."""
    return connection.scalar(
        select(supply_tariffs.c.tariff)
        .where(supply_tariffs.c.supply_id == supply_id, supply_tariffs.c.since <= moment)
        .order_by(supply_tariffs.c.since.desc())
        .limit(1)
    )


def contacts_of(
    connection: Connection,
    office: Office,
    account_id: int,
    *,
    bills: bool = False,
    notices: bool = False,
) -> list[ContactPoint]:
    """The people of an account in clear, the customer first.

    Args:
        connection: in any transaction.
        office: has the key.
        account_id: whose.
        bills: those alone who get bills.
        notices: those alone who get notices.
    """
    found = contacts_of_many(connection, office, [account_id], bills=bills, notices=notices)
    return found[account_id]


def contacts_of_many(
    connection: Connection,
    office: Office,
    account_ids: Sequence[int],
    *,
    bills: bool = False,
    notices: bool = False,
) -> dict[int, list[ContactPoint]]:
    """The people of many accounts; all accounts are in it.  See `contacts_of`."""
    found: dict[int, list[ContactPoint]] = {each: [] for each in account_ids}
    wanted = [in_force(contacts, office.now(), by_now=True), contacts.c.name_sealed.is_not(None)]
    if bills:
        wanted.append(contacts.c.gets_bill == 1)
    if notices:
        wanted.append(contacts.c.gets_notices == 1)
    for part in _parts(account_ids):
        rows = connection.execute(
            select(contacts)
            .where(contacts.c.account_id.in_(part), *wanted)
            .order_by(contacts.c.contact_id)
        )
        for row in rows:
            found[row.account_id].append(contact_point(office, row))
    for people in found.values():
        people.sort(key=lambda each: each.role != "customer")
    return found


def names_of(
    connection: Connection, office: Office, account_ids: Sequence[int]
) -> Mapping[int, str]:
    """The customers' names in clear, by account; an erased name is empty."""
    found: dict[int, str] = {}
    for part in _parts(account_ids):
        rows = connection.execute(
            select(customer_accounts.c.account_id, customers.c.name_sealed)
            .join(customers, customers.c.customer_id == customer_accounts.c.customer_id)
            .where(customer_accounts.c.account_id.in_(part))
        )
        for account_id, sealed in rows:
            found[account_id] = opened(office, "customer.name", sealed) or ""
    return found


def address_of(connection: Connection, office: Office, supply_id: int) -> str:
    """Where a supply is, in clear; empty when nobody has said."""
    sealed = connection.scalar(
        select(supplies.c.address_sealed).where(supplies.c.supply_id == supply_id)
    )
    return opened(office, "supply.address", sealed) or ""


def contact_point(office: Office, row: Row[Any]) -> ContactPoint:
    """One of an account's people from its row."""
    return ContactPoint(
        contact_id=row.contact_id,
        account_id=row.account_id,
        role=row.role,
        name=opened(office, "contact.name", row.name_sealed) or "",
        email=opened(office, "contact.email", row.email_sealed),
        phone=opened(office, "contact.phone", row.phone_sealed),
        wechat=opened(office, "contact.wechat", row.wechat_sealed),
        post=opened(office, "contact.post", row.post_sealed),
        language=row.language,
        gets_bill=bool(row.gets_bill),
        gets_notices=bool(row.gets_notices),
    )


def opened(office: Office, field: str, sealed: bytes | None) -> str | None:
    """A personal field in clear; None where there is none (any more)."""
    return None if sealed is None else office.seal.open(field, bytes(sealed))


def select_accounts() -> Select[Any]:
    """What `account_of` reads."""
    return select(
        customer_accounts,
        customers.c.kind.label("customer_kind"),
        customers.c.language,
    ).join(customers, customers.c.customer_id == customer_accounts.c.customer_id)


def account_of(row: Row[Any]) -> Account:
    """An account from its row."""
    return Account(
        account_id=row.account_id,
        number=row.number,
        customer_id=row.customer_id,
        customer_class=row.customer_class,
        mode=row.mode,
        state=row.state,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        customer_kind=row.customer_kind,
        language=row.language,
    )


def select_supplies() -> Select[Any]:
    """What `Supply` holds."""
    return select(
        supplies.c.supply_id,
        supplies.c.account_id,
        supplies.c.point_id,
        supplies.c.since,
        supplies.c.until,
    )


def in_force(table: Any, moment: datetime, *, by_now: bool = False) -> Any:
    """An SQL condition: a row with ``since`` and ``until`` holds at a moment.

    ``by_now``: begun or not, as long as it has not ended.
    """
    lasts = or_(table.c.until.is_(None), table.c.until > moment)
    return lasts if by_now else and_(table.c.since <= moment, lasts)


def _parts(ids: Iterable[int]) -> Iterator[Sequence[int]]:
    wanted = sorted(set(ids))
    for place in range(0, len(wanted), _AT_ONCE):
        yield wanted[place : place + _AT_ONCE]
