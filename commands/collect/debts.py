"""``collect ageing``: who owes how much since when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option
from commands.days import DayParameter
from commands.office import open_office
from commands.output import console, counting, json_option, print_json

if TYPE_CHECKING:
    from billing.collecting.ageing import AgeClass, AgeingRow
    from billing.office import Office

_KEPT = 1_000
"""Accounts of which the largest debts are chosen, at a time."""


@click.command()
@click.option("--day", type=DayParameter(), help="As of the end of this day; default: now.")
@click.option("--accounts", "limit", type=click.IntRange(0, 1000), help="Show so many debtors.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="A picture: FILE.svg, .png."
)
@database_option
@json_option
def ageing(
    day: date | None, limit: int | None, plot: Path | None, database: str, as_json: bool
) -> None:
    """What is owed by class of age and class of customers; the largest debts with --accounts.

    A payment settles what was due first.
    """
    from commands.plots.collecting import draw_ageing
    from commands.plots.sales import require_picture_file

    form = None if plot is None else require_picture_file(plot)
    with open_office(database) as office:
        classes, totals, rows = _collected(office, day, limit or 0, as_json=as_json)
        shown_day = (day or office.today()).isoformat()
        names = ["not due", *(each.name for each in classes)]
        if plot is not None and form is not None:
            sums = [sum(each[place] for each in totals.values()) for place in range(len(names))]
            plot.write_bytes(draw_ageing(names, sums, office.currency, shown_day, form))
        _say(office, shown_day, names, totals, rows, as_json=as_json)


def _collected(
    office: Office, day: date | None, limit: int, *, as_json: bool
) -> tuple[Sequence[AgeClass], dict[str, list[int]], list[AgeingRow]]:
    from billing.collecting.ageing import ageing as owing
    from billing.collecting.rule_store import rules_in_force
    from billing.person import Right

    office.require(Right.LOOK)
    at = office.now()
    if day is not None:
        at = min(at, office.day_start(day + timedelta(days=1)))
    totals: dict[str, list[int]] = {}
    largest: list[AgeingRow] = []
    with office.reading() as connection, counting("Accounts that owe", as_json=as_json) as told:
        classes = rules_in_force(connection).rules.ages
        for count, row in enumerate(owing(connection, office, at, classes), 1):
            sums = totals.setdefault(row.customer_class, [0] * (len(classes) + 1))
            for place, amount in enumerate((row.not_due_minor, *row.by_age_minor)):
                sums[place] += amount
            largest.append(row)
            if len(largest) > limit + _KEPT:
                largest = _first(largest, limit)
            if count % 100 == 0:
                told(count)
    return classes, totals, _first(largest, limit)


def _first(rows: list[AgeingRow], limit: int) -> list[AgeingRow]:
    return sorted(rows, key=lambda row: (-row.overdue_minor, row.account_id))[:limit]


def _say(
    office: Office,
    day: str,
    names: Sequence[str],
    totals: dict[str, list[int]],
    rows: Sequence[AgeingRow],
    *,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            {
                "day": day,
                "classes": list(names),
                "totals_minor": totals,
                "accounts": [_object(row, names) for row in rows],
            }
        )
        return
    money = office.currency
    table = Table(box=None, pad_edge=False, title=f"Owed on {day}, {money.code}")
    table.add_column("Customers")
    for name in (*names, "all"):
        table.add_column(name, justify="right")
    for customer_class, sums in sorted(totals.items()):
        table.add_row(customer_class, *(money.text(each) for each in (*sums, sum(sums))))
    console.print(table)
    if rows:
        debtors = Table(box=None, pad_edge=False)
        debtors.add_column("Account")
        for name in (*names, "all"):
            debtors.add_column(name, justify="right")
        for row in rows:
            amounts = (row.not_due_minor, *row.by_age_minor, row.owed_minor)
            debtors.add_row(row.number, *(money.text(each) for each in amounts))
        console.print(debtors)


def _object(row: AgeingRow, names: Sequence[str]) -> dict[str, Any]:
    amounts = (row.not_due_minor, *row.by_age_minor)
    return {
        "account": row.number,
        "class": row.customer_class,
        "owed_minor": row.owed_minor,
        "overdue_minor": row.overdue_minor,
        "by_age_minor": dict(zip(names, amounts, strict=True)),
        "oldest_due_at": row.oldest_due_at.isoformat(),
    }
