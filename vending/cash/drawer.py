"""Which shift a sale belongs to: the one thing that a sale asks about drawers."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select

from storage.prepared import Prepared, Values
from vending.cash.cash_tables import batches, cash_settings
from vending.cash.faults import NoShiftError
from vending.shop.agreed import agreed
from vending.shop.books import Tender

# Statements are made once: making one takes longer than running it.
_OPEN_SHIFT: Final = Prepared(
    select(batches.c.batch_id)
    .where(
        batches.c.kind == "shift",
        batches.c.state == "open",
        batches.c.operator == bindparam("of_operator"),
        batches.c.terminal == bindparam("at_terminal"),
    )
    .with_for_update(read=True)
)
_REQUIRED: Final = Prepared(select(cash_settings.c.shifts_required))


def open_shift_id(connection: Connection, operator: str, terminal: str) -> int | None:
    """The open shift of an operator at a terminal; None when there is none.

    In a write transaction the shift stays open until that ends: who wants to count it waits.
    """
    statement, values = asks_open_shift(operator, terminal)
    shift_id: int | None = statement.scalar(connection, values)
    return shift_id


def asks_open_shift(operator: str, terminal: str) -> tuple[Prepared, Values]:
    """What `open_shift_id` asks."""
    return _OPEN_SHIFT, {"of_operator": operator, "at_terminal": terminal}


def asks_shifts_required() -> tuple[Prepared, Values]:
    """What `shift_of_sale` asks when there is no shift."""
    return _REQUIRED, {}


@agreed
def shift_of_sale(
    connection: Connection, operator: str, terminal: str, tender: Tender | None
) -> int | None:
    """The shift that a receipt names.

    Args:
        connection: in the write transaction of the sale.
        operator: who sells.
        terminal: at which till.
        tender: how it is paid; None when nothing is.

    Raises:
        NoShiftError: cash is taken, no shift is open, and the house wants one.
    """
    shift_id = open_shift_id(connection, operator, terminal)
    if shift_id is None and tender is Tender.CASH and _REQUIRED.scalar(connection):
        raise NoShiftError(
            f"No shift of {operator or 'this operator'} is open at terminal "
            f"{terminal or '(none)'}: cash is taken in a shift only. Open one with "
            "`meterhouse shift open`, or take another tender."
        )
    return shift_id
