"""``meterhouse vend free-issue``, ``free-basic``, ``replacement``, ``claims``."""

from __future__ import annotations

from datetime import timedelta

import click
from rich.table import Table

import vending
from commands.counter import database_option, open_shop
from commands.output import console, json_option, print_json
from commands.vend.asking import Asked, asks_shop
from commands.vend.options import reason_option
from commands.vend.sell import parse_units
from commands.vend.statement import day_of
from vending.shop.money import scaled


@click.command(name="free-issue")
@click.argument("meter")
@click.argument("units")
@reason_option
@asks_shop
def free_issue(meter: str, units: str, reason: str, asked: Asked) -> None:
    """Give UNITS (kWh, m3 or minutes) to METER for nothing.

    Above the counter's limit it takes two people: `meterhouse approval request`.
    """
    request = vending.FreeIssueRequest(
        meter=meter, units=parse_units(units), reason=reason, **asked.who()
    )
    asked.answer(lambda shop: shop.giving.free_issue(request), keys_now=True)


@click.command(name="free-basic")
@click.argument("meter")
@asks_shop
def free_basic(meter: str, asked: Asked) -> None:
    """Give METER the free units of this month, if they are due."""
    request = vending.FreeBasicRequest(meter=meter, **asked.who())
    asked.answer(lambda shop: shop.giving.free_basic(request), keys_now=True)


@click.command()
@click.argument("meter")
@click.argument("old_meter")
@click.argument("units")
@reason_option
@asks_shop
def replacement(meter: str, old_meter: str, units: str, reason: str, asked: Asked) -> None:
    """Give METER the UNITS that were left in the exchanged OLD_METER.

    Above the counter's limit it takes two people: `meterhouse approval request`.
    """
    request = vending.ReplacementRequest(
        meter=meter, old_meter=old_meter, units=parse_units(units), reason=reason, **asked.who()
    )
    asked.answer(lambda shop: shop.giving.replacement(request), keys_now=True)


@click.command()
@click.option("--since", metavar="DATE", required=True, help="First day, in the utility's zone.")
@click.option("--until", metavar="DATE", required=True, help="Last day, included.")
@database_option
@json_option
def claims(since: str, until: str, database: str, as_json: bool) -> None:
    """Units given away, by fund, month and meter: what is claimed from whoever funds them."""
    with open_shop(database) as shop:
        midnight = shop.utility.midnight
        lines = shop.giving.claims(
            midnight(day_of(since)), midnight(day_of(until) + timedelta(days=1))
        )
    if as_json:
        print_json(
            [
                {
                    "fund": line.fund,
                    "month": line.month,
                    "meter": line.meter,
                    "resource": line.resource,
                    "times": line.times,
                    "units": line.units,
                }
                for line in lines
            ]
        )
        return
    table = Table("Fund", "Month", "Meter", "Resource", box=None, pad_edge=False)
    table.add_column("Times", justify="right")
    table.add_column("Units", justify="right")
    for line in lines:
        table.add_row(
            line.fund,
            line.month,
            line.meter,
            line.resource,
            str(line.times),
            scaled(line.units, 1),
        )
    console.print(table)
