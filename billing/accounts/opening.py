"""Open an account: applied for, checked, agreed, paid for (specs/utility.md 1).

``applied`` → ``checked`` (a second look at identity and service point) → an agreement is signed →
``active``, when the deposit that it asks for is held.  The service point goes on the account in
the moment in which it becomes active.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from billing.accounts.checks import checked_application, checked_terms, require_text
from billing.accounts.faults import AccountStateError, PointTakenError, SameIdentityError
from billing.accounts.rows import (
    find_point,
    insert_account,
    insert_agreement,
    insert_contact,
    insert_customer,
    insert_supply,
    lock_account,
    record,
    require_free,
    require_tariff,
    sealed,
)
from billing.accounts.tables import agreements, applications, customer_accounts, customers
from billing.accounts.values import Application, ContactDetails, Terms
from billing.faults import BillingError
from billing.ledger.books import BETWEEN
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, post
from billing.office import Office
from billing.payments.channels import find_channel
from billing.payments.deposits import put_to_deposit
from storage.engine import attempt


@dataclass(frozen=True, slots=True)
class Applied:
    """An application that was kept."""

    account_id: int
    number: str
    """The account's number, for good."""


def apply(connection: Connection, office: Office, application: Application) -> Applied:
    """Keep an application; the account has its number from now on.

    Raises:
        BadEntryError: something of it cannot be.
        PointTakenError: there is no such service point.
        UnknownRateError: there is no such tariff.
    """
    new = checked_application(application)
    point_id = None if new.point is None else find_point(connection, new.point)
    if new.tariff is not None:
        require_tariff(connection, new.tariff)
    customer_id = insert_customer(
        connection,
        office,
        name=new.name,
        identity=new.identity,
        kind=new.kind,
        language=new.language,
    )
    account_id, number = insert_account(
        connection,
        office,
        customer_id,
        customer_class=new.customer_class,
        mode=new.mode,
        state="applied",
    )
    connection.execute(
        applications.insert().values(
            account_id=account_id,
            channel=new.channel,
            point_id=point_id,
            tariff=new.tariff,
            address_sealed=sealed(office, "application.address", new.address),
            applied_at=office.now(),
            applied_by=office.person.name,
        )
    )
    contact = new.contact or ContactDetails(name=new.name, post=new.address)
    insert_contact(connection, office, account_id, contact)
    record(connection, office, "account.apply", number, detail=f"{new.mode} by {new.channel}")
    return Applied(account_id, number)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a second look at an application has to weigh."""

    same_identity: tuple[int, ...]
    """Customers with the same identity, checked before."""
    same_name: tuple[int, ...]
    """Customers with the same name and another identity, or none."""
    their_accounts: tuple[str, ...]
    """Numbers of the accounts of those with the same identity that are not ended."""
    point_taken: str | None
    """Why the service point cannot go on this account; None: it can."""


def look_again(connection: Connection, account_id: int, office: Office) -> Findings:
    """What speaks against an application."""
    row = connection.execute(
        select(customers, applications.c.point_id)
        .join(customer_accounts, customer_accounts.c.customer_id == customers.c.customer_id)
        .join(applications, applications.c.account_id == customer_accounts.c.account_id)
        .where(customer_accounts.c.account_id == account_id)
    ).one_or_none()
    if row is None:
        raise AccountStateError("Nobody has applied for this account: it was taken over.")
    others = customers.c.customer_id != row.customer_id
    known = and_(others, customers.c.same_as.is_(None), customers.c.checked_at.is_not(None))
    identity = office.seal.open("customer.identity", bytes(row.identity_sealed))
    name = office.seal.open("customer.name", bytes(row.name_sealed))
    identities = office.seal.digests("customer.identity", identity)
    same_identity = connection.scalars(
        select(customers.c.customer_id)
        .where(known, customers.c.identity_digest.in_(identities))
        .order_by(customers.c.customer_id)
    ).all()
    same_name = connection.scalars(
        select(customers.c.customer_id)
        .where(
            known,
            customers.c.name_digest.in_(office.seal.digests("customer.name", name)),
            or_(
                customers.c.identity_digest.is_(None),
                customers.c.identity_digest.not_in(identities),
            ),
        )
        .order_by(customers.c.customer_id)
        .limit(20)
    ).all()
    theirs = connection.scalars(
        select(customer_accounts.c.number)
        .where(
            customer_accounts.c.customer_id.in_(same_identity),
            customer_accounts.c.closed_at.is_(None),
        )
        .order_by(customer_accounts.c.account_id)
    ).all()
    return Findings(
        tuple(same_identity),
        tuple(same_name),
        tuple(theirs),
        _taken(connection, office, account_id, row.point_id),
    )


def check(
    connection: Connection, office: Office, account_id: int, *, same_customer: bool = False
) -> Findings:
    """Take an application as sound.

    Args:
        connection: in a write transaction.
        office: who looks.
        account_id: whose.
        same_customer: the one with the same identity is the same customer, who gets another
            account; the name of the one who was known before stays.

    Raises:
        AccountStateError: it was checked already.
        SameIdentityError: somebody has this identity, and nobody said that it is the same one.
        PointTakenError: the service point is taken.
    """
    row = lock_account(connection, account_id)
    _require_state(row, "applied", "checked")
    found = look_again(connection, account_id, office)
    if found.point_taken is not None:
        raise PointTakenError(found.point_taken)
    if found.same_identity and not same_customer:
        theirs = ", ".join(found.their_accounts) or "none that is open"
        raise SameIdentityError(
            f"A customer with this identity is there already (accounts: {theirs}). Reject the "
            "application, or say that it is the same customer (--same-customer)."
        )
    now = office.now()
    if found.same_identity:
        _join(connection, row.customer_id, account_id, found.same_identity[0], office)
    else:
        connection.execute(
            update(customers)
            .where(customers.c.customer_id == row.customer_id)
            .values(checked_at=now)
        )
    _decide(connection, office, account_id, "checked", None)
    _set_state(connection, account_id, "checked")
    record(connection, office, "account.check", row.number)
    return found


def reject(connection: Connection, office: Office, account_id: int, reason: str) -> None:
    """Turn an application down; also when it was checked and nothing was paid yet.

    Raises:
        AccountStateError: the account is active, or there is money on it: close it instead.
        BadEntryError: no reason.
    """
    words = require_text("The reason", reason)
    row = lock_account(connection, account_id)
    if row.state not in ("applied", "checked"):
        raise AccountStateError(f"Account {row.number} is {row.state}: it cannot be rejected.")
    if any(balance(connection, account_id, purse) for purse in Purse):
        raise AccountStateError(
            f"There is money on account {row.number}: refund it before the application is rejected."
        )
    _decide(connection, office, account_id, "rejected", words)
    connection.execute(
        update(customer_accounts)
        .where(customer_accounts.c.account_id == account_id)
        .values(state="rejected", closed_at=office.now())
    )
    record(connection, office, "account.reject", row.number, reason=words)


def sign(connection: Connection, office: Office, account_id: int, terms: Terms) -> None:
    """Keep the agreement; the account is active when the deposit that it asks is held.

    Raises:
        AccountStateError: the application was not checked, or the agreement is signed already.
        BadEntryError: something of it cannot be.
        UnknownChannelError: there is no such channel for payments or refunds.
    """
    agreed = checked_terms(terms)
    for channel in (agreed.payment_channel, agreed.refund_channel):
        find_channel(connection, channel)
    row = lock_account(connection, account_id)
    _require_state(row, "checked", "signed for")
    if _signed_deposit(connection, account_id) is not None:
        raise AccountStateError(
            f"The agreement of account {row.number} is signed already: change it instead."
        )
    insert_agreement(connection, office, account_id, agreed, mode=row.mode, since=office.now())
    record(connection, office, "account.sign", row.number, detail=agreed.cycle)
    activate_if_paid(connection, office, account_id)


def activate_if_paid(connection: Connection, office: Office, account_id: int) -> bool:
    """Make an account active whose agreement is signed and whose deposit is there.

    What the deposit lacks is taken from the current purse, as far as it is all there.

    Args:
        connection: in a write transaction.
        office: the office.
        account_id: whose; locked by the caller.
    """
    row = lock_account(connection, account_id)
    deposit = _signed_deposit(connection, account_id)
    if row.state != "checked" or deposit is None:
        return False
    lacking = deposit - balance(connection, account_id, Purse.DEPOSIT)
    if lacking > balance(connection, account_id):
        return False
    _set_state(connection, account_id, "active")  # first: posting asks watchers, and they us
    if lacking > 0:
        post(connection, office, _to_deposit(account_id, lacking))
        put_to_deposit(connection, account_id, lacking)
    _begin_supply(connection, office, account_id)
    record(connection, office, "account.activate", row.number)
    return True


def _to_deposit(account_id: int, amount_minor: int) -> list[Entry]:
    entry = Entry(
        account_id,
        EntryKind.DEPOSIT,
        amount_minor,
        BETWEEN,
        f"account {account_id}",
        "Deposit",
        Purse.DEPOSIT,
    )
    return [replace(entry, amount_minor=-amount_minor, purse=Purse.CURRENT), entry]


def _begin_supply(connection: Connection, office: Office, account_id: int) -> None:
    """Put the service point on the account; money is taken all the same when it is taken."""
    applied = connection.execute(
        select(applications).where(applications.c.account_id == account_id)
    ).one_or_none()
    if applied is None or applied.point_id is None:
        return
    address = applied.address_sealed
    try:
        with attempt(connection):
            insert_supply(
                connection,
                office,
                account_id,
                applied.point_id,
                tariff=applied.tariff,
                since=office.now(),
                address=address and office.seal.open("application.address", bytes(address)),
            )
    except BillingError as fault:
        connection.execute(
            update(applications)
            .where(applications.c.account_id == account_id)
            .values(waits=str(fault))
        )


def _taken(
    connection: Connection, office: Office, account_id: int, point_id: int | None
) -> str | None:
    if point_id is None:
        return None
    try:
        require_free(connection, point_id, office.now())
    except PointTakenError as fault:
        return str(fault)
    other = connection.scalar(
        select(func.min(customer_accounts.c.number))
        .join(applications, applications.c.account_id == customer_accounts.c.account_id)
        .where(
            applications.c.point_id == point_id,
            applications.c.account_id != account_id,
            customer_accounts.c.state == "checked",
        )
    )
    if other is None:
        return None
    return f"The service point is kept for account {other}, which was checked before."


def _join(
    connection: Connection, applicant_id: int, account_id: int, customer_id: int, office: Office
) -> None:
    """The applicant is a customer whom we know: the second set of personal fields goes."""
    connection.execute(
        update(customer_accounts)
        .where(customer_accounts.c.account_id == account_id)
        .values(customer_id=customer_id)
    )
    connection.execute(
        update(customers)
        .where(customers.c.customer_id == applicant_id)
        .values(
            same_as=customer_id,
            name_sealed=office.seal.seal("customer.name", ""),
            name_digest=office.seal.digest("customer.name", ""),
            identity_sealed=None,
            identity_digest=None,
            erased_at=office.now(),
        )
    )


def _decide(
    connection: Connection, office: Office, account_id: int, decision: str, reason: str | None
) -> None:
    connection.execute(
        update(applications)
        .where(applications.c.account_id == account_id)
        .values(
            decision=decision,
            reason=reason,
            decided_at=office.now(),
            decided_by=office.person.name,
        )
    )


def _set_state(connection: Connection, account_id: int, state: str) -> None:
    connection.execute(
        update(customer_accounts)
        .where(customer_accounts.c.account_id == account_id)
        .values(state=state)
    )


def _require_state(row: Row[Any], state: str, act: str) -> None:
    if row.state != state:
        raise AccountStateError(
            f"Account {row.number} is {row.state}: to be {act} it must be {state}."
        )


def _signed_deposit(connection: Connection, account_id: int) -> int | None:
    """What the agreement asks as a deposit; None: nothing is signed."""
    return connection.scalar(
        select(agreements.c.deposit_minor)
        .where(agreements.c.account_id == account_id)
        .order_by(agreements.c.version.desc())
        .limit(1)
    )
