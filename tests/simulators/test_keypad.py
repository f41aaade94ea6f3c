"""Typing, giving up, the lock against guessing, and what the display shows."""

from datetime import datetime, timedelta

import pytest

from simulators import BACKSPACE, KeypadMeter, NaiveTimeError, NoPowerError, UnknownKeyError
from simulators.errors import TimeBackwardsError
from simulators.results import Outcome, TokenResult
from tests.simulators.workbench import START, Bench
from vending.sts import InitiateMeterTest

WRONG = "12" * 10


def type_in(bench: Bench, keys: str) -> TokenResult | None:
    result = None
    for key in keys:
        result = bench.meter.press(key, bench.now)
    return result


def first_line(bench: Bench) -> str:
    return bench.meter.display(bench.now)[0]


def test_a_dash_follows_each_four_digits() -> None:
    bench = Bench()
    shown = []
    for digit in "123456789":
        bench.meter.press(digit, bench.now)
        shown.append(first_line(bench))
    assert shown[2:5] == ["123", "1234-", "1234-5"]
    assert shown[-1] == "1234-5678-9"


def test_the_twentieth_digit_enters_the_token() -> None:
    bench = Bench()
    token = bench.credit(50)
    assert type_in(bench, token[:19]) is None
    result = type_in(bench, token[19])
    assert result is not None
    assert result.outcome is Outcome.ACCEPT
    assert first_line(bench) == "Accept"
    assert bench.meter.typed == ""


def test_backspace_takes_one_digit_back() -> None:
    bench = Bench()
    type_in(bench, "12345")
    for shown in ("1234-", "123"):
        bench.meter.press(BACKSPACE, bench.now)
        assert first_line(bench) == shown
    for _ in range(5):
        bench.meter.press(BACKSPACE, bench.now)
    assert first_line(bench) == "0.0 kWh"
    token = bench.credit(50)
    type_in(bench, token[:4] + "0")
    bench.meter.press(BACKSPACE, bench.now)
    result = type_in(bench, token[4:])
    assert result is not None
    assert result.is_accepted


def test_an_entry_is_given_up_twenty_seconds_after_the_last_digit() -> None:
    bench = Bench()
    type_in(bench, "1")
    bench.wait(19)
    type_in(bench, "2")
    bench.wait(19, milliseconds=999)
    assert first_line(bench) == "12"
    bench.wait(milliseconds=1)
    assert first_line(bench) == "0.0 kWh"
    type_in(bench, "7")
    assert first_line(bench) == "7"
    assert bench.meter.state.lock.rejections == 0


def test_the_result_makes_way_for_the_next_key_or_for_time() -> None:
    bench = Bench()
    bench.enter(bench.credit(50))
    assert first_line(bench) == "Accept"
    type_in(bench, "3")
    assert first_line(bench) == "3"
    bench.wait(60)
    bench.enter(bench.credit(50))
    bench.wait(15)
    assert first_line(bench) == "10.0 kWh"


@pytest.mark.parametrize("key", ["x", "12", "", "\u0661", "enter"])
def test_keys_that_the_keypad_does_not_have_are_a_fault(key: str) -> None:
    bench = Bench()
    with pytest.raises(UnknownKeyError):
        bench.meter.press(key, bench.now)


# --- the lock ------------------------------------------------------------------------------


def reject(bench: Bench) -> int:
    result = bench.enter(WRONG)
    assert result.outcome is Outcome.CRC_ERROR
    return result.locked_for_s


def test_the_third_rejection_locks_and_each_further_one_twice_as_long() -> None:
    bench = Bench()
    locks = []
    for _ in range(12):
        locks.append(reject(bench))
        bench.wait(locks[-1])
    assert locks == [0, 0, 10, 20, 40, 80, 160, 320, 640, 1280, 1280, 1280]


def test_a_locked_keypad_refuses_even_good_tokens_and_does_not_count_them() -> None:
    bench = Bench()
    token = bench.credit(1)
    for _ in range(3):
        reject(bench)
    result = bench.enter(token)
    assert (result.outcome, result.locked_for_s) == (Outcome.LOCKED, 10)
    assert bench.outcome("9" * 20) is Outcome.LOCKED  # not even the form is looked at
    bench.wait(9, milliseconds=1)
    assert bench.enter(token).locked_for_s == 1
    assert bench.meter.display(bench.now)[-1] == "LOCKED 1 s"
    bench.wait(milliseconds=999)
    assert bench.outcome(token) is Outcome.ACCEPT


