"""``meterhouse vend free-issue``, ``free-basic``, ``replacement``, ``claims``."""

from __future__ import annotations

from datetime import timedelta

import click
from rich.table import Table

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import console, json_option, print_json
from commands.receipt_output import ReceiptOutput, receipt_options
from commands.vend.answers import announce, show_result
from commands.vend.options import id_of, reason_option, request_options
from commands.vend.sell import parse_units
from commands.vend.statement import day_of
from vending.shop.money import scaled


@click.command(name="free-issue")
@click.argument("meter")
@click.argument("units")
@reason_option
@request_options
@operator_option
@terminal_option
@database_option
@json_option
@receipt_options
@click.pass_context
def free_issue(
    ctx: click.Context,
    meter: str,
    units: str,
    reason: str,
    message_id: str | None,
    client: str,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Give UNITS (kWh, m3 or minutes) to METER for nothing.

    Above the counter's limit it takes two people: `meterhouse approval request`.
    """
    request = vending.FreeIssueRequest(
        client, id_of(message_id), meter, parse_units(units), reason, operator, terminal
    )
    with open_shop(database, keys_now=True) as shop:
        announce(request.message_id)
        given = shop.giving.free_issue(request)
        ctx.exit(
            show_result(
                shop, given, as_json=as_json, receipt_output=receipt_output, operator=operator
            )
        )


@click.command(name="free-basic")
@click.argument("meter")
@request_options
@operator_option
@terminal_option
@database_option
@json_option
@receipt_options
@click.pass_context
def free_basic(
    ctx: click.Context,
    meter: str,
    message_id: str | None,
    client: str,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Give METER the free units of this month, if they are due."""
    request = vending.FreeBasicRequest(client, id_of(message_id), meter, operator, terminal)
    with open_shop(database, keys_now=True) as shop:
        announce(request.message_id)
        given = shop.giving.free_basic(request)
        ctx.exit(
            show_result(
                shop, given, as_json=as_json, receipt_output=receipt_output, operator=operator
            )
        )


@click.command()
@click.argument("meter")
@click.argument("old_meter")
@click.argument("units")
@reason_option
@request_options
@operator_option
@terminal_option
@database_option
@json_option
@receipt_options
@click.pass_context
def replacement(
    ctx: click.Context,
    meter: str,
    old_meter: str,
    units: str,
    reason: str,
    message_id: str | None,
    client: str,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
    as_json: bool,
) -> None:
    """Give METER the UNITS that were left in the exchanged OLD_METER.

    Above the counter's limit it takes two people: `meterhouse approval request`.
    """
    request = vending.ReplacementRequest(
        client,
        id_of(message_id),
        meter,
        old_meter,
        parse_units(units),
        reason,
        operator,
        terminal,
    )
    with open_shop(database, keys_now=True) as shop:
        announce(request.message_id)
        given = shop.giving.replacement(request)
        ctx.exit(
            show_result(
                shop, given, as_json=as_json, receipt_output=receipt_output, operator=operator
            )
        )


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
