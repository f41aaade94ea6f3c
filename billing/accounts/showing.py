"""Accounts as a person at a desk sees them: masked, unless somebody may see more and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, select

from billing.accounts.checks import plain_identity, plain_phone
from billing.accounts.closing import closing_of
from billing.accounts.faults import AccountNumberError, ClosingStateError
from billing.accounts.looking import (
    Account,
    Agreement,
    ContactPoint,
    Supply,
    account,
    account_of,
    agreements_at,
    contacts_of,
    opened,
    select_accounts,
    supplies_of,
    tariff_at,
)
from billing.accounts.numbers import checked_number
from billing.accounts.tables import (
    account_changes,
    agreements,
    applications,
    contacts,
    customer_accounts,
    customers,
    supplies,
)
from billing.accounts.values import Closing
from billing.faults import BadEntryError
from billing.ledger.entry import Purse
from billing.ledger.posting import balances
from billing.office import Office
from billing.privacy.masks import masked_email, masked_name, masked_number, masked_text
from headend.registry.tables import end_devices, installations, service_points

LIST_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account in a list."""

    account: Account
    name: str = field(repr=False)
    """Masked."""
    balance_minor: int


@dataclass(frozen=True, slots=True)
class SupplyCard:
    """A service point of an account."""

    supply: Supply
    point: str
    meter: str | None
    """The number of the meter that is there now."""
    tariff: str | None
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccountCard:
    """All about an account."""

    account: Account
    name: str = field(repr=False)
    identity: str = field(repr=False)
    agreement: Agreement | None
    """The one in force; before that, the one that is signed."""
    balances: dict[Purse, int]
    supplies: tuple[SupplyCard, ...]
    contacts: tuple[ContactPoint, ...]
    closing: Closing | None
    changes_waiting: int
    waits: str | None
    """For what an account that is not active yet is waiting, or an active one without supply."""
    is_open: bool
    """Whether personal fields are in clear."""


def card(connection: Connection, office: Office, account_id: int, *, opened_: bool) -> AccountCard:
    """All about an account.

    Args:
        connection: in any transaction.
        office: opens and masks.
        account_id: which.
        opened_: personal fields in clear.

    Raises:
        UnknownAccountError: there is none.
    """
    found = account(connection, account_id)
    customer = connection.execute(
        select(customers).where(customers.c.customer_id == found.customer_id)
    ).one()
    name = opened(office, "customer.name", customer.name_sealed) or ""
    identity = opened(office, "customer.identity", customer.identity_sealed)
    people = contacts_of(connection, office, account_id)
    purses = {purse: balances(connection, [account_id], purse)[account_id] for purse in Purse}
    agreement = _agreement(connection, office, account_id)
    return AccountCard(
        account=found,
        name=name if opened_ else masked_name(name),
        identity=(identity or "") if opened_ else masked_number(identity),
        agreement=agreement,
        balances=purses,
        supplies=tuple(
            _supply_card(connection, office, each, opened_=opened_)
            for each in supplies_of(connection, account_id)
        ),
        contacts=tuple(people if opened_ else map(masked_contact, people)),
        closing=_closing(connection, account_id),
        changes_waiting=len(
            connection.execute(
                select(account_changes.c.change_id)
                .where(
                    account_changes.c.account_id == account_id,
                    account_changes.c.ended_at.is_(None),
                )
                .limit(LIST_MAX)
            ).all()
        ),
        waits=_waits(connection, office, found, agreement, purses),
        is_open=opened_,
    )


def masked_contact(contact: ContactPoint) -> ContactPoint:
    """A contact as lists show it."""
    return replace(
        contact,
        name=masked_name(contact.name),
        email=contact.email and masked_email(contact.email),
        phone=contact.phone and masked_number(contact.phone),
        wechat=contact.wechat and masked_text(contact.wechat),
        post=contact.post and masked_text(contact.post),
    )


def accounts_list(
    connection: Connection,
    office: Office,
    *,
    states: Sequence[str] = (),
    mode: str | None = None,
    after: int = 0,
    most: int = LIST_MAX,
) -> list[AccountLine]:
    """Accounts in the order of their ids.

    Args:
        connection: in any transaction.
        office: opens and masks names.
        states: of these states alone; none: of all.
        mode: of this mode alone.
        after: behind this id, for the next page.
        most: how many, `LIST_MAX` at most.
    """
    query = _lines().where(customer_accounts.c.account_id > after)
    if states:
        query = query.where(customer_accounts.c.state.in_(list(states)))
    if mode is not None:
        query = query.where(customer_accounts.c.mode == mode)
    rows = connection.execute(
        query.order_by(customer_accounts.c.account_id).limit(min(most, LIST_MAX))
    ).all()
    return _account_lines(connection, office, rows)


