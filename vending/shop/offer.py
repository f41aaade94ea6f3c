"""What a sale to a meter is at a moment: every refusal that it would meet, its price, its TID.

A trial and a sale ask here for the same thing, so that a trial tells the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from vending.price import quoting
from vending.price.dues import situation
from vending.price.faults import TariffResourceError
from vending.price.situation import Situation
from vending.price.store import TariffVersion, tariff_at
from vending.price.tariff import Tariff
from vending.receipts.receipt import DebtPart, LinePart, PaymentPart
from vending.security.port import SecurityModule
from vending.shop.agreed import agreed
from vending.shop.books import Tender
from vending.shop.by_units import limits_of, tendered_for
from vending.shop.faults import (
    AboveMaximumError,
    BelowMinimumError,
    KeyChangeRequiredError,
    KeyTypeError,
    MeterBlockedError,
    RequestFormatError,
)
from vending.shop.meters import Meter
from vending.shop.money import Currency
from vending.shop.price import Price, Quote, flat_tariff
from vending.shop.settings import Utility, price_at
from vending.shop.tids import due_tid, require_begun
from vending.sts import BaseDate, KeyType, Tid


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a meter's money is priced at a moment."""

    tariff: Tariff
    situation: Situation
    version: TariffVersion | None
    """Of the meter's tariff; None when it is sold to at the shop's flat price."""
    price_id: int | None
    """Of the shop's flat price; None under a tariff."""
    price: Price | None

    @property
    def version_id(self) -> int | None:
        """Which version of a tariff, for the receipt's row."""
        return None if self.version is None else self.version.version_id


@dataclass(frozen=True, slots=True)
class Offer:
    """What a sale to a meter is at a moment."""

    terms: Terms
    quote: Quote
    tid: Tid


@agreed
def make_offer(
    connection: Connection,
    meter: Meter,
    amount_minor: int | None,
    *,
    utility: Utility,
    security: SecurityModule,
    now: datetime,
    units: int | None = None,
    tender: Tender = Tender.CASH,
    lock: bool = False,
) -> Offer:
    """Price a sale, or refuse it; writes nothing.

    Args:
        connection: in any transaction; a write transaction for ``lock``.
        meter: locked for ``lock``.
        amount_minor: what the customer gives; with ``units``, None is exactly what is due.
        utility, security: who sells, and who would make the token.
        now: the time of the sale.
        units: sell at least so many (tenths) for the least amount, instead of selling for an
            amount.
        tender: how it is paid; it may cost a fee.
        lock: keep what the price depends on as it is until this transaction ends.

    Raises:
        VendingError: any refusal.
    """
    _require_sellable(meter, now)
    if units is None and amount_minor is not None:  # before anything is asked of the database
        _require_within(*limits_of(utility, meter), amount_minor, utility.currency)
    terms = terms_of(connection, meter, utility=utility, now=now, tender=tender, lock=lock)
    bought = _quote(terms, amount_minor, units, utility, meter)
    tid = due_tid(connection, meter, now)
    security.require(meter.key.sgc, meter.key.krn)
    return Offer(terms, bought, tid)


def terms_of(
    connection: Connection,
    meter: Meter,
    *,
    utility: Utility,
    now: datetime,
    tender: Tender,
    lock: bool = False,
) -> Terms:
    """By what a meter's money is priced: its tariff, or else the shop's flat price.

    Raises:
        NoPriceError, TariffNotValidError: the clock says a time before there was one.
        TariffResourceError: the tariff prices another resource than the meter counts.
    """
    version = price_id = price = None
    if meter.tariff_id is None:
        price_id, price = price_at(connection, now)
        tariff = flat_tariff(price, meter.resource)
    else:
        version = tariff_at(connection, meter.tariff_id, now, utility.currency)
        tariff = version.tariff
        if tariff.resource is not meter.resource:
            raise TariffResourceError(
                f"Meter {meter.number} counts {meter.resource.value}, and its tariff "
                f"{tariff.name!r} is for {tariff.resource.value}: assign it another tariff."
            )
    known = situation(
        connection,
        meter,
        tariff,
        utility=utility,
        now=now,
        channel=tender.value,
        lock=lock,
    )
    return Terms(tariff, known, version, price_id, price)


def _quote(
    terms: Terms, amount_minor: int | None, units: int | None, utility: Utility, meter: Meter
) -> Quote:
    """The meter's limits, or else the shop's, hold; those of its tariff narrow them."""
    currency, tariff = utility.currency, terms.tariff
    least, most = limits_of(utility, meter)
    least = max(least, tariff.minimum_minor or least)
    most = min(most, tariff.maximum_minor or most)
    if units is not None:
        due = quoting.quote_for_units(tariff, terms.situation, units, currency)
        _require_within(least, most, due.tendered_minor, currency)
        if amount_minor is not None:
            _require_at_most(most, amount_minor, currency)
        keeps = terms.situation.keeps_change
        return tendered_for(due, amount_minor, currency, keeps_change=keeps)
    if amount_minor is None:
        raise RequestFormatError("A sale is for an amount or for a number of units.")
    _require_within(least, most, amount_minor, currency)
    return quoting.quote(tariff, terms.situation, amount_minor, currency)


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


def _require_within(least: int, most: int, amount_minor: int, currency: Currency) -> None:
    if amount_minor < least:
        raise BelowMinimumError(
            f"{currency.code} {currency.text(amount_minor)} is below the smallest sale of "
            f"{currency.code} {currency.text(least)}."
        )
    _require_at_most(most, amount_minor, currency)


def _require_at_most(most: int, amount_minor: int, currency: Currency) -> None:
    if amount_minor > most:
        raise AboveMaximumError(
            f"{currency.code} {currency.text(amount_minor)} is above the largest sale of "
            f"{currency.code} {currency.text(most)}."
        )


def payment_part(utility: Utility, tender: Tender, offer: Offer) -> PaymentPart:
    """The money part of a sale's receipt."""
    return paid_part(utility, tender, offer.terms, offer.quote)


def paid_part(utility: Utility, tender: Tender, terms: Terms, paid: Quote) -> PaymentPart:
    """The money part of the receipt of a sale, or of a payment for charges and debts."""
    return PaymentPart(
        currency=utility.currency.code,
        minor_digits=utility.currency.minor_digits,
        tender=tender.value,
        tendered_minor=paid.tendered_minor,
        change_minor=paid.change_minor,
        tariff="" if terms.version is None else terms.tariff.name,
        tariff_version=None if terms.version is None else terms.version.version,
        debts=tuple(DebtPart(debt.name, debt.paid_minor, debt.left_minor) for debt in paid.debts),
        price_id=terms.price_id,
        price_per_kwh=None if terms.price is None else terms.price.per_kwh,
        tax_bp=None if terms.price is None else terms.price.tax_bp,
        lines=tuple(
            LinePart(line.kind.value, line.amount_minor, line.explanation, line.reason)
            for line in paid.lines
        ),
    )
