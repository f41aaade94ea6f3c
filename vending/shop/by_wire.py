"""A sale whose token went to its meter by wire is not undone: the database says so.

The shop knows nothing of orders to meters; the trigger on `receipts` looks at them, in the very
transaction that undoes the sale.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from storage.prepared import settle
from vending.shop.faults import DeliveredByWireError

_DELIVERED: Final = "its token was delivered by wire"
"""What the trigger says (``storage/migrations/headend/orders.py``)."""


@contextmanager
def not_delivered_by_wire(connection: Connection, receipt_no: int) -> Iterator[None]:
    """The database's refusal to undo a sale as the shop's own, which is stored as the answer.

    Args:
        connection: in the write transaction of the reversal.
        receipt_no: of the sale.

    Raises:
        DeliveredByWireError: its token was delivered, or is on its way, or may have arrived.
    """
    try:
        yield
        settle(connection)  # what was put off is refused here, and not by the commit
    except IntegrityError as fault:
        if _DELIVERED not in str(fault.orig):
            raise
        raise DeliveredByWireError(
            f"The token of receipt {receipt_no} was delivered to the meter by wire, or is on its "
            "way: a reversal would give the money back and leave the units. Give a refund."
        ) from None
