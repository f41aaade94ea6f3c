"""What a sale to a meter is at a moment: every refusal that it would meet, its price, its TID.

A trial and a sale ask here for the same thing, so that a trial tells the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from vending.receipts.receipt import LinePart, PaymentPart
from vending.security.port import SecurityModule
from vending.shop.books import Tender
from vending.shop.faults import (
    AboveMaximumError,
    BelowMinimumError,
    KeyChangeRequiredError,
    KeyTypeError,
    MeterBlockedError,
)
from vending.shop.meters import Meter
from vending.shop.price import Price, Quote, quote
from vending.shop.settings import Utility, price_at
from vending.shop.tids import due_tid, require_begun
from vending.sts import BaseDate, KeyType, Tid


@dataclass(frozen=True, slots=True)
class Offer:
    """What a sale to a meter is at a moment."""

    price_id: int
    price: Price
    quote: Quote
    tid: Tid


def make_offer(
    connection: Connection,
    meter: Meter,
    amount_minor: int,
    *,
    utility: Utility,
    security: SecurityModule,
    now: datetime,
) -> Offer:
    """Price a sale, or refuse it; writes nothing.

    Raises:
        VendingError: any refusal.
    """
    _require_sellable(meter, now)
    _require_within_limits(utility, amount_minor)
    price_id, price = price_at(connection, now)
    bought = quote(price, amount_minor, utility.currency)
    tid = due_tid(connection, meter, now)
    security.require(meter.key.sgc, meter.key.krn)
    return Offer(price_id, price, bought, tid)


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


def payment_part(utility: Utility, tender: Tender, offer: Offer) -> PaymentPart:
    """The money part of the receipt."""
    sold = offer.quote
    return PaymentPart(
        currency=utility.currency.code,
        minor_digits=utility.currency.minor_digits,
        tender=tender.value,
        tendered_minor=sold.tendered_minor,
        change_minor=sold.change_minor,
        price_id=offer.price_id,
        price_per_kwh=offer.price.per_kwh,
        tax_bp=offer.price.tax_bp,
        lines=tuple(
            LinePart(line.kind.value, line.amount_minor, line.explanation) for line in sold.lines
        ),
    )
