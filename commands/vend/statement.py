"""``meterhouse vend statement``: what was sold and taken."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

import vending
from commands.counter import database_option, open_shop
from commands.output import EXIT_CHECK_FAILED, console, error_console, json_option, print_json
from vending.shop.money import scaled

if TYPE_CHECKING:
    from vending import Statement

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9998


@click.command()
@click.option("--since", metavar="DATE", help="First day, YYYY-MM-DD, in the utility's zone.")
@click.option("--until", metavar="DATE", help="Last day, included.")
@database_option
@json_option
@click.pass_context
def statement(
    ctx: click.Context, since: str | None, until: str | None, database: str, as_json: bool
) -> None:
    """Total what was sold and taken; exit status 1 when receipts and ledger disagree."""
    with open_shop(database) as shop:
        midnight = shop.utility.midnight
        first = None if since is None else midnight(day_of(since))
        behind = None if until is None else midnight(day_of(until) + timedelta(days=1))
        counted = shop.statement(since=first, until=behind)
    if as_json:
        print_json(_statement_object(counted))
    else:
        _show_statement(counted)
    ctx.exit(0 if counted.agrees else EXIT_CHECK_FAILED)


def day_of(text: str) -> date:
    """A day as people type it."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a day like 2026-11-21.") from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:  # whose midnights every zone can name
        raise click.BadParameter(f"{text!r} is not a day of {_FIRST_YEAR} to {_LAST_YEAR}.")
    return day


def _statement_object(counted: Statement) -> dict[str, Any]:
    return {
        "since": None if counted.since is None else counted.since.isoformat(),
        "until": None if counted.until is None else counted.until.isoformat(),
        "currency": counted.currency,
        "minor_digits": counted.minor_digits,
        "sales": counted.sales,
        "key_changes": counted.key_changes,
        "reversals": counted.reversals,
        "refunds": counted.refunds,
        "payments": counted.payments,
        "units": {each.value: units for each, units in counted.units_of.items()},
        "free_units": counted.free_units,
        "energy_wh": counted.energy_wh,
        "tendered_minor": counted.tendered_minor,
        "change_minor": counted.change_minor,
        "taken_minor": counted.taken_minor,
        "energy_minor": counted.energy_minor,
        "tax_minor": counted.tax_minor,
        "other_minor": counted.other_minor,
        "accounts": {each.account: each.balance_minor for each in counted.accounts},
        "agrees": counted.agrees,
    }


def _show_statement(counted: Statement) -> None:
    money = vending.Currency(counted.currency, counted.minor_digits)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("Sales", str(counted.sales))
    table.add_row("Key changes", str(counted.key_changes))
    for label, number in (
        ("Reversals", counted.reversals),
        ("Refunds", counted.refunds),
        ("Payments for debts and charges", counted.payments),
    ):
        if number:
            table.add_row(label, str(number))
    for resource, units in (counted.units_of or {vending.Resource.ELECTRICITY: 0}).items():
        table.add_row(f"{resource.label} sold, {resource.measure}", scaled(units, 1))
    if counted.free_units:
        table.add_row("Units given away", scaled(counted.free_units, 1))
    for label, amount in (
        ("Tendered", counted.tendered_minor),
        ("Change", counted.change_minor),
        ("Taken", counted.taken_minor),
        ("of it energy", counted.energy_minor),
        ("of it tax", counted.tax_minor),
        ("of it fees, charges, debts", counted.other_minor),
    ):
        table.add_row(f"{label}, {money.code}", money.text(amount))
    for each in counted.accounts:
        table.add_row(f"Account {each.account}", money.text(each.balance_minor))
    console.print(table)
    if counted.agrees:
        console.print("Receipts, tokens and ledger agree.", style="green")
    else:
        error_console.print("Receipts, tokens and ledger DISAGREE.", style="red")
