"""The pictures of ``report collection`` and ``report channels``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Literal

import click

from commands.plots.chart import AMBER, BLUE, RED, Bars, Chart, Line, draw
from commands.plots.sales import require_picture_file

if TYPE_CHECKING:
    from billing.figures.mix import ChannelShare
    from billing.figures.months import MonthFigures
    from vending import Currency

__all__ = ["draw_channels", "draw_collection", "require_picture_file"]
_Form = Literal["svg", "png"]


def draw_collection(rows: Sequence[MonthFigures], currency: Currency, form: _Form) -> bytes:
    """Billed and paid by month, and what is overdue at its end.

    Raises:
        click.ClickException: nothing was billed or paid.
        VendingError: it cannot be drawn.
    """
    if not any(row.billed_minor or row.paid_minor for row in rows):
        raise click.ClickException("Nothing was billed or paid in these months.")
    chart = Chart(
        title="Billed and paid",
        span=f"{rows[0].month} – {rows[-1].month}",
        unit=currency.code,
        places=[row.month for row in rows],
        foot="Paid is what came in during the month, for whichever month's bill. Overdue is what "
        "was due and unpaid at the month's end.",
        number=currency.text,
        lines=[
            Line([row.billed_minor for row in rows], AMBER, "billed"),
            Line([sum(row.overdue_minor) for row in rows], RED, "overdue"),
        ],
        bars=[Bars([max(0, row.paid_minor) for row in rows], BLUE, "paid")],
        low=0,
    )
    return draw(chart, form)


def draw_channels(
    rows: Sequence[ChannelShare], first: date, last: date, currency: Currency, form: _Form
) -> bytes:
    """What came in by each channel, the largest first.

    Raises:
        click.ClickException: nothing came in.
        VendingError: it cannot be drawn.
    """
    if not any(row.amount_minor for row in rows):
        raise click.ClickException("Nothing came in during this time.")
    chart = Chart(
        title="Payments by channel",
        span=f"{first} – {last}",
        unit=currency.code,
        places=[row.title for row in rows],
        foot="What bounced or was another's is left out.",
        number=currency.text,
        bars=[Bars([row.amount_minor for row in rows], BLUE, "paid")],
        low=0,
        tilted=True,
    )
    return draw(chart, form)
