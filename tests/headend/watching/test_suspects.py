"""Who is looked at first when an area loses too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headend.watching.suspects import Customer, rank_suspects
from tests.headend.watching.thieves import place_of_thief, town

FIRST_OF_100 = {"bypass": 75, "part": 58, "always": 58, "reverse": 95}
"""What docs/watching.md says, less what another platform's rounding may cost."""


@pytest.mark.parametrize("kind", FIRST_OF_100)
def test_the_thief_ranks_first_as_often_as_is_said(kind: str) -> None:
    first = sum(place_of_thief(seed, kind) == 1 for seed in range(100))
    assert first >= FIRST_OF_100[kind]


def test_the_reasons_can_be_read() -> None:
    seed = next(seed for seed in range(20) if place_of_thief(seed, "bypass") == 1)
    made = town(seed, "bypass")
    (first, *_) = rank_suspects(made.supplied, made.customers)
    assert first.point_id == made.thief
    assert "of its usual" in first.reasons[0]
    assert "ups and downs of the loss" in first.reasons[0]
    assert first.takes_wh > 0
    assert len({each.meter for each in rank_suspects(made.supplied, made.customers)}) <= 10


def test_a_holiday_is_no_theft() -> None:
    honest = [Customer(home, str(home), [10_000 + 10 * home] * 42) for home in range(20)]
    away = Customer(20, "20", [10_000] * 21 + [0] * 21)
    everybody = [*honest, away]
    came = [sum(each.days_wh[day] or 0 for each in everybody) * 25 // 24 for day in range(42)]
    assert rank_suspects(came, everybody) == []


def test_what_a_meter_reports_counts_without_a_course() -> None:
    found = rank_suspects(
        [],
        [
            Customer(1, "1", [], {"cover_open": 2}),
            Customer(2, "2", [], zero_days=9),
            Customer(3, "3", [], out_wh=5_000),
            Customer(4, "4", [], {"clock_set": 1}),
        ],
    )
    assert [each.meter for each in found] == ["3", "1", "2"]
    assert found[1].reasons == ("the meter says that its cover was opened 2 times",)


@given(
    st.integers(0, 8).flatmap(
        lambda count: st.lists(
            st.lists(st.none() | st.integers(0, 10**7), min_size=20, max_size=20),
            min_size=count,
            max_size=count,
        )
    ),
    st.lists(st.none() | st.integers(0, 10**9), min_size=20, max_size=20),
)
def test_any_days_give_a_ranking(days: list[list[int | None]], came: list[int | None]) -> None:
    customers = [Customer(number, str(number), each) for number, each in enumerate(days)]
    found = rank_suspects(came, customers)
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 100 for score in scores)
