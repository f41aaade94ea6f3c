"""The monthly settlement report by area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.output import console, counting, json_option, print_json
from commands.settle.asked import kwh, month_of

if TYPE_CHECKING:
    from billing.office import Office
    from billing.settlement.reporting import Report

_MONEY = ("amount_minor", "tax_minor", "corrected_minor", "paid_minor", "outstanding_minor")
_COUNTS = ("accounts", "supplies", "waiting")


@click.group()
def report() -> None:
    """Monthly reports by area: make, show, review; final ones never change."""


@report.command()
@click.argument("month")
@database_option
@json_option
def make(month: str, database: str, as_json: bool) -> None:
    """Make the report of MONTH (YYYY-MM); another person reviews it: settle report approve."""
    from billing.settlement.reporting import ReportDesk
    from commands.office import open_office

    first = month_of(month)
    with open_office(database) as office:
        with counting("Accounts", as_json=as_json) as told:
            made = ReportDesk(office).make(first, progress=told)
        _show(made, office, as_json=as_json)


@report.command()
@click.argument("number", type=int)
@database_option
@json_option
def show(number: int, database: str, as_json: bool) -> None:
    """Show report NUMBER."""
    from billing.settlement.reporting import ReportDesk
    from commands.office import open_office

    with open_office(database) as office:
        _show(ReportDesk(office).show(number), office, as_json=as_json)


@report.command(name="list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@database_option
@json_option
def list_(limit: int, database: str, as_json: bool) -> None:
    """List reports, the newest first."""
    from billing.settlement.reporting import ReportDesk
    from commands.office import open_office

    with open_office(database) as office:
        found = ReportDesk(office).list(limit=limit)
    if as_json:
        print_json([_object(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("No", "Month", "State", "Made by", "Reviewed by", "Words"):
        table.add_column(heading)
    for each in found:
        table.add_row(
            str(each.report_id),
            each.month,
            each.state,
            Text(each.asked_by),
            Text(each.approved_by or ""),
            Text(each.words or ""),
        )
    console.print(table)


@report.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
@json_option
def approve(number: int, words: str, database: str, as_json: bool) -> None:
    """Report NUMBER was reviewed and is final; say in WORDS what was looked at.

    By another person than made it.
    """
    from billing.settlement.reporting import ReportDesk
    from commands.office import open_office

    with open_office(database) as office:
        _show(ReportDesk(office).approve(number, words), office, as_json=as_json)


@report.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
@json_option
def refuse(number: int, words: str, database: str, as_json: bool) -> None:
    """Something is wrong with report NUMBER; another one can be made then."""
    from billing.settlement.reporting import ReportDesk
    from commands.office import open_office

    with open_office(database) as office:
        _show(ReportDesk(office).refuse(number, words), office, as_json=as_json)


def _show(found: Report, office: Office, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(found))
        return
    reviewed = f", reviewed by {found.approved_by}: {found.words}" if found.approved_by else ""
    console.print(
        f"Report {found.report_id} of {found.month}: {found.state}, made by {found.asked_by}; it "
        f"shows the state of {found.asked_at.astimezone(office.zone):%Y-%m-%d %H:%M:%S}{reviewed}"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("Area")
    headings = ("Accounts", "Supplies", "Waiting", "kWh", "Settled", "Tax", "Earlier", "Paid",
                "Outstanding")  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in found.lines:
        table.add_row(
            Text(line.area or "(none)"),
            *(str(getattr(line, name)) for name in _COUNTS),
            kwh(line.energy_wh),
            *(office.currency.text(getattr(line, name)) for name in _MONEY),
        )
    if found.lines:
        table.add_section()
        table.add_row(
            "Together",
            *(str(sum(getattr(line, name) for line in found.lines)) for name in _COUNTS),
            kwh(sum(line.energy_wh for line in found.lines)),
            *(
                office.currency.text(sum(getattr(line, name) for line in found.lines))
                for name in _MONEY
            ),
        )
    console.print(table)


def _object(found: Report) -> dict[str, Any]:
    return {
        "report": found.report_id,
        "month": found.month,
        "state": found.state,
        "made_by": found.asked_by,
        "made_at": found.asked_at.isoformat(),
        "reviewed_by": found.approved_by,
        "words": found.words,
        "areas": [
            {
                "area": line.area,
                **{name: getattr(line, name) for name in (*_COUNTS, "energy_wh", *_MONEY)},
            }
            for line in found.lines
        ],
    }
