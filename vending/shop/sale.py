"""One credit vend, from price to receipt; the caller holds the write transaction.

Everything that may refuse the sale comes before anything is written, and comes from `make_offer`,
which a trial runs too.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from storage import ledger
from vending.cash.drawer import shift_of_sale
from vending.receipts.receipt import Receipt, ReceiptKind, TokenPart
from vending.security.port import SecurityModule
from vending.shop.books import moves_of
from vending.shop.issue import (
    MadeToken,
    last_purchase,
    meter_part,
    seller_part,
    store_receipt,
)
from vending.shop.meters import find_meter
from vending.shop.offer import make_offer, payment_part
from vending.shop.requests import TrialVend, VendRequest
from vending.shop.settings import Utility
from vending.sts import Service, TransferCredit


def try_sale(
    connection: Connection,
    number: str,
    amount_minor: int,
    *,
    utility: Utility,
    security: SecurityModule,
    now: datetime,
) -> TrialVend:
    """What a sale would be; writes nothing.

    Raises:
        VendingError: any refusal that the sale would meet.
    """
    meter = find_meter(connection, number)
    offer = make_offer(connection, meter, amount_minor, utility=utility, security=security, now=now)
    return TrialVend(meter, offer.quote)


def sell_credit(
    connection: Connection,
    request: VendRequest,
    *,
    utility: Utility,
    security: SecurityModule,
    now: datetime,
    rnd: int,
) -> Receipt:
    """Sell one credit token.

    Args:
        connection: in a write transaction in which the request's id is stored.
        request: what is asked.
        utility: who sells, and within which limits.
        security: makes the token.
        now: the time of the sale.
        rnd: 4 random bits for the token.

    Raises:
        VendingError: any refusal; nothing was written.
    """
    meter = find_meter(connection, request.meter, lock=True)
    offer = make_offer(
        connection, meter, request.amount_minor, utility=utility, security=security, now=now
    )
    sold = offer.quote
    bought_before = last_purchase(connection, meter)
    content = TransferCredit(Service.ELECTRICITY, rnd, offer.tid, sold.units)
    digits = security.make_token(content, meter.attributes())
    transaction_id = ledger.post(
        connection,
        kind="vend",
        posted_at=now,
        currency=utility.currency.code,
        moves=moves_of(sold, request.tender),
    )
    receipt_no = store_receipt(
        connection,
        client=request.client,
        message_id=request.message_id,
        kind=ReceiptKind.CREDIT,
        meter=meter,
        issued_at=now,
        made=(MadeToken(content.token_class, content.subclass, digits, offer.tid, sold.units),),
        operator=request.operator,
        terminal=request.terminal,
        tender=request.tender.value,
        shift_id=shift_of_sale(connection, request.operator, request.terminal, request.tender),
        tendered_minor=sold.tendered_minor,
        change_minor=sold.change_minor,
        transaction_id=transaction_id,
    )
    return Receipt(
        receipt_no=receipt_no,
        kind=ReceiptKind.CREDIT,
        issued_at=now,
        zone=utility.zone,
        client=request.client,
        message_id=request.message_id,
        seller=seller_part(utility, request.terminal, request.operator),
        meter=meter_part(meter),
        tokens=(TokenPart("Electricity", digits, sold.units, offer.tid),),
        payment=payment_part(utility, request.tender, offer),
        messages=(),
        test_marks=security.test_marks(meter.attributes()),
        days_since_last=_days_between(utility, bought_before, now),
    )


def _days_between(utility: Utility, before: datetime | None, now: datetime) -> int | None:
    if before is None:
        return None
    return max(0, (utility.local(now).date() - utility.local(before).date()).days)
