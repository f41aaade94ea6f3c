"""``meterhouse link callers``: modems that called and are no line's, and where the others are."""

from __future__ import annotations

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.station import open_station


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@database_option
@json_option
def callers(limit: int, database: str, as_json: bool) -> None:
    """List modems that called in and are registered nowhere, the last one first.

    They are sent away and counted.  One that is ours is registered with
    `meterhouse link add NAME --modem ID`, and is welcome at its next call.
    """
    from headend.service.callers import unknown

    with open_station(database) as station, station.reading() as connection:
        found = unknown(connection, limit)
    if as_json:
        print_json(
            [
                {
                    "modem": each.caller,
                    "calls": each.calls,
                    "first_at": each.first_at.isoformat(),
                    "last_at": each.last_at.isoformat(),
                    "remote": each.remote,
                }
                for each in found
            ]
        )
        return
    if not found:
        console.print("No modem has called that is not known.")
        return
    table = Table()
    for column in ("modem", "calls", "first", "last", "from"):
        table.add_column(column, justify="right" if column == "calls" else "left", overflow="fold")
    for each in found:
        table.add_row(
            each.caller,
            f"{each.calls:,}",
            f"{each.first_at:%Y-%m-%d %H:%M}",
            f"{each.last_at:%Y-%m-%d %H:%M}",
            each.remote,
        )
    console.print(table)
    console.print("Times are UTC. Register one with `meterhouse link add NAME --modem ID`.")
