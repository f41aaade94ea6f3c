"""``meterhouse plan``: which meters are read when."""

from __future__ import annotations

import json
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.rounds_shown import carry_out, say_round
from commands.station import open_station

if TYPE_CHECKING:
    from headend.collection.desk import KeptPlan
    from headend.collection.reading_days import Move
    from headend.station import Station

_WHAT = ("quantities", "daily", "hourly", "monthly", "profile")
_WHOM = ("places", "links", "lists", "devices")


@click.group()
def plan() -> None:
    """Reading plans: what is read, of whom, and when; reading days and lists of meters.

    `meterhouse serve` carries them out; `meterhouse round` shows what came of it.
    """


@plan.command()
@click.argument("name")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The whole plan as TOML or JSON (docs/reading-plans.md); options go before it.",
)
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    metavar="NAME",
    help="A present register: energy_import_total, voltage_l1, credit, ...",
)
@click.option("--daily", multiple=True, metavar="NAME", help="An energy frozen at midnight.")
@click.option("--hourly", multiple=True, metavar="NAME", help="An energy frozen each hour.")
@click.option("--monthly", multiple=True, metavar="NAME", help="An energy at the settlement.")
@click.option(
    "--profile",
    multiple=True,
    metavar="NAME",
    help="A quantity of the load profile; its gaps are filled.",
)
@click.option("--events", is_flag=True, help="New events of the meters.")
@click.option("--place", "places", multiple=True, help="Meters of a place and all below it.")
@click.option("--link", "links", multiple=True, help="Meters of a line.")
@click.option("--list", "lists", multiple=True, help="Meters of a list; see `plan mark`.")
@click.option("--meter", "devices", multiple=True, help="One meter. [default: all meters]")
@click.option(
    "--every",
    "every_min",
    type=click.IntRange(1, 1440),
    metavar="MINUTES",
    help="Due every so many minutes of the day.",
)
@click.option("--reading-days", "reading", is_flag=True, help="Due on each customer's own day.")
@click.option("--rolling", is_flag=True, help="Each meter once a month, evenly spread.")
@click.option(
    "--day",
    "days",
    type=click.IntRange(1, 31),
    multiple=True,
    help="Due on this day of each month.",
)
@click.option("--at", metavar="HH:MM", help="When on the day. [default: 00:00]")
@click.option(
    "--window",
    "windows",
    multiple=True,
    metavar="HH:MM-HH:MM",
    help="Read only in this part of the day.",
)
@click.option(
    "--urgency",
    type=click.Choice(["routine", "late", "background"]),
    help="[default: routine; of profiles alone: background]",
)
@click.option(
    "--within",
    "within_min",
    type=click.IntRange(1),
    metavar="MINUTES",
    help="How long a round may try. [default: until the next, or two days]",
)
@click.option(
    "--line-seconds",
    "line_s",
    type=click.IntRange(1),
    help="Time on one line that a round may take.",
)
@click.option(
    "--line-requests",
    "requests",
    type=click.IntRange(1),
    help="Requests on one line that a round may make.",
)
@database_option
@json_option
def add(
    name: str, path: Path | None, database: str, as_json: bool, **given: Any
) -> None:  # fmt: skip
    """Make a plan; from now on it is due at its moments.

    \b
    meterhouse plan add hourly --quantity energy_import_total --every 60 --at 00:05
    meterhouse plan add billing --quantity energy_import_total --reading-days --at 01:00
    meterhouse plan add profiles --profile energy_import_total --every 360 --window 22:00-06:00
    """
    from headend.collection.desk import Collection

    document = _document(path, given)
    with open_station(database) as station:
        made = Collection(station).add_plan(name, document)
        if as_json:
            print_json(_plan_object(made))
            return
        count = Collection(station).meters_on(name, made.next_due)
        console.print(f"Plan {name}: first due {_local(station, made.next_due)}, {count} meters.")


