"""What a till would be told at a sale, for a trial: only looked at, nothing is locked."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from vending.cash.at_terminal import require_terminal_of
from vending.cash.cash_tables import batches, cash_settings
from vending.cash.credit import vendor_of
from vending.cash.faults import NoShiftError, VendorCreditExhaustedError
from vending.cash.tables import vendor_credit
from vending.shop.books import Tender
from vending.shop.house import House
from vending.shop.price import Quote
from vending.shop.requests import VendRequest


def require_sellable_at(
    connection: Connection, house: House, request: VendRequest, sold: Quote
) -> None:
    """Refuse what the till that is named would be refused; nothing when none is named.

    Raises:
        VendorTerminalError, TerminalBlockedError, VendorBlockedError: it may not sell.
        VendorCreditExhaustedError: the vendor's credit is less than the price.
        NoShiftError: cash is taken in a shift only, and none is open there.
    """
    operator, terminal = house.who(request.operator), house.where(request.terminal)
    if not terminal:
        return
    if house.actor.vendor_id is not None:
        require_terminal_of(connection, house.actor.vendor_id, terminal)
    seller = vendor_of(connection, terminal)
    price = sold.tendered_minor - sold.change_minor
    if seller is not None and seller.prepaid and _credit(connection, seller.vendor_id) < price:
        raise VendorCreditExhaustedError(
            "The vendor's credit does not suffice for this sale: pay in first."
        )
    if request.tender is Tender.CASH and not _may_take_cash(connection, operator, terminal):
        raise NoShiftError(
            f"No shift of {operator or 'this operator'} is open at terminal {terminal}: cash is "
            "taken in a shift only. Open one with `meterhouse shift open`, or take another tender."
        )


def _credit(connection: Connection, vendor_id: int) -> int:
    available = connection.scalar(
        select(func.sum(vendor_credit.c.available_minor)).where(
            vendor_credit.c.vendor_id == vendor_id
        )
    )
    return int(available or 0)


def _may_take_cash(connection: Connection, operator: str, terminal: str) -> bool:
    if not connection.scalar(select(cash_settings.c.shifts_required)):
        return True
    shift = select(batches.c.batch_id).where(
        batches.c.kind == "shift",
        batches.c.state == "open",
        batches.c.operator == operator,
        batches.c.terminal == terminal,
    )
    return connection.scalar(shift) is not None
