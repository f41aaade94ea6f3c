"""What a simulated meter notices and records, its clock, and its passwords."""

import pytest

from protocols.dlt645 import (
    ALL_EVENTS,
    Address,
    AddressAnswer,
    BroadcastTime,
    ChangeBaud,
    ChangePassword,
    ClearEvents,
    MultiFunctionOutput,
    OutputAnswer,
    Password,
    PasswordAnswer,
    ReadAddress,
    ReadData,
    RelayCommand,
    SetMultiFunctionOutput,
    Speed,
    SpeedAnswer,
    WriteAddress,
    WriteData,
)
from protocols.dlt645.times import MeterTime
from simulators import ConstantLoad, OpenReason
from simulators.metering.esam import PUBLIC_TEST_MAC, sealed_for_test
from simulators.metering.meter_clock import MeterClock
from simulators.metering.smart_meter import Cover
from tests.simulators.wire_bench import OPERATOR, PASSWORD, WireBench, accepted, refused

ANY = "AA" * 6
ALL = "99" * 6
DATE, TIME, BOTH = 0x04000101, 0x04000102, 0x0400010C


# --- events -------------------------------------------------------------------------------------


def test_power_down_is_recorded_and_the_port_is_dead_meanwhile() -> None:
    bench = WireBench()
    bench.wait(hours=1)
    bench.meter.power_off(bench.now)
    assert bench.frames(ReadData(0x03110000)) == []
    bench.wait(minutes=10)
    bench.meter.power_on(bench.now)
    assert bench.text(0x03110000) == "1"
    assert bench.texts(0x03110001) == ["2026-11-21 17:00:00", "2026-11-21 17:10:00"]
    assert bench.texts(0x03110002) == [None, None]


@pytest.mark.parametrize(
    ("cover", "item"), [(Cover.METER, 0x03300D00), (Cover.TERMINAL, 0x03300E00)]
)
def test_covers_are_recorded_with_the_registers_of_then(cover: Cover, item: int) -> None:
    bench = WireBench()
    bench.wait(hours=1)
    bench.meter.open_cover(bench.now, cover)
    assert bench.meter.keypad.open_reasons == (OpenReason.TAMPER,)
    bench.wait(minutes=3)
    bench.meter.close_cover(bench.now, cover)
    assert bench.text(item) == "1"
    record = bench.texts(item + 1)
    assert record[:3] == ["2026-11-21 17:00:00", "2026-11-21 17:03:00", "1.00"]
    assert record[8] == "1.00"
    assert len(record) == 14


def test_the_cover_counter_goes_on_and_ten_records_stay() -> None:
    bench = WireBench()
    for _ in range(12):
        bench.wait(60)
        bench.meter.open_cover(bench.now)
        bench.meter.close_cover(bench.now)
    assert bench.text(0x03300E00) == "12"
    assert bench.texts(0x03300E0A)[0] == "2026-11-21 16:03:00"


def test_reversed_current_is_seen_metered_and_paid_for() -> None:
    bench = WireBench(phases=3)
    bench.wait(hours=1)
    bench.meter.reverse_current(0b111, bench.now)
    bench.wait(hours=1)
    assert bench.text(0x02030000) == "-1.0000"
    assert bench.texts(0x04000501) == ["0012"]
    assert bench.texts(0x04000502) == ["0077"]
    assert bench.texts(0x04000504) == ["0040"]
    bench.meter.reverse_current(0b010, bench.now)
    bench.wait(minutes=30)
    bench.meter.reverse_current(0, bench.now)
    assert bench.text(0x00010000) == "1.00"
    assert bench.text(0x00020000) == "1.50"
    assert bench.text(0x00000000) == "2.50"
    assert bench.meter.keypad.registers.remaining_wh == 47_500
    assert bench.texts(0x030E0000) == ["1", "60", "1", "90", "1", "60"]
    assert bench.texts(0x030E0201)[:4] == [
        "2026-11-21 17:00:00", "2026-11-21 18:30:00", "0.00", "1.50",
    ]  # fmt: skip
    assert bench.text(0x1B020001) == "1"
    assert bench.text(0x1B020101) == "2026-11-21 17:00:00"
    assert bench.text(0x1B022501) == "2026-11-21 18:30:00"