@plan.command("list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List the plans in force."""
    from headend.collection.desk import Collection

    with open_station(database) as station:
        found = Collection(station).plans()
        if as_json:
            print_json([_plan_object(each) for each in found])
            return
        if not found:
            console.print("No plans; `meterhouse plan add` makes one.")
            return
        table = Table()
        for column in ("plan", "reads", "when", "next due", "urgency"):
            table.add_column(column, overflow="fold")
        for each in found:
            table.add_row(
                each.name, ", ".join(each.plan.what.parts), _when(each),
                _local(station, each.next_due), each.plan.urgency.name.lower().replace("_", " "),
            )  # fmt: skip
        console.print(table)


@plan.command()
@click.argument("name")
@database_option
@json_option
def show(name: str, database: str, as_json: bool) -> None:
    """Show a plan, and how many meters it would read when it is next due."""
    from headend.collection.desk import Collection

    with open_station(database) as station:
        desk = Collection(station)
        found = desk.plan(name)
        shown = _plan_object(found) | {"meters": desk.meters_on(name, found.next_due)}
        if as_json:
            print_json(shown)
            return
        console.print(
            f"{name}: next due {_local(station, found.next_due)}, "
            f"{shown['meters']} meters; made by {found.made_by or 'nobody'}"
        )
        console.print(json.dumps(found.document, indent=2, ensure_ascii=False))


@plan.command()
@click.argument("name")
@database_option
@json_option
def remove(name: str, database: str, as_json: bool) -> None:
    """End a plan: no more rounds are made of it.  What it has read stays."""
    from headend.collection.desk import Collection

    with open_station(database) as station:
        Collection(station).end_plan(name)
    if as_json:
        print_json({"name": name, "ended": True})
    else:
        console.print(f"Plan {name} has ended.")


@plan.command("run-now")
@click.argument("name")
@click.option("--now", is_flag=True, help="Read in this command, without `meterhouse serve`.")
@database_option
@json_option
def run_now(name: str, now: bool, database: str, as_json: bool) -> None:
    """Make a round of a plan at once, besides those that are due."""
    from headend.collection.desk import Collection
    from headend.work.inline import InlineWork

    with open_station(database) as station:
        work = InlineWork() if now else None
        round_id = Collection(station).run_now(name, work)
        if round_id is None:
            raise click.ClickException(f"Plan {name} has no meters to read today.")
        if work is not None:
            carry_out(station, work, round_id, as_json=as_json)
        say_round(station, round_id, as_json=as_json)


@plan.command()
@click.argument("name")
@click.argument("meters", nargs=-1, required=True, metavar="METER…")
@click.option("--off", is_flag=True, help="Take them off the list.")
@database_option
@json_option
def mark(name: str, meters: tuple[str, ...], off: bool, database: str, as_json: bool) -> None:
    """Put meters on a list of your own, which plans may name."""
    from headend.collection.desk import Collection

    with open_station(database) as station:
        desk = Collection(station)
        changed = (desk.take_off_list if off else desk.put_on_list)(name, meters)
    if as_json:
        print_json({"list": name, "changed": changed})
    else:
        console.print(f"List {name}: {changed} meters {'taken off' if off else 'added'}.")


# Reading days


@plan.group()
def day() -> None:
    """Customers' reading days: set, move with a second person's approval."""


@day.command("set")
@click.argument("meter")
@click.argument("number", metavar="DAY", type=click.IntRange(1, 31))
@database_option
@json_option
def set_(meter: str, number: int, database: str, as_json: bool) -> None:
    """Give a meter's service point its first reading day."""
    from headend.collection.reading_days import ReadingDays

    with open_station(database) as station:
        _say_move(ReadingDays(station).set_first(meter, number), as_json=as_json)


@day.command()
@click.argument("meter")
@click.argument("number", metavar="DAY", type=click.IntRange(1, 31))
@click.option("--from", "month", required=True, metavar="YYYY-MM", help="The first month.")
@click.option("--notice", required=True, metavar="YYYY-MM-DD", help="When the customer is told.")
@click.option("--why", required=True, help="The reason; it stands with the move.")
@database_option
@json_option
def move(
    meter: str, number: int, month: str, notice: str, why: str, database: str, as_json: bool
) -> None:
    """Ask for another reading day; another person approves it."""
    from headend.collection.reading_days import ReadingDays

    begins, told = _date(f"{month}-01", "--from"), _date(notice, "--notice")
    with open_station(database) as station:
        asked = ReadingDays(station).ask(meter, number, begins, told, why)
        _say_move(asked, as_json=as_json)


@day.command()
@click.argument("number", metavar="MOVE", type=int)
@click.option("--refuse", is_flag=True, help="Refuse it instead.")
@database_option
@json_option
def approve(number: int, refuse: bool, database: str, as_json: bool) -> None:
    """Agree to a move that another person has asked for."""
    from headend.collection.reading_days import ReadingDays

    with open_station(database) as station:
        _say_move(ReadingDays(station).approve(number, agrees=not refuse), as_json=as_json)


@day.command("list")
@click.option("--asked", is_flag=True, help="Only moves that wait for approval.")
@database_option
@json_option
def list_days(asked: bool, database: str, as_json: bool) -> None:
    """List reading days and moves."""
    from headend.collection.reading_days import ReadingDays

    with open_station(database) as station:
        found = ReadingDays(station).moves(only_asked=asked)
    if as_json:
        print_json([_move_object(each) for each in found])
        return
    table = Table()
    for column in ("move", "point", "day", "from", "state", "told on", "asked by", "approved by"):
        table.add_column(column)
    for each in found:
        table.add_row(
            str(each.move_id), each.point, str(each.day), f"{each.from_month:%Y-%m}", each.state,
            str(each.notice_on or "-"), each.ordered_by or "-", each.approved_by or "-",
        )  # fmt: skip
    console.print(table)


# What they share


def _document(path: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """The plan's document: the file's, with what the options say in its place."""
    document: dict[str, Any] = {} if path is None else _read(path)
    what: dict[str, Any] = {name: list(given[name]) for name in _WHAT if given[name]}
    if given["events"]:
        what["events"] = True
    whom = {name: list(given[name]) for name in _WHOM if given[name]}
    for name, values in (("what", what), ("whom", whom), ("when", _moments(given))):
        if values:
            document[name] = {**document.get(name, {}), **values}
    if given["windows"]:
        document["windows"] = [window.split("-") for window in given["windows"]]
    for name in ("urgency", "within_min", "line_s", "requests"):
        if given[name] is not None:
            document[name] = given[name]
    return document


def _moments(given: dict[str, Any]) -> dict[str, Any]:
    ways = {
        "every_min": given["every_min"],
        "days": ("reading" if given["reading"] else None)
        or ("rolling" if given["rolling"] else None)
        or (list(given["days"]) or None),
        "at": given["at"],
    }
    return {name: value for name, value in ways.items() if value is not None}


def _read(path: Path) -> dict[str, Any]:
    text = path.read_text("utf-8")
    try:
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as fault:
        raise click.UsageError(f"{path} cannot be read: {fault}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{path} is no plan.")
    return found


def _date(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{option}: {text!r} is no such date.") from None


def _when(kept: KeptPlan) -> str:
    when = kept.plan.when
    if when.every_min is not None:
        return f"every {when.every_min} min, from {when.at:%H:%M}"
    days = when.days if isinstance(when.days, str) else ", ".join(map(str, when.days or ()))
    return f"{days} days at {when.at:%H:%M}" if days in ("reading", "rolling") else f"day {days}"


def _plan_object(kept: KeptPlan) -> dict[str, Any]:
    return {
        "name": kept.name,
        "next_due": kept.next_due.isoformat(),
        "made_at": kept.made_at.isoformat(),
        "made_by": kept.made_by,
        **kept.document,
    }


def _move_object(move: Move) -> dict[str, Any]:
    return {
        "move": move.move_id,
        "point": move.point,
        "day": move.day,
        "from": f"{move.from_month:%Y-%m}",
        "state": move.state,
        "notice_on": None if move.notice_on is None else str(move.notice_on),
        "reason": move.reason,
        "ordered_by": move.ordered_by,
        "approved_by": move.approved_by,
    }


def _say_move(move: Move, *, as_json: bool) -> None:
    if as_json:
        print_json(_move_object(move))
        return
    console.print(
        f"Point {move.point}: day {move.day} from {move.from_month:%Y-%m} on, {move.state}."
    )
    if move.state == "asked":
        console.print(f"Another person agrees: meterhouse plan day approve {move.move_id}")


def _local(station: Station, moment: datetime) -> str:
    return f"{moment.astimezone(station.zone):%Y-%m-%d %H:%M}"
