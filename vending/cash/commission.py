"""What vendors earn by selling: dated rates, and settlements with a line for each receipt.

The commission of a sale is worked out when it is settled, not when it is made: a sale stays as
short as it is, a settlement can be repeated without harm, and a statement still has a line of
its own for it.  Each receipt is settled once (primary key), by the rate that was valid when it
was issued; a reversal takes back what its sale earned.

commission = what was paid (less change) x basis points / 10,000, rounded **down** to a whole
minor unit, + the fixed part.  Receipt by receipt: the sum does not depend on when it is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from vending.cash import accounts
from vending.cash.accounts import COMMISSION, moved, vendor_account
from vending.cash.bank.tables import commission_lines, commission_rates, commission_settlements
from vending.cash.reckoning import GIVEN_BACK
from vending.cash.top_ups import add_credit
from vending.cash.vendor_rows import require_vendor
from vending.shop.tables import receipts

BASIS_POINTS: Final = 10_000
_EARNING: Final = ("credit", "account_payment", *GIVEN_BACK)


@dataclass(frozen=True, slots=True)
class CommissionRate:
    """A version of a vendor's commission."""

    rate_id: int
    vendor_id: int
    valid_from: datetime
    basis_points: int
    fixed_minor: int
    """For each sale."""
    set_at: datetime
    set_by: str

    def of(self, paid_minor: int) -> int:
        """What a sale earns, in minor units."""
        return paid_minor * self.basis_points // BASIS_POINTS + self.fixed_minor


@dataclass(frozen=True, slots=True)
class Settlement:
    """Commission that was settled."""

    settlement_id: int | None
    """None: there was nothing to settle."""
    vendor_id: int
    receipts: int
    commission_minor: int


def rates_of(connection: Connection, vendor_id: int) -> list[CommissionRate]:
    """All versions; of those that are valid the last one counts."""
    rows = connection.execute(
        select(commission_rates)
        .where(commission_rates.c.vendor_id == vendor_id)
        .order_by(commission_rates.c.valid_from, commission_rates.c.rate_id)
    )
    return [CommissionRate(**row._mapping) for row in rows]


def rate_at(rates: list[CommissionRate], moment: datetime) -> CommissionRate | None:
    """The version that was valid at a moment; None before the first."""
    return next((rate for rate in reversed(rates) if rate.valid_from <= moment), None)


def settle(
    connection: Connection, currency: str, vendor_id: int, now: datetime, operator: str
) -> Settlement:
    """Settle every receipt of a vendor that is not settled yet.

    Raises:
        UnknownVendorError: no such vendor.
    """
    # the vendor's row is locked: of two settlements the second finds nothing left
    vendor = require_vendor(connection, vendor_id, lock=True)
    rates = rates_of(connection, vendor_id)
    lines = [_line(connection, rates, row) for row in unsettled(connection, vendor_id)]
    if not lines:
        return Settlement(None, vendor_id, 0, 0)
    total = sum(line["commission_minor"] for line in lines)
    transaction_id = None
    if total:
        moves = [
            moved(COMMISSION, vendor_account(vendor_id), amount, words)
            for words, amount in _by_rate(lines, rates).items()
            if amount
        ]
        transaction_id = accounts.post(connection, "vendor.commission", now, currency, moves)
    settlement_id: int = connection.execute(
        insert(commission_settlements).returning(commission_settlements.c.settlement_id),
        {
            "vendor_id": vendor_id,
            "settled_at": now,
            "operator": operator,
            "transaction_id": transaction_id,
        },
    ).scalar_one()
    connection.execute(
        insert(commission_lines),
        [{**line, "settlement_id": settlement_id, "vendor_id": vendor_id} for line in lines],
    )
    if vendor.prepaid and total:
        add_credit(connection, vendor_id, total)
    return Settlement(settlement_id, vendor_id, len(lines), total)


def unsettled(connection: Connection, vendor_id: int) -> list[Any]:
    """A vendor's paid receipts that have no commission line; sales before reversals."""
    return list(
        connection.execute(
            select(
                receipts.c.receipt_no,
                receipts.c.kind,
                receipts.c.issued_at,
                receipts.c.tendered_minor,
                receipts.c.change_minor,
                receipts.c.reversed_receipt_no,
            )
            .outerjoin(commission_lines, commission_lines.c.receipt_no == receipts.c.receipt_no)
            .where(
                receipts.c.vendor_id == vendor_id,
                receipts.c.kind.in_(_EARNING),
                commission_lines.c.receipt_no.is_(None),
            )
            .order_by(receipts.c.receipt_no)
        )
    )


def _line(connection: Connection, rates: list[CommissionRate], row: Any) -> dict[str, Any]:
    if row.kind in GIVEN_BACK:
        return _taken_back(connection, rates, row)
    paid = row.tendered_minor - row.change_minor
    rate = rate_at(rates, row.issued_at)
    return {
        "receipt_no": row.receipt_no,
        "rate_id": None if rate is None else rate.rate_id,
        "base_minor": paid,
        "commission_minor": 0 if rate is None else rate.of(paid),
    }


def _taken_back(connection: Connection, rates: list[CommissionRate], row: Any) -> dict[str, Any]:
    """What the reversed sale earned by the rate of its own day, with the other sign."""
    sold = connection.execute(
        select(receipts.c.issued_at, receipts.c.tendered_minor, receipts.c.change_minor).where(
            receipts.c.receipt_no == row.reversed_receipt_no
        )
    ).one_or_none()
    rate = None if sold is None else rate_at(rates, sold.issued_at)
    if sold is None or rate is None:
        return {
            "receipt_no": row.receipt_no,
            "rate_id": None,
            "base_minor": -row.tendered_minor,
            "commission_minor": 0,
        }
    paid = sold.tendered_minor - sold.change_minor
    stays = paid - (row.tendered_minor - row.change_minor)  # change that was kept, and used since
    return {
        "receipt_no": row.receipt_no,
        "rate_id": rate.rate_id,
        "base_minor": stays - paid,
        "commission_minor": (rate.of(stays) if stays else 0) - rate.of(paid),
    }


def _by_rate(lines: list[dict[str, Any]], rates: list[CommissionRate]) -> dict[str, int]:
    """A transfer for each rate, so that the ledger says by which."""
    words = {
        rate.rate_id: f"commission {rate.basis_points} bp + {rate.fixed_minor} "
        f"from {rate.valid_from.date()}"
        for rate in rates
    }
    sums: dict[str, int] = {}
    for line in lines:
        if line["rate_id"] is not None:
            purpose = words[line["rate_id"]]
            sums[purpose] = sums.get(purpose, 0) + line["commission_minor"]
    return sums
