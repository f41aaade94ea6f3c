"""Every relay command by wire, and what it does to the home."""

import pytest

from protocols.dlt645 import EncryptedRelayControl, Password, RelayCommand
from simulators import OpenReason
from simulators.metering.esam import sealed_for_test
from simulators.metering.meter_clock import face
from tests.simulators.wire_bench import OPERATOR, WireBench, accepted, refused

HOUR_WS = 3_600 * 1_000


def test_trip_opens_and_nothing_flows() -> None:
    bench = WireBench()
    assert accepted(bench.relay(RelayCommand.TRIP))
    bench.wait(hours=1)
    word = bench.relay_word()
    assert word.relay_off
    assert word.relay_command_off
    assert bench.meter.keypad.open_reasons == (OpenReason.REMOTE,)
    assert bench.meter.keypad.registers.consumed_ws == 0
    assert bench.text(0x02030000) == "0.0000"


def test_allow_close_waits_for_the_button() -> None:
    bench = WireBench()
    bench.relay(RelayCommand.TRIP)
    assert accepted(bench.relay(RelayCommand.ALLOW_CLOSE))
    word = bench.relay_word()
    assert (word.relay_off, word.relay_command_off) == (True, False)
    assert "PRESS THE BUTTON TO SWITCH ON" in bench.meter.keypad.display(bench.now)
    bench.meter.press_button(bench.now)
    assert bench.lit()
    assert not bench.relay_word().relay_off


def test_the_button_does_nothing_against_a_trip() -> None:
    bench = WireBench()
    bench.relay(RelayCommand.TRIP)
    bench.meter.press_button(bench.now)
    assert not bench.lit()


def test_direct_close_needs_no_button() -> None:
    bench = WireBench()
    bench.relay(RelayCommand.TRIP)
    assert accepted(bench.relay(RelayCommand.DIRECT_CLOSE))
    assert bench.lit()


def test_close_is_accepted_but_credit_decides() -> None:
    bench = WireBench(credit_wh=0)
    bench.relay(RelayCommand.TRIP)
    assert accepted(bench.relay(RelayCommand.DIRECT_CLOSE))
    word = bench.relay_word()
    assert (word.relay_off, word.relay_command_off) == (True, False)


@pytest.mark.parametrize(
    ("command", "closes_itself"),
    [
        (RelayCommand.TRIP_DELAYED_DIRECT_CLOSE, True),
        (RelayCommand.TRIP_DELAYED_ALLOW_CLOSE, False),
    ],
)
def test_announced_trip_waits_and_a_payment_ends_it(
    command: RelayCommand, closes_itself: bool
) -> None:
    bench = WireBench()
    assert accepted(bench.relay(command, 5))
    assert bench.relay_word().pre_trip_alarm
    bench.wait(299)
    assert bench.lit()
    assert "SUPPLY OFF IN 1 s" in bench.meter.keypad.display(bench.now)
    bench.wait(1)
    assert not bench.lit()
    assert not bench.relay_word().pre_trip_alarm
    bench.wait(3_600)
    assert bench.meter.keypad.registers.consumed_ws == 300 * 1_000
    assert bench.meter.enter_token(bench.credit(10), bench.now).is_accepted
    assert bench.lit() is closes_itself
    bench.meter.press_button(bench.now)
    assert bench.lit()


def test_a_payment_in_time_calls_an_announced_trip_off() -> None:
    bench = WireBench()
    bench.relay(RelayCommand.TRIP_DELAYED_ALLOW_CLOSE, 5)
    bench.meter.enter_token(bench.credit(10), bench.now)
    bench.wait(3_600)
    assert bench.lit()


def test_an_announced_trip_needs_a_delay_and_a_closed_contact() -> None:
    bench = WireBench(has_relay_error_word=True)
    assert refused(bench.relay(RelayCommand.TRIP_DELAYED_ALLOW_CLOSE)) == ["pre trip delay zero"]
    bench.relay(RelayCommand.TRIP)
    answer = bench.relay(RelayCommand.TRIP_DELAYED_ALLOW_CLOSE, 5)
    assert refused(answer) == ["pre trip failed already tripped"]


