"""``meterhouse window`` and ``holiday``: when supply may be cut."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.counter import database_option
from commands.days import DayParameter, local_minute
from commands.output import console, json_option, print_json
from commands.station import open_station

if TYPE_CHECKING:
    from headend.orders.calendar import CalendarDesk
    from headend.station import Station


@click.group()
def window() -> None:
    """When supply may be cut: hours of weekdays, in the utility's own time."""


@window.command(name="show")
@database_option
@json_option
def show_windows(database: str, as_json: bool) -> None:
    """Show the windows, and when the next one opens."""
    from headend.orders.calendar import CalendarDesk

    with open_station(database) as station:
        _print_windows(station, CalendarDesk(station), as_json=as_json)


@window.command(name="set")
@click.argument("hours", nargs=-1, metavar="[DAYS HOURS...]...")
@click.option("--never", is_flag=True, help="No windows at all: supply is never cut.")
@database_option
@json_option
def set_windows(hours: tuple[str, ...], never: bool, database: str, as_json: bool) -> None:
    """Put windows in the place of all that there are.

    \b
    meterhouse window set "mon-thu 9:00-11:30 13:30-16:00, fri 9:00-11:30"

    Leave noon, evenings, nights and weekends out, and the hours from which nobody could pay and
    have light again on the same day.
    """
    from headend.orders.calendar import CalendarDesk, parse_windows

    if bool(hours) == never:
        raise click.UsageError("Say the windows, or --never.")
    with open_station(database) as station:
        desk = CalendarDesk(station)
        desk.set_windows(() if never else parse_windows(" ".join(hours)))
        _print_windows(station, desk, as_json=as_json)


def _print_windows(station: Station, desk: CalendarDesk, *, as_json: bool) -> None:
    calendar = desk.calendar()
    opening = calendar.next_opening(station.now())
    if as_json:
        spans = [
            {"weekday": each.weekday, "from_min": each.from_min, "until_min": each.until_min}
            for each in calendar.windows
        ]
        print_json(
            {
                "windows": spans,
                "zone": str(station.zone),
                "open": calendar.is_open(station.now()),
                "next_opening": None if opening is None else opening.isoformat(),
            }
        )
        return
    for each in calendar.windows:
        console.print(str(each))
    if opening is None:
        console.print("Supply is never cut.")
    elif calendar.is_open(station.now()):
        console.print("A window is open now.")
    else:
        console.print(f"The next one opens {local_minute(station, opening)} ({station.zone}).")


@click.group()
def holiday() -> None:
    """Days without disconnects."""


@holiday.command(name="add")
@click.argument("day", type=DayParameter())
@click.argument("name")
@database_option
def add_holiday(day: date, name: str, database: str) -> None:
    """Add DAY (2026-10-01), and its NAME."""
    from headend.orders.calendar import CalendarDesk

    with open_station(database) as station:
        added = CalendarDesk(station).add_holidays({day: name})
    console.print(f"{day} {name}." if added else f"{day} was a holiday already.")


@holiday.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@database_option
@json_option
def import_holidays(file: Path, database: str, as_json: bool) -> None:
    """Add the days of a CSV FILE: a day and a name in each line."""
    from headend.orders.calendar import CalendarDesk, read_holidays

    days = read_holidays(file)
    with open_station(database) as station:
        added = CalendarDesk(station).add_holidays(days)
    if as_json:
        print_json({"days": len(days), "added": added})
    else:
        console.print(f"{added} days are new, {len(days) - added} were there.")


@holiday.command(name="list")
@database_option
@json_option
def list_holidays(database: str, as_json: bool) -> None:
    """Show them."""
    from headend.orders.calendar import CalendarDesk

    with open_station(database) as station:
        days = CalendarDesk(station).holidays()
    if as_json:
        print_json([{"day": day.isoformat(), "name": name} for day, name in days.items()])
        return
    for day, name in days.items():
        console.print(f"{day}  {name}")
    if not days:
        console.print("None. Add them with `meterhouse holiday import FILE`.")


@holiday.command(name="remove")
@click.argument("day", type=DayParameter())
@database_option
def remove_holiday(day: date, database: str) -> None:
    """Take DAY out again."""
    from headend.orders.calendar import CalendarDesk

    with open_station(database) as station:
        CalendarDesk(station).remove_holiday(day)
    console.print(f"{day} is no holiday any more.")