def test_an_accepted_token_ends_the_series() -> None:
    bench = Bench()
    for _ in range(4):
        bench.wait(reject(bench))
    bench.enter(bench.credit(1))
    assert [reject(bench) for _ in range(3)] == [0, 0, 10]


def test_a_section_of_a_key_change_ends_the_series_too() -> None:
    bench = Bench()
    reject(bench)
    assert bench.outcome(bench.change()[0]) is Outcome.FIRST_KCT
    assert bench.meter.state.lock.rejections == 0


def test_test_tokens_work_while_locked_and_lift_nothing() -> None:
    bench = Bench()
    for _ in range(3):
        reject(bench)
    assert bench.enter(InitiateMeterTest(1 << 4)).lines == ("KRN 1",)
    assert bench.outcome(bench.credit(1)) is Outcome.LOCKED
    assert bench.outcome(InitiateMeterTest(1 << 4, 77)) is Outcome.MFR_CODE_ERROR
    bench.wait(10)
    assert reject(bench) == 20


def test_used_tokens_count_as_rejections() -> None:
    bench = Bench()
    token = bench.credit(1)
    assert [bench.enter(token).locked_for_s for _ in range(4)] == [0, 0, 0, 10]


def test_a_power_cut_does_not_lift_the_lock() -> None:
    bench = Bench()
    for _ in range(4):
        bench.wait(reject(bench))
    assert reject(bench) == 40
    bench.meter.power_off(bench.now)
    bench.wait(5)
    meter = KeypadMeter(bench.meter.state)
    meter.power_on(bench.now)
    assert meter.enter_token(bench.credit(1), bench.now).outcome is Outcome.LOCKED
    assert meter.locked_for_s == 35


# --- display, power and time ---------------------------------------------------------------


def test_the_display_tells_credit_contact_and_warnings() -> None:
    bench = Bench(low_credit_wh=2_000, load=3_600)
    assert bench.meter.display(START) == ("0.0 kWh", "supply off: credit exhausted", "LOW CREDIT")
    bench.enter(bench.credit(25))
    bench.wait(400)
    assert bench.meter.display(bench.now) == ("2.1 kWh", "supply on")
    bench.wait(100)
    assert bench.meter.display(bench.now) == ("2.0 kWh", "supply on")
    bench.wait(1)
    assert bench.meter.display(bench.now) == ("1.9 kWh", "supply on", "LOW CREDIT")
    bench.meter.open_cover(bench.now)
    assert "supply off: tamper" in bench.meter.display(bench.now)


def test_without_power_keypad_and_display_are_dead() -> None:
    bench = Bench(credit_wh=1_000)
    type_in(bench, "123")
    bench.meter.power_off(bench.now)
    assert bench.meter.display(bench.now) == ()
    assert bench.meter.main_lines == ()
    with pytest.raises(NoPowerError):
        bench.meter.press("1", bench.now)
    with pytest.raises(NoPowerError):
        bench.enter(bench.credit(1))
    bench.meter.power_on(bench.now)
    assert first_line(bench) == "1.0 kWh"  # what was half typed is gone


def test_time_never_goes_back() -> None:
    bench = Bench()
    bench.wait(10)
    earlier = bench.now - timedelta(microseconds=1)
    for call in (bench.meter.advance, bench.meter.display, bench.meter.power_off):
        with pytest.raises(TimeBackwardsError):
            call(earlier)
    with pytest.raises(TimeBackwardsError):
        bench.meter.enter_token(WRONG, earlier)
    with pytest.raises(TimeBackwardsError):
        bench.meter.press("1", earlier)
    bench.meter.advance(bench.now)


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(NaiveTimeError):
        Bench().meter.advance(datetime(2030, 1, 1))  # noqa: DTZ001 - the fault itself


def test_a_time_may_come_in_any_zone() -> None:
    bench = Bench()
    local = datetime.fromisoformat("2026-11-21T11:00:00+02:00")
    bench.meter.advance(local)
    assert bench.meter.now == START + timedelta(hours=1)
    assert bench.meter.now.utcoffset() == timedelta(0)