def test_programming_is_recorded_with_its_operator_and_item() -> None:
    bench = WireBench()
    assert accepted(bench.write(0x04001001, bytes.fromhex("00001000")))
    assert bench.text(0x03300000) == "1"
    record = bench.texts(0x03300001)
    assert record[:3] == ["2026-11-21 16:00:00", OPERATOR, "04001001"]


def test_setting_the_clock_is_recorded() -> None:
    bench = WireBench()
    assert accepted(bench.write(TIME, bytes.fromhex("000020")))
    assert bench.text(0x03300400) == "1"
    assert bench.texts(0x03300401) == [OPERATOR, "2026-11-21 16:00:00", "2026-11-21 20:00:00"]


def test_events_are_cleared_by_kind_and_that_is_recorded() -> None:
    bench = WireBench()
    bench.meter.open_cover(bench.now)
    bench.meter.power_off(bench.now)
    bench.meter.power_on(bench.now)
    assert accepted(bench.ask(ClearEvents(PASSWORD, OPERATOR, 0x03300EFF)))
    assert (bench.text(0x03300E00), bench.text(0x03110000)) == ("0", "1")
    assert accepted(bench.ask(ClearEvents(PASSWORD, OPERATOR, ALL_EVENTS)))
    assert bench.text(0x03110000) == "0"
    assert bench.text(0x03300300) == "2"
    assert bench.texts(0x03300302)[1:] == [OPERATOR, "03300EFF"]
    assert refused(bench.ask(ClearEvents(PASSWORD, OPERATOR, 0x031299FF))) == ["no requested data"]


def test_what_this_meter_cannot_see_never_happened() -> None:
    bench = WireBench()
    assert bench.texts(0x03010000) == ["0"] * 6
    assert bench.text(0x10010001) == "0"
    assert bench.data(0x03010101) is None


# --- the clock ----------------------------------------------------------------------------------


def test_the_clock_shows_the_zone_and_drifts() -> None:
    bench = WireBench()
    assert (bench.text(DATE), bench.text(TIME)) == ("2026-11-21 w6", "16:00:00")
    fast = MeterClock.right(0, 0, drift_ppm=50)
    assert fast.local(86_400) == 86_404
    slow = MeterClock.right(0, 0, drift_ppm=-50)
    assert slow.local(864_000) == 864_000 - 44  # rounded down
    for clock in (fast, slow):
        for local in range(0, 200_000, 777):
            second = clock.second_of(local, 10**6)
            assert second is not None
            assert clock.local(second) >= local > clock.local(second - 1)


def test_drift_is_drawn_by_seed_within_the_types_limit() -> None:
    drifts = {WireBench(seed=seed, drift_ppm_max=5).meter.clock.drift_ppm for seed in range(200)}
    assert drifts == set(range(-5, 6))


def test_a_drifted_clock_makes_orders_fail_and_a_broadcast_cures_it() -> None:
    bench = WireBench(drift_ppm_max=0)
    bench.meter.set_clock(bench.meter.local + 3_600, bench.now)
    now = bench.meter.local
    assert refused(bench.relay(RelayCommand.TRIP, valid_s=-1_800)) == ["other"]
    right = MeterTime(year=2026, month=11, day=21, hour=16, minute=0, second=7)
    assert bench.frames(BroadcastTime(right), ALL) == []
    assert bench.text(TIME) == "16:00:07"
    assert accepted(bench.relay(RelayCommand.TRIP, valid_s=1))
    assert bench.text(0x03300400) == "0", "a broadcast is no programming"
    assert now == bench.meter.local + 3_600 - 7


