"""Debts in the database: taken over, paid, written off; the caller holds the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from storage import ledger
from vending.price.dues import LEFT, refresh_dues, scheme_of
from vending.price.faults import NothingDueError, UnknownDebtError
from vending.price.situation import Scheme
from vending.price.tables import debt_payments, debts
from vending.price.tariff import MONEY_MAX
from vending.shop.books import DEBTS, DEBTS_BROUGHT_IN
from vending.shop.faults import RequestFormatError
from vending.shop.meters import Meter
from vending.shop.money import Currency
from vending.shop.tables import meters
from vending.shop.values import require_text, require_whole

_NAME_MAX: Final = 64
_REASON_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Debt:
    """What a customer owes."""

    debt_id: int
    meter: str
    """The meter's number."""
    name: str
    principal_minor: int
    left_minor: int
    scheme: Scheme
    opened_at: datetime
    opened_by: str
    reason: str


def add_debt(
    connection: Connection,
    meter: Meter,
    *,
    name: str,
    principal_minor: int,
    scheme: Scheme,
    reason: str,
    by: str,
    now: datetime,
    currency: Currency,
) -> int:
    """Take a debt over; gives its number.

    Raises:
        RequestFormatError: no name or reason, or no whole amount above zero.
    """
    for what, text, most in (("name", name, _NAME_MAX), ("reason", reason, _REASON_MAX)):
        if not require_text(f"A debt's {what}", text, length_max=most).strip():
            raise RequestFormatError(f"A debt needs a {what}.")
    if not 0 < require_whole("A debt in minor units", principal_minor) <= MONEY_MAX:
        raise RequestFormatError(f"A debt lies between 1 and {MONEY_MAX} minor units.")
    transaction_id = ledger.post(
        connection,
        kind="debt",
        posted_at=now,
        currency=currency.code,
        moves=[ledger.Transfer(DEBTS, DEBTS_BROUGHT_IN, principal_minor, "debt taken over")],
    )
    debt_id: int = connection.execute(
        insert(debts).returning(debts.c.debt_id),
        {
            "meter_id": meter.meter_id,
            "name": name,
            "principal_minor": principal_minor,
            "scheme": scheme.kind.value,
            "rate_bp": scheme.rate_bp,
            "fixed_minor": scheme.fixed_minor,
            "share_of": scheme.of.value,
            "opened_at": now,
            "opened_by": by,
            "reason": reason,
            "transaction_id": transaction_id,
        },
    ).scalar_one()
    refresh_dues(connection, meter.meter_id)
    return debt_id


def debts_of(connection: Connection, meter_id: int) -> tuple[Debt, ...]:
    """All debts of a meter, those that are paid off too; the oldest first."""
    rows = connection.execute(_DEBTS.where(debts.c.meter_id == meter_id).order_by(debts.c.debt_id))
    return tuple(_debt(row) for row in rows)


def find_debt(connection: Connection, debt_id: int) -> Debt:
    """A debt by its number.

    Raises:
        UnknownDebtError: there is none.
    """
    row = connection.execute(_DEBTS.where(debts.c.debt_id == debt_id)).one_or_none()
    if row is None:
        raise UnknownDebtError(f"There is no debt {debt_id} in this shop.")
    return _debt(row)


def write_off(
    connection: Connection,
    debt: Debt,
    amount_minor: int,
    *,
    meter: Meter,
    reason: str,
    now: datetime,
    currency: Currency,
) -> None:
    """Forgive a part of a debt, or all that is left of it.

    Raises:
        NothingDueError: more than is left.
        RequestFormatError: no reason, or no whole amount above zero.
    """
    if not require_text("The reason", reason, length_max=_REASON_MAX).strip():
        raise RequestFormatError("A write-off needs a reason.")
    if require_whole("An amount in minor units", amount_minor) < 1:
        raise RequestFormatError("A write-off must be above zero.")
    if amount_minor > debt.left_minor:
        raise NothingDueError(
            f"{currency.code} {currency.text(debt.left_minor)} are left of debt {debt.debt_id}; "
            "more cannot be written off."
        )
    transaction_id = ledger.post(
        connection,
        kind="debt_write_off",
        posted_at=now,
        currency=currency.code,
        moves=[ledger.Transfer(DEBTS_BROUGHT_IN, DEBTS, amount_minor, "debt written off")],
    )
    connection.execute(
        insert(debt_payments),
        {
            "debt_id": debt.debt_id,
            "kind": "write_off",
            "amount_minor": amount_minor,
            "paid_at": now,
            "transaction_id": transaction_id,
            "reason": reason,
        },
    )
    refresh_dues(connection, meter.meter_id)


_DEBTS: Final = select(debts, LEFT, meters.c.number).join(
    meters, meters.c.meter_id == debts.c.meter_id
)


def _debt(row: Row[Any]) -> Debt:
    return Debt(
        debt_id=row.debt_id,
        meter=row.number,
        name=row.name,
        principal_minor=row.principal_minor,
        left_minor=int(row.left_minor),
        scheme=scheme_of(row),
        opened_at=row.opened_at,
        opened_by=row.opened_by,
        reason=row.reason,
    )
