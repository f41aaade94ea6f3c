"""Carry out approved changes, and tell what was there before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from billing.accounts.checks import checked_contact, checked_terms
from billing.accounts.faults import ChangeStateError, SameIdentityError
from billing.accounts.looking import Agreement, contact_point, opened, tariff_at
from billing.accounts.rows import insert_agreement, insert_contact, require_unsettled
from billing.accounts.tables import (
    agreements,
    contacts,
    customer_accounts,
    customers,
    supplies,
    supply_tariffs,
)
from billing.accounts.values import ChangeKind, ContactDetails, Terms
from billing.faults import BadEntryError
from billing.office import Office


@dataclass(frozen=True, slots=True)
class OldValues:
    """What a change has replaced."""

    values: Mapping[str, Any]
    personal: bool = False
    """Whether they are sealed in the log though the new ones are not."""
    contact_id: int | None = None
    """Of the contact that was made."""

    def __repr__(self) -> str:
        return "OldValues()"


def apply_change(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    """Carry out an approved change.

    Args:
        connection: in a write transaction that holds the account.
        office: has the key, and acts.
        change: a row of `account_changes`.
        new: its new values, opened.

    Raises:
        BillingError: it cannot be carried out (any more).
    """
    return _ACTS[ChangeKind(change.kind)](connection, office, change, new)


def terms_with(agreement: Agreement, new: Mapping[str, Any]) -> Terms:
    """What is agreed after a change.

    Raises:
        BadEntryError: it cannot be.
    """
    kept = {each.name: getattr(agreement, each.name) for each in fields(Terms)}
    wrong = [name for name, value in new.items() if type(value) is not type(kept[name])]
    if wrong:
        raise BadEntryError(f"{wrong[0]} has another kind of value.")
    return checked_terms(Terms(**{**kept, **new}))


def last_agreement(connection: Connection, account_id: int) -> Agreement:
    """The newest version, in force or not yet.

    Raises:
        ChangeStateError: nothing is signed.
    """
    row = connection.execute(
        select(agreements)
        .where(agreements.c.account_id == account_id)
        .order_by(agreements.c.version.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        raise ChangeStateError("No agreement is signed: there is nothing to change yet.")
    return Agreement(**row._mapping)


def _name(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    customer = _customer(connection, change.account_id)
    name = str(new["name"])
    connection.execute(
        update(customers)
        .where(customers.c.customer_id == customer.customer_id)
        .values(
            name_sealed=office.seal.seal("customer.name", name),
            name_digest=office.seal.digest("customer.name", name),
        )
    )
    return OldValues({"name": opened(office, "customer.name", customer.name_sealed)})


def _identity(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    customer = _customer(connection, change.account_id)
    identity = str(new["identity"])
    other = connection.scalar(
        select(customers.c.customer_id).where(
            customers.c.identity_digest.in_(office.seal.digests("customer.identity", identity)),
            customers.c.customer_id != customer.customer_id,
            customers.c.checked_at.is_not(None),
        )
    )
    if other is not None:
        raise SameIdentityError("Another customer has this identity already.")
    connection.execute(
        update(customers)
        .where(customers.c.customer_id == customer.customer_id)
        .values(
            identity_sealed=office.seal.seal("customer.identity", identity),
            identity_digest=office.seal.digest("customer.identity", identity),
        )
    )
    return OldValues({"identity": opened(office, "customer.identity", customer.identity_sealed)})


def _language(
    connection: Connection, _office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    customer = _customer(connection, change.account_id)
    connection.execute(
        update(customers)
        .where(customers.c.customer_id == customer.customer_id)
        .values(language=new["language"])
    )
    return OldValues({"language": customer.language})


def _class(
    connection: Connection, _office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    account = customer_accounts.c
    this = account.account_id == change.account_id
    old = connection.scalar(select(account.customer_class).where(this))
    connection.execute(update(customer_accounts).where(this).values(customer_class=new["class"]))
    return OldValues({"class": old})


def _contact_add(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    contact_id = insert_contact(connection, office, change.account_id, ContactDetails(**new))
    return OldValues({}, contact_id=contact_id)


def _contact_change(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    """The contact ends and another one begins: what was sent, was sent to the old one."""
    old = _end_contact(connection, office, change)
    contact = checked_contact(replace(old, **new))
    contact_id = insert_contact(connection, office, change.account_id, contact)
    return OldValues({name: getattr(old, name) for name in new}, True, contact_id)


def _contact_end(
    connection: Connection, office: Office, change: Row[Any], _new: Mapping[str, Any]
) -> OldValues:
    return OldValues(asdict(_end_contact(connection, office, change)), personal=True)


def _address(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    this = supplies.c.supply_id == change.supply_id
    old = connection.scalar(select(supplies.c.address_sealed).where(this))
    connection.execute(
        update(supplies)
        .where(this)
        .values(address_sealed=office.seal.seal("supply.address", str(new["address"])))
    )
    return OldValues({"address": opened(office, "supply.address", old)})


def _terms(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    last = last_agreement(connection, change.account_id)
    terms = terms_with(last, new)
    insert_agreement(
        connection,
        office,
        change.account_id,
        terms,
        mode=last.mode,
        since=max(change.from_at, last.since),
        version=last.version + 1,
    )
    return OldValues({name: getattr(last, name) for name in new})


def _mode(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    last = last_agreement(connection, change.account_id)
    insert_agreement(
        connection,
        office,
        change.account_id,
        Terms(**{each.name: getattr(last, each.name) for each in fields(Terms)}),
        mode=new["mode"],
        since=max(change.from_at, last.since),
        version=last.version + 1,
    )
    connection.execute(
        update(customer_accounts)
        .where(customer_accounts.c.account_id == change.account_id)
        .values(mode=new["mode"])
    )
    return OldValues({"mode": last.mode})


def _tariff(
    connection: Connection, office: Office, change: Row[Any], new: Mapping[str, Any]
) -> OldValues:
    require_unsettled(connection, change.supply_id, change.from_at)
    old = tariff_at(connection, change.supply_id, change.from_at)
    taken = connection.scalar(
        select(supply_tariffs.c.tariff).where(
            supply_tariffs.c.supply_id == change.supply_id,
            supply_tariffs.c.since == change.from_at,
        )
    )
    if taken is not None:
        raise ChangeStateError(
            f"The tariff {taken} begins on that very day already: choose another day."
        )
    connection.execute(
        insert(supply_tariffs).values(
            supply_id=change.supply_id,
            since=change.from_at,
            tariff=new["tariff"],
            set_by=office.person.name,
        )
    )
    return OldValues({"tariff": old})


def _customer(connection: Connection, account_id: int) -> Row[Any]:
    """The customer's row, locked: another account of the same customer may change it too."""
    customer_id = (
        select(customer_accounts.c.customer_id)
        .where(customer_accounts.c.account_id == account_id)
        .scalar_subquery()
    )
    return connection.execute(
        select(customers).where(customers.c.customer_id == customer_id).with_for_update()
    ).one()


def _end_contact(connection: Connection, office: Office, change: Row[Any]) -> ContactDetails:
    row = connection.execute(
        select(contacts).where(
            contacts.c.contact_id == change.contact_id, contacts.c.until.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise ChangeStateError("The contact has ended meanwhile.")
    connection.execute(
        update(contacts)
        .where(contacts.c.contact_id == change.contact_id)
        .values(until=office.now())
    )
    point = contact_point(office, row)
    return ContactDetails(
        **{each.name: getattr(point, each.name) for each in fields(ContactDetails)}
    )


_Act = Callable[[Connection, Office, Row[Any], Mapping[str, Any]], OldValues]
_ACTS: Final[dict[ChangeKind, _Act]] = {
    ChangeKind.NAME: _name,
    ChangeKind.IDENTITY: _identity,
    ChangeKind.LANGUAGE: _language,
    ChangeKind.CLASS: _class,
    ChangeKind.CONTACT_ADD: _contact_add,
    ChangeKind.CONTACT_CHANGE: _contact_change,
    ChangeKind.CONTACT_END: _contact_end,
    ChangeKind.ADDRESS: _address,
    ChangeKind.TERMS: _terms,
    ChangeKind.MODE: _mode,
    ChangeKind.TARIFF: _tariff,
}
