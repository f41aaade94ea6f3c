"""The lines of one price while they are made, and the sums that percentages are on."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from billing.tariffs.exact import decimal, kwh
from billing.tariffs.plan import Percent, Plan, Rated
from billing.tariffs.values import ChargeLine, LineKind


class Sheet:
    """Lines, and a sum for each place of the plan in whole 10^-scale minor units."""

    __slots__ = ("lines", "plan", "sums")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lines: list[ChargeLine] = []
        self.sums = [0] * plan.places

    def energy(self, rated: Rated, wh: int, words: str, *, code: str = "") -> None:
        """Energy at a rate.

        Args:
            rated: the rate.
            wh: how much; below zero takes back.
            words: what it is, before the colon.
            code: of the line, when it is not the rate's.
        """
        amount = wh * rated.m
        self.sums[rated.place] += amount * rated.up
        self.lines.append(
            ChargeLine(
                rated.kind,
                code or rated.code,
                f"{words}: {kwh(wh)} kWh at {rated.rate_text}",
                decimal(amount, rated.x),
                decimal(wh, 3),
                "kWh",
                rated.rate,
            )
        )

    def amount(
        self,
        kind: LineKind,
        code: str,
        place: int,
        words: str,
        amount: int,
        x: int,
        up: int,
        quantity: Decimal | None,
        unit: str,
        rate: Decimal | None,
    ) -> None:
        """Anything else: ``amount`` in 10^-x minor units."""
        self.sums[place] += amount * up
        self.lines.append(ChargeLine(kind, code, words, decimal(amount, x), quantity, unit, rate))

    def told(self, each: Percent, amount: int) -> None:
        """A tax that the prices contain: a line that adds nothing.

        Args:
            each: the tax.
            amount: what it comes to, in 10^-x minor units; the line tells it in major units.
        """
        major = decimal(amount, each.x + self.plan.minor_digits)
        words = (
            f"{each.name}: {each.percent_text} % contained, "
            f"{major.quantize(self.plan.smallest, ROUND_HALF_UP):f}"
        )
        self.lines.append(
            ChargeLine(each.kind, each.code, words, Decimal(0), major, "contained", each.percent)
        )
