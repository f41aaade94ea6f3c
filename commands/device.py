"""``meterhouse device``: the meters that the head-end reads and commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace as but
from datetime import datetime, tzinfo
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TextIO

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.output import (
    EXIT_CHECK_FAILED,
    console,
    counting,
    error_console,
    json_option,
    print_json,
)
from commands.station import open_station

if TYPE_CHECKING:
    from headend.registry.entries import Device, NewDevice
    from headend.registry.table_import import Imported

_PROTOCOLS: Final = ("dlt645-2007", "dlt645-1997", "modbus")
_KINDS: Final = ("credit", "keypad", "money")
_PAGE: Final = 1000

protocol_option = click.option(
    "--protocol", type=click.Choice(_PROTOCOLS), default="dlt645-2007", show_default=True
)
kind_option = click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default="credit",
    show_default=True,
    help="How it is paid for: readings, STS tokens, or money in the meter.",
)
wh_type = click.IntRange(0)


def _new_meter_options(command: Callable[..., None]) -> Callable[..., Any]:
    """The options that say what a new meter is, as ``new``; its number is still to be put in."""

    @wraps(command)
    def with_new(
        *args: Any,
        link: str | None,
        protocol: str,
        address: str,
        profile: str | None,
        kind: str,
        ratio: int,
        credential: str | None,
        **named: Any,
    ) -> None:
        from headend.registry.entries import DeviceKind, NewDevice

        new = NewDevice(
            number="",
            protocol=protocol,
            address=address,
            profile=profile,
            link=link,
            kind=DeviceKind(kind),
            credential=credential,
            ratio=ratio,
        )
        command(*args, new=new, **named)

    collected: Callable[..., Any] = with_new
    for option in (
        click.option("--credential", help="Name of its password in the operator's file."),
        click.option(
            "--ratio",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Of its transformers; energies are multiplied by it.",
        ),
        kind_option,
        click.option(
            "--profile", help="Modbus: what its registers mean; see `meterhouse profile list`."
        ),
        click.option(
            "--address", default="", help="12 digits, or the Modbus unit. [default: its number]"
        ),
        protocol_option,
        click.option("--link", help="The line that it is on; see `meterhouse link list`."),
    ):
        collected = option(collected)
    return collected


@click.group()
def device() -> None:
    """Meters on lines: add, import, discover, show, replace."""


@device.command()
@click.argument("number")
@_new_meter_options
@click.option("--point", default="", help="The service point. [default: NUMBER]")
@click.option("--place", help="The transformer area, feeder or substation it belongs to.")
@click.option("--parent-point", help="The point whose meter this one is a sub-meter of.")
@click.option(
    "--role",
    type=click.Choice(["customer", "supply", "check"]),
    default="customer",
    show_default=True,
    help="supply: what its place is fed by.",
)
@database_option
@json_option
def add(
    number: str,
    new: NewDevice,
    point: str,
    place: str | None,
    parent_point: str | None,
    role: str,
    database: str,
    as_json: bool,
) -> None:
    """Register the meter NUMBER and the service point that it serves."""
    from headend.registry.desk import Registry
    from headend.registry.entries import PointRole

    new = but(
        new,
        number=number,
        point=point,
        place=place,
        parent_point=parent_point,
        role=PointRole(role),
    )
    with open_station(database) as station:
        registry = Registry(station)
        registry.add_device(new)
        added = registry.device(number.strip())
    if as_json:
        print_json(device_object(added))
    else:
        where = f" on {added.link}" if added.link else ", on no line yet"
        console.print(f"Meter {added.number} is registered{where}.")


@device.command(name="import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--skip-bad", is_flag=True, help="Register the good lines though there are bad ones.")
@click.option("--dry-run", is_flag=True, help="Only check the file.")
@database_option
@json_option
def import_(file: TextIO, skip_bad: bool, dry_run: bool, database: str, as_json: bool) -> None:
    """Register the meters of a CSV FILE (- is standard input); tell of every bad line.

    \b
    The first line names the columns; only number must be there:
      number protocol address profile link kind credential ratio point place
      parent_point role
    Nothing is registered when a line is bad, unless --skip-bad.  A meter that is there with the
    same values is left alone.  Exit status 1 when a line was bad.
    """
    from headend.registry.desk import Registry

    with (
        open_station(database) as station,
        counting("Lines", as_json=as_json) as tell,
    ):
        report = Registry(station).import_devices(
            file, skip_bad=skip_bad, dry_run=dry_run, progress=tell
        )
    _print_report(report, dry_run=dry_run, as_json=as_json, skipped=skip_bad)
    if report.bad:
        raise SystemExit(EXIT_CHECK_FAILED)


def _print_report(report: Imported, *, dry_run: bool, as_json: bool, skipped: bool) -> None:
    undone = dry_run or (bool(report.bad) and not skipped)
    added = 0 if undone else report.added
    if as_json:
        bad = [{"line": b.line, "code": b.code, "message": b.message} for b in report.bad]
        print_json(
            {"lines": report.lines, "added": added, "there": report.there, "bad": bad}
            | ({"dry_run": True} if dry_run else {})
        )
        return
    for each in report.bad:
        error_console.print(f"line {each.line}: {each.message}", soft_wrap=True)
    if dry_run:
        console.print(f"{report.lines} lines: {report.added} new meters, {len(report.bad)} bad.")
    elif undone:
        console.print(
            f"Nothing was registered: {len(report.bad)} of {report.lines} lines are bad. Mend "
            "them, or leave them out with --skip-bad."
        )
    else:
        console.print(f"Registered now: {added}. There already: {report.there}.")


@device.command(name="list")
@click.option("--link", help="Only those on this line.")
@click.option("--place", help="Only those at this place and below.")
@database_option
@json_option
def list_(link: str | None, place: str | None, database: str, as_json: bool) -> None:
    """List meters by number; with --json a document on each line."""
    from headend.registry.desk import Registry

    table = Table()
    for column in ("meter", "protocol", "address", "link", "kind", "place", "point", "state"):
        table.add_column(column, overflow="fold", no_wrap=column == "meter")
    with open_station(database) as station:
        registry = Registry(station)
        after, count = "", 0
        while page := registry.devices(link=link, place=place, after=after, limit=_PAGE):
            for each in page:
                count += 1
                if as_json:
                    print_json(device_object(each))
                else:
                    table.add_row(
                        each.number, each.protocol, each.address, each.link or "-",
                        each.kind.value, each.place or "-", each.point or "-",
                        each.standing.value,
                    )  # fmt: skip
            after = page[-1].number
    if not as_json:
        if count:
            console.print(table)
        else:
            console.print("No meters. Add one with `meterhouse device add NUMBER --link LINK`.")


@device.command()
@click.argument("number")
@database_option
@json_option
def show(number: str, database: str, as_json: bool) -> None:
    """Show the meter NUMBER, and all that have hung at its service point."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        registry = Registry(station)
        found = registry.device(number)
        past = [] if found.point is None else registry.history(found.point)
        zone = station.zone
    history = [
        {
            "meter": each.number,
            "since": each.since.isoformat(),
            "until": None if each.until is None else each.until.isoformat(),
            "first_wh": each.first_wh,
            "last_wh": each.last_wh,
            "reason": each.reason,
        }
        for each in past
    ]
    if as_json:
        print_json(device_object(found) | {"history": history})
        return
    shown = device_object(found) | {"added_at": _local(found.added_at, zone)}
    for name, value in shown.items():
        label = Text(f"{name.replace('_', ' '):>12}  ", "dim")
        console.print(label.append("-" if value is None else str(value), "default"))
    if len(past) > 1:
        table = Table(title="At this service point", title_justify="left")
        for column in ("meter", "since", "until", "first Wh", "last Wh", "reason"):
            table.add_column(column)
        for each in past:
            table.add_row(
                each.number, _local(each.since, zone), _local(each.until, zone),
                _number(each.first_wh), _number(each.last_wh), each.reason,
            )  # fmt: skip
        console.print(table)


