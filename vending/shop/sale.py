"""One credit vend, from price to receipt; the caller holds the write transaction.

Everything that may refuse the sale comes before anything is written, and comes from `make_offer`,
which a trial runs too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from storage import ledger
from storage.prepared import ask_ahead
from vending.cash.credit import asks_vendor_of, moves_by, spend, vendor_of
from vending.cash.drawer import asks_open_shift, asks_shifts_required, shift_of_sale
from vending.price.dues import settle
from vending.price.lines import LineKind
from vending.receipts.receipt import Receipt, ReceiptKind, TokenPart
from vending.security.port import SecurityModule
from vending.shop.agreed import as_ordered
from vending.shop.books import moves_of
from vending.shop.issue import (
    NEXT_RECEIPT,
    MadeToken,
    asks_last_purchase,
    last_purchase,
    meter_part,
    seller_part,
    store_receipt,
)
from vending.shop.key_change import begin_key_change, finish_key_change
from vending.shop.key_policy import asks_group, key_standing, key_to_change_to
from vending.shop.key_sale import credit_name, sale_messages
from vending.shop.meters import asks_meter, find_meter
from vending.shop.offer import make_offer, payment_part
from vending.shop.requests import TrialVend, VendRequest
from vending.shop.second_sale import ask_about_second, asks_second
from vending.shop.settings import Utility, asks_price
from vending.shop.tids import asks_used_tids
from vending.sts import TransferCredit


def try_sale(
    connection: Connection,
    request: VendRequest,
    *,
    utility: Utility,
    security: SecurityModule,
    now: datetime,
) -> TrialVend:
    """What a sale would be; writes nothing.

    Raises:
        VendingError: any refusal that the sale would meet.
    """
    meter = find_meter(connection, request.meter)
    standing = key_standing(connection, meter, now)
    new_key = key_to_change_to(meter, standing, accepted=request.accept_key_change)
    sold_to = meter if new_key is None else replace(meter, key=new_key)
    offer = make_offer(
        connection,
        sold_to,
        request.amount_minor,
        units=request.units,
        utility=utility,
        security=security,
        now=now,
        tender=request.tender,
    )
    return TrialVend(meter, offer.quote, new_key)


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
    request = as_ordered(request)
    ask_ahead(
        connection,
        [
            *asks_meter(request.meter),
            *([asks_vendor_of(request.terminal)] if request.terminal else ()),
            asks_price(),
            asks_open_shift(request.operator, request.terminal),
            asks_shifts_required(),
        ],
    )
    seller = vendor_of(connection, request.terminal)
    held = find_meter(connection, request.meter, lock=True)
    ask_ahead(
        connection,
        [
            asks_second(held, request, now),
            asks_group(held),
            asks_used_tids(held),
            asks_last_purchase(held),
            ledger.NEXT_TRANSACTION.ahead(),
            NEXT_RECEIPT.ahead(),
        ],
    )
    ask_about_second(connection, held, request, utility, now)
    standing = key_standing(connection, held, now)
    new_key = key_to_change_to(held, standing, accepted=request.accept_key_change)
    offer = make_offer(
        connection,
        held if new_key is None else replace(held, key=new_key),
        request.amount_minor,
        units=request.units,
        utility=utility,
        security=security,
        now=now,
        tender=request.tender,
        lock=True,
    )
    sold = offer.quote
    bought_before = last_purchase(connection, held)
    moves = moves_of(sold, request.tender)
    if seller is not None:
        moves = moves_by(connection, seller, utility.currency.code, moves)
        if seller.prepaid:
            spend(connection, seller, sold.tendered_minor - sold.change_minor)
    shift_id = shift_of_sale(connection, request.operator, request.terminal, request.tender)
    messages = sale_messages(connection, new_key, standing, now)
    # All is agreed: from here on it is given out (vending.shop.agreed).
    change = None
    if new_key is not None:
        change = begin_key_change(connection, held, new_key, "due at a sale", security, now)
    meter = held if change is None else change.after
    content = TransferCredit(meter.resource.service, rnd, offer.tid, sold.units)
    attributes = meter.attributes()
    digits = security.make_token(content, attributes)
    transaction_id = ledger.post(
        connection,
        kind="vend",
        posted_at=now,
        currency=utility.currency.code,
        moves=moves,
    )
    receipt_no = store_receipt(
        connection,
        client=request.client,
        message_id=request.message_id,
        kind=ReceiptKind.CREDIT,
        meter=meter,
        issued_at=now,
        made=(
            *(change.made if change is not None else ()),
            MadeToken(content.token_class, content.subclass, digits, offer.tid, sold.units),
        ),
        operator=request.operator,
        terminal=request.terminal,
        tender=request.tender.value,
        resource=meter.resource.value,
        shift_id=shift_id,
        tendered_minor=sold.tendered_minor,
        change_minor=sold.change_minor,
        transaction_id=transaction_id,
        vendor_id=None if seller is None else seller.vendor_id,
        tariff_version_id=offer.terms.version_id,
    )
    settle(connection, receipt_no, meter, sold, now)
    if change is not None:
        finish_key_change(connection, change, receipt_no, now)
    return Receipt(
        receipt_no=receipt_no,
        kind=ReceiptKind.CREDIT,
        issued_at=now,
        zone=utility.zone,
        client=request.client,
        message_id=request.message_id,
        seller=seller_part(
            utility,
            request.terminal,
            request.operator,
            vendor=None if seller is None else seller.name,
        ),
        meter=meter_part(held, new_key),
        tokens=(
            *(change.parts(behind=1) if change is not None else ()),
            TokenPart(
                credit_name(meter, change),
                digits,
                sold.units,
                offer.tid,
                code="credit",
                amount_minor=sold.amount_of(LineKind.ENERGY),
                tax_minor=sold.energy_tax_minor,
            ),
        ),
        payment=payment_part(utility, request.tender, offer),
        messages=tuple(text for text, _ in messages),
        message_reasons=tuple(reason for _, reason in messages),
        test_marks=security.test_marks(attributes),
        days_since_last=_days_between(utility, bought_before, now),
        shift_no=shift_id,
    )


def _days_between(utility: Utility, before: datetime | None, now: datetime) -> int | None:
    if before is None:
        return None
    return max(0, (utility.local(now).date() - utility.local(before).date()).days)
