"""``meterhouse account supply``: service points on accounts."""

from __future__ import annotations

from datetime import date

import click

from commands.account.desk import open_desk
from commands.counter import database_option
from commands.days import DayParameter
from commands.output import console, json_option, print_json


@click.group()
def supply() -> None:
    """Service points on accounts: add, end, transfer from one customer to the next."""


@supply.command()
@click.argument("number")
@click.argument("point")
@click.option("--tariff", required=True, help="Code of the tariff that prices it.")
@click.option("--since", type=DayParameter(), help="From the start of this day. [default: now]")
@click.option("--address", help="Where it is.")
@database_option
@json_option
def add(
    number: str,
    point: str,
    tariff: str,
    since: date | None,
    address: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Put the service point POINT on account NUMBER."""
    from billing.accounts.supplying import NewSupply

    with open_desk(database) as desk:
        at = None if since is None else desk.office.day_start(since)
        supply_id = desk.add_supply(number, NewSupply(point, tariff, at, address))
    if as_json:
        print_json({"supply": supply_id})
        return
    console.print(f"{point} is on account {number}, as supply {supply_id}.")


@supply.command()
@click.argument("supply_id", metavar="SUPPLY", type=int)
@click.option("--day", type=DayParameter(), required=True, help="The first day without it.")
@click.option("--reason", required=True, help="Why; nothing personal.")
@database_option
@json_option
def end(supply_id: int, day: date, reason: str, database: str, as_json: bool) -> None:
    """Take the supply SUPPLY off its account; it is settled up to then."""
    with open_desk(database) as desk:
        desk.end_supply(supply_id, day, reason)
    if as_json:
        print_json({"supply": supply_id, "until": day.isoformat()})
        return
    console.print(f"Supply {supply_id} ends at the start of {day}.")


@supply.command()
@click.argument("supply_id", metavar="SUPPLY", type=int)
@click.option("--to", required=True, metavar="NUMBER", help="Account of who moves in.")
@click.option("--day", type=DayParameter(), required=True, help="From which on the new one pays.")
@click.option("--tariff", help="Of the new one. [default: as before]")
@click.option("--close", is_flag=True, help="Close the old account, if nothing else is on it.")
@database_option
@json_option
def transfer(
    supply_id: int,
    to: str,
    day: date,
    tariff: str | None,
    close: bool,
    database: str,
    as_json: bool,
) -> None:
    """Hand the service point of SUPPLY to another customer: one moves out, the other moves in."""
    with open_desk(database) as desk:
        new_id = desk.transfer(supply_id, to, day, tariff=tariff, close=close)
    if as_json:
        print_json({"supply": new_id, "from": supply_id})
        return
    console.print(f"Supply {supply_id} ends on {day}; account {to} goes on with supply {new_id}.")
