"""``--plot`` of ``collect ageing`` and ``collect forecast``: old debts, and how a forecast did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from commands.plots.chart import AMBER, BLUE, GREY, Bars, Chart, Line, draw

if TYPE_CHECKING:
    from billing.collecting.forecasting import Trained
    from vending import Currency


def draw_ageing(
    names: Sequence[str],
    amounts_minor: Sequence[int],
    money: Currency,
    day: str,
    form: Literal["svg", "png"],
) -> bytes:
    """What is owed, by age.

    Args:
        names: of the classes of age.
        amounts_minor: of each.
        money: of the amounts.
        day: of the ageing.
        form: of the picture.

    Raises:
        VendingError: it cannot be drawn.
    """
    chart = Chart(
        title="What is owed, by age",
        span=day,
        unit=f"{money.code}, by days since the due date",
        places=list(names),
        foot=f"{money.code} {money.text(sum(amounts_minor))} in all.",
        number=money.text,
        bars=[Bars(amounts_minor, BLUE, "owed")],
        low=0,
        label_every=range(len(names)),
    )
    return draw(chart, form)


def draw_hits(trained: Trained, form: Literal["svg", "png"]) -> bytes:
    """How many of each tenth were late, and how many the forecast expected.

    Args:
        trained: the model and how it did.
        form: of the picture.

    Raises:
        VendingError: it cannot be drawn.
    """
    hits = trained.hits
    late = [round(100 * each.late / each.due) if each.due else 0 for each in hits.tenths]
    expected = [round(each.chance_ppm / 10_000) for each in hits.tenths]
    chart = Chart(
        title="Forecast of arrears, on months that it has not learnt from",
        span=f"{hits.due} due dates from {trained.trained_until:%Y-%m-%d} on",
        unit="late, percent; the likeliest tenth of the due dates first",
        places=[str(place + 1) for place in range(len(hits.tenths))],
        foot=f"{hits.late_percent} % were late.  Of {hits.named} that were named, "
        f"{hits.precision_percent} % were; {hits.recall_percent} % of the late ones were named.",
        bars=[Bars(late, BLUE, "were late")],
        lines=[
            Line(expected, AMBER, "forecast"),
            Line([hits.late_percent] * len(late), GREY, "all"),
        ],
        low=0,
        label_every=range(len(late)),
    )
    return draw(chart, form)
