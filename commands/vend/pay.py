"""``meterhouse vend pay``: money for debts and charges."""

from __future__ import annotations

import click

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import json_option
from commands.receipt_output import ReceiptOutput, receipt_options
from commands.vend.answers import announce, show_result
from commands.vend.options import id_of, request_options, tender_option


@click.command()
@click.argument("meter")
@click.argument("amount")
@click.option("--debt", type=int, metavar="NUMBER", help="Pay this debt and nothing else.")
@request_options
@tender_option
@operator_option
@terminal_option
@database_option
@json_option
@receipt_options
@click.pass_context
def pay(
    ctx: click.Context,
    meter: str,
    amount: str,
    debt: int | None,
    message_id: str | None,
    client: str,
    tender: str,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Take AMOUNT for what is due at METER: charges and debts, without a token."""
    with open_shop(database) as shop:
        request = vending.PaymentRequest(
            client=client,
            message_id=id_of(message_id),
            meter=meter,
            amount_minor=shop.utility.currency.parse(amount),
            debt_id=debt,
            tender=vending.Tender(tender),
            operator=operator,
            terminal=terminal,
        )
        announce(request.message_id)
        paid = shop.payments.pay(request)
        ctx.exit(
            show_result(
                shop, paid, as_json=as_json, receipt_output=receipt_output, operator=operator
            )
        )
