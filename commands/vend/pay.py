"""``meterhouse vend pay``: money for debts and charges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import vending
from commands.vend.asking import Asked, asks_shop
from commands.vend.options import tender_option

if TYPE_CHECKING:
    from vending import Shop, VendResult


@click.command()
@click.argument("meter")
@click.argument("amount")
@click.option("--debt", type=int, metavar="NUMBER", help="Pay this debt and nothing else.")
@tender_option
@asks_shop
def pay(meter: str, amount: str, debt: int | None, tender: str, asked: Asked) -> None:
    """Take AMOUNT for what is due at METER: charges and debts, without a token."""

    def take(shop: Shop) -> VendResult:
        return shop.payments.pay(
            vending.PaymentRequest(
                meter=meter,
                amount_minor=shop.utility.currency.parse(amount),
                debt_id=debt,
                tender=vending.Tender(tender),
                **asked.who(),
            )
        )

    asked.answer(take)
