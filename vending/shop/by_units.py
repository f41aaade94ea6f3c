"""A sale of so many units: what is due for them, what is given, what goes back.  Pure."""

from __future__ import annotations

from dataclasses import replace

from vending.price.lines import LineKind, PriceLine, Quote
from vending.receipts.receipt import Reason
from vending.shop.faults import BelowMinimumError
from vending.shop.meters import Meter
from vending.shop.money import Currency
from vending.shop.settings import Utility


def tendered_for(
    due: Quote, tendered_minor: int | None, currency: Currency, *, keeps_change: bool = False
) -> Quote:
    """A quote of what is due, paid with what the customer gives; more than is due is change.

    Args:
        due: what the units cost; its tendered amount is the least that pays for them.
        tendered_minor: what is given; None: exactly what is due.
        currency: of the shop.
        keeps_change: no drawer took the money, so that none pays change: it is kept for the
            next sale.

    Raises:
        BelowMinimumError: less is given than is due.
    """
    if tendered_minor is None or tendered_minor == due.tendered_minor:
        return due
    if tendered_minor < due.tendered_minor:
        raise BelowMinimumError(
            f"{currency.code} {currency.text(due.tendered_minor)} are due for this; "
            f"{currency.code} {currency.text(tendered_minor)} is less."
        )
    more = tendered_minor - due.tendered_minor
    if keeps_change:
        line = PriceLine(LineKind.CARRIED, more, "kept for the next sale", Reason("carried_out"))
    else:
        line = PriceLine(LineKind.CHANGE, more, "more than is due", Reason("more_than_is_due"))
    return replace(due, tendered_minor=tendered_minor, lines=(*due.lines, line))


def limits_of(utility: Utility, meter: Meter) -> tuple[int, int]:
    """The smallest and the largest sale to a meter, in minor units: its own, or the shop's."""
    return (
        utility.minimum_minor if meter.minimum_minor is None else meter.minimum_minor,
        utility.maximum_minor if meter.maximum_minor is None else meter.maximum_minor,
    )
