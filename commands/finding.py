"""``meterhouse finding``: what the checks found, for a person to confirm or dismiss."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.alarm import shown_time
from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.station import open_station

if TYPE_CHECKING:
    from headend.watching.findings import Finding

_MONTH = click.DateTime(["%Y-%m"])


@click.group()
def finding() -> None:
    """Odd values: list, show, confirm, dismiss, release; causes; limits."""


@finding.command(name="list")
@click.option("--check", help="Only of this check: use_swing, rollover, sub_sum, zero_use ...")
@click.option(
    "--state",
    type=click.Choice(["open", "confirmed", "dismissed", "any"]),
    default="open",
    show_default=True,
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@database_option
@json_option
def list_(check: str | None, state: str, limit: int, database: str, as_json: bool) -> None:
    """Show findings, the newest first; those marked * keep values from being billed."""
    from headend.watching.findings import FindingDesk

    with open_station(database) as station:
        wanted = None if state == "any" else state
        found = FindingDesk(station).list(check=check, state=wanted, limit=limit)
        zone = station.zone
    if as_json:
        print_json([_object(each) for each in found])
        return
    if not found:
        console.print("Nothing was found that waits." if state == "open" else "Nothing.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("no", "", "check", "about", "since", "state"):
        table.add_column(column)
    table.add_column("reason", overflow="fold")
    for each in found:
        held = "*" if each.holds else ""
        since = shown_time(each.since, zone)
        table.add_row(
            str(each.finding_id), held, each.check, each.about, since, each.state, Text(each.reason)
        )
    console.print(table)


@finding.command()
@click.argument("number", type=int)
@database_option
@json_option
def show(number: int, database: str, as_json: bool) -> None:
    """Show the finding NUMBER, its figures and what was decided."""
    from headend.watching.findings import FindingDesk

    with open_station(database) as station:
        found, decided = FindingDesk(station).show(number)
        zone = station.zone
    if as_json:
        entries = [
            {"at": each.at.isoformat(), "act": each.act, "actor": each.actor, "words": each.words}
            for each in decided
        ]
        print_json({**_object(found), "decisions": entries})
        return
    console.print(f"Finding {found.finding_id}: {found.check}, {found.about} ({found.state})")
    console.print(found.reason)
    console.print(f"Values from {shown_time(found.since, zone)} to {shown_time(found.until, zone)}")
    for name, value in found.figures.items():
        console.print(f"  {name}: {value}")
    if found.holds:
        console.print("Nothing of this time is billed before it is dismissed or released.")
    for each in decided:
        console.print(f"{shown_time(each.at, zone)}  {each.act} by {each.actor}: {each.words}")


@finding.command()
@click.argument("number", type=int)
@click.argument("words")
@click.option("--cause", help="For the monthly summary, when it is another than was thought.")
@database_option
def confirm(number: int, words: str, cause: str | None, database: str) -> None:
    """Something is wrong: values stay held until they are corrected and released."""
    from headend.watching.findings import FindingDesk

    with open_station(database) as station:
        FindingDesk(station).confirm(number, words, cause=cause)
    console.print(f"Finding {number} is confirmed.")


@finding.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
def dismiss(number: int, words: str, database: str) -> None:
    """Nothing is wrong: the values may be billed."""
    from headend.watching.findings import FindingDesk

    with open_station(database) as station:
        FindingDesk(station).dismiss(number, words)
    console.print(f"Finding {number} is dismissed.")


@finding.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
def release(number: int, words: str, database: str) -> None:
    """The values of a confirmed finding were corrected: they may be billed."""
    from headend.watching.findings import FindingDesk

    with open_station(database) as station:
        FindingDesk(station).release(number, words)
    console.print(f"Finding {number} holds nothing back any more.")


@finding.command()
@click.option("--month", type=_MONTH, help="YYYY-MM. [default: this month]")
@database_option
@json_option
def causes(month: datetime | None, database: str, as_json: bool) -> None:
    """Sum up a month: how often each cause was found, and what became of it."""
    from headend.watching.findings import FindingDesk

    with open_station(database) as station:
        local = station.now().astimezone(station.zone) if month is None else month
        first = datetime(local.year, local.month, 1, tzinfo=station.zone)
        behind = (first + timedelta(days=32)).replace(day=1)
        found = FindingDesk(station).causes(first.astimezone(UTC), behind.astimezone(UTC))
    if as_json:
        print_json(
            [
                {
                    "cause": each.cause,
                    "found": each.found,
                    "open": each.open,
                    "confirmed": each.confirmed,
                    "dismissed": each.dismissed,
                }
                for each in found
            ]
        )
        return
    if not found:
        console.print(f"Nothing was found in {first:%Y-%m}.")
        return
    table = Table(box=None, pad_edge=False, title=f"{first:%Y-%m}", title_justify="left")
    for column in ("cause", "found", "open", "confirmed", "dismissed"):
        table.add_column(column, justify="left" if column == "cause" else "right")
    for each in found:
        counts = (each.found, each.open, each.confirmed, each.dismissed)
        table.add_row(each.cause, *(str(count) for count in counts))
    console.print(table)


@finding.command()
@click.option(
    "--set",
    "given",
    type=(str, int),
    metavar="NAME VALUE",
    help="Give this limit a value of your own.",
)
@click.option("--reset", metavar="NAME", help="Let the default of this limit hold again.")
@click.option("--group", default="", help="Only for this customer group.")
@database_option
@json_option
def limits(
    given: tuple[str, int] | None, reset: str | None, group: str, database: str, as_json: bool
) -> None:
    """Show the limits of all checks, or set one.

    `finding limits --set use_swing_percent 40 --group bakery`
    """
    from headend.watching.limits import limits_in_force, reset_limit, set_limit
    from headend.watching.thresholds import defaults

    with open_station(database) as station:
        if given is not None:
            set_limit(station, given[0], given[1], customer_group=group)
        if reset is not None:
            reset_limit(station, reset, customer_group=group)
        with station.reading() as connection:
            now = limits_in_force(connection)
    rows = [(each.name, now.of(each.name, group), each.value, each.words) for each in
            defaults().values()]  # fmt: skip
    if as_json:
        print_json(
            [
                {"name": key, "value": held, "default": default, "words": words}
                for key, held, default, words in rows
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("limit")
    table.add_column("value", justify="right")
    table.add_column("default", justify="right")
    table.add_column("what it is")
    for key, held, default, words in rows:
        shown = "" if held == default else str(default)
        table.add_row(key, str(held), shown, words)
    console.print(table)


def _object(each: Finding) -> dict[str, Any]:
    return {
        "finding": each.finding_id,
        "check": each.check,
        "about": each.about,
        "since": each.since.isoformat(),
        "until": each.until.isoformat(),
        "reason": each.reason,
        "figures": dict(each.figures),
        "cause": each.cause,
        "holds": each.holds,
        "state": each.state,
        "found_at": each.found_at.isoformat(),
    }