@device.command()
@click.argument("number")
@click.argument("new_number")
@click.option("--reason", required=True, help="Why it was replaced.")
@click.option("--last-wh", type=wh_type, help="Import register of the one that goes, in Wh.")
@click.option("--first-wh", type=wh_type, help="Import register of the one that comes, in Wh.")
@_new_meter_options
@database_option
@json_option
def replace(
    number: str,
    new_number: str,
    reason: str,
    last_wh: int | None,
    first_wh: int | None,
    new: NewDevice,
    database: str,
    as_json: bool,
) -> None:
    """Put the meter NEW_NUMBER in the place of NUMBER; readings and history of both stay.

    The options say what the new one is; it hangs on the line of the old one unless told otherwise.
    """
    from headend.registry.desk import Registry

    new = but(new, number=new_number)
    with open_station(database) as station:
        registry = Registry(station)
        registry.replace_device(number, new, last_wh=last_wh, first_wh=first_wh, reason=reason)
        found = registry.device(new_number)
    if as_json:
        print_json(device_object(found))
    else:
        console.print(f"Meter {new_number} hangs at {found.point} in the place of {number}.")


@device.command()
@click.argument("number")
@click.option("--reason", required=True, help="Why it goes.")
@click.option("--last-wh", type=wh_type, help="Its import register, in Wh.")
@database_option
def remove(number: str, reason: str, last_wh: int | None, database: str) -> None:
    """Take the meter NUMBER away; its readings and history stay."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        Registry(station).remove_device(number, last_wh=last_wh, reason=reason)
    console.print(f"Meter {number} was removed.")


@device.command()
@click.argument("number")
@click.option("--link", help="Another line.")
@click.option("--address", help="Another address on it.")
@click.option("--credential", help="Name of its password in the operator's file; empty: none.")
@click.option("--suspend/--resume", default=None, help="Leave it alone, or speak to it again.")
@click.option("--reason", default="", help="Why.")
@database_option
def change(
    number: str,
    link: str | None,
    address: str | None,
    credential: str | None,
    suspend: bool | None,
    reason: str,
    database: str,
) -> None:
    """Reach the meter NUMBER elsewhere, suspend or resume it."""
    from headend.registry.desk import Registry
    from headend.registry.entries import Standing

    standing = None
    if suspend is not None:
        standing = Standing.SUSPENDED if suspend else Standing.ACTIVE
    with open_station(database) as station:
        Registry(station).change_device(
            number, link=link, address=address, credential=credential, standing=standing,
            reason=reason,
        )  # fmt: skip
    console.print(f"Meter {number} was changed.")


@device.command()
@click.argument("link")
@click.option("--profile", help="Look for Modbus units, by the first item of this profile.")
@click.option("--units", default="1-247", show_default=True, help="Modbus: which units are asked.")
@click.option(
    "--seconds",
    type=click.IntRange(1, 86_400),
    default=600,
    show_default=True,
    help="DL/T 645: when to stop.",
)
@click.option(
    "--delay-ms",
    type=click.IntRange(20, 60_000),
    help="How long a DL/T 645 meter may think. [default: 600, a network 1000 more]",
)
@click.option(
    "--digits",
    type=click.IntRange(4, 12),
    default=12,
    show_default=True,
    help="With --csv: so many last digits of a DL/T 645 address are the meter's number; 11 for "
    "STS keypad meters.",
)
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default="credit",
    show_default=True,
    help="With --csv: how they are paid for.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for `meterhouse device import`.")
@database_option
@json_option
def discover(
    link: str,
    profile: str | None,
    units: str,
    seconds: int,
    delay_ms: int | None,
    digits: int,
    kind: str,
    as_csv: bool,
    database: str,
    as_json: bool,
) -> None:
    """Find the meters on LINK, a registered line's name or a URL; only reads are sent.

    \b
    meterhouse device discover north-1
    meterhouse device discover north-1 --csv --digits 11 --kind keypad > found.csv
    meterhouse device import found.csv
    meterhouse device discover modbus+tcp://10.0.0.7 --profile eastron-sdm630 --units 1-32

    A line that a service is reading is its own: stop the service, or suspend the link, first.
    Exit status 1 when nobody answered.
    """
    from headend.registry.discovery import discover_dlt645, discover_modbus

    url, name = _line(database, link)
    complete = True
    with counting("Asking", as_json=as_json or as_csv) as tell:
        if profile is not None or url.startswith("modbus+"):
            if profile is None:
                raise click.UsageError("Modbus needs --profile: what is a unit asked for?")
            span = _units(units)
            found = asyncio.run(
                discover_modbus(url, profile, units=span, tell=lambda n, of, _: tell(n, of))
            )
        else:
            found, complete = asyncio.run(
                discover_dlt645(
                    url, limit_s=seconds, delay_ms=delay_ms, tell=lambda n, of, _: tell(n, of)
                )
            )
    if as_json:
        meters = [{"protocol": e.protocol, "address": e.address, "words": e.words} for e in found]
        print_json({"link": link, "complete": complete, "meters": meters})
    elif as_csv:
        click.echo("number,protocol,address,profile,link,kind")
        for each in found:
            number = each.address[-digits:] if profile is None else f"{name}-{each.address}"
            click.echo(f"{number},{each.protocol},{each.address},{profile or ''},{name},{kind}")
    else:
        for each in found:
            console.print(f"{each.address:>12}  {each.protocol}  {each.words}", soft_wrap=True)
        if not found:
            console.print("Nobody answered. `meterhouse link doctor` may tell why.")
    if not complete:
        error_console.print("The time was over before all were asked: give more --seconds.")
    if not found:
        raise SystemExit(EXIT_CHECK_FAILED)


def _line(database: str, link: str) -> tuple[str, str]:
    """The URL of a line and its name; a URL that is not registered is its own name."""
    if "://" in link:
        return link, link
    from headend.registry.desk import Registry

    with open_station(database) as station:
        for each in Registry(station).links():
            if each.name == link and each.url is not None:
                return each.url, link
    raise click.UsageError(f"No line {link!r} that we open; see `meterhouse link list`.")


def _local(moment: datetime | None, zone: tzinfo) -> str:
    return "-" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _units(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        span = range(int(first), int(last or first) + 1)
    except ValueError:
        span = range(0)
    if not span or span[0] < 1 or span[-1] > 247:
        raise click.UsageError("--units is for example 1-32; the highest unit is 247.")
    return span


def device_object(each: Device) -> dict[str, Any]:
    """A meter as JSON answers give it."""
    return {
        "meter": each.number,
        "protocol": each.protocol,
        "address": each.address,
        "profile": each.profile,
        "link": each.link,
        "kind": each.kind.value,
        "ratio": each.ratio,
        "credential": each.credential,
        "point": each.point,
        "role": None if each.role is None else each.role.value,
        "place": each.place,
        "state": each.standing.value,
        "added_at": each.added_at.isoformat(),
    }
