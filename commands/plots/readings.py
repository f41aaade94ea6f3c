"""``readings show --plot FILE``: a quantity over time, as a line with its gaps.

Of more values than a picture has room for, the least and the greatest of each small span are
drawn, so that no peak is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from importlib import resources
from typing import Any, Final, Literal

import click

from vending.receipts.pdf import compile_picture

_HEIGHT_MM: Final = 80.0
_LEFT_MM: Final = 30.0
_WIDTH_MM: Final = 178.0 - _LEFT_MM
_TICKS: Final = 5
_LABELS: Final = 5
_SPANS: Final = 700

Point = tuple[datetime, int]


def draw_readings(
    title: str,
    parts: Sequence[Sequence[Point]],
    unit: str,
    per_unit: int,
    zone: tzinfo,
    form: Literal["svg", "png"],
) -> bytes:
    """A picture of a quantity.

    Args:
        title: what it is of.
        parts: values in the order of time; a gap lies between two parts.
        unit: of the labels.
        per_unit: how many of the values' own units make one of them.
        zone: of the times shown.
        form: of the picture.

    Raises:
        click.ClickException: there is nothing to draw.
    """
    points = [point for part in parts for point in part]
    if not points:
        raise click.ClickException("There are no values in this time: there is nothing to draw.")
    first, last = points[0][0], points[-1][0]
    span = max(last - first, timedelta(seconds=1))
    low, high = min(value for _, value in points), max(value for _, value in points)
    step = _step(high - low)
    bottom, top = low // step * step, -(-high // step) * step
    if top == bottom:
        top += step

    def place(moment: datetime, value: int) -> list[float]:
        x = _LEFT_MM + _WIDTH_MM * ((moment - first) / span)
        return [round(x, 3), round(_HEIGHT_MM * (top - value) / (top - bottom), 3)]

    label = "%Y-%m-%d" if span > timedelta(days=3) else "%m-%d %H:%M"
    template = (resources.files(__package__) / "lines.typ").read_text("utf-8")
    ends = [moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") for moment in (first, last)]
    data: dict[str, Any] = {
        "title": title,
        "span": " to ".join(ends),
        "foot": f"{len(points)} values, in {unit or 'units'}. Times of {zone}.",
        "left": _LEFT_MM,
        "height": _HEIGHT_MM,
        "ticks": [
            {"y": place(first, tick)[1], "label": f"{tick / per_unit:,g}"}
            for tick in range(bottom, top + 1, step)
        ],
        "parts": [[place(*point) for point in _thinned(part, first, span)] for part in parts],
        "times": [
            {
                "x": _LEFT_MM + _WIDTH_MM * number / (_LABELS - 1),
                "label": (first + span * number / (_LABELS - 1)).astimezone(zone).strftime(label),
            }
            for number in range(_LABELS)
        ],
    }
    return compile_picture(template, data, form)


def _thinned(part: Sequence[Point], first: datetime, span: timedelta) -> list[Point]:
    if len(part) <= _SPANS:
        return list(part)
    groups: dict[int, list[Point]] = {}
    for point in part:
        groups.setdefault(int((point[0] - first) / span * _SPANS), []).append(point)
    kept = []
    for group in groups.values():
        edges = {min(group, key=lambda point: point[1]), max(group, key=lambda point: point[1])}
        kept += sorted(edges)
    return kept


def _step(span: int) -> int:
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * _TICKS >= span:
                return step * factor
        step *= 10
