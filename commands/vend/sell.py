"""``meterhouse vend sell``, ``units``, ``trial``: a sale, by money or by units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.table import Table

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import console, error_console, json_option, print_json
from commands.receipt_output import ReceiptOutput, receipt_options
from commands.vend.answers import announce, is_answered, is_terminal, show_result
from commands.vend.options import id_of, request_options, tender_option, yes_option
from vending.shop.money import parse_scaled, scaled

if TYPE_CHECKING:
    from vending import Shop, TrialVend, Utility, VendRequest, VendResult

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _sale_options(command: _Command) -> _Command:
    for option in (
        json_option,
        database_option,
        terminal_option,
        operator_option,
        click.option(
            "--with-key-change", is_flag=True, help="Change the meter's key too, when it is due."
        ),
        click.option("--second", is_flag=True, help="It is a second purchase: do not ask."),
        yes_option,
        tender_option,
        request_options,
        receipt_options,
    ):
        command = option(command)
    return command


@click.command()
@click.argument("meter")
@click.argument("amount")
@_sale_options
@click.pass_context
def sell(
    ctx: click.Context,
    meter: str,
    amount: str,
    message_id: str | None,
    client: str,
    tender: str,
    yes: bool,
    second: bool,
    with_key_change: bool,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Sell for AMOUNT of money to METER and print the receipt (the default command)."""
    with open_shop(database, keys_now=True) as shop:
        request = vending.VendRequest(
            client=client,
            message_id=id_of(message_id),
            meter=meter,
            amount_minor=shop.utility.currency.parse(amount),
            tender=vending.Tender(tender),
            operator=operator,
            terminal=terminal,
            accept_key_change=with_key_change,
            confirmed_second=second,
        )
        ctx.exit(_carry_out(shop, request, receipt_output, yes=yes, as_json=as_json))


@click.command()
@click.argument("meter")
@click.argument("units")
@click.option(
    "--tendered", metavar="AMOUNT", help="What the customer gives. [default: what is due]"
)
@_sale_options
@click.pass_context
def units(
    ctx: click.Context,
    meter: str,
    units: str,
    tendered: str | None,
    message_id: str | None,
    client: str,
    tender: str,
    yes: bool,
    second: bool,
    with_key_change: bool,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Sell UNITS (kWh, m3 or minutes, with one decimal) to METER."""
    with open_shop(database, keys_now=True) as shop:
        request = vending.VendRequest(
            client=client,
            message_id=id_of(message_id),
            meter=meter,
            amount_minor=None if tendered is None else shop.utility.currency.parse(tendered),
            tender=vending.Tender(tender),
            operator=operator,
            terminal=terminal,
            units=parse_units(units),
            accept_key_change=with_key_change,
            confirmed_second=second,
        )
        ctx.exit(_carry_out(shop, request, receipt_output, yes=yes, as_json=as_json))


@click.command()
@click.argument("meter")
@click.argument("amount")
@tender_option
@operator_option
@terminal_option
@database_option
@json_option
def trial(
    meter: str,
    amount: str,
    tender: str,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Show what AMOUNT would buy for METER, at this terminal when one is named; sells nothing."""
    with open_shop(database, keys_now=True) as shop:
        offered = shop.trial_request(
            vending.VendRequest(
                "trial",
                "trial",
                meter,
                shop.utility.currency.parse(amount),
                vending.Tender(tender),
                operator=operator,
                terminal=terminal,
            )
        )
        if as_json:
            print_json(_trial_object(shop.utility, offered))
        else:
            _show_trial(shop.utility, offered)


def parse_units(text: str) -> int:
    """Units as people type them (``50``, ``50.5``) in tenths."""
    return parse_scaled(text, 1, "A number of units", "Units have")


def _carry_out(
    shop: Shop, request: VendRequest, receipt_output: ReceiptOutput, *, yes: bool, as_json: bool
) -> int:
    """Ask, sell, print; gives the exit status."""
    may_ask = not (yes or as_json) and is_terminal()
    if may_ask and not is_answered(shop, request.client, request.message_id):
        _confirm_sale(shop, shop.trial_request(request))
    announce(request.message_id)
    result = _asked(shop, request) if may_ask else shop.vend(request)
    return show_result(
        shop, result, as_json=as_json, receipt_output=receipt_output, operator=request.operator
    )


def _asked(shop: Shop, request: VendRequest) -> VendResult:
    """Sell; put the shop's questions to whoever sits there."""
    from vending.shop.faults import DoubleSaleQuestionError, KeyChangeOfferedError

    while True:
        try:
            return shop.vend(request)
        except DoubleSaleQuestionError as question:
            error_console.print(str(question), markup=False)
            if not click.confirm("Is this a second purchase?", err=True):
                shop.decline_second(request)
                raise click.Abort from None
            request = replace(request, confirmed_second=True)
        except KeyChangeOfferedError as question:
            error_console.print(str(question), markup=False)
            click.confirm("Change the key with this sale?", abort=True, err=True)
            request = replace(request, accept_key_change=True)


def _confirm_sale(shop: Shop, offered: TrialVend) -> None:
    meter = offered.meter
    for label, text in (
        ("Meter", meter.number),
        ("Customer", meter.customer),
        ("Location", meter.location),
    ):
        if text:
            error_console.print(f"{label:<10} {text}", markup=False)
    money = shop.utility.currency
    amount = f"{money.code} {money.text(offered.quote.tendered_minor)}"
    click.confirm(f"Sell {_bought(offered)} for {amount}?", abort=True, err=True)


def _bought(offered: TrialVend) -> str:
    return f"{scaled(offered.quote.units, 1)} {offered.meter.resource.measure}"


def _trial_object(utility: Utility, offered: TrialVend) -> dict[str, Any]:
    quote = offered.quote
    return {
        "meter": offered.meter.number,
        "customer": offered.meter.customer,
        "currency": utility.currency.code,
        "minor_digits": utility.currency.minor_digits,
        "tendered_minor": quote.tendered_minor,
        "units": quote.units,
        "lines": [
            {
                "kind": line.kind.value,
                "amount_minor": line.amount_minor,
                "explanation": line.explanation,
            }
            for line in quote.lines
        ],
    }


def _show_trial(utility: Utility, offered: TrialVend) -> None:
    money, quote = utility.currency, offered.quote
    console.print(f"Meter {offered.meter.number}  {offered.meter.customer}", markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row(offered.meter.resource.label, _bought(offered))
    for line in quote.lines:
        table.add_row(
            f"{line.kind.value.capitalize()} ({line.explanation})", money.text(line.amount_minor)
        )
    table.add_row("Tendered", f"{money.code} {money.text(quote.tendered_minor)}")
    console.print(table)
