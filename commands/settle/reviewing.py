"""The review list: list, show, release, estimate, correct, causes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.settle.asked import account_id_of, kwh, month_of, settlement_object, wh_of, when
from commands.settle.explaining import print_told

if TYPE_CHECKING:
    from billing.settlement.reviewing import Item

_STATES = ["open", "released", "estimated", "corrected", "passed", "any"]


@click.group()
def review() -> None:
    """What checks have flagged: look, then release, estimate or correct."""


@review.command(name="list")
@click.option("--state", type=click.Choice(_STATES), default="open", show_default=True)
@click.option("--holding", is_flag=True, help="Only items whose span waits for a decision.")
@click.option("--account", help="Only of this account.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@database_option
@json_option
def list_(
    state: str, holding: bool, account: str | None, limit: int, database: str, as_json: bool
) -> None:
    """Show items, the oldest first; those marked * hold their span back."""
    from billing.settlement.reviewing import ReviewDesk
    from commands.office import open_office

    with open_office(database) as office:
        account_id = None
        if account is not None:
            with office.reading() as connection:
                account_id = account_id_of(connection, account)
        found = ReviewDesk(office).list(
            state=None if state == "any" else state,
            holding=True if holding else None,
            account_id=account_id,
            limit=limit,
        )
        zone = office.zone
    if as_json:
        print_json([_object(each) for each in found])
        return
    if not found:
        console.print("Nothing is on the list.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("No", "", "Account", "From", "To", "Check", "State"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Reason", overflow="fold")
    for each in found:
        table.add_row(
            str(each.review_id),
            "*" if each.holds else "",
            each.account,
            when(each.since, zone),
            when(each.until, zone),
            each.check,
            each.state,
            Text(each.reason),
        )
    console.print(table)


@review.command()
@click.argument("number", type=int)
@database_option
@json_option
def show(number: int, database: str, as_json: bool) -> None:
    """Show item NUMBER, its figures, and what its span comes to, line by line."""
    from billing.settlement.explaining import explain, look_at_next
    from billing.settlement.looking import effective
    from billing.settlement.metering import Lacking
    from billing.settlement.reviewing import ReviewDesk
    from commands.office import open_office

    with open_office(database) as office:
        item = ReviewDesk(office).show(number)
        with office.reading() as connection:
            held = effective(connection, item.supply_id, item.since, item.until)
        found = held[0] if held else look_at_next(office, item.supply_id)
        if as_json:
            priced = None if isinstance(found, Lacking) else settlement_object(found)
            print_json({**_object(item), "is_settled": bool(held), "settlement": priced})
            return
        console.print(
            f"Item {item.review_id}: {item.check}, account {item.account}, {item.point}, "
            f"{when(item.since, office.zone)} to {when(item.until, office.zone)} ({item.state})"
        )
        console.print(item.reason)
        for name, value in item.figures.items():
            console.print(f"  {name}: {value}")
        if item.decided_at is not None:
            console.print(
                f"{when(item.decided_at, office.zone)}  {item.state} by {item.decided_by}: "
                f"{item.words}"
            )
        if isinstance(found, Lacking):
            console.print(found.words)
            return
        console.print("Settled:" if held else "If it were settled as it is measured:")
        with office.reading() as connection:
            print_told(explain(connection, found, office), office)


@review.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
@json_option
def release(number: int, words: str, database: str, as_json: bool) -> None:
    """Nothing is wrong: settle the span of item NUMBER as it was measured."""
    from billing.settlement.reviewing import ReviewDesk
    from commands.office import open_office

    with open_office(database) as office:
        _answer(ReviewDesk(office).release(number, words), as_json=as_json)


@review.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
@json_option
def correct(number: int, words: str, database: str, as_json: bool) -> None:
    """The readings were corrected: judge the span of item NUMBER anew.

    Correct them first: meterhouse readings correct.
    """
    from billing.settlement.reviewing import ReviewDesk
    from commands.office import open_office

    with open_office(database) as office:
        _answer(ReviewDesk(office).correct(number, words), as_json=as_json)


@review.command()
@click.argument("number", type=int)
@click.argument("kwh_total", metavar="KWH")
@click.argument("words")
@click.option("--supply", is_flag=True, help="NUMBER is a supply that waits for a reading.")
@click.option(
    "--register",
    "registers",
    type=(str, str),
    multiple=True,
    metavar="T KWH",
    help="Of time of use: t1 .. t8, which add up to KWH; or reactive (kvarh).",
)
@database_option
@json_option
def estimate(
    number: int,
    kwh_total: str,
    words: str,
    supply: bool,
    registers: tuple[tuple[str, str], ...],
    database: str,
    as_json: bool,
) -> None:
    """Say what was used in the span of item NUMBER: KWH, and how you found it."""
    from billing.settlement.reviewing import ReviewDesk
    from commands.office import open_office

    energy = {"total": wh_of(kwh_total, "KWH")}
    energy |= {code: wh_of(text, "--register") for code, text in registers}
    with open_office(database) as office:
        desk = ReviewDesk(office)
        decide = desk.estimate_waiting if supply else desk.estimate
        _answer(decide(number, energy, words), as_json=as_json)


@review.command()
@click.option("--month", metavar="MONTH", help="YYYY-MM. [default: this month]")
@database_option
@json_option
def causes(month: str | None, database: str, as_json: bool) -> None:
    """Sum up a month: how often each cause was found, and what became of it."""
    from billing.settlement.reviewing import ReviewDesk
    from billing.settlement.spans import midnight, month_after
    from commands.office import open_office

    with open_office(database) as office:
        first = office.today().replace(day=1) if month is None else month_of(month)
        since, until = midnight(first, office.zone), midnight(month_after(first), office.zone)
        found = ReviewDesk(office).causes(since, until)
    names = ("found", "open", "released", "estimated", "corrected", "passed")
    if as_json:
        print_json(
            [
                {"cause": each.cause, **{name: getattr(each, name) for name in names}}
                for each in found
            ]
        )
        return
    if not found:
        console.print(f"Nothing was flagged in {first:%Y-%m}.")
        return
    table = Table(box=None, pad_edge=False, title=f"{first:%Y-%m}", title_justify="left")
    table.add_column("Cause")
    for name in names:
        table.add_column(name.capitalize(), justify="right")
    for each in found:
        table.add_row(each.cause, *(str(getattr(each, name)) for name in names))
    console.print(table)


def _answer(item: Item, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(item))
        return
    used = "" if item.energy_wh is None else f": {kwh(item.energy_wh['total'])} kWh"
    console.print(f"Item {item.review_id} is {item.state}{used}.")


def _object(item: Item) -> dict[str, Any]:
    return {
        "item": item.review_id,
        "account": item.account,
        "supply": item.supply_id,
        "point": item.point,
        "since": item.since.isoformat(),
        "until": item.until.isoformat(),
        "days": (item.until - item.since) // timedelta(days=1),
        "check": item.check,
        "cause": item.cause,
        "reason": item.reason,
        "figures": dict(item.figures),
        "holds": item.holds,
        "state": item.state,
        "found_at": item.found_at.isoformat(),
        "decided_at": None if item.decided_at is None else item.decided_at.isoformat(),
        "decided_by": item.decided_by,
        "words": item.words,
        "energy_wh": None if item.energy_wh is None else dict(item.energy_wh),
    }
