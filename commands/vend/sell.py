"""``meterhouse vend sell``, ``units``, ``trial``: a sale, by money or by units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.table import Table

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import console, error_console, json_option, print_json
from commands.vend.answers import is_answered, is_terminal
from commands.vend.asking import Asked, asks_shop
from commands.vend.options import tender_option, yes_option
from vending.shop.money import parse_scaled, scaled

if TYPE_CHECKING:
    from vending import Shop, TrialVend, Utility, VendRequest, VendResult

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a sale is paid, and what is answered before it is asked."""

    tender: str
    yes: bool
    second: bool
    with_key_change: bool


def _sale_options(command: _Command) -> Callable[..., Any]:
    """The options of a sale, as ``manner``, and those of every request, as ``asked``."""

    @wraps(command)
    def with_manner(
        *args: Any, tender: str, yes: bool, second: bool, with_key_change: bool, **named: Any
    ) -> Any:
        return command(*args, manner=_Manner(tender, yes, second, with_key_change), **named)

    collected: Callable[..., Any] = with_manner
    for option in (
        click.option(
            "--with-key-change", is_flag=True, help="Change the meter's key too, when it is due."
        ),
        click.option("--second", is_flag=True, help="It is a second purchase: do not ask."),
        yes_option,
        tender_option,
        asks_shop,
    ):
        collected = option(collected)
    return collected


@click.command()
@click.argument("meter")
@click.argument("amount")
@_sale_options
def sell(meter: str, amount: str, manner: _Manner, asked: Asked) -> None:
    """Sell for AMOUNT of money to METER and print the receipt (the default command)."""
    _carry_out(asked, manner, lambda shop: {"meter": meter, "amount_minor": _money(shop, amount)})


@click.command()
@click.argument("meter")
@click.argument("units")
@click.option(
    "--tendered", metavar="AMOUNT", help="What the customer gives. [default: what is due]"
)
@_sale_options
def units(meter: str, units: str, tendered: str | None, manner: _Manner, asked: Asked) -> None:
    """Sell UNITS (kWh, m3 or minutes, with one decimal) to METER."""

    def wanted(shop: Shop) -> dict[str, Any]:
        amount_minor = None if tendered is None else _money(shop, tendered)
        return {"meter": meter, "amount_minor": amount_minor, "units": parse_units(units)}

    _carry_out(asked, manner, wanted)


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


def _money(shop: Shop, text: str) -> int:
    return shop.utility.currency.parse(text)


def _carry_out(asked: Asked, manner: _Manner, wanted: Callable[[Shop], dict[str, Any]]) -> None:
    """Ask whoever sits there, sell, print; ends the command with its status."""
    may_ask = not (manner.yes or asked.as_json) and is_terminal()

    def request(shop: Shop) -> VendRequest:
        return vending.VendRequest(
            tender=vending.Tender(manner.tender),
            accept_key_change=manner.with_key_change,
            confirmed_second=manner.second,
            **asked.who(),
            **wanted(shop),
        )

    def agree(shop: Shop) -> None:
        sale = request(shop)
        if may_ask and not is_answered(shop, sale.client, sale.message_id):
            _confirm_sale(shop, shop.trial_request(sale))

    def ask(shop: Shop) -> VendResult:
        return _asked(shop, request(shop)) if may_ask else shop.vend(request(shop))

    asked.answer(ask, before=agree, keys_now=True)


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
