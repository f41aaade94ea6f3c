"""What is odd about values, by table and by property."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headend.watching.checks.clock import clock_drift
from headend.watching.checks.flag import kwh
from headend.watching.checks.power_factor import power_factor, power_factor_pm
from headend.watching.checks.register import (
    DLT645_CAPACITY_WH,
    StepKind,
    register_flag,
    register_step,
)
from headend.watching.checks.silence import zero_run, zero_use
from headend.watching.checks.sums import sub_sum, tariff_gap
from headend.watching.checks.tamper import reverse_current, tamper_event
from headend.watching.checks.use import median, season_of, use_swing
from headend.watching.thresholds import EVERYBODY, Limits, defaults

LIMITS = Limits()
DAY_S = 86_400
FULL = DLT645_CAPACITY_WH
wh = st.integers(0, FULL - 1)


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (300, None),
        (-300, None),
        (301, "5 min fast"),
        (-90_000, "25 h slow; set it (by hand"),
        (400_000, "4 days fast"),
    ],
)
def test_a_clock_may_be_five_minutes_off(offset: int, words: str | None) -> None:
    flag = clock_drift(offset, LIMITS)
    assert (flag is None) == (words is None)
    assert flag is None or (words is not None and words in flag.reason and not flag.holds)


@pytest.mark.parametrize(
    ("week", "before", "more", "cause"),
    [
        (100_000, [100_000] * 8, {}, None),
        (130_000, [100_000] * 8, {}, None),
        (130_001, [100_000] * 8, {}, "use_above"),
        (69_999, [100_000] * 8, {}, "use_below"),
        # too little history; too little energy
        (500_000, [100_000] * 3, {}, None),
        (6_000, [2_000] * 8, {}, None),
        # one odd week among the comparable ones sways nothing
        (140_000, [100_000] * 7 + [900_000], {}, "use_above"),
        # everybody uses more: winter
        (170_000, [100_000] * 8, {"season_pm": 1_600}, None),
        (100_000, [100_000] * 8, {"season_pm": 1_600}, "use_below"),
        # so it was a year ago
        (170_000, [100_000] * 8, {"year_ago_wh": [160_000, 180_000]}, None),
        (170_000, [100_000] * 8, {"year_ago_wh": [100_000, 110_000]}, "use_above"),
        # somebody moved in
        (50_000, [0] * 8, {}, "use_above"),
    ],
)
def test_use_is_held_against_the_usual(
    week: int, before: list[int], more: dict[str, object], cause: str | None
) -> None:
    flag = use_swing(week, before, LIMITS, **more)  # type: ignore[arg-type]
    assert (flag and flag.cause) == cause


def test_neighbours_tell_the_season_and_one_of_them_does_not() -> None:
    assert season_of([20, 30, 40, 50, 9_000], [10, 15, 20, 25, 30]) == 2_000
    assert season_of([20, 30], [10, 15]) == 1_000
    assert season_of([5] * 9, [0] * 9) == 1_000


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=12), st.integers(0, 10**9))
def test_use_within_thirty_percent_is_never_odd(before: list[int], week: int) -> None:
    usual = median(before)
    flag = use_swing(week, before, LIMITS)
    if 100 * abs(week - usual) <= 30 * usual:
        assert flag is None
    elif abs(week - usual) > LIMITS["use_floor_wh"]:
        assert flag is not None


@pytest.mark.parametrize(
    ("before", "after", "ratio", "capacity", "kind", "through"),
    [
        (5_000, 5_000, 1, FULL, StepKind.FORWARD, 0),
        (5_000, 15_000, 1, FULL, StepKind.FORWARD, 10_000),
        (999_990_000, 5_000, 1, FULL, StepKind.ROLLOVER, 15_000),
        # the transformers' ratio moves the end of the register
        (99_999_000_000, 500_000, 100, 100 * FULL, StepKind.ROLLOVER, 1_500_000),
        # far from its end: another meter, or an error
        (500_000_000, 5_000, 1, FULL, StepKind.BACKWARD, None),
        (999_990_000, 400_000_000, 1, FULL, StepKind.BACKWARD, None),
        (15_000, 5_000, 1, FULL, StepKind.BACKWARD, None),
        # nobody knows how many digits it has
        (999_990_000, 5_000, 1, None, StepKind.BACKWARD, None),
        # it would have been too much for a day
        (960_000_000, 20_000_000, 1, FULL, StepKind.BACKWARD, None),
        (0, 3_000_000, 1, FULL, StepKind.LEAP, None),
        (0, 3_000_000, 2, FULL, StepKind.FORWARD, 3_000_000),
    ],
)
def test_a_registers_step_is_told(
    before: int, after: int, ratio: int, capacity: int | None, kind: StepKind, through: int | None
) -> None:
    step = register_step(before, after, DAY_S, ratio, capacity, LIMITS)
    assert (step.kind, step.wh) == (kind, through)
    assert (register_flag(before, after, step) is None) == (kind is StepKind.FORWARD)


@given(wh, st.integers(0, 2_400_000))
def test_what_goes_through_is_found_whether_or_not_the_register_rolled_over(
    before: int, used: int
) -> None:
    step = register_step(before, (before + used) % FULL, DAY_S, 1, FULL, LIMITS)
    assert step.wh == used


@given(wh, wh, st.integers(1, 90))
def test_a_step_never_gives_more_than_a_meter_can_take(before: int, after: int, days: int) -> None:
    step = register_step(before, after, days * DAY_S, 1, FULL, LIMITS)
    assert step.wh is None or 0 <= step.wh <= days * LIMITS["day_use_most_wh"]


@pytest.mark.parametrize(
    ("parent", "subs", "is_odd"),
    [(10_000, [5_000, 6_200], False), (10_000, [5_000, 6_201], True), (0, [], False)],
)
def test_sub_meters_cannot_have_more_than_their_parent(
    parent: int, subs: list[int], is_odd: bool
) -> None:
    assert (sub_sum(parent, subs, LIMITS) is not None) == is_odd


@pytest.mark.parametrize(
    ("tariffs", "is_odd"),
    [([60_000, 42_999], False), ([60_000, 43_000], True), ([60_000, 37_000], True)],
)
def test_tariffs_may_differ_from_the_total_by_less_than_three_kwh(
    tariffs: list[int], is_odd: bool
) -> None:
    assert (tariff_gap(100_000, tariffs, LIMITS) is not None) == is_odd


@pytest.mark.parametrize(
    ("active", "reactive", "is_odd"),
    [
        (900_000, 400_000, False),
        (900_000, 600_000, True),
        (900_000, -600_000, True),
        (99_999, 900_000, False),
        (0, 0, False),
    ],
)
def test_a_bad_power_factor_waits(active: int, reactive: int, is_odd: bool) -> None:
    assert (power_factor(active, reactive, LIMITS) is not None) == is_odd


@given(st.integers(1, 10**12), st.integers(-(10**12), 10**12))
def test_a_power_factor_lies_between_none_and_one(active: int, reactive: int) -> None:
    factor = power_factor_pm(active, reactive)
    assert 0 <= factor <= 1_000
    if reactive == 0:
        assert factor == 1_000


@pytest.mark.parametrize(
    ("days", "volts", "run"),
    [
        ([9_000] * 3 + [0] * 7, 230_000, 7),
        ([9_000] * 4 + [0] * 6, 230_000, None),
        ([9_000] * 3 + [0] * 7, None, None),
        ([9_000] * 3 + [0] * 7, 9_000, None),
        ([0] * 5 + [None] + [0] * 6, 230_000, None),
    ],
)
def test_no_use_under_voltage_is_odd_after_a_week(
    days: list[int | None], volts: int | None, run: int | None
) -> None:
    flag = zero_use(days, volts, LIMITS)
    assert (flag and flag.figures["days"]) == run


@given(st.lists(st.none() | st.integers(0, 100), max_size=40))
def test_a_run_is_as_long_as_the_days_without_use(days: list[int | None]) -> None:
    run = zero_run(days, 50)
    assert all(each is not None and each <= 50 for each in days[len(days) - run :])
    if run < len(days):
        last = days[len(days) - run - 1]
        assert last is None or last > 50


def test_what_meters_report_is_told_and_the_harmless_is_not() -> None:
    flag = tamper_event("magnetic_field", 3)
    assert flag is not None
    assert "magnet was held to it (3 times)" in flag.reason
    assert tamper_event("clock_set", 1) is None
    assert reverse_current(1_000, LIMITS) is None
    assert reverse_current(1_001, LIMITS) is not None


def test_a_customer_group_has_limits_of_its_own() -> None:
    limits = Limits({("use_swing_percent", "bakery"): 60, ("use_swing_percent", EVERYBODY): 40})
    assert limits["use_swing_percent"] == 40
    assert limits.group("bakery")["use_swing_percent"] == 60
    assert limits.group("bakery")["use_floor_wh"] == defaults()["use_floor_wh"].value
    assert use_swing(150_000, [100_000] * 8, limits.group("bakery")) is None
    assert use_swing(150_000, [100_000] * 8, limits) is not None


@given(st.integers(-(10**15), 10**15))
def test_energies_are_told_to_ten_watt_hours(value: int) -> None:
    said = kwh(value).removesuffix(" kWh").replace(",", "")
    assume("." in said)
    whole, part = said.lstrip("-").split(".")
    assert abs(int(whole) * 1000 + int(part) * 10 - abs(value)) <= 5
