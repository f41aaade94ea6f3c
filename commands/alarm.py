"""``meterhouse alarm``: what is wrong, who has taken it, who is told next."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.station import open_station

if TYPE_CHECKING:
    from headend.watching.alarms import Alarm
    from headend.watching.escalation import Step

_STYLE: Final = {"notice": "", "warning": "yellow", "critical": "bold red"}


@click.group()
def alarm() -> None:
    """Alarms: list, show, acknowledge, close; the rules of their escalation."""


@alarm.command(name="list")
@click.option("--kind", help="Only these: outage, link_dead, meter_silent, loss_out_of_band ...")
@click.option("--all", "closed", is_flag=True, help="Closed ones, too.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@database_option
@json_option
def list_(kind: str | None, closed: bool, limit: int, database: str, as_json: bool) -> None:
    """Show open alarms, the worst first."""
    from headend.watching.alarms import AlarmDesk

    with open_station(database) as station:
        found = AlarmDesk(station).list(kind=kind, closed=closed, limit=limit)
        zone = station.zone
    if as_json:
        print_json([alarm_object(each) for each in found])
        return
    if not found:
        console.print("No alarms." if closed else "No open alarms.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("no", "severity", "kind", "about", "since", "times", "state"):
        table.add_column(column, justify="right" if column in ("no", "times") else "left")
    table.add_column("words", overflow="fold")
    for each in found:
        table.add_row(
            str(each.alarm_id),
            Text(each.severity, style=_STYLE[each.severity]),
            each.kind,
            each.about,
            shown_time(each.first_at, zone),
            str(each.count),
            each.state if each.acknowledged_by is None else f"{each.state} by {_who(each)}",
            Text(each.words),
        )
    console.print(table)


@alarm.command()
@click.argument("number", type=int)
@database_option
@json_option
def show(number: int, database: str, as_json: bool) -> None:
    """Show the alarm NUMBER with its history."""
    from headend.watching.alarms import AlarmDesk

    with open_station(database) as station:
        found, history = AlarmDesk(station).show(number)
        zone = station.zone
    if as_json:
        entries = [
            {
                "at": each.at.isoformat(),
                "act": each.act,
                "actor": each.actor,
                "severity": each.severity,
                "words": each.words,
            }
            for each in history
        ]
        print_json({**alarm_object(found), "history": entries})
        return
    console.print(
        f"Alarm {found.alarm_id}: {found.kind}, {found.about}", style=_STYLE[found.severity]
    )
    console.print(found.words)
    console.print(
        f"{found.severity}, {found.state}, seen {found.count} times, "
        f"{shown_time(found.first_at, zone)} to {shown_time(found.last_at, zone)}"
    )
    for each in history:
        console.print(
            f"{shown_time(each.at, zone)}  {each.act:<12} {each.actor or '(nobody signed in)'}: "
            f"{each.words}"
        )


@alarm.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
def ack(number: int, words: str, database: str) -> None:
    """Take the alarm NUMBER: it escalates no further. WORDS say what is being done."""
    from headend.watching.alarms import AlarmDesk

    with open_station(database) as station:
        AlarmDesk(station).acknowledge(number, words)
    console.print(f"Alarm {number} is yours.")


@alarm.command()
@click.argument("number", type=int)
@click.argument("words")
@database_option
def close(number: int, words: str, database: str) -> None:
    """Close the alarm NUMBER. WORDS say what was found."""
    from headend.watching.alarms import AlarmDesk

    with open_station(database) as station:
        AlarmDesk(station).close(number, words)
    console.print(f"Alarm {number} is closed.")


@alarm.command()
@click.option("--set", "kind", metavar="KIND", help="Give this kind of alarm the STEPS; * is all.")
@click.argument("steps", nargs=-1, metavar="[MINUTES:SEVERITY:RECIPIENTS]...")
@database_option
@json_option
def rules(kind: str | None, steps: tuple[str, ...], database: str, as_json: bool) -> None:
    """Who is told of an alarm, and when, until somebody acknowledges it.

    `alarm rules --set outage 0:critical:duty 15:critical:shift-lead`; without steps the defaults
    hold again.
    """
    from headend.watching.escalation import default_steps, own_steps, set_steps

    if steps and kind is None:
        raise click.UsageError("Say with --set which kind of alarm these steps are for.")
    with open_station(database) as station:
        if kind is not None:
            set_steps(station, kind, [_step(text) for text in steps])
        with station.reading() as connection:
            own = own_steps(connection)
    rows = [
        (name, number, each, name in own)
        for name, of_kind in sorted({**default_steps(), **own}.items())
        for number, each in enumerate(of_kind, 1)
    ]
    if as_json:
        print_json(
            [
                {
                    "kind": name,
                    "step": number,
                    "after_min": each.after_min,
                    "severity": each.severity,
                    "recipients": each.recipients,
                    "own": is_own,
                }
                for name, number, each, is_own in rows
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "step", "after", "severity", "recipients", ""):
        table.add_column(column)
    for name, number, each, is_own in rows:
        own_word = "set here" if is_own else ""
        after = f"{each.after_min} min"
        table.add_row(name, str(number), after, each.severity, each.recipients, own_word)
    console.print(table)


def alarm_object(each: Alarm) -> dict[str, Any]:
    """An alarm as JSON answers give it."""
    return {
        "alarm": each.alarm_id,
        "kind": each.kind,
        "about": each.about,
        "severity": each.severity,
        "state": each.state,
        "words": each.words,
        "first_at": each.first_at.isoformat(),
        "last_at": each.last_at.isoformat(),
        "count": each.count,
        "acknowledged_by": each.acknowledged_by,
        "closed_by": each.closed_by,
        "closed_at": None if each.closed_at is None else each.closed_at.isoformat(),
    }


def shown_time(moment: datetime, zone: tzinfo) -> str:
    """A moment for people, in the utility's zone."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def _who(each: Alarm) -> str:
    return each.closed_by or each.acknowledged_by or ""


def _step(text: str) -> Step:
    from headend.watching.escalation import Step

    minutes, _, rest = text.partition(":")
    severity, _, recipients = rest.partition(":")
    if not minutes.isdecimal() or not recipients:
        raise click.BadParameter(
            f"{text!r} is no step: write MINUTES:SEVERITY:RECIPIENTS.", param_hint="STEPS"
        )
    return Step(int(minutes), severity, recipients)