def search(connection: Connection, office: Office, words: str) -> list[AccountLine]:
    """Accounts by number (ours, the old system's), meter, service point, phone, identity, name.

    Personal fields are found by their digests: they must be given in full, letters' case apart.

    Args:
        connection: in any transaction.
        office: has the key.
        words: what somebody typed.

    Raises:
        BadEntryError: nothing to look for.
    """
    text = " ".join(words.split())
    if not text:
        raise BadEntryError("Give a number, a phone number, an identity or a full name.")
    query = _lines().where(customer_accounts.c.account_id.in_(_found(connection, office, text)))
    rows = connection.execute(query.order_by(customer_accounts.c.account_id).limit(LIST_MAX)).all()
    return _account_lines(connection, office, rows)


def _found(connection: Connection, office: Office, text: str) -> list[int]:
    account_id = customer_accounts.c.account_id
    by_number = select(account_id).where(customer_accounts.c.number == _number(text))
    by_old = select(account_id).where(customer_accounts.c.old_number == text)
    by_meter = (
        select(supplies.c.account_id)
        .join(
            installations,
            and_(installations.c.point_id == supplies.c.point_id, installations.c.until.is_(None)),
        )
        .join(end_devices, end_devices.c.device_id == installations.c.device_id)
        .where(end_devices.c.number == text, supplies.c.until.is_(None))
    )
    by_point = (
        select(supplies.c.account_id)
        .join(service_points, service_points.c.point_id == supplies.c.point_id)
        .where(service_points.c.name == text, supplies.c.until.is_(None))
    )
    queries = [by_number, by_old, by_meter, by_point]
    by_customer = select(account_id).join(
        customers, customers.c.customer_id == customer_accounts.c.customer_id
    )
    names = office.seal.digests("customer.name", text)
    queries.append(by_customer.where(customers.c.name_digest.in_(names)))
    identity = _plain(plain_identity, text)
    if identity is not None:
        digests = office.seal.digests("customer.identity", identity)
        queries.append(by_customer.where(customers.c.identity_digest.in_(digests)))
    phone = _plain(plain_phone, text)
    if phone is not None:
        digests = office.seal.digests("contact.phone", phone)
        queries.append(
            select(contacts.c.account_id).where(
                contacts.c.phone_digest.in_(digests), contacts.c.until.is_(None)
            )
        )
    found: set[int] = set()
    for query in queries:
        found |= set(connection.scalars(query.limit(LIST_MAX)))
    return sorted(found)[:LIST_MAX]


def _number(text: str) -> str:
    try:
        return checked_number(text)
    except AccountNumberError:
        return ""


def _plain(made: Any, text: str) -> str | None:
    try:
        plain: str = made(text)
    except BadEntryError:
        return None
    return plain


def _lines() -> Any:
    return select_accounts().add_columns(customers.c.name_sealed)


def _account_lines(
    connection: Connection, office: Office, rows: Sequence[Row[Any]]
) -> list[AccountLine]:
    held = balances(connection, [row.account_id for row in rows])
    return [
        AccountLine(
            account_of(row),
            masked_name(opened(office, "customer.name", row.name_sealed) or ""),
            held[row.account_id],
        )
        for row in rows
    ]


def _agreement(connection: Connection, office: Office, account_id: int) -> Agreement | None:
    now = agreements_at(connection, [account_id], office.now()).get(account_id)
    if now is not None:
        return now
    row = connection.execute(
        select(agreements)
        .where(agreements.c.account_id == account_id)
        .order_by(agreements.c.version)
        .limit(1)
    ).one_or_none()
    return None if row is None else Agreement(**row._mapping)


def _supply_card(
    connection: Connection, office: Office, supply: Supply, *, opened_: bool
) -> SupplyCard:
    point = connection.execute(
        select(service_points.c.name, supplies.c.address_sealed, end_devices.c.number)
        .join(supplies, supplies.c.point_id == service_points.c.point_id)
        .outerjoin(
            installations,
            and_(
                installations.c.point_id == service_points.c.point_id,
                installations.c.until.is_(None),
            ),
        )
        .outerjoin(end_devices, end_devices.c.device_id == installations.c.device_id)
        .where(supplies.c.supply_id == supply.supply_id)
    ).one()
    address = opened(office, "supply.address", point.address_sealed)
    moment = office.now() if supply.until is None else min(office.now(), supply.until)
    return SupplyCard(
        supply=supply,
        point=point.name,
        meter=point.number,
        tariff=tariff_at(connection, supply.supply_id, max(moment, supply.since)),
        address=(address or "") if opened_ else masked_text(address),
    )


def _closing(connection: Connection, account_id: int) -> Closing | None:
    try:
        return closing_of(connection, account_id)
    except ClosingStateError:
        return None


def _waits(
    connection: Connection,
    office: Office,
    found: Account,
    agreement: Agreement | None,
    purses: dict[Purse, int],
) -> str | None:
    if found.state == "applied":
        return "the application is to be checked"
    if found.state == "checked" and agreement is None:
        return "the agreement is to be signed"
    if found.state == "checked" and agreement is not None:
        lacking = agreement.deposit_minor - purses[Purse.DEPOSIT] - max(purses[Purse.CURRENT], 0)
        return f"a deposit of {office.currency.text(lacking)} is to be paid"
    if found.state != "active":
        return None
    return connection.scalar(
        select(applications.c.waits).where(applications.c.account_id == found.account_id)
    )
