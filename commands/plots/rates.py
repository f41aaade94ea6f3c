"""``rate price --plot FILE``: what a bill comes to, against what is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from commands.plots.chart import AMBER, BLUE, GREY, Chart, Line, draw

if TYPE_CHECKING:
    from billing.tariffs.tariff import Tariff
    from billing.tariffs.trying import Trial
    from billing.tariffs.values import Priced


def draw_bill(
    tariff: Tariff,
    trial: Trial,
    points: Sequence[tuple[int, Priced]],
    form: Literal["svg", "png"],
) -> bytes:
    """The picture.

    Args:
        tariff: by which it is priced.
        trial: the largest use.
        points: Wh and price, from nothing on, in even steps.
        form: of the picture.

    Raises:
        VendingError: it cannot be drawn.
    """
    money = tariff.currency
    lines = [Line([priced.amount_minor for _, priced in points], BLUE, "the bill")]
    taxes = [priced.tax_minor for _, priced in points]
    if any(taxes):
        lines.append(Line(taxes, GREY, "of it tax"))
    start = points[0][1].amount_minor
    if start:
        lines.append(Line([start] * len(points), AMBER, "without any energy"))
    each = max(1, (len(points) - 1) // 8)
    priced = points[-1][1]
    chart = Chart(
        title=tariff.name,
        span=f"{trial.first} to {trial.end - timedelta(days=1)}",
        unit=f"{money.code}: the bill against consumption",
        places=[f"{_kwh(wh)} kWh" for wh, _ in points],
        foot=f"{_kwh(points[-1][0])} kWh cost {money.code} {money.text(priced.amount_minor)}. "
        "Registers and reactive energy grow in the same proportions; demand and capacity stay.",
        number=money.text,
        lines=lines,
        label_every=range(0, len(points), each),
    )
    return draw(chart, form)


def _kwh(wh: int) -> str:
    whole, part = divmod(wh, 1000)
    return f"{whole}.{part:03d}".rstrip("0").rstrip(".")
