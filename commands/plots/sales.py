"""``report sales --plot FILE``: what was paid on each day, as bars.

Drawn by the typesetter that makes the receipts, so that it has the same fonts and needs nothing
more to be installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from vending.receipts.pdf import compile_picture

if TYPE_CHECKING:
    from vending import Currency, Utility
    from vending.cash.reports import SalesRow

_HEIGHT_MM: Final = 80.0
_LEFT_MM: Final = 26.0
_WIDTH_MM: Final = 178.0 - _LEFT_MM
_BAR_PART: Final = 0.75
"""Of a day's place."""
_BAR_MAX_MM: Final = 14.0
_TICKS: Final = 5
_LABELS_MAX: Final = 8
_DAYS_MAX: Final = 1_100
"""Three years: thinner bars could not be told apart."""
_FORMS: Final[dict[str, Literal["svg", "png"]]] = {".svg": "svg", ".png": "png"}


def require_picture_file(path: Path) -> Literal["svg", "png"]:
    """The form that a file's name asks for.

    Raises:
        click.BadParameter: neither .svg nor .png.
    """
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise click.BadParameter("The file is named FILE.svg or FILE.png.", param_hint="--plot")
    return form


def draw_sales(rows: Sequence[SalesRow], utility: Utility, form: Literal["svg", "png"]) -> bytes:
    """A picture of sales by day.

    Args:
        rows: of a report by ``day`` alone.
        utility: whose they are.
        form: of the picture.

    Raises:
        click.ClickException: nothing was sold, or in too many days for one picture.
        VendingError: it cannot be drawn.
    """
    if not rows:
        raise click.ClickException("Nothing was sold in this time: there is nothing to draw.")
    paid = {date.fromisoformat(row.day): row.paid_minor for row in rows}
    first, last = min(paid), max(paid)
    count = (last - first).days + 1
    if count > _DAYS_MAX:
        raise click.ClickException(
            f"{count} days are too many for one picture: give --since and --until."
        )
    days = [first + timedelta(days=number) for number in range(count)]
    sales = sum(row.sales for row in rows)
    money = utility.currency
    template = (resources.files(__package__) / "bars.typ").read_text("utf-8")
    return compile_picture(
        template,
        {
            "title": f"{utility.name}: paid by day, {money.code}",
            "span": f"{first} to {last}" if count > 1 else f"{first}",
            "foot": f"{sales} sales, {money.code} {money.text(sum(paid.values()))} in all. "
            f"Days of {utility.zone}; what was given back counts below zero.",
            "left": _LEFT_MM,
            "height": _HEIGHT_MM,
            **_places(days, [paid.get(day, 0) for day in days], money),
        },
        form,
    )


def _places(days: Sequence[date], amounts: Sequence[int], money: Currency) -> dict[str, Any]:
    step = _step(max(0, *amounts) - min(0, *amounts))
    bottom = min(0, *amounts) // step * step
    top = -(-max(0, *amounts) // step) * step
    if top == bottom:  # everything was given back on its day
        top += step
    tall = top - bottom

    def height(amount: int) -> float:
        return _HEIGHT_MM * amount / tall

    zero = height(top)
    wide = _WIDTH_MM / len(days)
    bar = min(wide * _BAR_PART, _BAR_MAX_MM)
    each = max(1, -(-len(days) // _LABELS_MAX))
    return {
        "ticks": [
            {"y": zero - height(tick), "label": money.text(tick), "zero": tick == 0}
            for tick in range(bottom, top + 1, step)
        ],
        "bars": [
            {
                "x": _LEFT_MM + wide * (number + 0.5) - bar / 2,
                "y": zero - max(0.0, height(amount)),
                "width": bar,
                "height": abs(height(amount)),
                "negative": amount < 0,
            }
            for number, amount in enumerate(amounts)
            if amount
        ],
        "days": [
            {"x": _LEFT_MM + wide * (number + 0.5), "label": days[number].isoformat()}
            for number in range(0, len(days), each)
        ],
    }


def _step(span: int) -> int:
    """A round number of minor units, of which a few reach over the span."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * _TICKS >= span:
                return step * factor
        step *= 10
