"""``meterhouse vend key-change``: move a meter to another key."""

from __future__ import annotations

import click

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import error_console, json_option
from commands.receipt_output import ReceiptOutput, receipt_options
from commands.vend.answers import announce, is_answered, is_terminal, show_result
from commands.vend.options import id_of, request_options, yes_option


@click.command(name="key-change")
@click.argument("meter")
@click.option("--sgc", help="New supply group code.")
@click.option("--krn", type=int, help="New key revision number.")
@click.option("--kt", type=int, help="New key type.")
@click.option("--ti", help="New tariff index, two digits.")
@click.option("--base-year", type=int, help="New base date: 2014 or 2035.")
@click.option("--ken", type=int, help="New key expiry number.")
@click.option("--reason", default="", help="Why, for the audit trail.")
@request_options
@yes_option
@operator_option
@terminal_option
@database_option
@json_option
@receipt_options
@click.pass_context
def key_change(
    ctx: click.Context,
    meter: str,
    sgc: str | None,
    krn: int | None,
    kt: int | None,
    ti: str | None,
    base_year: int | None,
    ken: int | None,
    reason: str,
    message_id: str | None,
    client: str,
    yes: bool,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Make the tokens that move METER to another key; what is not named stays.

    From then on the shop sells for the new key.
    """
    request = vending.KeyChangeRequest(
        client=client,
        message_id=id_of(message_id),
        meter=meter,
        sgc=sgc,
        krn=krn,
        key_type=kt,
        tariff_index=ti,
        base_year=base_year,
        ken=ken,
        reason=reason,
        operator=operator,
        terminal=terminal,
    )
    with open_shop(database, keys_now=True) as shop:
        if (
            not (yes or as_json)
            and is_terminal()
            and not is_answered(shop, client, request.message_id)
        ):
            found = shop.meter(meter)
            error_console.print(f"Meter {found.number}  {found.customer}", markup=False)
            click.confirm("Make key change tokens for it?", abort=True, err=True)
        announce(request.message_id)
        changed = shop.key_change(request)
        ctx.exit(
            show_result(
                shop, changed, as_json=as_json, receipt_output=receipt_output, operator=operator
            )
        )
