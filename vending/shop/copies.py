"""Receipts given out before: finding them again, and numbered copies of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from storage import audit
from vending.receipts.receipt import Receipt
from vending.shop.faults import UnknownReceiptError
from vending.shop.meters import Meter
from vending.shop.once import stored_answer
from vending.shop.reversals import require_unreversed
from vending.shop.tables import receipts, reprints


def latest_receipt(connection: Connection, meter: Meter) -> Receipt:
    """What was last given out for a meter.

    Raises:
        UnknownReceiptError: nothing yet.
    """
    receipt_no = connection.scalar(
        select(func.max(receipts.c.receipt_no)).where(receipts.c.meter_id == meter.meter_id)
    )
    if receipt_no is None:
        raise UnknownReceiptError(f"Nothing was sold to meter {meter.number} yet.")
    return stored_receipt(connection, receipt_no)


def stored_receipt(connection: Connection, receipt_no: int, *, lock: bool = False) -> Receipt:
    """A receipt by its number.

    Raises:
        UnknownReceiptError: no such receipt.
    """
    wanted = select(receipts.c.client, receipts.c.message_id).where(
        receipts.c.receipt_no == receipt_no
    )
    row = connection.execute(
        wanted.with_for_update(key_share=True) if lock else wanted
    ).one_or_none()
    if row is None:
        raise UnknownReceiptError(f"There is no receipt {receipt_no} in this shop.")
    return stored_answer(connection, row.client, row.message_id).require_done()


def make_copy(
    connection: Connection, receipt_no: int, operator: str, printed_at: datetime
) -> Receipt:
    """The stored receipt as COPY 1, 2, ...; counted, with an audit line.

    Raises:
        UnknownReceiptError: no such receipt.
        SaleReversedError: the sale was reversed: nobody may have its token.
    """
    receipt = stored_receipt(connection, receipt_no, lock=True)
    require_unreversed(connection, receipt_no)
    copies = connection.scalar(
        select(func.count()).select_from(reprints).where(reprints.c.receipt_no == receipt_no)
    )
    copy_no = (copies or 0) + 1
    connection.execute(
        insert(reprints),
        {
            "receipt_no": receipt_no,
            "copy_no": copy_no,
            "printed_at": printed_at,
            "operator": operator,
        },
    )
    audit.record(
        connection,
        printed_at,
        actor=operator,
        action="receipt.reprinted",
        subject=str(receipt_no),
        detail=f"copy {copy_no}",
    )
    return receipt.copy(copy_no)
