"""Put service points on accounts, take them off, and hand them from one customer to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from billing.accounts.checks import require_text
from billing.accounts.faults import AccountStateError, NoSuchChangeError, SettledSinceError
from billing.accounts.looking import tariff_at
from billing.accounts.rows import (
    find_point,
    insert_supply,
    lock_account,
    record,
    require_tariff,
    require_unsettled,
)
from billing.accounts.tables import applications, customer_accounts, supplies
from billing.faults import BadEntryError
from billing.ledger.posting import lock
from billing.office import Office

_AHEAD_MAX: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class NewSupply:
    """A service point for an account."""

    point: str
    """Its name."""
    tariff: str
    since: datetime | None = None
    """None: from now on."""
    address: str | None = None

    def __repr__(self) -> str:
        return f"NewSupply({self.point!r})"


def add_supply(connection: Connection, office: Office, account_id: int, new: NewSupply) -> int:
    """Put a service point on an account; gives the supply's number.

    Raises:
        AccountStateError: the account is not active.
        PointTakenError: there is no such point, or it is on another account then.
        UnknownRateError: there is no such tariff.
        BadEntryError: something of it cannot be.
    """
    row = lock_account(connection, account_id)
    if row.state != "active":
        raise AccountStateError(
            f"Account {row.number} is {row.state}: service points go on active accounts."
        )
    since = new.since or office.now()
    _require_near(office, since)
    supply_id = insert_supply(
        connection,
        office,
        account_id,
        find_point(connection, new.point),
        tariff=require_tariff(connection, new.tariff),
        since=since,
        address=None if new.address is None else require_text("The address", new.address),
    )
    connection.execute(
        update(applications).where(applications.c.account_id == account_id).values(waits=None)
    )
    record(
        connection, office, "account.supply", row.number, detail=f"{new.point} supply {supply_id}"
    )
    return supply_id


def end_supply(
    connection: Connection, office: Office, supply_id: int, at: datetime, reason: str
) -> None:
    """Take a service point off its account; it is settled up to then.

    Raises:
        NoSuchChangeError: there is no such supply, or it ends at another time already.
        SettledSinceError: it is settled beyond that moment.
        BadEntryError: the moment cannot be.
    """
    why = require_text("The reason", reason)
    supply = _locked_supply(connection, supply_id)
    _require_near(office, at)
    if supply.until is not None and supply.until != at:
        raise NoSuchChangeError(
            f"Supply {supply_id} ends at {supply.until.isoformat(timespec='minutes')} already."
        )
    if at <= supply.since:
        raise BadEntryError(
            f"Supply {supply_id} began at {supply.since.isoformat(timespec='minutes')}: it ends "
            "after that."
        )
    require_unsettled(connection, supply_id, at)
    connection.execute(update(supplies).where(supplies.c.supply_id == supply_id).values(until=at))
    detail = f"supply {supply_id} until {at.isoformat(timespec='minutes')}"
    number = _number(connection, supply.account_id)
    record(connection, office, "account.supply_end", number, detail=detail, reason=why)


def transfer(
    connection: Connection,
    office: Office,
    supply_id: int,
    to_account_id: int,
    day: date,
    *,
    tariff: str | None = None,
    reason: str = "moved",
) -> int:
    """Hand a service point to another customer at the start of a day; gives the new supply.

    One reading serves both: where the old supply ends, the new one begins.

    Args:
        connection: in a write transaction.
        office: who acts.
        supply_id: of the one who moves out.
        to_account_id: of the one who moves in; active.
        day: from which on the new one pays.
        tariff: of the new one; None: as before.
        reason: for the trail.

    Raises:
        NoSuchChangeError: there is no such supply, or it ends at another time already.
        AccountStateError: the new account is not active, or is the old one.
        SettledSinceError: the day is settled already.
        BadEntryError: the day cannot be.
    """
    at = office.day_start(day)
    old = _supply(connection, supply_id)
    lock(connection, sorted({old.account_id, to_account_id}))
    row = lock_account(connection, to_account_id)
    if row.state != "active" or to_account_id == old.account_id:
        raise AccountStateError(
            f"Account {row.number} is {row.state}: a service point goes to another account that "
            "is active."
        )
    end_supply(connection, office, supply_id, at, reason)
    code = tariff or tariff_at(connection, supply_id, at)
    if code is None:
        raise BadEntryError("The old supply has no tariff: give the code of the new one's.")
    sealed = old.address_sealed
    new_id = insert_supply(
        connection,
        office,
        to_account_id,
        old.point_id,
        tariff=code if tariff is None else require_tariff(connection, code),
        since=at,
        address=sealed and office.seal.open("supply.address", bytes(sealed)),
    )
    connection.execute(
        update(applications).where(applications.c.account_id == to_account_id).values(waits=None)
    )
    detail = f"supply {supply_id} goes on as {new_id}"
    record(connection, office, "account.transfer", row.number, detail=detail, reason=reason)
    return new_id


def follow_on(connection: Connection, office: Office, supply: Row[Any]) -> int:
    """Go on with a supply that was to end: another one begins where it ends.

    Raises:
        PointTakenError: somebody else has the service point from then on.
    """
    code = tariff_at(connection, supply.supply_id, supply.until)
    if code is None:
        raise SettledSinceError(f"Supply {supply.supply_id} has no tariff to go on with.")
    sealed = supply.address_sealed
    return insert_supply(
        connection,
        office,
        supply.account_id,
        supply.point_id,
        tariff=code,
        since=supply.until,
        address=sealed and office.seal.open("supply.address", bytes(sealed)),
    )


def _supply(connection: Connection, supply_id: int) -> Row[Any]:
    row = connection.execute(
        select(supplies).where(supplies.c.supply_id == supply_id)
    ).one_or_none()
    if row is None:
        raise NoSuchChangeError(f"There is no supply {supply_id}.")
    return row


def _locked_supply(connection: Connection, supply_id: int) -> Row[Any]:
    """A supply, after its account, whose lock settlements take too."""
    lock(connection, [_supply(connection, supply_id).account_id])
    return connection.execute(
        select(supplies).where(supplies.c.supply_id == supply_id).with_for_update()
    ).one()


def _require_near(office: Office, moment: datetime) -> None:
    now = office.now()
    if not now - _AHEAD_MAX <= moment <= now + _AHEAD_MAX:
        raise BadEntryError("The date lies more than a year away: look at it again.")


def _number(connection: Connection, account_id: int) -> str:
    return str(
        connection.scalar(
            select(customer_accounts.c.number).where(customer_accounts.c.account_id == account_id)
        )
    )
