"""Energy and contact: cut off at exactly zero, overload, tamper, power cuts, any step size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import (
    ConstantLoad,
    DailyLoad,
    OpenReason,
    Registers,
    SimulatorValueError,
    Supply,
)
from simulators.moments import second_of
from simulators.nameplate import Nameplate
from simulators.supply import supplied
from tests.simulators.workbench import PAN, START, Bench
from vending.sts import EncryptionAlgorithm, SetMaximumPowerLimit


def test_credit_runs_out_at_exactly_zero() -> None:
    bench = Bench(credit_wh=1, load=700)  # 3600 Ws: five whole seconds, and 100 Ws in the sixth
    bench.wait(5)
    assert bench.meter.registers.remaining_ws == 100
    assert bench.lit()
    bench.wait(1)
    assert bench.meter.registers == Registers(3_600, 3_600, 0, 0)
    assert bench.meter.open_reasons == (OpenReason.CREDIT_EXHAUSTED,)
    assert bench.meter.drawn_w == 0
    bench.wait(10_000)
    assert bench.meter.registers.consumed_ws == 3_600


def test_one_big_step_ends_where_many_small_ones_do() -> None:
    big, small = Bench(credit_wh=1, load=700), Bench(credit_wh=1, load=700)
    big.wait(100)
    for _ in range(1000):
        small.wait(milliseconds=100)
    assert big.meter.state == small.meter.state


def test_the_next_credit_lights_the_home_again() -> None:
    bench = Bench(load=1_000)
    assert not bench.lit()
    bench.wait(3_600)
    bench.enter(bench.credit(10))
    assert bench.lit()
    bench.wait(1_800)
    assert bench.meter.registers.remaining_wh == 500
    bench.wait(1_800)
    assert not bench.lit()
    bench.enter(bench.credit(10))
    assert bench.lit()


def test_a_token_of_no_credit_leaves_an_empty_meter_dark() -> None:
    bench = Bench()
    assert bench.enter(bench.credit(0)).is_accepted
    assert not bench.lit()


def test_watt_second_remainders_are_kept() -> None:
    bench = Bench(credit_wh=10_000, load=1)
    for _ in range(3_600):
        bench.wait(1)
    assert bench.meter.registers.consumed_wh == 1


def test_fractions_of_a_second_are_metered_with_the_next_second() -> None:
    bench = Bench(credit_wh=10_000, load=3_600)
    for _ in range(7):
        bench.wait(milliseconds=300)
    assert bench.meter.registers.consumed_ws == 2 * 3_600


# --- overload ------------------------------------------------------------------------------


def test_an_overload_is_borne_then_cut_then_tried_again() -> None:
    bench = Bench(credit_wh=100_000, load=3_000, power_limit_w=2_000)
    bench.wait(9)
    assert bench.lit()
    bench.wait(1)
    assert bench.meter.open_reasons == (OpenReason.POWER_LIMIT,)
    bench.wait(59)
    assert bench.meter.registers.consumed_ws == 10 * 3_000
    assert not bench.lit()
    bench.wait(1)
    assert bench.lit()
    bench.wait(10)
    assert bench.meter.open_reasons == (OpenReason.POWER_LIMIT,)
    bench.meter.set_load(ConstantLoad(2_000), bench.now)
    bench.wait(60)
    assert bench.lit()
    bench.wait(3_600)
    assert bench.lit()  # at the limit is not above it


def test_a_short_overload_is_borne() -> None:
    bench = Bench(credit_wh=100_000, load=3_000, power_limit_w=2_000)
    for _ in range(20):
        bench.wait(9)
        bench.meter.set_load(ConstantLoad(100), bench.now)
        bench.wait(1)
        bench.meter.set_load(ConstantLoad(3_000), bench.now)
        assert bench.lit()


def test_a_higher_limit_closes_the_contact_at_once() -> None:
    bench = Bench(credit_wh=100_000, load=3_000, power_limit_w=2_000)
    bench.wait(20)
    assert not bench.lit()
    bench.enter(SetMaximumPowerLimit(5, 9, limit_w=3_000))
    assert bench.lit()


# --- tamper and power ----------------------------------------------------------------------


def test_opening_the_cover_cuts_the_home_off_even_without_power() -> None:
    bench = Bench(credit_wh=1_000, load=100)
    bench.meter.power_off(bench.now)
    bench.meter.open_cover(bench.now)
    bench.meter.close_cover(bench.now)
    bench.meter.power_on(bench.now)
    bench.wait(3_600)
    assert bench.meter.open_reasons == (OpenReason.TAMPER,)
    assert bench.meter.registers.consumed_ws == 0


def test_all_reasons_are_told() -> None:
    bench = Bench()
    bench.meter.open_cover(bench.now)
    assert bench.meter.open_reasons == (OpenReason.TAMPER, OpenReason.CREDIT_EXHAUSTED)


def test_nothing_is_consumed_without_power() -> None:
    bench = Bench(credit_wh=1_000, load=1_000)
    bench.wait(60)
    before = bench.meter.registers
    bench.meter.power_off(bench.now)
    assert not bench.lit()
    bench.wait(86_400)
    bench.meter.power_on(bench.now)
    assert bench.meter.registers == before
    assert bench.lit()


def test_a_power_cut_ends_an_overload() -> None:
    bench = Bench(credit_wh=100_000, load=3_000, power_limit_w=2_000)
    bench.wait(9)
    bench.meter.power_off(bench.now)
    bench.wait(30)
    bench.meter.power_on(bench.now)
    bench.wait(9)
    assert bench.lit()
    bench.wait(1)
    assert not bench.lit()


# --- values --------------------------------------------------------------------------------


def test_registers_that_disagree_do_not_exist() -> None:
    for figures in ((1, 0, 0, 0), (0, 1, -1, 0), (5, 2, 2, 2)):
        with pytest.raises(SimulatorValueError):
            Registers(*figures)
    with pytest.raises(SimulatorValueError):
        Registers().with_consumption(1)
    with pytest.raises(SimulatorValueError):
        Supply(power_limit_w=-1)


@pytest.mark.parametrize(
    "rating",
    [{"phases": 2}, {"overload_retry_s": 0}, {"credit_max_wh": -1}, {"key_change_timeout_s": 0},
     {"algorithm": EncryptionAlgorithm.DEA}],
)  # fmt: skip
def test_ratings_that_no_meter_has_are_refused(rating: dict[str, int]) -> None:
    with pytest.raises(SimulatorValueError):
        Nameplate(PAN, **rating)  # type: ignore[arg-type]


def test_a_key_must_fit_the_cipher() -> None:
    bench = Bench()
    nameplate = Nameplate(PAN, EncryptionAlgorithm.STA)
    with pytest.raises(SimulatorValueError, match="128 bits"):
        type(bench.meter).new(nameplate, bench.meter.state.key, START)


loads = st.one_of(
    st.builds(ConstantLoad, st.integers(0, 5_000)),
    st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 5_000)), min_size=1, max_size=6).map(
        lambda steps: DailyLoad(tuple(sorted(dict(steps).items())))
    ),
)


@given(
    load=loads,
    credit_wh=st.integers(0, 3_000),
    limit=st.none() | st.integers(0, 4_000),
    test_until=st.none() | st.integers(0, 200),
    cuts=st.lists(st.integers(0, 6_000), max_size=12),
)
def test_the_result_does_not_depend_on_how_time_is_cut(
    load: ConstantLoad | DailyLoad,
    credit_wh: int,
    limit: int | None,
    test_until: int | None,
    cuts: list[int],
) -> None:
    start = second_of(START)
    end = start + 6_000
    test = None if test_until is None else start + test_until
    supply = Supply(Registers().with_credit(credit_wh), limit, test_until=test)
    nameplate = Nameplate(PAN)
    whole = supplied(supply, load, nameplate, start, end)
    piecewise = supply
    moments = sorted({start, end, *(start + cut for cut in cuts)})
    for before, after in pairwise(moments):
        piecewise = supplied(piecewise, load, nameplate, before, after)
    assert piecewise == whole
