"""The pictures of ``report losses``, ``success`` and ``alarms``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final, Literal

import click

from commands.plots.chart import AMBER, BLUE, GREY, RED, Band, Bars, Chart, Line, draw
from commands.plots.sales import require_picture_file
from headend.watching.calendar import date_of

if TYPE_CHECKING:
    from headend.watching.losses import LossDay
    from headend.watching.thresholds import Limits

__all__ = [
    "draw_alarms",
    "draw_loss_days",
    "draw_losses",
    "draw_success",
    "require_picture_file",
]
_Form = Literal["svg", "png"]
_PLACES_MAX: Final = 40
_DAYS_MAX: Final = 1_100
_HOURS: Final = 72
_BY_DAY_MOST: Final = 92
"""Days; more are drawn by the week."""


def draw_losses(
    rows: Sequence[LossDay], first: int, last: int, limits: Limits, form: _Form
) -> bytes:
    """The loss of each place over a span as bars, the highest first.

    Raises:
        click.ClickException: nothing was judged.
        VendingError: it cannot be drawn.
    """
    judged = sorted(
        (each for each in rows if each.loss_bp is not None), key=lambda each: -(each.loss_bp or 0)
    )
    if not judged:
        raise click.ClickException("No place was judged in this time: there is nothing to draw.")
    shown = judged[:_PLACES_MAX]
    losses = [each.loss_bp or 0 for each in shown]
    good = [loss if each.state == "good" else 0 for each, loss in zip(shown, losses, strict=True)]
    bad = [loss if each.state != "good" else 0 for each, loss in zip(shown, losses, strict=True)]
    left = f", the {len(shown)} highest of {len(judged)} places" if len(judged) > len(shown) else ""
    chart = Chart(
        title="Line loss by place",
        span=_dates(first, last),
        unit="% of the supplied",
        places=[each.name for each in shown],
        foot="The strip is the band of areas; feeders have one of their own. Days on which a "
        f"place could not be judged are left out on both sides{left}.",
        number=_percent,
        bars=[Bars(good, BLUE, "within its band"), Bars(bad, RED, "out of band")],
        band=_band(limits, "area"),
        tilted=True,
    )
    return draw(chart, form)


def draw_loss_days(
    place: str, rows: Sequence[LossDay], first: int, last: int, limits: Limits, form: _Form
) -> bytes:
    """The loss of one place day by day.

    Raises:
        click.ClickException: nothing was judged, or there are too many days for one picture.
        VendingError: it cannot be drawn.
    """
    of_day = {each.day: each for each in rows if each.loss_bp is not None}
    if not of_day:
        raise click.ClickException(f"{place} was not judged in this time: nothing to draw.")
    days = _days(first, last)
    losses = [of_day[day].loss_bp if day in of_day else None for day in days]
    kind = rows[0].kind
    bad = [
        loss if day in of_day and of_day[day].state != "good" else None
        for day, loss in zip(days, losses, strict=True)
    ]
    chart = Chart(
        title=f"Line loss of {kind} {place}",
        span=_dates(first, last),
        unit="% of the supplied",
        places=[_day_label(day, len(days)) for day in days],
        foot=f"{len(of_day)} of {len(days)} days judged; a gap is a day of which too little is "
        "known. Days of the utility's zone.",
        number=_percent,
        lines=[Line(losses, BLUE, "loss"), Line(bad, RED, "out of band")],
        band=_band(limits, kind),
        label_every=_firsts(days),
    )
    return draw(chart, form)


def draw_success(
    hours: Sequence[tuple[datetime, int, int]], now: datetime, zone: tzinfo, form: _Form
) -> bytes:
    """The read success of all lines hour by hour.

    Raises:
        click.ClickException: nobody was asked.
        VendingError: it cannot be drawn.
    """
    of_hour = {hour: (asked, answered) for hour, asked, answered in hours if asked}
    if not of_hour:
        raise click.ClickException("Nobody was asked in the last 72 hours: nothing to draw.")
    present = now.replace(minute=0, second=0, microsecond=0)
    shown = [present - timedelta(hours=back) for back in range(_HOURS, -1, -1)]
    values = [
        10_000 * of_hour[hour][1] // of_hour[hour][0] if hour in of_hour else None for hour in shown
    ]
    local = [hour.astimezone(zone) for hour in shown]
    asked = sum(count for count, _ in of_hour.values())
    answered = sum(count for _, count in of_hour.values())
    chart = Chart(
        title="Read success by hour",
        span=f"{local[0]:%Y-%m-%d %H:%M} to {local[-1]:%Y-%m-%d %H:%M}",
        unit="% of the visits to meters that were answered",
        places=[f"{each:%d %b %H:00}" for each in local],
        foot=f"{answered:,} of {asked:,} visits answered. A gap is an hour in which nobody was "
        "asked. Hours of the utility's zone.",
        number=_percent,
        lines=[Line(values, BLUE, "success")],
        band=Band(9_950, 10_000, "99.5 % and better"),
        low=min((value for value in values if value is not None), default=0),
        high=10_000,
        label_every=[place for place, each in enumerate(local) if each.hour % 12 == 0],
    )
    return draw(chart, form)


def draw_alarms(
    by_day: Mapping[int, Mapping[str, int]], first: int, last: int, form: _Form
) -> bytes:
    """Alarms raised by day, by severity.

    Raises:
        click.ClickException: none were raised, or there are too many days for one picture.
        VendingError: it cannot be drawn.
    """
    if not by_day:
        raise click.ClickException("No alarm was raised in this time: there is nothing to draw.")
    days = _days(first, last)
    wide = 1 if len(days) <= _BY_DAY_MOST else 7
    starts = days[::wide]
    severities = (("critical", RED), ("warning", AMBER), ("notice", GREY))
    count = sum(sum(of_day.values()) for of_day in by_day.values())

    def raised(start: int, name: str) -> int:
        return sum(by_day.get(day, {}).get(name, 0) for day in range(start, start + wide))

    chart = Chart(
        title="Alarms raised by day" if wide == 1 else "Alarms raised by week",
        span=_dates(first, last),
        unit="alarms",
        places=[_day_label(day, len(days)) for day in starts],
        foot=f"{count} alarms, by the severity that they have reached. Days of the utility's zone.",
        bars=[
            Bars([raised(start, name) for start in starts], colour, name)
            for name, colour in severities
        ],
        label_every=_firsts(starts),
    )
    return draw(chart, form)


def _days(first: int, last: int) -> range:
    if last - first + 1 > _DAYS_MAX:
        raise click.ClickException(
            f"{last - first + 1} days are too many for one picture: give --since and --until."
        )
    return range(first, last + 1)


def _firsts(days: Sequence[int]) -> list[int] | None:
    """The first place of each month, when there are several months."""
    months = [date_of(day).month for day in days]
    firsts = [place for place in range(1, len(days)) if months[place] != months[place - 1]]
    return firsts if days[-1] - days[0] > 62 else None


def _day_label(day: int, count: int) -> str:
    return f"{date_of(day):%b %Y}" if count > 62 else f"{date_of(day):%Y-%m-%d}"


def _dates(first: int, last: int) -> str:
    return f"{date_of(first)} to {date_of(last)}" if last > first else f"{date_of(first)}"


def _band(limits: Limits, kind: str) -> Band:
    stem = "loss" if kind == "area" else "feeder_loss"
    low, high = limits[f"{stem}_low_bp"], limits[f"{stem}_high_bp"]
    return Band(low, high, f"band: {_percent(low)} to {_percent(high)} %")


def _percent(hundredths: int) -> str:
    whole = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
    return whole.replace("-", "−")
