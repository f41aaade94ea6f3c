"""``meterhouse prepaid emergency-credit``: credit for everybody in a place, in an emergency."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.office import open_office
from commands.output import console, counting, json_option, print_json

if TYPE_CHECKING:
    from billing.prepaid.emergency import EmergencyCredit
    from vending import Currency

_NUMBER = click.argument("number", type=click.IntRange(1), metavar="NUMBER")


@click.group(name="emergency-credit")
def emergency_credit() -> None:
    """Credit in an emergency: ask, approve, give, have it paid back.

    `meterhouse emergency stop` suspends disconnects.
    """


@emergency_credit.command()
@click.argument("amount")
@click.option("--place", help="Everybody in this place and below; else everybody.")
@click.option(
    "--percent",
    default="30",
    show_default=True,
    help="The share of later payments that pays it back.",
)
@click.option("--reason", required=True, help="As customers and auditors read it.")
@database_option
@json_option
def ask(
    amount: str, place: str | None, percent: str, reason: str, database: str, as_json: bool
) -> None:
    """Ask for AMOUNT for every prepaid account; somebody else approves it."""
    from billing.prepaid.emergency import EmergencyCreditDesk

    with open_office(database) as office:
        made = EmergencyCreditDesk(office).ask(
            place=place,
            each_minor=office.currency.parse(amount),
            share_bp=_share(percent),
            reason=reason,
        )
        money = office.currency
    _say(made, money, as_json=as_json)
    if not as_json:
        console.print(
            f"Somebody else: meterhouse prepaid emergency-credit approve {made.emergency_id}"
        )


@emergency_credit.command()
@_NUMBER
@database_option
@json_option
def approve(number: int, database: str, as_json: bool) -> None:
    """Be the second person of NUMBER: `meterhouse office run` gives it from now on."""
    from billing.prepaid.emergency import EmergencyCreditDesk

    with open_office(database) as office:
        made = EmergencyCreditDesk(office).approve(number)
        money = office.currency
    _say(made, money, as_json=as_json)


@emergency_credit.command()
@_NUMBER
@database_option
@json_option
def give(number: int, database: str, as_json: bool) -> None:
    """Give NUMBER to everybody now; interrupted, it goes on when called again."""
    from billing.prepaid.emergency import EmergencyCreditDesk

    with open_office(database) as office:
        desk = EmergencyCreditDesk(office)
        before, total = desk.find(number).accounts, desk.how_many(number)
        with counting("Accounts", as_json=as_json, total=max(total - before, 0)) as tell:
            made = desk.give(number, tell)
        money = office.currency
    _say(made, money, as_json=as_json)


@emergency_credit.command()
@_NUMBER
@database_option
@json_option
def recover(number: int, database: str, as_json: bool) -> None:
    """From now on a share of each payment pays NUMBER back."""
    from billing.prepaid.emergency import EmergencyCreditDesk

    with open_office(database) as office:
        made = EmergencyCreditDesk(office).recover(number)
        money = office.currency
    _say(made, money, as_json=as_json)


@emergency_credit.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List them, the latest first."""
    from billing.prepaid.emergency import EmergencyCreditDesk

    with open_office(database) as office:
        found = EmergencyCreditDesk(office).list()
        money = office.currency
    if as_json:
        print_json([_object(each) for each in found])
    elif found:
        _print(found, money)
    else:
        console.print("No emergency credit was ever asked for.")


def _share(percent: str) -> int:
    try:
        share = Decimal(percent) * 100
    except InvalidOperation:
        raise click.UsageError(f"{percent!r} is no percentage: write 30 or 12.5.") from None
    if not share.is_finite() or share != int(share):
        raise click.UsageError("A percentage has two digits after the point at most.")
    return int(share)


def _say(made: EmergencyCredit, money: Currency, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(made))
    else:
        _print([made], money)


def _print(found: list[EmergencyCredit], money: Currency) -> None:
    table = Table(box=None, pad_edge=False)
    columns = ("No", "Where", f"Each {money.code}", "Share", "State", "Accounts", "Given", "Back")
    for heading in (*columns, "Reason"):
        is_number = heading in ("No", "Accounts", "Given", "Back") or heading.startswith("Each")
        table.add_column(heading, justify="right" if is_number else "left")
    for each in found:
        table.add_row(
            str(each.emergency_id),
            Text(each.place or "everywhere"),
            money.text(each.each_minor),
            f"{Decimal(each.share_bp) / 100} %",
            each.state,
            f"{each.accounts:,}",
            money.text(each.given_minor),
            money.text(each.recovered_minor),
            Text(each.reason),
        )
    console.print(table)


def _object(each: EmergencyCredit) -> dict[str, Any]:
    return {
        "emergency_credit": each.emergency_id,
        "place": each.place,
        "each_minor": each.each_minor,
        "share_bp": each.share_bp,
        "state": each.state,
        "reason": each.reason,
        "asked_by": each.asked_by,
        "approved_by": each.approved_by,
        "accounts": each.accounts,
        "given_minor": each.given_minor,
        "recovered_minor": each.recovered_minor,
    }