def test_alarm_is_shown_and_does_no_more() -> None:
    bench = WireBench()
    assert accepted(bench.relay(RelayCommand.ALARM_ON))
    assert "ALARM" in bench.meter.keypad.display(bench.now)
    assert bench.lit()
    assert accepted(bench.relay(RelayCommand.ALARM_OFF))
    assert "ALARM" not in bench.meter.keypad.display(bench.now)


def test_protection_refuses_trips_and_outlasts_the_credit() -> None:
    bench = WireBench(credit_wh=1_000, has_relay_error_word=True)
    assert accepted(bench.relay(RelayCommand.PROTECTION_ON))
    assert refused(bench.relay(RelayCommand.TRIP)) == ["trip failed by protection"]
    answer = bench.relay(RelayCommand.TRIP_DELAYED_ALLOW_CLOSE, 5)
    assert refused(answer) == ["pre trip failed by protection"]
    bench.wait(hours=3)
    assert bench.lit()
    assert bench.relay_word().power_protection
    registers = bench.meter.keypad.registers
    assert (registers.consumed_ws, registers.remaining_ws) == (3 * HOUR_WS, 0)
    assert registers.uncredited_ws == 2 * HOUR_WS
    assert accepted(bench.relay(RelayCommand.PROTECTION_OFF))
    assert bench.meter.keypad.open_reasons == (OpenReason.CREDIT_EXHAUSTED,)


def test_protection_closes_a_tripped_contact() -> None:
    bench = WireBench()
    bench.relay(RelayCommand.TRIP)
    bench.relay(RelayCommand.PROTECTION_ON)
    assert bench.lit()
    bench.relay(RelayCommand.PROTECTION_OFF)
    assert bench.lit()


def test_validity_is_judged_by_the_meters_own_clock() -> None:
    bench = WireBench()
    assert accepted(bench.relay(RelayCommand.ALARM_ON, valid_s=0))
    assert refused(bench.relay(RelayCommand.TRIP, valid_s=-1)) == ["other"]
    assert bench.lit()
    worded = WireBench(has_relay_error_word=True)
    assert refused(worded.relay(RelayCommand.TRIP, valid_s=-1)) == ["validity time over"]


def test_a_wrong_password_moves_nothing() -> None:
    bench = WireBench()
    answer = bench.relay(RelayCommand.TRIP, password=Password(2, "111111"))
    assert refused(answer) == ["password wrong/not authorised"]
    assert bench.lit()


def test_a_low_level_moves_nothing() -> None:
    bench = WireBench()
    answer = bench.relay(RelayCommand.TRIP, password=Password(4, "000000"))
    assert refused(answer) == ["password wrong/not authorised"]


def test_an_encrypted_order_is_opened_by_the_esam() -> None:
    bench = WireBench()
    until = face(bench.meter.local + 60)
    plain = bytes((RelayCommand.TRIP, 0)) + bytes.fromhex(until.strftime("%y%m%d%H%M%S"))
    assert accepted(bench.ask(EncryptedRelayControl(OPERATOR, sealed_for_test(plain))))
    assert not bench.lit()
    forged = plain.ljust(16, b"\0") + b"ABCD"
    assert refused(bench.ask(EncryptedRelayControl(OPERATOR, forged))) == ["other"]


def test_trips_and_closes_are_counted() -> None:
    bench = WireBench()
    for _ in range(3):
        bench.wait(60)
        bench.relay(RelayCommand.TRIP)
        bench.wait(60)
        bench.relay(RelayCommand.DIRECT_CLOSE)
    assert bench.text(0x1D000001) == "3"
    assert bench.text(0x1E000001) == "3"
    assert bench.text(0x1D000101) == "2026-11-21 16:05:00"
    assert bench.text(0x1D000103) == "2026-11-21 16:01:00"
    assert bench.text(0x1E000101) == "2026-11-21 16:06:00"


def test_an_order_outlasts_a_power_cut() -> None:
    bench = WireBench()
    bench.relay(RelayCommand.TRIP)
    bench.meter.power_off(bench.now)
    bench.wait(60)
    bench.meter.power_on(bench.now)
    assert bench.meter.keypad.open_reasons == (OpenReason.REMOTE,)
