"""``meterhouse prepaid``: accounts that are paid for ahead: how they stand, and what is done."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.office import open_office
from commands.output import console, json_option, print_json
from commands.prepaid_emergency import emergency_credit

if TYPE_CHECKING:
    from billing.office import Office
    from billing.prepaid.desk import Standing, Status
    from billing.prepaid.outlook import Outlook

_STYLES: Final = {
    "ok": "green",
    "warned": "yellow",
    "disconnect_due": "red",
    "held": "bold red",
    "disconnected": "bold red",
}
_LEVELS: Final = ("ok", "warned", "disconnect_due", "held")


@click.group()
def prepaid() -> None:
    """Accounts that are paid ahead: balance, days left, disconnects (docs/prepaid.md)."""


@prepaid.command()
@click.argument("number", metavar="ACCOUNT")
@database_option
@json_option
def status(number: str, database: str, as_json: bool) -> None:
    """Show how ACCOUNT stands, and what came of its last disconnect."""
    from billing.prepaid.desk import PrepaidDesk

    with open_office(database) as office:
        found = PrepaidDesk(office).status(number)
        if as_json:
            print_json(_status_object(found))
        else:
            _print_status(found, office)


@prepaid.command(name="list")
@click.option("--state", type=click.Choice(_LEVELS), help="Only these.")
@click.option("--cut", is_flag=True, help="Only those who are switched off, or about to be.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@database_option
@json_option
def list_(state: str | None, cut: bool, limit: int, database: str, as_json: bool) -> None:
    """List accounts that are not well, those longest so first."""
    from billing.prepaid.desk import PrepaidDesk
    from billing.prepaid.standing import Level

    with open_office(database) as office:
        level = None if state is None else Level(state)
        found = PrepaidDesk(office).list(level=level, cut=cut or None, limit=limit)
        zone, money = office.zone, office.currency
    if as_json:
        print_json([_standing_object(each) for each in found])
        return
    if not found:
        console.print("No account needs attention.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Account", "State", "Since", f"Balance {money.code}", "Off at", "Why"):
        table.add_column(heading, justify="right" if heading.startswith("Balance") else "left")
    for each in found:
        table.add_row(
            each.number,
            Text(each.state, style=_STYLES.get(each.state, "")),
            _when(each.since, zone),
            money.text(each.balance_minor),
            _when(each.disconnect_at, zone),
            Text(each.words),
        )
    console.print(table)


@prepaid.command(name="days-left")
@click.argument("number", metavar="ACCOUNT")
@database_option
@json_option
def days_left(number: str, database: str, as_json: bool) -> None:
    """Show how long the balance of ACCOUNT lasts, at its own rate of use."""
    from billing.prepaid.desk import PrepaidDesk

    with open_office(database) as office:
        found = PrepaidDesk(office).outlook(number)
        words = _outlook_words(found, office)
    if as_json:
        print_json(_outlook_object(found))
    else:
        console.print(words)


@prepaid.command()
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@database_option
@json_option
def policy(changes: tuple[str, ...], database: str, as_json: bool) -> None:
    """Show the numbers of the prepay loop, or change some: notice_h=48 limits=use.

    Amounts are in minor units; docs/prepaid.md says what each means.
    """
    from billing.prepaid.desk import PrepaidDesk

    wanted: dict[str, int | str] = {}
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator:
            raise click.UsageError(f"{change!r} is no NAME=VALUE.")
        wanted[name] = int(value) if value.isdecimal() else value
    with open_office(database) as office:
        desk = PrepaidDesk(office)
        held = desk.set_policy(wanted) if wanted else desk.policy()
    if as_json:
        print_json(asdict(held))
        return
    for name, value in asdict(held).items():
        console.print(f"{name} = {value}")


@prepaid.command()
@click.argument("number", metavar="ACCOUNT")
@click.option("--why", required=True, help="What was found, for whoever looks later.")
@database_option
def release(number: str, why: str, database: str) -> None:
    """Let the loop go on with ACCOUNT, which waits for a person.

    A disconnect is announced anew.
    """
    from billing.prepaid.desk import PrepaidDesk

    with open_office(database) as office:
        PrepaidDesk(office).release(number, why=why)
    console.print(f"Account {number} is released.")


@prepaid.command()
@click.argument("number", metavar="ACCOUNT")
@click.option("--why", required=True, help="The reason; it stands with the orders.")
@database_option
@json_option
def reconnect(number: str, why: str, database: str, as_json: bool) -> None:
    """Order the supply of ACCOUNT on, which the office has switched off."""
    from billing.prepaid.desk import PrepaidDesk

    with open_office(database) as office:
        asked = PrepaidDesk(office).reconnect(number, why=why)
    if as_json:
        print_json(
            {
                "account": number,
                "state": None if asked.cut is None else asked.cut.state.value,
                "orders": list(asked.orders),
                "refused": [asdict(each) for each in asked.refused],
            }
        )
        return
    for order_id in asked.orders:
        console.print(f"Order {order_id} is with the head-end: meterhouse order wait {order_id}")
    for each in asked.refused:
        console.print(each.words, style="red")
    if not asked.orders and not asked.refused:
        console.print(asked.words)


prepaid.add_command(emergency_credit)


def _print_status(found: Status, office: Office) -> None:
    standing, zone, money = found.standing, office.zone, office.currency
    console.print(f"Account {standing.number}  ", end="")
    console.print(standing.state, style=_STYLES.get(standing.state, ""))
    console.print(f"Balance {money.text(standing.balance_minor)} {money.code}")
    if found.outlook is not None:
        outlook = found.outlook
        console.print(
            f"Warned below {money.text(outlook.warn_minor)}, "
            f"switched off below {money.text(outlook.floor_minor)}"
        )
        console.print(_outlook_words(outlook, office))
    if standing.disconnect_at is not None:
        console.print(f"To be switched off at {_when(standing.disconnect_at, zone)}")
    if found.history:
        console.print("\nBalance and limits", style="bold")
    for move in found.history:
        amount = money.text(move.balance_minor)
        console.print(f"  {_when(move.at, zone)}  {move.level.value:<15}{amount:>10}  {move.words}")
    if found.cut is not None:
        console.print(f"\nDisconnect {found.cut.cut_id}: {found.cut.why}", style="bold")
    for line in found.cut_history:
        console.print(f"  {_when(line.at, zone)}  {line.state.value:<15}{line.words}")
    for order in found.cut_orders:
        console.print(
            f"  order {order.order_id} {order.does}: {order.state.value}. {order.words}".rstrip()
        )


def _outlook_words(found: Outlook, office: Office) -> str:
    money = office.currency
    if found.days_left is None or found.runs_out_on is None:
        if found.use.tells:
            return "The balance lasts for more than a year."
        return "How long the balance lasts cannot be said yet: too few days are settled."
    return (
        f"About {found.days_left} days left, until {found.runs_out_on}: a working day costs "
        f"{money.text(found.use.workday_minor)}, a day of rest "
        f"{money.text(found.use.restday_minor)} (of {found.use.days} days)."
    )


def _outlook_object(found: Outlook) -> dict[str, Any]:
    return {
        "balance_minor": found.balance_minor,
        "warn_minor": found.warn_minor,
        "floor_minor": found.floor_minor,
        "days_left": found.days_left,
        "runs_out_on": None if found.runs_out_on is None else found.runs_out_on.isoformat(),
        "workday_minor": found.use.workday_minor,
        "restday_minor": found.use.restday_minor,
        "days_known": found.use.days,
    }


def _standing_object(each: Standing) -> dict[str, Any]:
    return {
        "account": each.number,
        "state": each.state,
        "level": each.level.value,
        "since": _iso(each.since),
        "balance_minor": each.balance_minor,
        "disconnect_at": _iso(each.disconnect_at),
        "words": each.words,
    }


def _status_object(found: Status) -> dict[str, Any]:
    cut = found.cut
    return {
        **_standing_object(found.standing),
        "outlook": None if found.outlook is None else _outlook_object(found.outlook),
        "history": [
            {
                "at": _iso(move.at),
                "level": move.level.value,
                "balance_minor": move.balance_minor,
                "words": move.words,
            }
            for move in found.history
        ],
        "disconnect": None
        if cut is None
        else {
            "number": cut.cut_id,
            "asked_by": cut.asker,
            "why": cut.why,
            "state": cut.state.value,
            "orders": [
                {
                    "order": order.order_id,
                    "does": order.does,
                    "state": order.state.value,
                    "words": order.words,
                }
                for order in found.cut_orders
            ],
            "history": [
                {"at": _iso(line.at), "state": line.state.value, "words": line.words}
                for line in found.cut_history
            ],
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _when(moment: datetime | None, zone: tzinfo) -> str:
    return "" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
