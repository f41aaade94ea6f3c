"""One credit vend, from price to receipt; the caller holds the write transaction.

Everything that may refuse the sale comes before anything is written, and comes from `_offer`,
which a trial runs too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from storage import ledger
from vending.shop.books import moves_of
from vending.shop.faults import (
    AboveMaximumError,
    BelowMinimumError,
    KeyChangeRequiredError,
    KeyTypeError,
    MeterBlockedError,
)
from vending.shop.issue import (
    MadeToken,
    last_purchase,
    meter_part,
    seller_part,
    store_receipt,
)
from vending.shop.meters import Meter, find_meter
from vending.shop.price import Price, Quote, quote
from vending.shop.receipt import LinePart, PaymentPart, Receipt, ReceiptKind, TokenPart
from vending.shop.requests import TrialVend, VendRequest
from vending.shop.security import SecurityModule
from vending.shop.settings import Utility, price_at
from vending.shop.tids import due_tid, require_begun
from vending.sts import BaseDate, KeyType, Service, Tid, TransferCredit


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a sale to a meter is at a moment."""

    price_id: int
    price: Price
    quote: Quote
    tid: Tid


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
    offer = _offer(connection, meter, amount_minor, utility=utility, security=security, now=now)
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
    offer = _offer(
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
        payment=_payment_part(utility, request, offer),
        messages=(),
        test_marks=security.test_marks(meter.attributes()),
        days_since_last=_days_between(utility, bought_before, now),
    )


def _offer(
    connection: Connection,
    meter: Meter,
    amount_minor: int,
    *,
    utility: Utility,
    security: SecurityModule,
    now: datetime,
) -> _Offer:
    _require_sellable(meter, now)
    _require_within_limits(utility, amount_minor)
    price_id, price = price_at(connection, now)
    bought = quote(price, amount_minor, utility.currency)
    tid = due_tid(connection, meter, now)
    security.require(meter.key.sgc, meter.key.krn)
    return _Offer(price_id, price, bought, tid)


def _require_sellable(meter: Meter, now: datetime) -> None:
    if meter.blocked is not None:
        raise MeterBlockedError(
            f"Sales to meter {meter.number} are blocked: {meter.blocked}. "
            "Send the customer to the utility's office."
        )
    if meter.key.key_type is KeyType.DEFAULT:
        raise KeyTypeError(
            f"Meter {meter.number} has a default key (KT 1), under which it takes no credit: "
            f"change its key first (meterhouse vend key-change {meter.number} --kt 2)."
        )
    base = meter.key.base_date
    require_begun(base, now)
    if now > base.last:
        raise KeyChangeRequiredError(
            f"Meter {meter.number} is still on base date {base.value}, which ended on "
            f"{base.last:%d %b %Y}: no token of today fits it. {_way_out(meter, now)}"
        )


def _way_out(meter: Meter, now: datetime) -> str:
    later = (each for each in BaseDate if meter.key.base_date < each and now <= each.last)
    following = next(later, None)
    if following is None:
        return "There is no later base date: the meter has to be exchanged."
    return (
        "Change its key to a later base date first "
        f"(meterhouse vend key-change {meter.number} --base-year {following.value})."
    )


def _require_within_limits(utility: Utility, amount_minor: int) -> None:
    currency = utility.currency
    if amount_minor < utility.minimum_minor:
        raise BelowMinimumError(
            f"{currency.code} {currency.text(amount_minor)} is below the smallest sale of "
            f"{currency.code} {currency.text(utility.minimum_minor)}."
        )
    if amount_minor > utility.maximum_minor:
        raise AboveMaximumError(
            f"{currency.code} {currency.text(amount_minor)} is above the largest sale of "
            f"{currency.code} {currency.text(utility.maximum_minor)}."
        )


def _payment_part(utility: Utility, request: VendRequest, offer: _Offer) -> PaymentPart:
    sold = offer.quote
    return PaymentPart(
        currency=utility.currency.code,
        minor_digits=utility.currency.minor_digits,
        tender=request.tender.value,
        tendered_minor=sold.tendered_minor,
        change_minor=sold.change_minor,
        price_id=offer.price_id,
        price_per_kwh=offer.price.per_kwh,
        tax_bp=offer.price.tax_bp,
        lines=tuple(
            LinePart(line.kind.value, line.amount_minor, line.explanation) for line in sold.lines
        ),
    )


def _days_between(utility: Utility, before: datetime | None, now: datetime) -> int | None:
    if before is None:
        return None
    return max(0, (utility.local(now).date() - utility.local(before).date()).days)
