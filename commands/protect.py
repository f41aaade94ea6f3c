"""``meterhouse protect``: keep-power orders, which beat every disconnect."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option
from commands.days import DayParameter, local_minute
from commands.output import console, json_option, print_json
from commands.station import open_station

if TYPE_CHECKING:
    from headend.orders.protection import KeepPower
    from headend.station import Station


@click.group()
def protect() -> None:
    """Keep-power orders (保电): whose supply is never cut, whatever is owed."""


@protect.command(name="add")
@click.argument("point", required=False)
@click.option("--place", help="A place and everything below it, instead of one service point.")
@click.option("--owner", required=True, help="Who answers for it: a name, a department.")
@click.option("--reason", required=True, help="Hospital, life support, a summit.")
@click.option("--until", required=True, type=DayParameter(), help="Its last day.")
@click.option("--since", type=DayParameter(), help="Its first day. [default: now]")
@database_option
@json_option
def add_protection(
    point: str | None,
    place: str | None,
    owner: str,
    reason: str,
    until: date,
    since: date | None,
    database: str,
    as_json: bool,
) -> None:
    """Protect the service point POINT, or a --place.

    It beats every disconnect, also one that waits already. Whoever is fed through a point is
    protected with it: the supply of an area with a hospital in it is not cut either.
    """
    from headend.orders.protection import ProtectionDesk

    with open_station(database) as station:
        made = ProtectionDesk(station).add(
            point=point,
            place=place,
            owner=owner,
            reason=reason,
            until=_midnight(station, until + timedelta(days=1)),
            since=None if since is None else _midnight(station, since),
        )
        _print_protections(station, [made], as_json=as_json)


@protect.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@database_option
@json_option
def list_protections(everything: bool, database: str, as_json: bool) -> None:
    """Show who is protected, why, until when."""
    from headend.orders.protection import ProtectionDesk

    with open_station(database) as station:
        found = ProtectionDesk(station).list(only_active=not everything)
        _print_protections(station, found, as_json=as_json)


@protect.command(name="end")
@click.argument("number", type=click.IntRange(1))
@click.option("--why", required=True, help="The reason.")
@database_option
@json_option
def end_protection(number: int, why: str, database: str, as_json: bool) -> None:
    """End one before its time: the first person asks, a second one with the same command agrees."""
    from headend.orders.protection import ProtectionDesk

    with open_station(database) as station:
        changed = ProtectionDesk(station).end(number, why=why)
        _print_protections(station, [changed], as_json=as_json)
    if not as_json and changed.lifted_at is None:
        console.print(
            f"It still protects. Somebody else: meterhouse protect end {number} --why ..."
        )


def _print_protections(station: Station, found: list[KeepPower], *, as_json: bool) -> None:
    if as_json:
        print_json([_protection_object(each) for each in found])
        return
    table = Table("no.", "what", "owner", "reason", "since", "until", "state")
    for each in found:
        table.add_row(
            str(each.keep_power_id),
            each.what,
            each.owner,
            each.reason,
            local_minute(station, each.since),
            local_minute(station, each.until),
            _protection_state(station, each),
        )
    console.print(table if found else "Nobody is protected.")


def _protection_state(station: Station, each: KeepPower) -> str:
    if each.lifted_by is not None:
        return f"lifted by {each.lifted_by}: {each.lift_why}"
    if not each.is_active(station.now()):
        return "not yet" if each.since > station.now() else "over"
    if each.lift_asked_by is not None:
        return f"protects; {each.lift_asked_by} asks to end it"
    return "protects"


def _protection_object(each: KeepPower) -> dict[str, Any]:
    return {
        "number": each.keep_power_id,
        "point": each.point,
        "place": each.place,
        "owner": each.owner,
        "reason": each.reason,
        "since": each.since.isoformat(),
        "until": each.until.isoformat(),
        "added_by": each.added_by,
        "lift_asked_by": each.lift_asked_by,
        "lift_why": each.lift_why,
        "lifted_by": each.lifted_by,
        "lifted_at": None if each.lifted_at is None else each.lifted_at.isoformat(),
    }


def _midnight(station: Station, day: date) -> datetime:
    return datetime.combine(day, time(), station.zone)
