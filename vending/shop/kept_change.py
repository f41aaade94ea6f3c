"""Money back from a sale that kept its change for the next one, when that next one has used it.

The customer has had that part: in the units of the later sale.  So the money that goes back is
less by it, and the receipt says so.  What was kept and is there still goes back with the rest.
When the later sale is undone as well, what it used comes back to the meter, for the next purchase.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vending.price.faults import CarriedChangeUsedError
from vending.receipts.receipt import PaymentPart, Reason
from vending.shop.giveout import Words
from vending.shop.money import Currency
from vending.shop.price import LineKind

_USED: Final = (
    "{0} of the change that was kept was used since, for a later sale: that part is not given back."
)


def lessened(paid: PaymentPart, used_minor: int, receipt_no: int) -> PaymentPart:
    """What goes back of a payment.

    Args:
        paid: as the sale's receipt shows it.
        used_minor: of the change that it kept, what was used since.
        receipt_no: the sale's, for the refusal.

    Raises:
        CarriedChangeUsedError: nothing would be left.
    """
    if not used_minor:
        return paid
    if paid.tendered_minor - paid.change_minor <= used_minor:
        raise CarriedChangeUsedError(
            f"All that receipt {receipt_no} paid was kept for the next sale, and a sale has used "
            "it since: undo that one first."
        )
    lines = [
        replace(line, amount_minor=line.amount_minor - used_minor)
        if line.kind == LineKind.CARRIED.value and line.amount_minor > 0
        else line
        for line in paid.lines
    ]
    return replace(
        paid,
        tendered_minor=paid.tendered_minor - used_minor,
        lines=tuple(line for line in lines if line.amount_minor),
    )


def used_words(currency: Currency, used_minor: int) -> tuple[Words, ...]:
    """What a receipt says of it; nothing when nothing was used."""
    if not used_minor:
        return ()
    amount = f"{currency.code} {currency.text(used_minor)}"
    return ((_USED.format(amount), Reason("kept_change_used", (amount,))),)
