"""``meterhouse round``: what came of reading, what is missing, and reading meters now."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import EXIT_WIRE, console, json_option, print_json
from commands.rounds_shown import (
    carry_out,
    missing_object,
    print_missing,
    round_object,
    say_round,
    watch,
)
from commands.station import open_station

if TYPE_CHECKING:
    from headend.station import Station

_WAIT_S = 120.0


@click.group("round")
def round_() -> None:
    """Rounds of readings: list, show, watch, missing, chase; read meters now; enter by hand."""


@round_.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only those that go on.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_option
@json_option
def list_(only_open: bool, limit: int, database: str, as_json: bool) -> None:
    """List the last rounds."""
    from headend.collection.desk import STATES, Collection

    with open_station(database) as station:
        found = Collection(station).rounds(limit, only_open=only_open)
        if as_json:
            print_json([round_object(view) for view in found])
            return
        table = Table()
        for column in ("round", "plan", "due", "meters", *STATES, "ended"):
            left = column in ("plan", "due", "ended")
            table.add_column(column, justify="left" if left else "right")
        for view in found:
            counts = [str(view.counts.get(state, 0)) for state in STATES]
            table.add_row(
                str(view.round_id), view.name, _local(station, view.due_at), str(view.devices),
                *counts, "-" if view.ended_at is None else _local(station, view.ended_at),
            )  # fmt: skip
        console.print(table)


@round_.command()
@click.argument("number", metavar="ROUND", type=int)
@database_option
@json_option
def show(number: int, database: str, as_json: bool) -> None:
    """Show a round, and the meters that it missed."""
    from headend.collection.desk import Collection

    with open_station(database) as station:
        view = Collection(station).round(number)
        missed = Collection(station).missing(number)
        if as_json:
            print_json(round_object(view) | {"missing": [missing_object(m) for m in missed]})
            return
        say_round(station, number, as_json=False)
        console.print(
            f"Due {_local(station, view.due_at)}, closes {_local(station, view.closes_at)}; "
            f"{view.requests} requests, {view.spent_ms / 1000:.1f} s on its lines."
        )
        if missed:
            print_missing(missed)


@round_.command("watch")
@click.argument("number", metavar="ROUND", type=int)
@click.option("--timeout", "timeout_s", type=click.IntRange(1), help="Seconds to wait at most.")
@database_option
@json_option
def watch_(number: int, timeout_s: int | None, database: str, as_json: bool) -> None:
    """Watch a round until it has ended; Ctrl-C stops the watching, not the round."""
    with open_station(database) as station:
        watch(station, number, as_json=as_json, timeout_s=timeout_s)
        say_round(station, number, as_json=as_json)


@round_.command()
@click.argument("number", metavar="ROUND", type=int)
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, for those who go there.")
@database_option
@json_option
def missing(number: int, as_csv: bool, database: str, as_json: bool) -> None:
    """List the meters that a round missed, by place: the list for the readers."""
    from headend.collection.desk import Collection

    with open_station(database) as station:
        desk = Collection(station)
        desk.round(number)
        found = desk.missing(number)
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(["meter", "place", "state", "attempts", "why", "words"])
        for each in found:
            writer.writerow(
                [each.number, each.place or "", each.state, each.attempts, each.why, each.words]
            )
    elif as_json:
        print_json([missing_object(each) for each in found])
    elif found:
        print_missing(found)
    else:
        console.print(f"Round {number} has missed no meter.")


@round_.command()
@click.argument("number", metavar="ROUND", type=int)
@click.option("--now", is_flag=True, help="Read in this command, without `meterhouse serve`.")
@database_option
@json_option
def chase(number: int, now: bool, database: str, as_json: bool) -> None:
    """Make a new round of the meters that an ended one missed."""
    from headend.collection.desk import Collection
    from headend.work.inline import InlineWork

    with open_station(database) as station:
        work = InlineWork() if now else None
        made = Collection(station).chase(number, work)
        if work is not None:
            carry_out(station, work, made, as_json=as_json)
        say_round(station, made, as_json=as_json)


@round_.command()
@click.argument("meters", nargs=-1, required=True, metavar="METER…")
@click.option(
    "--quantity", "quantities", multiple=True, metavar="NAME", help="[default: energy_import_total]"
)
@click.option("--events", is_flag=True, help="New events, too.")
@click.option("--now", is_flag=True, help="Read in this command, without `meterhouse serve`.")
@click.option("--no-wait", is_flag=True, help="Do not wait for what comes of it.")
@database_option
@json_option
def read(
    meters: tuple[str, ...], quantities: tuple[str, ...], events: bool, now: bool, no_wait: bool,
    database: str, as_json: bool,
) -> None:  # fmt: skip
    """Read registered meters now; it overtakes what is planned on their lines.

    `meterhouse serve` does it; with --now this command itself.  Of a meter that is not
    registered, `meterhouse read LINK METER` asks.
    """
    from headend.collection.desk import Collection
    from headend.work.inline import InlineWork

    names = quantities or ("energy_import_total",)
    what: dict[str, Any] = {"quantities": list(names), "events": events}
    with open_station(database) as station:
        work = InlineWork() if now else None
        made = Collection(station).read_now(meters, what, work)
        if work is not None:
            carry_out(station, work, made, as_json=as_json)
        elif not no_wait:
            watch(station, made, as_json=as_json, timeout_s=_WAIT_S)
        if no_wait:
            say_round(station, made, as_json=as_json)
            return
        status = _say_values(station, made, meters, names, as_json=as_json)
    if status:
        raise SystemExit(status)


@round_.command()
@click.argument("meter")
@click.argument("quantity")
@click.argument("value")
@click.option("--at", metavar="TIME", help="When it was read: 2026-11-21T09:30. [default: now]")
@click.option("--note", required=True, help="Who read it, and why by hand.")
@click.option(
    "--photo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A picture; its name and SHA-256 are kept, the file stays where it is.",
)
@database_option
@json_option
def enter(
    meter: str, quantity: str, value: str, at: str | None, note: str, photo: Path | None,
    database: str, as_json: bool,
) -> None:  # fmt: skip
    """Enter a reading by hand: kWh for energies, as the display shows it.

    \b
    meterhouse round enter 01000000016 energy_import_total 1234.56 --note "J. Li, no signal"
    """
    from headend.collection.manual import enter_reading

    with open_station(database) as station:
        moment = station.now().replace(microsecond=0) if at is None else _moment(at, station)
        entered = enter_reading(station, meter, quantity, value, moment, note, photo)
        if as_json:
            print_json(
                {"meter": meter, "quantity": quantity, "value": entered.reading.value,
                 "at": moment.isoformat(), "settled_rounds": list(entered.settled)}
            )  # fmt: skip
            return
        console.print(f"{meter} {quantity} {value} at {_local(station, moment)} is kept.")
        for round_id in entered.settled:
            console.print(f"Round {round_id} no longer misses the meter.")


def _say_values(
    station: Station, round_id: int, meters: tuple[str, ...], names: tuple[str, ...], *,
    as_json: bool,
) -> int:  # fmt: skip
    """What was read of each meter; gives the exit status."""
    from headend.collection.desk import Collection
    from headend.talk.amounts import in_words

    desk = Collection(station)
    view = desk.round(round_id)
    found = desk.values_since(meters, names, view.due_at.replace(microsecond=0))
    missed = desk.missing(round_id)
    if as_json:
        values = [
            {"meter": number, "quantity": r.quantity, "value": r.value, "at": r.at.isoformat()}
            for number, r in found
        ]
        lost = [missing_object(each) for each in missed]
        print_json(round_object(view) | {"values": values, "missing": lost})
    else:
        table = Table()
        for column in ("meter", "quantity", "value", "unit", "time"):
            table.add_column(column, justify="right" if column == "value" else "left")
        for number, reading in found:
            shown, unit = in_words(reading.value, reading.quantity)
            table.add_row(number, reading.quantity, shown, unit, _local(station, reading.at))
        console.print(table)
        if missed:
            print_missing(missed)
        if view.counts.get("waiting"):
            say_round(station, round_id, as_json=False)
    return 0 if not missed and not view.counts.get("waiting") else EXIT_WIRE


def _moment(text: str, station: Station) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--at: {text!r} is no time, such as 2026-11-21T09:30.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=station.zone)


def _local(station: Station, moment: datetime) -> str:
    return f"{moment.astimezone(station.zone):%Y-%m-%d %H:%M}"
