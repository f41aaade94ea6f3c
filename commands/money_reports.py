"""``meterhouse report collection|channels``: the office's figures as tables, CSV, pictures."""

from __future__ import annotations

import csv
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from commands.counter import database_option
from commands.office import open_office
from commands.output import console, json_option, print_json
from commands.vend.statement import day_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.figures.mix import ChannelShare
    from billing.figures.months import MonthFigures
    from vending import Currency

_MONTHS: Final = 6
_plot_option = click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it: FILE.svg or FILE.png.",
)
_csv_option = click.option(
    "--csv", "csv_file", type=click.File("w"), help="Write the rows to a CSV file."
)
_area_option = click.option(
    "--area", metavar="NAME", help="Only a substation, feeder or transformer area."
)


@click.command()
@click.option("--since", metavar="MONTH", help="First month, YYYY-MM. [default: 5 months ago]")
@click.option("--until", metavar="MONTH", help="Last month, included. [default: this one]")
@_area_option
@click.option("--mode", type=click.Choice(["prepaid", "postpaid"]), help="Only such accounts.")
@_csv_option
@_plot_option
@database_option
@json_option
def collection(
    since: str | None,
    until: str | None,
    area: str | None,
    mode: str | None,
    csv_file: Any,
    plot: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """Billed, paid and owed by month, with the rates that managers ask for.

    Collection rate is paid of a hundred billed; arrears rate is what is due and unpaid of a year's
    bills; days to collect tell how many days' bills are owed. Errors are settlements that were
    taken back.
    """
    from billing.figures.months import month_figures
    from commands.plots.money import draw_collection, require_picture_file

    form = None if plot is None else require_picture_file(plot)
    with open_office(database) as office:
        today = office.today()
        last = today if until is None else _month(until)
        first = _months_back(last, _MONTHS - 1) if since is None else _month(since)
        rows = month_figures(office, first, last, area=area, mode=mode)
        currency = office.currency
    objects = [_month_object(each) for each in rows]
    _write_csv(csv_file, objects)
    if plot is not None and form is not None:
        plot.write_bytes(draw_collection(rows, currency, form))
    if as_json:
        print_json(objects)
        return
    _print_months(rows, currency)


@click.command()
@click.option("--since", metavar="DATE", help="First day. [default: 30 days ago]")
@click.option("--until", metavar="DATE", help="Last day, included. [default: today]")
@_area_option
@_csv_option
@_plot_option
@database_option
@json_option
def channels(
    since: str | None,
    until: str | None,
    area: str | None,
    csv_file: Any,
    plot: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """By which channels customers pay: payments, amounts, shares."""
    from billing.figures.mix import channel_mix
    from commands.plots.money import draw_channels, require_picture_file

    form = None if plot is None else require_picture_file(plot)
    with open_office(database) as office:
        last = office.today() if until is None else day_of(until)
        first = last - timedelta(days=30) if since is None else day_of(since)
        rows = channel_mix(office, first, last, area=area)
        currency = office.currency
    objects = [asdict(each) for each in rows]
    _write_csv(csv_file, objects)
    if plot is not None and form is not None:
        plot.write_bytes(draw_channels(rows, first, last, currency, form))
    if as_json:
        print_json(objects)
        return
    _print_channels(rows, currency)


def _month_object(row: MonthFigures) -> dict[str, Any]:
    from billing.collecting.ageing import AGE_CLASSES

    found = asdict(row)
    by_age = found.pop("overdue_minor")
    for age, amount in zip(AGE_CLASSES, by_age, strict=True):
        found[f"overdue_{age.name}_minor"] = amount
    return found


def _write_csv(csv_file: Any, objects: Sequence[dict[str, Any]]) -> None:
    if csv_file is not None and objects:
        writer = csv.DictWriter(csv_file, list(objects[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(objects)


def _print_months(rows: Sequence[MonthFigures], currency: Currency) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("month")
    names = "kWh|billed|paid|rate|owed|overdue|arrears|days|errors|read|loss"
    for name in names.split("|"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.month,
            f"{row.settled_wh // 1000:,}",
            currency.text(row.billed_minor),
            currency.text(row.paid_minor),
            _percent(row.collection_bp),
            currency.text(row.owed_minor),
            currency.text(sum(row.overdue_minor)),
            _percent(row.arrears_bp),
            "" if row.days_to_collect is None else str(row.days_to_collect),
            _percent(row.billing_error_bp),
            _percent(row.read_success_bp),
            _percent(row.loss_bp),
        )
    console.print(table)
    console.print(f"Amounts in {currency.code}; rates in percent.", style="dim")


def _print_channels(rows: Sequence[ChannelShare], currency: Currency) -> None:
    if not rows:
        console.print("Nothing came in during this time.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("channel")
    for name in ("payments", currency.code, "share", "undone"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.title,
            f"{row.payments:,}",
            currency.text(row.amount_minor),
            _percent(row.share_bp),
            f"{row.undone:,}",
        )
    console.print(table)


def _percent(share_bp: int | None) -> str:
    if share_bp is None:
        return ""
    sign = "-" if share_bp < 0 else ""
    tenths = (abs(share_bp) + 5) // 10
    return f"{sign}{tenths // 10}.{tenths % 10}"


def _month(text: str) -> date:
    return day_of(f"{text}-01")


def _months_back(day: date, count: int) -> date:
    number = day.year * 12 + day.month - 1 - count
    return date(number // 12, number % 12 + 1, 1)
