"""Energies, freezes, demands and load records of a simulated meter agree with each other."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.dlt645 import ClearDemand, ClearMeter, Freeze, ReadData, freeze_time
from protocols.dlt645.payloads import LOAD_CLASSES, parse_load_records
from protocols.dlt645.times import MeterTime
from simulators import ConstantLoad, HouseholdLoad
from simulators.load import energy_ws
from simulators.metering.meter_clock import face
from tests.simulators.wire_bench import OPERATOR, PASSWORD, START, WireBench, accepted, refused

TOTAL = 0x00010000
ALL_TARIFFS = 0x0001FF00


def kwh(bench: WireBench, di: int = TOTAL) -> str | None:
    return bench.text(di)


def test_tariffs_follow_the_day() -> None:
    bench = WireBench()
    bench.wait(hours=24)  # 1 kW from 16:00: T3 16-18, T1 18-21, T2 21-23, T4 23-7, T3, T2, T3
    assert bench.texts(ALL_TARIFFS) == ["24.00", "3.00", "5.50", "7.50", "8.00"]
    assert bench.text(0x00010400) == "8.00"


def test_another_slot_table_works_from_now_on() -> None:
    bench = WireBench()
    table = bytes.fromhex("010000" + "030018" + "040019" * 12)
    assert accepted(bench.write(0x04010001, table))
    bench.wait(hours=4)  # 16-18 T1, 18-19 T3, 19-20 T4
    assert bench.texts(ALL_TARIFFS) == ["4.00", "2.00", "0.00", "1.00", "1.00"]
    assert (bench.texts(0x04010001))[:3] == ["00:00 n1", "18:00 n3", "19:00 n4"]


def test_a_slot_table_that_cannot_be_is_refused() -> None:
    bench = WireBench()
    table = bytes.fromhex("050000" + "040019" * 13)
    assert refused(bench.write(0x04010001, table)) == ["day slots exceeded"]


def test_a_daily_freeze_holds_what_the_registers_showed_at_midnight() -> None:
    bench = WireBench(load="home", credit_wh=500_000)
    bench.wait(hours=8)
    seen: list[list[str | None]] = []
    for _ in range(3):
        seen.insert(0, bench.texts(ALL_TARIFFS))
        bench.wait(days=1)
    bench.wait(hours=-1 + 8)
    assert [bench.texts(0x05060100 | back) for back in (2, 3, 4)] == seen
    assert bench.text(0x05060001) == "2026-11-25 00:00"


def test_freezes_reach_back_to_the_beginning_and_no_further() -> None:
    bench = WireBench()
    bench.wait(days=3)
    assert bench.text(0x05060003) == "2026-11-22 00:00"
    assert bench.data(0x05060004) is None


def test_a_daily_freeze_can_be_at_another_time() -> None:
    bench = WireBench()
    bench.wait(days=1)
    assert accepted(bench.write(0x04001203, bytes.fromhex("3006")))  # 06:30
    bench.wait(days=1)
    assert bench.text(0x05060001) == "2026-11-23 06:30"
    assert bench.texts(0x05060101)[0] == "38.50"
    assert bench.text(0x05060002) == "2026-11-22 00:00", "the old one stays"


def test_hourly_freezes() -> None:
    bench = WireBench()
    bench.wait(minutes=150)
    assert bench.text(0x05040001) == "2026-11-21 18:00"
    assert bench.texts(0x0504FF01) == ["2026-11-21 18:00", "2.00", "0.00"]
    assert bench.texts(0x0504FF02)[1] == "1.00"


def test_a_freeze_now_and_only_three_are_kept() -> None:
    bench = WireBench()
    for _ in range(4):
        bench.wait(hours=1)
        assert accepted(bench.ask(Freeze()))
    assert [bench.texts(0x05010100 | back)[0] for back in (1, 2, 3)] == ["4.00", "3.00", "2.00"]
    assert bench.data(0x05010104) is None


def test_a_broadcast_freeze_is_obeyed_and_not_answered() -> None:
    bench = WireBench()
    bench.wait(hours=1)
    assert bench.frames(Freeze(), "99" * 6) == []
    bench.wait(hours=1)
    assert bench.texts(0x05010101)[0] == "1.00"


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        (freeze_time(minute=20), "2026-12-25 15:20"),
        (freeze_time(hour=5, minute=20), "2026-12-25 05:20"),
        (freeze_time(day=20, hour=5, minute=20), "2026-12-20 05:20"),
    ],
)
def test_timed_freezes(rule: MeterTime, last: str) -> None:
    bench = WireBench()
    assert accepted(bench.ask(Freeze(rule)))
    bench.wait(days=34)
    assert bench.text(0x05000001) == last


def test_settlement_history_is_twelve_deep() -> None:
    bench = WireBench(load=100, credit_wh=10_000_000)
    bench.wait(days=400)
    block = bench.texts(0x000100FF)
    assert len(block) == 13
    assert None not in block
    steps = [Decimal(a or 0) - Decimal(b or 0) for a, b in itertools.pairwise(block[1:])]
    assert [step / Decimal("2.4") for step in steps] == [
        30, 31, 30, 31, 31, 30, 31, 30, 31, 28, 31,
    ]  # fmt: skip


def test_a_settlement_day_is_a_parameter() -> None:
    bench = WireBench(credit_wh=500_000)
    assert accepted(bench.write(0x04000B01, bytes.fromhex("0825")))  # the 25th, 8 h
    bench.wait(days=5)
    assert bench.text(0x00010001) == "88.00"
    assert refused(bench.write(0x04000B01, bytes.fromhex("0831"))) == ["other"]


def test_demand_is_the_greatest_mean_of_a_period() -> None:
    bench = WireBench(load=0)
    bench.wait(minutes=20)
    bench.meter.set_load(ConstantLoad(6_000), bench.now)
    bench.wait(minutes=5)
    bench.meter.set_load(ConstantLoad(300), bench.now)
    bench.wait(minutes=35)
    assert bench.texts(0x01010000) == ["2.1000", "2026-11-21 16:30"]
    assert bench.text(0x02800004) == "0.3000"
    assert accepted(bench.ask(ClearDemand(PASSWORD, OPERATOR)))
    assert bench.texts(0x01010000) == ["0.0000", None]
    bench.wait(minutes=30)
    assert bench.texts(0x01010000) == ["0.3000", "2026-11-21 17:15"]
    assert bench.text(0x03300200) == "1"


def test_demands_bear_a_clock_that_is_set_by_decades() -> None:
    bench = WireBench(credit_wh=10**6)
    for year in ("99", "00", "26"):
        bench.wait(hours=3)
        assert accepted(bench.write(0x0400010C, bytes.fromhex(f"595900010101{year}")))
        assert bench.texts(0x01010000)[0] in ("1.0000", "0.0000")
        bench.data(0x010100FF)
        assert bench.long(ReadData(0x06000000, 5)) is not None
    bench.wait(hours=1)
    assert bench.texts(0x01010000)[0] == "1.0000"


def test_demands_of_a_month_stay_with_its_settlement() -> None:
    bench = WireBench(load=0, credit_wh=500_000)
    bench.wait(days=9)
    bench.meter.set_load(ConstantLoad(4_000), bench.now)
    bench.wait(minutes=30)
    bench.meter.set_load(ConstantLoad(500), bench.now)
    bench.wait(days=1)
    assert bench.texts(0x01010001) == ["4.0000", "2026-11-30 16:15"]
    assert bench.texts(0x01010000)[0] == "0.5000"


def test_a_meter_clear_empties_registers_and_not_the_credit() -> None:
    bench = WireBench()
    bench.wait(days=1)
    assert accepted(bench.ask(ClearMeter(PASSWORD, OPERATOR)))
    assert bench.texts(ALL_TARIFFS) == ["0.00"] * 5
    assert bench.data(0x05060001) is None
    assert bench.text(0x00900100) == "26.00"
    bench.wait(hours=1)
    assert kwh(bench) == "1.00"
    assert bench.text(0x03300100) == "1"


# --- the load profile ---------------------------------------------------------------------------


def test_load_records_tell_what_the_registers_told() -> None:
    bench = WireBench(load="home", phases=3)
    bench.wait(minutes=7)
    seen = []
    for _ in range(4):
        bench.wait(minutes=8)
        seen.append((bench.text(0x04000102), bench.values(TOTAL)[0], bench.values(0x0203FF00)))
        bench.wait(minutes=7)
    data = bench.long(ReadData(0x06000002, 4))
    assert data is not None
    records = parse_load_records(data)
    assert [str(record.time) for record in records] == [
        "2026-11-21 16:15", "2026-11-21 16:30", "2026-11-21 16:45", "2026-11-21 17:00",
    ]  # fmt: skip
    for (_, total, powers), record in zip(seen, records, strict=True):
        assert record.classes.keys() == LOAD_CLASSES.keys()
        assert record.classes[4][0].value == total
        assert [reading.value for reading in record.classes[2][:4]] == powers


def test_load_records_from_a_time_on_and_of_one_class() -> None:
    bench = WireBench()
    bench.wait(hours=3)
    since = MeterTime(year=2026, month=11, day=21, hour=17, minute=1)
    data = bench.long(ReadData(0x06040001, 2, since))
    assert data is not None
    records = parse_load_records(data, 4)
    assert [str(record.time)[-5:] for record in records] == ["17:15", "17:30"]
    assert [list(record.classes) for record in records] == [[4], [4]]
    assert [record.classes[4][0].text for record in records] == ["1.25", "1.50"]


def test_the_earliest_load_record_is_as_old_as_the_memory() -> None:
    bench = WireBench(load_records_max=8)
    bench.wait(hours=5)
    data = bench.long(ReadData(0x06040000, 1))
    assert data is not None
    assert str(parse_load_records(data, 4)[0].time)[-5:] == "19:15"


def test_no_record_was_made_without_power_or_before_the_first() -> None:
    bench = WireBench()
    bench.wait(minutes=20)
    bench.meter.power_off(bench.now)
    bench.wait(minutes=30)
    bench.meter.power_on(bench.now)
    bench.wait(minutes=15)
    data = bench.long(ReadData(0x06040000, 9))
    assert data is not None
    assert [str(record.time)[-5:] for record in parse_load_records(data, 4)] == [
        "16:00", "16:15", "17:00",
    ]  # fmt: skip
    later = MeterTime(year=2026, month=11, day=22, hour=1, minute=0)
    assert bench.long(ReadData(0x06040001, 1, later)) == b""


def test_intervals_of_classes_are_parameters() -> None:
    bench = WireBench()
    assert accepted(bench.write(0x04000A05, bytes.fromhex("6000")))
    assert accepted(bench.write(0x04000901, b"\x0a"))
    bench.wait(hours=1)
    data = bench.long(ReadData(0x06000002, 5))
    assert data is not None
    classes = [sorted(record.classes) for record in parse_load_records(data)]
    assert classes == [[2, 4], [2], [2], [2], [2, 4]]


# --- the past is computed, and always the same --------------------------------------------------


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.integers(1, 40_000), min_size=1, max_size=12),
    events=st.lists(st.sampled_from("tcpolr"), max_size=12),
)
def test_the_past_is_what_it_was_when_it_was_present(
    seed: int, steps: list[int], events: list[str]
) -> None:
    bench = WireBench(load="home", seed=seed, credit_wh=2_000, drift_ppm_max=200)
    meter = bench.meter
    seen = []
    for step, event in itertools.zip_longest(steps, events[: len(steps)]):
        bench.wait(step)
        seen.append(meter.flow)
        match event:
            case "t" if meter.has_power:
                meter.enter_token(bench.credit(20), bench.now)
            case "c":
                meter.open_cover(bench.now)
                meter.close_cover(bench.now)
            case "p":
                meter.power_off(bench.now)
            case "o":
                meter.power_on(bench.now)
            case "l":
                meter.set_load(HouseholdLoad(step), bench.now)
            case "r":
                meter.reverse_current(step & 1, bench.now)
    for flow in seen[::-1] + seen:
        past = meter.flow_at(flow.second)
        assert past is not None
        assert (past.forward_ws, past.reverse_ws) == (flow.forward_ws, flow.reverse_ws)
        registers = past.supply.registers
        assert registers.consumed_ws == flow.supply.registers.consumed_ws
        assert sum(past.forward_ws) + sum(past.reverse_ws) == registers.consumed_ws


def test_a_long_sleep_is_the_same_as_many_looks() -> None:
    once, often = (WireBench(load="home", credit_wh=10**7) for _ in range(2))
    once.wait(days=20)
    for _ in range(20 * 8):
        often.wait(hours=3)
    assert once.meter.flow == often.meter.flow
    second = once.meter.second - 3 * 86_400
    assert once.meter.flow_at(second) == often.meter.flow_at(second)


def test_all_energy_is_the_loads_own() -> None:
    bench = WireBench(load="home", credit_wh=10**7)
    bench.wait(days=2)
    begin = int(START.timestamp())
    wanted = energy_ws(bench.meter.keypad.load, begin, begin + 2 * 86_400)
    assert bench.meter.keypad.registers.consumed_ws == wanted


def test_a_meter_with_too_many_events_forgets_its_earliest_past() -> None:
    bench = WireBench()
    for place in range(300):
        bench.wait(60)
        bench.meter.set_load(ConstantLoad(place), bench.now)
    assert bench.meter.begins > int(START.timestamp())
    assert bench.meter.flow_at(int(START.timestamp())) is None
    assert face(bench.meter.local).hour == 21
