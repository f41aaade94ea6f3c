"""The small form of ``make town``: four months of a few customers, on both databases."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from benchmarks.town import count, recount
from benchmarks.town.__main__ import live
from benchmarks.town.people import Household, people
from tests.shop.databases import Databases

SEED = 20_251


def test_a_towns_ledger_agrees_with_an_independent_recount(databases: Databases) -> None:
    url = databases.empty()
    try:
        told = live(url, SEED, 20, 2, 121, as_json=True)
    finally:
        databases.discard(url)
    assert told["settlements killed"] == 2
    assert told["settlements"] > 2 * 121
    assert told["payments told twice"] + told["payments that bounced"] > 0


def test_a_recount_that_differs_by_a_cent_is_seen(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.empty()
    right = recount.owed_minor

    def wrong(household: Household, days: int) -> int:
        return right(household, days) + (household.number == 3)

    monkeypatch.setattr(count, "owed_minor", wrong)
    try:
        with pytest.raises(count.TownError, match=r"^.*'! accounts whose balance differs.*': 1,"):
            live(url, SEED, 4, 0, 33, as_json=True)
    finally:
        databases.discard(url)


def test_the_recount_adds_up_steps_by_hand() -> None:
    someone = people(1, 1)[0]
    flat = [{"total": 10_000}] * 365
    steps = replace(someone, tariff="steps", used_wh=flat, exchange=None, wrong=None)
    # January: 310 kWh: 150 at 0.50, 150 at 0.60, 10 at 0.85
    assert recount.owed_minor(steps, 31) == 75_00 + 90_00 + 8_50
    year = replace(steps, tariff="year")
    # 2,170 kWh: 2,160 at 0.4983 and 10 at 0.5483
    assert recount.owed_minor(year, 217) == round(Fraction("1076.328") * 100 + Fraction("548.3"))
