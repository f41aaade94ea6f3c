"""Tariffs: what a day of a supply costs, priced and explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from benchmarks.line import Line, Scale, Target
from benchmarks.measure import rates
from billing.tariffs.document import read_toml
from billing.tariffs.pricing import price
from billing.tariffs.values import Usage
from billing.tariffs.version import TariffVersion
from vending import Currency

_PRICES: Final = 20_000
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_SINCE: Final = datetime(2026, 3, 4, 16, tzinfo=UTC)
_UNTIL: Final = datetime(2026, 3, 5, 16, tzinfo=UTC)
_TAX: Final = '[[taxes]]\ncode = "vat"\nname = "VAT"\npercent = "13"\non = ["energy"]\n'
_FLAT: Final = 'code = "flat"\nname = "Flat"\n[energy]\nrate = "0.5469"\n' + _TAX
_STEPS: Final = (
    'code = "steps"\nname = "Steps"\n[energy]\nrates = {t1 = "0.5583", t2 = "0.3583"}\n'
    '[blocks]\nperiod = "year"\n[[blocks.steps]]\nup_to = "2760"\nadds = "0"\n'
    '[[blocks.steps]]\nup_to = "4800"\nadds = "0.05"\n[[blocks.steps]]\nadds = "0.30"\n' + _TAX
)


def lines(scale: Scale) -> Iterator[Line]:
    """Measure everything."""
    flat, steps = rates([flat_prices, steps_prices], scale(_PRICES))
    limit = "the interpreter; the lines with their words are most of it"
    yield Line("a day priced: flat, a tax", flat, "prices/s", limit, Target(17_000))
    name = "a day priced: three steps, two times of use, a tax"
    yield Line(name, steps, "prices/s", limit, Target(6_700))


def flat_prices(count: int) -> Callable[[], object]:
    """One rate and one tax."""
    return _prices(_FLAT, count, {"total": 12_345})


def steps_prices(count: int) -> Callable[[], object]:
    """A day that crosses from the first step to the second."""
    return _prices(_STEPS, count, {"total": 12_345, "t1": 10_000, "t2": 2_345})


def _prices(document: str, count: int, energy_wh: dict[str, int]) -> Callable[[], object]:
    tariff = read_toml(document, Currency.named("CNY"))
    version = TariffVersion(1, datetime(2025, 12, 31, 16, tzinfo=UTC), tariff)
    usage = Usage(
        _SINCE,
        _UNTIL,
        energy_wh,
        before_wh={"year": 2_755_000},
        carried=Decimal("0.25"),
        tax_carried=Decimal("-0.125"),
    )

    def work() -> None:
        for _ in range(count):
            price(version, usage, _ZONE)

    return work
