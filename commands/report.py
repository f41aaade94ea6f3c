"""``meterhouse report``: what was sold, and what nobody knows the outcome of."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

import vending
from commands.counter import database_option, open_shop
from commands.money_reports import channels, collection
from commands.output import EXIT_CHECK_FAILED, console, json_option, print_json
from commands.plots.sales import draw_sales, require_picture_file
from commands.vend.statement import day_of
from commands.watch_reports import alarms, losses, success
from vending.shop.money import scaled

if TYPE_CHECKING:
    from vending import Currency, Resource
    from vending.cash.reports import SalesRow

_KEYS = ("day", "vendor", "tender", "resource")
_UNKNOWN = (
    "client",
    "message_id",
    "operation",
    "operator",
    "terminal",
    "received_at",
    "reserved_minor",
)


@click.group()
def report() -> None:
    """Reports: sales, outstanding unknowns, collection, line loss, read success, alarms."""


for _command in (collection, channels, losses, success, alarms):
    report.add_command(_command)


@report.command()
@click.option("--by", multiple=True, type=click.Choice(_KEYS), default=("day",), show_default=True)
@click.option("--since", metavar="DATE", help="First day, in the utility's zone.")
@click.option("--until", metavar="DATE", help="Last day, included.")
@click.option("--csv", "csv_file", type=click.File("w"), help="Write the rows to a CSV file.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw what was paid by day: FILE.svg or FILE.png.",
)
@database_option
@json_option
def sales(
    by: tuple[str, ...],
    since: str | None,
    until: str | None,
    csv_file: Any,
    plot: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """What was sold: `report sales --by day --by tender --since 2026-11-01`."""
    form = None if plot is None else require_picture_file(plot)
    by = tuple(dict.fromkeys(by))
    with open_shop(database) as shop:
        midnight, money = shop.utility.midnight, shop.utility.currency
        first = None if since is None else midnight(day_of(since))
        behind = None if until is None else midnight(day_of(until) + timedelta(days=1))
        rows = shop.reports.sales(by, since=first, until=behind)
        if plot is not None and form is not None:
            days = rows if by == ("day",) else shop.reports.sales(since=first, until=behind)
            plot.write_bytes(draw_sales(days, shop.utility, form))
    if csv_file is not None:
        writer = csv.writer(csv_file, lineterminator="\n")
        writer.writerow([*by, "sales", "given_back", "paid", *map(_column, vending.Resource)])
        writer.writerows(_cells(row, by, money, vending.Resource) for row in rows)
    if as_json:
        print_json([_object(row, by) for row in rows])
        return
    table = Table(box=None, pad_edge=False)
    sold = [each for each in vending.Resource if any(each in row.units for row in rows)]
    measured = [f"{each.value} {each.measure}" for each in sold]
    for column in (*by, "sales", "given back", f"paid {money.code}", *measured):
        table.add_column(column, justify="left" if column in by else "right")
    for row in rows:
        table.add_row(*_cells(row, by, money, sold))
    console.print(table)


@report.command()
@click.option("--csv", "csv_file", type=click.File("w"), help="Write them to a CSV file.")
@database_option
@json_option
@click.pass_context
def unknown(ctx: click.Context, csv_file: Any, database: str, as_json: bool) -> None:
    """Requests whose outcome is unknown; exit status 1 when there are any."""
    with open_shop(database) as shop:
        found = shop.reports.unknown()
        money = shop.utility.currency
    rows = [{**asdict(each), "received_at": each.received_at.isoformat()} for each in found]
    if csv_file is not None:
        writer = csv.DictWriter(csv_file, _UNKNOWN, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    if as_json:
        print_json(rows)
    elif not found:
        console.print("Nothing is unknown.")
    else:
        for each in found:
            console.print(
                f"{each.received_at:%Y-%m-%d %H:%M:%S} UTC  {each.client} {each.message_id}  "
                f"{each.operation}  reserved {money.text(each.reserved_minor)}",
                markup=False,
            )
        console.print("To finish them, or give them up: meterhouse vend recover")
    ctx.exit(EXIT_CHECK_FAILED if found else 0)


def _column(resource: Resource) -> str:
    """A resource's column of a CSV file."""
    return f"{resource.value}_{resource.measure.lower()}"


def _cells(
    row: SalesRow, by: tuple[str, ...], money: Currency, resources: Iterable[Resource]
) -> list[str]:
    return [
        *(str(getattr(row, name)) for name in by),
        str(row.sales),
        str(row.given_back),
        money.text(row.paid_minor),
        *(scaled(row.units.get(each, 0), 1) for each in resources),
    ]


def _object(row: SalesRow, by: tuple[str, ...]) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in by},
        "sales": row.sales,
        "given_back": row.given_back,
        "paid_minor": row.paid_minor,
        "units": {each.value: units for each, units in row.units.items()},
    }
