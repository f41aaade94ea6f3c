"""Loads: what is drawn when, and exact energy."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import (
    ConstantLoad,
    DailyLoad,
    HouseholdLoad,
    LoadProfile,
    SimulatorValueError,
    energy_ws,
)
from simulators.moments import second_of

DAY = 86_400
MIDNIGHT = second_of(datetime(2026, 11, 21, tzinfo=UTC))


def test_a_constant_load_never_changes() -> None:
    load = ConstantLoad(1_500)
    assert (load.watts_at(MIDNIGHT), load.next_change(MIDNIGHT)) == (1_500, None)
    assert energy_ws(load, MIDNIGHT, MIDNIGHT + 3_600) == 1_500 * 3_600


def test_a_daily_load_repeats_its_steps_and_spans_midnight() -> None:
    load = DailyLoad(((6 * 60, 800), (8 * 60, 200), (18 * 60, 1_500)))
    for hour, watts in ((0, 1_500), (5, 1_500), (6, 800), (7, 800), (8, 200), (18, 1_500)):
        assert load.watts_at(MIDNIGHT + hour * 3_600) == watts, hour
        assert load.watts_at(MIDNIGHT + 9 * DAY + hour * 3_600) == watts
    assert load.next_change(MIDNIGHT) == MIDNIGHT + 6 * 3_600
    assert load.next_change(MIDNIGHT + 20 * 3_600) == MIDNIGHT + 30 * 3_600
    assert energy_ws(load, MIDNIGHT, MIDNIGHT + DAY) == 3_600 * (12 * 1_500 + 2 * 800 + 10 * 200)


def test_a_daily_load_follows_the_homes_clock() -> None:
    load = DailyLoad(((0, 10), (720, 20)), utc_offset_min=120)
    assert load.watts_at(MIDNIGHT + 10 * 3_600 - 1) == 10
    assert load.watts_at(MIDNIGHT + 10 * 3_600) == 20
    assert load.watts_at(MIDNIGHT + 22 * 3_600) == 10


def test_a_household_is_the_same_each_time_and_unlike_its_neighbour() -> None:
    def days(seed: int) -> list[int]:
        load = HouseholdLoad(seed)
        return [load.watts_at(MIDNIGHT + slot * 900) for slot in range(7 * 96)]

    assert days(1) == days(1)
    assert days(1) != days(2)
    assert min(days(1)) >= 90


def test_households_use_what_households_use() -> None:
    wh = [
        energy_ws(HouseholdLoad(seed), MIDNIGHT, MIDNIGHT + 7 * DAY) // 3_600 for seed in range(50)
    ]
    assert min(wh) / 7 > 5_000
    assert max(wh) / 7 < 25_000


def test_loads_that_no_home_has_are_refused() -> None:
    for make in (
        lambda: ConstantLoad(-1),
        lambda: ConstantLoad(1.5),  # type: ignore[arg-type]
        lambda: DailyLoad(()),
        lambda: DailyLoad(((60, 1), (60, 2))),
        lambda: DailyLoad(((60, 1), (30, 2))),
        lambda: DailyLoad(((1440, 1),)),
        lambda: DailyLoad(((0, -1),)),
        lambda: HouseholdLoad(1, standby_w=-1),
    ):
        with pytest.raises(SimulatorValueError):
            make()


loads = st.one_of(
    st.builds(ConstantLoad, st.integers(0, 9_000)),
    st.builds(HouseholdLoad, st.integers(0, 1 << 64), utc_offset_min=st.integers(-720, 840)),
    st.builds(
        DailyLoad,
        st.dictionaries(st.integers(0, 1439), st.integers(0, 9_000), min_size=1, max_size=9).map(
            lambda steps: tuple(sorted(steps.items()))
        ),
        st.integers(-720, 840),
    ),
)


@given(load=loads, start=st.integers(0, 4_000_000_000), length=st.integers(0, 7_200))
def test_energy_is_the_sum_over_all_seconds(load: LoadProfile, start: int, length: int) -> None:
    by_the_second = sum(load.watts_at(second) for second in range(start, start + length))
    assert energy_ws(load, start, start + length) == by_the_second


@given(load=loads, second=st.integers(0, 4_000_000_000))
def test_nothing_changes_before_the_next_change(load: LoadProfile, second: int) -> None:
    change = load.next_change(second)
    if change is not None:
        assert change > second
        for place in (second, (second + change) // 2, change - 1):
            assert load.watts_at(place) == load.watts_at(second)
