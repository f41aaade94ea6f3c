"""What it takes to undo a sale: the sale as it is stored, what forbids it, the entries back.

A payment on account is undone by the same rules, but for one: it left no token that a later one
would have to follow, so that it need not be the meter's latest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, select

from storage import ledger
from storage.ledger import Transfer, transfers
from vending.cash.credit import return_credit
from vending.receipts.receipt import PaymentPart, Receipt, ReceiptKind
from vending.shop.books import Tender
from vending.shop.counter_tables import advices, prints
from vending.shop.faults import (
    NotASaleError,
    NotLatestSaleError,
    PaidByVoucherError,
    ReceiptPrintedError,
    SaleConfirmedError,
    SaleRefundedError,
)
from vending.shop.house import House
from vending.shop.meters import Meter, find_meter
from vending.shop.once import stored_answer
from vending.shop.price import LineKind
from vending.shop.reversals import require_unreversed, undone_by
from vending.shop.tables import receipts, reprints

_GIVEN: Final = (
    ReceiptKind.CREDIT.value,
    ReceiptKind.FREE_ISSUE.value,
    ReceiptKind.FREE_BASIC.value,
    ReceiptKind.REPLACEMENT.value,
)
"""Kinds whose tokens carry units."""
_PAID: Final = (ReceiptKind.CREDIT, ReceiptKind.ACCOUNT_PAYMENT)
"""Kinds that are confirmed, and undone."""


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale, or a payment on account, as it is stored; its meter and its receipt are locked."""

    receipt_no: int
    receipt: Receipt
    meter: Meter
    units: int
    transaction_id: int
    vendor_id: int | None
    shift_id: int | None

    @property
    def is_payment(self) -> bool:
        """Whether it is a payment on account: money without a token."""
        return self.receipt.kind is ReceiptKind.ACCOUNT_PAYMENT


def find_sale(connection: Connection, client: str, message_id: str) -> Sale:
    """A sale by its message id, locked against advice, prints and sales beside this one.

    Raises:
        UnknownMessageError: nothing was sold or refused under it.
        NotASaleError: it was refused, or is no sale.
    """
    answered = stored_answer(connection, client, message_id)
    receipt = answered.receipt
    if receipt is None or receipt.kind not in _PAID:
        raise NotASaleError(
            f"Nothing was sold or paid under message id {message_id} of client {client}: there is "
            "nothing to confirm or to undo."
        )
    return _sale(connection, receipt)


def sale_of_receipt(connection: Connection, receipt_no: int) -> Sale:
    """A sale by its receipt's number, locked in the same way.

    Raises:
        NotASaleError: no such receipt, or it is no sale.
    """
    row = connection.execute(
        select(receipts.c.client, receipts.c.message_id, receipts.c.kind).where(
            receipts.c.receipt_no == receipt_no
        )
    ).one_or_none()
    if row is None or row.kind not in _PAID:
        raise NotASaleError(f"Receipt {receipt_no} is no sale and no payment of this shop.")
    return _sale(connection, stored_answer(connection, row.client, row.message_id).require_done())


def require_reversible(connection: Connection, sale: Sale) -> None:
    """Refuse to undo a sale whose token somebody may have.

    Raises:
        SaleReversedError, SaleRefundedError, SaleConfirmedError, ReceiptPrintedError,
            NotLatestSaleError.
    """
    require_with_money(connection, sale)
    number = sale.receipt_no
    if connection.scalar(select(advices.c.advice).where(advices.c.receipt_no == number)):
        raise SaleConfirmedError(
            f"Receipt {number} was confirmed: the customer has {_what_is_out(sale)}. What is left "
            "is a refund."
        )
    for printed in (prints, reprints):
        if connection.scalar(
            select(printed.c.receipt_no).where(printed.c.receipt_no == number).limit(1)
        ):
            raise ReceiptPrintedError(
                f"Receipt {number} was printed or shown: {_what_is_out(sale)} that left the "
                "building cannot be taken back. What is left is a refund."
            )
    if sale.is_payment:
        return
    later = connection.scalar(_later(sale))
    if later is not None:
        raise NotLatestSaleError(
            f"Units were given to meter {sale.meter.number} after receipt {number} (receipt "
            f"{later}): only the latest sale can be undone."
        )


def require_with_money(connection: Connection, sale: Sale) -> None:
    """Refuse a sale whose money went back before.

    Raises:
        SaleReversedError, SaleRefundedError, PaidByVoucherError.
    """
    require_unreversed(connection, sale.receipt_no)
    _require_no_voucher(sale)
    refund = undone_by(connection, sale.receipt_no, ReceiptKind.REFUND)
    if refund is not None:
        raise SaleRefundedError(
            f"The money of receipt {sale.receipt_no} was given back before, on receipt {refund}."
        )


def give_back(
    connection: Connection,
    house: House,
    sale: Sale,
    kind: ReceiptKind,
    now: datetime,
    money_back: PaymentPart,
    used_minor: int,
) -> int:
    """Post the entries of a sale the other way round; gives the transaction's id.

    Args:
        connection: in the write transaction of the request.
        house: whose currency it is.
        sale: what is undone.
        kind: how.
        now: the time.
        money_back: what goes back to the customer.
        used_minor: of the change that the sale kept, what stays where it was used.
    """
    rows = connection.execute(
        select(transfers)
        .where(transfers.c.transaction_id == sale.transaction_id)
        .order_by(transfers.c.position)
    )
    if sale.vendor_id is not None:
        price_minor = money_back.tendered_minor - money_back.change_minor
        return_credit(connection, sale.vendor_id, price_minor)
    return ledger.post(
        connection,
        kind=kind.value,
        posted_at=now,
        currency=house.utility.currency.code,
        moves=[
            Transfer(row.credit_account, row.debit_account, amount_minor, row.purpose)
            for row in rows
            if (amount_minor := _amount_back(row, used_minor))
        ],
    )


def _amount_back(row: Row[Any], used_minor: int) -> int:
    amount_minor: int = row.amount_minor
    return amount_minor - used_minor if row.purpose == LineKind.CARRIED.value else amount_minor


def _what_is_out(sale: Sale) -> str:
    return "the receipt of a payment" if sale.is_payment else "a token"


def _require_no_voucher(sale: Sale) -> None:
    """No money came in, and the voucher cannot pay again."""
    payment = sale.receipt.payment
    if payment is not None and payment.tender == Tender.VOUCHER.value:
        raise PaidByVoucherError(
            f"Receipt {sale.receipt_no} was paid by a voucher, which pays once: it is not undone. "
            "If the customer must be helped, issue the units free, with a reason."
        )


def _sale(connection: Connection, receipt: Receipt) -> Sale:
    meter = find_meter(connection, receipt.meter.number, lock=True)
    row: Row[Any] = connection.execute(
        select(receipts)
        .where(receipts.c.receipt_no == receipt.receipt_no)
        .with_for_update(key_share=True)
    ).one()
    return Sale(
        row.receipt_no,
        receipt,
        meter,
        row.units,
        row.transaction_id,
        row.vendor_id,
        row.shift_id,
    )


def _later(sale: Sale) -> Any:
    later = receipts.alias("later")
    return (
        select(later.c.receipt_no)
        .where(
            later.c.meter_id == sale.meter.meter_id,
            later.c.receipt_no > sale.receipt_no,
            later.c.kind.in_(_GIVEN),
            ~exists().where(
                advices.c.receipt_no == later.c.receipt_no, advices.c.advice == "reversed"
            ),
        )
        .limit(1)
    )