def test_date_and_time_are_set_together_or_apart() -> None:
    bench = WireBench()
    assert accepted(bench.write(DATE, bytes.fromhex("02050127")))  # w2, 5 January 2027
    assert (bench.text(DATE), bench.text(TIME)) == ("2027-01-05 w2", "16:00:00")
    assert accepted(bench.write(BOTH, bytes.fromhex("59591103020127")))
    assert bench.text(BOTH) == "2027-01-02 w6 11:59:59"
    assert refused(bench.write(DATE, bytes.fromhex("00320127"))) == ["other"]


def test_a_midnight_of_last_week_stays_where_it_was_when_the_clock_is_set() -> None:
    bench = WireBench()
    bench.wait(days=1, hours=12)
    before = bench.texts(0x05060101)
    bench.meter.set_clock(bench.meter.local + 1_800, bench.now)
    assert bench.texts(0x05060101) == before
    bench.wait(days=1)
    assert bench.texts(0x05060102) == before


def test_a_clock_set_far_back_and_forth_freezes_on_both_sides() -> None:
    bench = WireBench(credit_wh=10**6)
    bench.wait(days=2)
    assert accepted(bench.write(DATE, bytes.fromhex("06010100")))
    bench.wait(days=2)
    times = [bench.text(0x05060001 + back) for back in range(4)]
    assert times == ["2000-01-03 00:00", "2000-01-02 00:00", "2026-11-23 00:00", "2026-11-22 00:00"]
    assert [bench.texts(0x05060101 + back)[0] for back in range(4)] == [
        "80.00", "56.00", "32.00", "8.00",
    ]  # fmt: skip
    assert accepted(bench.write(DATE, bytes.fromhex("06010140")))
    bench.wait(hours=9)
    assert bench.text(0x05060001) == "2040-01-02 00:00"


def test_a_clock_set_back_goes_through_its_hours_again() -> None:
    bench = WireBench()
    bench.wait(hours=3)
    bench.meter.set_clock(bench.meter.local - 2 * 3_600, bench.now)
    bench.wait(hours=3)  # 16-18 T3, 18-19 T1, again 17-18 T3, 18-20 T1
    assert bench.texts(0x0001FF00) == ["6.00", "3.00", "0.00", "3.00", "0.00"]


# --- passwords ----------------------------------------------------------------------------------


def alarm(bench: WireBench, password: Password) -> list[str]:
    answer = bench.write(0x04001001, bytes(4), password)
    return [] if accepted(answer) else refused(answer)


WRONG = ["password wrong/not authorised"]


def test_five_wrong_passwords_lock_for_a_day_and_the_right_one_too() -> None:
    bench = WireBench()
    for _ in range(5):
        assert alarm(bench, Password(2, "123456")) == WRONG
    assert alarm(bench, PASSWORD) == WRONG
    bench.wait(days=1, seconds=-1)
    assert alarm(bench, PASSWORD) == WRONG
    bench.wait(1)
    assert alarm(bench, PASSWORD) == []


def test_a_right_password_forgives_the_wrong_ones() -> None:
    bench = WireBench()
    for _ in range(20):
        for _ in range(4):
            assert alarm(bench, Password(2, "123456")) == WRONG
        assert alarm(bench, PASSWORD) == []


@pytest.mark.parametrize(("level", "why"), [(0, []), (4, []), (5, WRONG), (9, WRONG), (77, WRONG)])
def test_settings_need_level_4_or_higher(level: int, why: list[str]) -> None:
    assert alarm(WireBench(), Password(level, "000000")) == why


def test_a_password_is_changed_by_its_own_level_or_a_higher_one() -> None:
    bench = WireBench()
    new = Password(2, "654321")
    wrong = ChangePassword(0x04000C03, Password(4, "000000"), new)
    assert refused(bench.ask(wrong)) == WRONG
    answer = bench.ask(ChangePassword(0x04000C03, Password(2, "000000"), new))
    assert answer == PasswordAnswer(new)
    assert alarm(bench, PASSWORD) == WRONG
    assert alarm(bench, new) == []
    assert alarm(bench, Password(4, "000000")) == []


