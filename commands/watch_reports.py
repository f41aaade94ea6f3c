"""``meterhouse report losses|success|alarms``: tables, CSV, pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import console, error_console, json_option, print_json
from commands.station import open_station
from commands.vend.statement import day_of

if TYPE_CHECKING:
    from headend.station import Station
    from headend.watching.losses import LossDay
    from headend.watching.suspects import Suspect

_plot_option = click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it: FILE.svg or FILE.png.",
)
_csv_option = click.option(
    "--csv", "csv_file", type=click.File("w"), help="Write the rows to a CSV file."
)
_DAYS: Final = 30
_LOSS_ROW: Final = (
    "place kind days supplied_wh sold_wh estimated_wh loss_percent coverage_percent state".split()
)


@click.command()
@click.option("--since", metavar="DATE", help="First day. [default: 30 days ago]")
@click.option("--until", metavar="DATE", help="Last day, included. [default: yesterday]")
@click.option("--place", metavar="NAME", help="Day by day, of this substation, feeder or area.")
@click.option("--suspects", is_flag=True, help="With --place: whose meter to look at first.")
@click.option("--out-of-band", is_flag=True, help="Only what is out of band.")
@click.option("--again", is_flag=True, help="Compute these days anew first, after corrections.")
@_csv_option
@_plot_option
@database_option
@json_option
def losses(
    since: str | None,
    until: str | None,
    place: str | None,
    suspects: bool,
    out_of_band: bool,
    again: bool,
    csv_file: Any,
    plot: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """Line loss: supplied against sold, by area and feeder, or of one place by day.

    A place is judged on days of which enough meters and its supply are known; the others are left
    out on both sides. `--place A7 --suspects` ranks its customers by how well they explain it.
    """
    from commands.plots.watching import draw_loss_days, draw_losses, require_picture_file
    from headend.watching import losses as asked
    from headend.watching.calendar import day_of as number_of_moment
    from headend.watching.limits import limits_in_force

    form = None if plot is None else require_picture_file(plot)
    if suspects and place is None:
        raise click.UsageError("Suspects are told for one place: give --place, too.")
    found_suspects: list[Suspect] = []
    with open_station(database) as station:
        yesterday = number_of_moment(station.zone, station.now()) - 1
        first, last = _span(since, until, yesterday)
        if again:
            _again(station, first, last)
        with station.reading() as connection:
            limits = limits_in_force(connection)
            if place is None:
                rows = asked.loss_over(connection, first, last, limits)
            else:
                number = _place_number(station, place)
                rows = asked.losses(connection, first, last, place_id=number)
                if suspects:
                    from headend.watching.loss_watch import suspects_of

                    found_suspects = suspects_of(connection, number, last, limits, station.zone)
    if out_of_band:
        rows = [each for each in rows if each.state in ("high", "low")]
    if plot is not None and form is not None:
        if place is None:
            plot.write_bytes(draw_losses(rows, first, last, limits, form))
        else:
            plot.write_bytes(draw_loss_days(place, rows, first, last, limits, form))
    by_day = place is not None
    _write_losses(csv_file, rows, by_day=by_day)
    if as_json:
        answer: Any = [_loss_object(each, by_day=by_day) for each in rows]
        if suspects:
            answer = {"days": answer, "suspects": [_suspect_object(e) for e in found_suspects]}
        print_json(answer)
        return
    _print_losses(rows, by_day=by_day)
    if suspects:
        _print_suspects(found_suspects)


@click.command()
@click.option(
    "--by",
    type=click.Choice(["meter", "link", "area"]),
    default="area",
    show_default=True,
    help="Of what.",
)
@click.option("--worst", type=click.IntRange(1), default=50, show_default=True, help="So many.")
@_csv_option
@_plot_option
@database_option
@json_option
def success(
    by: str, worst: int, csv_file: Any, plot: Path | None, database: str, as_json: bool
) -> None:
    """Read success in 1, 24 and 72 hours by meter, link or area, the worst first.

    The picture shows all lines hour by hour, over the last 72 hours.
    """
    from commands.plots.watching import draw_success, require_picture_file
    from headend.watching.health import By, success_by_hour
    from headend.watching.health import success as asked

    form = None if plot is None else require_picture_file(plot)
    with open_station(database) as station, station.reading() as connection:
        now = station.now()
        rows = asked(connection, By(by), now, worst=worst)
        if plot is not None and form is not None:
            hours = success_by_hour(connection, now - timedelta(hours=72))
            plot.write_bytes(draw_success(hours, now, station.zone, form))
    spans = ("1h", "24h", "72h")
    objects = [
        {
            by: each.name,
            **{f"asked_{span}": each.asked[place] for place, span in enumerate(spans)},
            **{f"answered_{span}": each.answered[place] for place, span in enumerate(spans)},
        }
        for each in rows
    ]
    if csv_file is not None:
        names = [by, *(f"{what}_{span}" for what in ("asked", "answered") for span in spans)]
        writer = csv.DictWriter(csv_file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(objects)
    if as_json:
        print_json(objects)
        return
    if not rows:
        console.print("Nobody was asked in the last 72 hours.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(by)
    for span in spans:
        table.add_column(span, justify="right")
    table.add_column("asked 24h", justify="right")
    for each in rows:
        shares = [_tenths(each.percent_tenths(span)) for span in range(3)]
        table.add_row(each.name, *shares, str(each.asked[1]))
    console.print(table)


@click.command()
@click.option("--since", metavar="DATE", help="First day. [default: 30 days ago]")
@click.option("--until", metavar="DATE", help="Last day, included. [default: today]")
@_csv_option
@_plot_option
@database_option
@json_option
def alarms(
    since: str | None,
    until: str | None,
    csv_file: Any,
    plot: Path | None,
    database: str,
    as_json: bool,
) -> None:
    """Alarms of a time by kind: how many, and how soon somebody took and closed them."""
    from commands.plots.watching import draw_alarms, require_picture_file
    from headend.watching.alarm_figures import figures_by_kind, raised_by_day
    from headend.watching.calendar import day_of as number_of_moment
    from headend.watching.calendar import midnight

    form = None if plot is None else require_picture_file(plot)
    with open_station(database) as station:
        today = number_of_moment(station.zone, station.now())
        first, last = _span(since, until, today)
        span = midnight(station.zone, first), midnight(station.zone, last + 1)
        with station.reading() as connection:
            rows = figures_by_kind(connection, *span)
            if plot is not None and form is not None:
                by_day = raised_by_day(station, connection, *span)
                plot.write_bytes(draw_alarms(by_day, first, last, form))
    names = "kind raised repeated acknowledged closed open until_acknowledged_min until_closed_min"
    objects = [{name: getattr(each, name) for name in names.split()} for each in rows]
    if csv_file is not None:
        writer = csv.DictWriter(csv_file, names.split(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(objects)
    if as_json:
        print_json(objects)
        return
    if not rows:
        console.print("No alarm was raised in this time.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("kind")
    for column in (
        "raised",
        "seen",
        "acknowledged",
        "closed",
        "open",
        "taken after",
        "closed after",
    ):
        table.add_column(column, justify="right")
    for each in rows:
        counts = (each.raised, each.repeated, each.acknowledged, each.closed, each.open)
        table.add_row(
            each.kind,
            *(str(count) for count in counts),
            _minutes(each.until_acknowledged_min),
            _minutes(each.until_closed_min),
        )
    console.print(table)
    console.print("Times are medians.", style="dim")


def _span(since: str | None, until: str | None, default_last: int) -> tuple[int, int]:
    from headend.watching.calendar import number_of

    last = default_last if until is None else number_of(day_of(until))
    first = last - _DAYS + 1 if since is None else number_of(day_of(since))
    if first > last:
        raise click.UsageError("The first day lies after the last one.")
    return first, last


def _again(station: Station, first: int, last: int) -> None:
    from headend.person import Right
    from headend.watching.days import recompute
    from headend.watching.losses import compute_losses

    station.require(Right.ALARMS)
    written = recompute(station, first, last)
    days = compute_losses(station)
    error_console.print(f"Computed anew: {written} days of points, {len(days)} days of losses.")


def _place_number(station: Station, name: str) -> int:
    from headend.registry.places import place_row

    with station.reading() as connection:
        number: int = place_row(connection, name).place_id
    return number


def _write_losses(csv_file: Any, rows: Sequence[LossDay], *, by_day: bool) -> None:
    if csv_file is None:
        return
    names = [("day" if name == "days" and by_day else name) for name in _LOSS_ROW]
    writer = csv.DictWriter(csv_file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_loss_object(each, by_day=by_day) for each in rows)


def _print_losses(rows: Sequence[LossDay], *, by_day: bool) -> None:
    if not rows:
        console.print(
            "No losses are known. A place needs a supply point with a meter, customers, and "
            "registers at midnight."
        )
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("day" if by_day else "place")
    if not by_day:
        table.add_column("kind")
        table.add_column("days", justify="right")
    for column in ("supplied kWh", "sold kWh", "estimated", "loss", "known"):
        table.add_column(column, justify="right")
    table.add_column("")
    for each in rows:
        shown = _loss_object(each, by_day=by_day)
        head = [str(shown["day"])] if by_day else [each.name, each.kind, str(each.day)]
        estimated = 1000 * each.estimated_wh // each.sold_wh if each.sold_wh else 0
        table.add_row(
            *head,
            f"{each.supplied_wh / 1000:,.1f}",
            f"{each.sold_wh / 1000:,.1f}",
            _tenths(estimated),
            "" if each.loss_bp is None else f"{each.loss_bp / 100:.2f} %",
            f"{each.coverage_percent} %",
            "" if each.state == "good" else each.state,
            style="red" if each.state in ("high", "low") else None,
        )
    console.print(table)


def _print_suspects(found: Sequence[Suspect]) -> None:
    if not found:
        console.print("Nobody stands out: look at the supply meter, ratios and unmetered use.")
        return
    console.print("Look first at these meters; points rank, they prove nothing:")
    for place, each in enumerate(found, 1):
        console.print(f"{place:>3}. {each.meter}  {each.score} points")
        for reason in each.reasons:
            console.print(f"       {reason}")


def _loss_object(each: LossDay, *, by_day: bool) -> dict[str, Any]:
    from headend.watching.calendar import date_of

    days: dict[str, date | int | str] = (
        {"day": date_of(each.day).isoformat()} if by_day else {"days": each.day}
    )
    loss = None if each.loss_bp is None else f"{each.loss_bp / 100:.2f}"
    return {
        "place": each.name,
        "kind": each.kind,
        **days,
        "supplied_wh": each.supplied_wh,
        "sold_wh": each.sold_wh,
        "estimated_wh": each.estimated_wh,
        "loss_percent": loss,
        "coverage_percent": each.coverage_percent,
        "state": each.state,
    }


def _suspect_object(each: Suspect) -> dict[str, Any]:
    return {
        "meter": each.meter,
        "score": each.score,
        "takes_wh_a_day": each.takes_wh,
        "reasons": list(each.reasons),
    }


def _tenths(tenths: int | None) -> str:
    return "" if tenths is None else f"{tenths / 10:.1f} %"


def _minutes(minutes: int | None) -> str:
    if minutes is None:
        return ""
    return f"{minutes} min" if minutes < 180 else f"{minutes // 60} h"
