"""Whether a sale was undone since; and that it cannot be any more, because it was shown."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from storage.engine import insert_if_new
from vending.receipts.receipt import ReceiptKind
from vending.shop.counter_tables import prints
from vending.shop.faults import SaleReversedError
from vending.shop.tables import receipts

_UNDONE: Final = select(receipts.c.receipt_no).where(
    receipts.c.reversed_receipt_no == bindparam("undone"), receipts.c.kind == bindparam("how")
)


def undone_by(connection: Connection, receipt_no: int, how: ReceiptKind) -> int | None:
    """The receipt of a sale's reversal, or of its refund; None when there is none."""
    found: int | None = connection.scalar(_UNDONE, {"undone": receipt_no, "how": how.value})
    return found


def require_unreversed(connection: Connection, receipt_no: int) -> None:
    """Refuse a sale that was reversed.

    Raises:
        SaleReversedError: names the reversal's receipt.
    """
    reversal = undone_by(connection, receipt_no, ReceiptKind.REVERSAL)
    if reversal is not None:
        raise SaleReversedError(
            f"Receipt {receipt_no} was reversed by receipt {reversal}: neither it nor a token of "
            "it must be given to anybody."
        )


def note_print(connection: Connection, receipt_no: int, now: datetime, operator: str) -> None:
    """Somebody gets this receipt's tokens now; nothing changes when somebody had them before."""
    insert_if_new(
        connection,
        prints,
        {"receipt_no": receipt_no, "printed_at": now, "operator": operator},
    )
