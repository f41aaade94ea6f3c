"""``meterhouse emergency``: disconnects suspended, and resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from commands.counter import database_option
from commands.days import local_minute
from commands.output import console, json_option, print_json
from commands.station import open_station

if TYPE_CHECKING:
    from headend.orders.emergency import EmergencyStop
    from headend.station import Station


@click.group()
def emergency() -> None:
    """Suspend disconnects in a disaster or a failure; reconnects go on."""


@emergency.command(name="stop")
@click.option("--place", help="Only there and below. [default: everywhere]")
@click.option("--reason", required=True, help="Why.")
@database_option
@json_option
def stop_disconnects(place: str | None, reason: str, database: str, as_json: bool) -> None:
    """Let no disconnect begin any more, from now on."""
    from headend.orders.emergency import EmergencyDesk

    with open_station(database) as station:
        made = EmergencyDesk(station).stop(place=place, reason=reason)
        _print_stops(station, [made], as_json=as_json)


@emergency.command(name="resume")
@click.argument("number", type=click.IntRange(1))
@click.option("--why", default="", help="The reason.")
@database_option
@json_option
def resume_disconnects(number: int, why: str, database: str, as_json: bool) -> None:
    """End the stop NUMBER: disconnects that wait go on in their windows."""
    from headend.orders.emergency import EmergencyDesk

    with open_station(database) as station:
        made = EmergencyDesk(station).resume(number, why=why)
        _print_stops(station, [made], as_json=as_json)


@emergency.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@database_option
@json_option
def list_stops(everything: bool, database: str, as_json: bool) -> None:
    """Show where disconnects are suspended."""
    from headend.orders.emergency import EmergencyDesk

    with open_station(database) as station:
        found = EmergencyDesk(station).list(only_active=not everything)
        _print_stops(station, found, as_json=as_json)


def _print_stops(station: Station, found: list[EmergencyStop], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "number": each.stop_id,
                    "place": each.place,
                    "reason": each.reason,
                    "since": each.since.isoformat(),
                    "declared_by": each.declared_by,
                    "resumed_at": None if each.resumed_at is None else each.resumed_at.isoformat(),
                    "resumed_by": each.resumed_by,
                }
                for each in found
            ]
        )
        return
    for each in found:
        over = "" if each.resumed_by is None else f"; resumed by {each.resumed_by}"
        console.print(
            f"{each.stop_id}  {each.where}  since {local_minute(station, each.since)}  "
            f"{each.reason} ({each.declared_by}){over}"
        )
    if not found:
        console.print("Disconnects are not suspended.")
