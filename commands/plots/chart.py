"""Lines and bars over days or hours: one drawing for the reports of the head-end.

Values are whole numbers (hundredths of a percent, counts); a line is broken where a value is
missing.  Drawn by the typesetter that makes the receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

from vending.receipts.pdf import compile_picture

BLUE: Final = "#2f6f9f"
RED: Final = "#b00020"
AMBER: Final = "#d98e04"
GREY: Final = "#9aa5ad"
GREEN_PALE: Final = "#e3f1e4"
_HEIGHT_MM: Final = 80.0
_LEFT_MM: Final = 18.0
_WIDTH_MM: Final = 178.0 - _LEFT_MM
_BAR_PART: Final = 0.8
_BAR_MAX_MM: Final = 12.0
_TICKS: Final = 6
_LABELS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One value for each place on the axis; None where there is none."""

    values: Sequence[int | None]
    colour: str
    label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """One value for each place; several lie on top of each other, in order."""

    values: Sequence[int]
    colour: str
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """What is good: a coloured strip from one value to another."""

    low: int
    high: int
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture before it is drawn."""

    title: str
    span: str
    unit: str
    """What the vertical axis counts."""
    places: Sequence[str]
    """A label for each place on the axis."""
    foot: str
    number: Callable[[int], str] = str
    """How a value is written on the axis."""
    lines: Sequence[Line] = ()
    bars: Sequence[Bars] = ()
    band: Band | None = None
    low: int | None = None
    """Where the axis begins at the latest."""
    high: int | None = None
    label_every: Sequence[int] | None = None
    """Which places get their label; else some, evenly."""
    tilted: bool = False
    """Every place has its label, written upwards: names, not times."""


def draw(chart: Chart, form: Literal["svg", "png"]) -> bytes:
    """The picture.

    Raises:
        VendingError: it cannot be drawn.
    """
    low, high, step = _axis(chart)

    def y(value: int) -> float:
        return _HEIGHT_MM * (high - value) / (high - low)

    wide = _WIDTH_MM / len(chart.places)

    def x(place: int) -> float:
        return _LEFT_MM + wide * (place + 0.5)

    band = chart.band
    shown = [] if band is None else [(max(low, band.low), min(high, band.high))]
    template = (resources.files(__package__) / "chart.typ").read_text("utf-8")
    data = {
        "title": chart.title,
        "span": chart.span,
        "unit": chart.unit,
        "foot": chart.foot,
        "left": _LEFT_MM,
        "height": _HEIGHT_MM,
        "bottom": _bottom_mm(chart),
        "tilted": chart.tilted,
        "legend": _legend(chart),
        "bands": [
            {"y": y(top), "height": y(bottom) - y(top), "colour": GREEN_PALE}
            for bottom, top in shown
            if top > bottom
        ],
        "ticks": [
            {"y": y(tick), "label": chart.number(tick), "zero": tick == 0}
            for tick in range(low, high + 1, step)
        ],
        "bars": _bars(chart.bars, x, y, min(wide * _BAR_PART, _BAR_MAX_MM)),
        **_lines(chart.lines, x, y),
        "labels": [{"x": x(place), "text": chart.places[place]} for place in _labelled(chart)],
    }
    return compile_picture(template, data, form)


def _bottom_mm(chart: Chart) -> float:
    """Room for the labels; a long name that is written upwards is cut off by the drawing's foot."""
    if not chart.tilted:
        return 9.0
    return min(30.0, 5.0 + 1.2 * max(map(len, chart.places)))


def _legend(chart: Chart) -> list[dict[str, str]]:
    entries = [{"colour": each.colour, "label": each.label} for each in chart.lines]
    entries += [{"colour": each.colour, "label": each.label} for each in chart.bars]
    if chart.band is not None:
        entries.append({"colour": GREEN_PALE, "label": chart.band.label})
    return entries


def _bars(
    bars: Sequence[Bars], x: Callable[[int], float], y: Callable[[int], float], wide: float
) -> list[dict[str, Any]]:
    drawn = []
    base: dict[int, int] = {}
    for each in bars:
        for place, value in enumerate(each.values):
            if value:
                start = base.get(place, 0)
                base[place] = start + value
                top, bottom = sorted((y(start), y(start + value)))
                drawn.append(
                    {
                        "x": x(place) - wide / 2,
                        "y": top,
                        "width": wide,
                        "height": bottom - top,
                        "colour": each.colour,
                    }
                )
    return drawn


def _lines(
    lines: Sequence[Line], x: Callable[[int], float], y: Callable[[int], float]
) -> dict[str, Any]:
    """Runs of known values as lines, single ones as dots."""
    paths: list[dict[str, Any]] = []
    dots: list[dict[str, Any]] = []
    for each in lines:
        run: list[list[float]] = []
        for place, value in enumerate([*each.values, None]):
            if value is not None:
                run.append([x(place), y(value)])
                continue
            if len(run) > 1:
                paths.append({"points": run, "colour": each.colour})
            elif run:
                dots.append({"x": run[0][0], "y": run[0][1], "colour": each.colour})
            run = []
    return {"lines": paths, "dots": dots}


def _axis(chart: Chart) -> tuple[int, int, int]:
    """Begin, end and step of the vertical axis, in round numbers."""
    values = [value for line in chart.lines for value in line.values if value is not None]
    if chart.bars:
        stacked = zip(*(each.values for each in chart.bars), strict=True)
        values += [sum(column) for column in stacked]
    low = min([0, *values] if chart.low is None else [chart.low, *values])
    high = max([*values, low + 1] if chart.high is None else [chart.high, *values])
    step = _step(high - low)
    low = low // step * step
    high = -(-high // step) * step
    return low, max(high, low + step), step


def _step(span: int) -> int:
    """A round number, of which a few reach over the span."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * _TICKS >= span:
                return step * factor
        step *= 10


def _labelled(chart: Chart) -> Sequence[int]:
    if chart.tilted:
        return range(len(chart.places))
    if chart.label_every is not None and len(chart.label_every) > 0:
        every = max(1, -(-len(chart.label_every) // 13))
        return chart.label_every[::every]
    every = max(1, -(-len(chart.places) // _LABELS_MAX))
    return range(0, len(chart.places), every)
