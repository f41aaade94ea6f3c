"""``meterhouse vend advise``, ``refund``, ``confirm-key``: after a sale."""

from __future__ import annotations

import click

import vending
from commands.counter import database_option, open_shop, operator_option
from commands.output import console, json_option, print_json
from commands.vend.asking import Asked, asks_shop
from commands.vend.options import reason_option


@click.group()
def advise() -> None:
    """Confirm a sale or a payment, or reverse one whose receipt nobody has."""


@advise.command()
@click.argument("sale_id", metavar="SALE")
@click.option("--client", default="till", show_default=True, help="Who sold.")
@operator_option
@database_option
@json_option
def confirm(sale_id: str, client: str, operator: str, database: str, as_json: bool) -> None:
    """The customer has what the sale or payment with the message id SALE gave out."""
    with open_shop(database) as shop:
        receipt = shop.advice.confirm(client, sale_id, operator=operator)
    if as_json:
        print_json({"confirmed": sale_id, "receipt_no": receipt.receipt_no})
    else:
        console.print(f"Receipt {receipt.receipt_no} is confirmed.", markup=False)


@advise.command()
@click.argument("sale_id", metavar="SALE")
@click.option("--sale-client", default="", help="Who sold. [default: --client]")
@click.option("--reason", default="", help="Why, for receipt and audit trail.")
@asks_shop
def reverse(sale_id: str, sale_client: str, reason: str, asked: Asked) -> None:
    """Undo the sale or payment with the message id SALE, while nobody has its receipt."""
    request = vending.ReversalRequest(
        sale_message_id=sale_id, sale_client=sale_client, reason=reason, **asked.who()
    )
    asked.answer(lambda shop: shop.advice.reverse(request))


@click.command()
@click.argument("receipt_no", metavar="RECEIPT", type=int)
@reason_option
@asks_shop
def refund(receipt_no: int, reason: str, asked: Asked) -> None:
    """Give the money of RECEIPT back; its token stays valid.  Takes two people."""
    request = vending.RefundRequest(receipt_no=receipt_no, reason=reason, **asked.who())
    asked.answer(lambda shop: shop.advice.refund(request))


@click.command(name="confirm-key")
@click.argument("meter")
@click.argument("krn", type=int)
@operator_option
@database_option
@json_option
def confirm_key(meter: str, krn: int, operator: str, database: str, as_json: bool) -> None:
    """METER shows key revision KRN: its key change has arrived."""
    with open_shop(database) as shop:
        shop.confirm_key_change(meter, krn, operator=operator)
    if as_json:
        print_json({"meter": meter, "krn": krn, "confirmed": True})
    else:
        console.print(f"The key change of meter {meter} is confirmed.", markup=False)