def test_passwords_are_not_read() -> None:
    assert WireBench().data(0x04000C03) is None


def test_writes_under_a_mac_or_a_cipher_need_no_password() -> None:
    bench = WireBench()
    data = bytes.fromhex("00003000")
    assert accepted(bench.write(0x04001001, data + PUBLIC_TEST_MAC, Password(0x99, "000000")))
    assert bench.text(0x04001001) == "3000.00"
    sealed = sealed_for_test(bytes.fromhex("00004000"))
    assert accepted(bench.write(0x04001001, sealed, Password(0x98, "000000")))
    assert bench.text(0x04001001) == "4000.00"
    assert refused(bench.write(0x04001001, data + b"ABCD", Password(0x99, "000000"))) == WRONG


# --- parameters, address, outputs ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("di", "data", "text"),
    [
        (0x0400040E, "123456789012", "129078563412"),
        (0x04000403, "41" * 32, "'" + "A" * 32 + "'"),
        (0x04030001, "01050127", "2027-01-05 n1"),
        (0x04000409, "006400", "6400"),
        (0x04000801, "3E", "3E"),
    ],
)
def test_any_parameter_of_the_catalogue_is_written_and_read_back(
    di: int, data: str, text: str
) -> None:
    bench = WireBench()
    assert accepted(bench.write(di, bytes.fromhex(data)))
    assert bench.text(di) == text


@pytest.mark.parametrize(
    ("di", "data", "why"),
    [
        (0x04000409, "0064", "other"),  # too short
        (0x04000409, "00AB00", "other"),  # not BCD
        (0x00010000, "00000000", "other"),  # a register
        (0x04990101, "00", "no requested data"),  # unknown
        (0x04000103, "07", "other"),  # no part of an hour
        (0x04000A02, "0000", "other"),
    ],
)
def test_what_cannot_be_written_is_refused(di: int, data: str, why: str) -> None:
    bench = WireBench()
    assert refused(bench.write(di, bytes.fromhex(data))) == [why]
    assert bench.text(0x03300000) == "0"


def test_the_address_is_asked_for_and_given() -> None:
    bench = WireBench()
    old = bench.meter.address
    assert bench.ask(ReadAddress(), ANY) == AddressAnswer(Address(old))
    new = Address("000000000161")
    assert bench.ask(WriteAddress(new), ANY) is None, "the programming key was not pressed"
    bench.meter.press_programming_key(bench.now)
    assert bench.relay_word().programming_permitted
    assert accepted(bench.ask(WriteAddress(new), ANY))
    assert bench.ask(ReadAddress(), ANY) == AddressAnswer(new)
    assert bench.text(DATE) == "2026-11-21 w6"
    assert bench.frames(ReadData(DATE), old) == []
    bench.wait(minutes=30)
    assert bench.ask(WriteAddress(Address(old)), ANY) is None


def test_the_address_is_a_parameter_too() -> None:
    bench = WireBench()
    old = bench.meter.address
    write = WriteData(0x04000401, PASSWORD, OPERATOR, bytes.fromhex("620000000000"))
    assert accepted(bench.ask(write, old))
    assert bench.meter.address == "000000000062"
    assert bench.text(0x04000401) == "000000000062"


def test_speed_and_output_are_confirmed() -> None:
    bench = WireBench()
    assert bench.ask(ChangeBaud(Speed.BAUD_9600)) == SpeedAnswer(Speed.BAUD_9600)
    assert bench.text(0x04000703) == "20"
    output = MultiFunctionOutput.DEMAND_PERIOD
    assert bench.ask(SetMultiFunctionOutput(output)) == OutputAnswer(output)


def test_a_load_that_changes_is_seen_at_once() -> None:
    bench = WireBench()
    bench.meter.set_load(ConstantLoad(2_345), bench.now)
    assert bench.text(0x02030000) == "2.3450"
