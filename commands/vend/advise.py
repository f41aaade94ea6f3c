"""``meterhouse vend advise``, ``refund``, ``confirm-key``: after a sale."""

from __future__ import annotations

import click

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import console, json_option, print_json
from commands.receipt_output import ReceiptOutput, receipt_options
from commands.vend.answers import announce, show_result
from commands.vend.options import id_of, reason_option, request_options


@click.group()
def advise() -> None:
    """Confirm a sale, or reverse one whose receipt nobody has."""


@advise.command()
@click.argument("sale_id", metavar="SALE")
@click.option("--client", default="till", show_default=True, help="Who sold.")
@operator_option
@database_option
@json_option
def confirm(sale_id: str, client: str, operator: str, database: str, as_json: bool) -> None:
    """The customer has the token of the sale with the message id SALE."""
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
@request_options
@operator_option
@terminal_option
@database_option
@json_option
@receipt_options
@click.pass_context
def reverse(
    ctx: click.Context,
    sale_id: str,
    sale_client: str,
    reason: str,
    message_id: str | None,
    client: str,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Undo the sale with the message id SALE, while nobody has its token."""
    request = vending.ReversalRequest(
        client, id_of(message_id), sale_id, sale_client, reason, operator, terminal
    )
    with open_shop(database) as shop:
        announce(request.message_id)
        undone = shop.advice.reverse(request)
        ctx.exit(
            show_result(
                shop, undone, as_json=as_json, receipt_output=receipt_output, operator=operator
            )
        )


@click.command()
@click.argument("receipt_no", metavar="RECEIPT", type=int)
@reason_option
@request_options
@operator_option
@terminal_option
@database_option
@json_option
@receipt_options
@click.pass_context
def refund(
    ctx: click.Context,
    receipt_no: int,
    reason: str,
    message_id: str | None,
    client: str,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Give the money of RECEIPT back; its token stays valid.  Takes two people."""
    request = vending.RefundRequest(
        client, id_of(message_id), receipt_no, reason, operator, terminal
    )
    with open_shop(database) as shop:
        announce(request.message_id)
        undone = shop.advice.refund(request)
        ctx.exit(
            show_result(
                shop, undone, as_json=as_json, receipt_output=receipt_output, operator=operator
            )
        )


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
