"""``write``, ``relay``, ``time``, ``freeze``, ``token load``: orders and how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pexpect
import pytest

from protocols.dlt645.fields import RelayCommand
from protocols.dlt645.relay import RelayControl
from protocols.dlt645.requests import BroadcastTime, Freeze, WriteData
from protocols.dlt645.status_words import StatusWord3
from tests.commands.meters import ScriptedMeter, on_pty, on_tcp
from tests.commands.running import ROOT, meterhouse

METER = "000000000161"
TOKEN = "59386323472137426967"
SECRET = {"METERHOUSE_METER_PASSWORD": "123456"}
QUICK = "?delay_ms=150"


def order(
    *arguments: str, status: int = 0, env: dict[str, str] | None = None, stdin: str = ""
) -> dict[str, Any]:
    done = meterhouse(*arguments, "--json", env=SECRET if env is None else env, stdin=stdin)
    assert done.returncode == status, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def meter() -> ScriptedMeter:
    scripted = ScriptedMeter(METER)
    scripted.set(0x04000103, "30")
    set_clock(scripted, 0)
    return scripted


def set_clock(one: ScriptedMeter, offset_s: int) -> None:
    """Give a meter the time, in UTC."""
    moment = datetime.now(UTC) + timedelta(seconds=offset_s)
    one.set(0x04000101, f"{moment:%Y-%m-%d} w{moment.isoweekday() % 7}")
    one.set(0x04000102, f"{moment:%H:%M:%S}")


# --- write ---------------------------------------------------------------------------------


def test_a_write_is_read_back() -> None:
    with on_tcp(one := meter()) as url:
        answer = order("write", url, "161", "04000103", "15")
    assert answer["outcome"] == "done"
    assert answer["held"] == [{"value": "15", "unit": "min"}]
    assert one.items[0x04000103] == b"\x15"


def test_bytes_may_be_written_as_they_are_sent() -> None:
    with on_tcp(one := meter()) as url:
        order("write", url, "161", "04000103", "raw:45")
    assert one.items[0x04000103] == b"\x45"


def test_a_wrong_password_is_a_refusal_and_is_sent_once() -> None:
    with on_tcp(one := meter()) as url:
        answer = order("write", url, "161", "04000103", "15", "--password", "654321", status=3)
    assert "password wrong" in answer["text"]
    assert sum(isinstance(request, WriteData) for request in one.heard) == 1


def test_a_write_into_silence_is_unknown() -> None:
    one = meter()
    one.deaf_after_orders = True
    with on_tcp(one) as url:
        assert order("write", url + QUICK, "161", "04000103", "15", status=6)["was_sent"]
    assert sum(isinstance(request, WriteData) for request in one.heard) == 1


def test_a_value_that_does_not_fit_is_not_sent() -> None:
    with on_tcp(one := meter()) as url:
        for value in ("soon", "1000"):
            assert "error" in order("write", url, "161", "04000103", value, status=4)
    assert one.heard == []


def test_orders_go_to_one_meter_only() -> None:
    with on_tcp(meter()) as url:
        for whom in ("AAAAAAAAAAAA", "999999999999"):
            answer = order("write", url, whom, "04000103", "15", status=4)
            assert answer["error"]["code"] == "address"


def test_without_a_password_and_a_terminal_nothing_is_asked() -> None:
    done = meterhouse("relay", "tcp://127.0.0.1:1", "161", "trip")
    assert done.returncode == 2
    assert "METERHOUSE_METER_PASSWORD" in done.stderr


# --- relay ---------------------------------------------------------------------------------


def test_a_trip_is_done_when_the_contact_is_open() -> None:
    with on_tcp(one := meter()) as url:
        answer = order("relay", url, "161", "trip", "--valid-for", "90s", "--zone", "UTC")
    assert answer["outcome"] == "done"
    assert answer["supply_on"] is False
    (sent,) = (request for request in one.heard if isinstance(request, RelayControl))
    left = sent.valid_until.at(UTC) - datetime.now(UTC)
    assert sent.command is RelayCommand.TRIP
    assert timedelta(seconds=30) < left <= timedelta(seconds=91)


def test_the_validity_is_counted_on_the_meters_clock_however_wrong() -> None:
    one = meter()
    one.set(0x04000101, "2020-02-29 w6")
    one.set(0x04000102, "12:00:00")
    with on_tcp(one) as url:
        order("relay", url, "161", "trip", "--valid-for", "1h")
    (sent,) = (request for request in one.heard if isinstance(request, RelayControl))
    assert str(sent.valid_until) == "2020-02-29 13:00:00"


def test_allow_close_waits_for_the_button() -> None:
    one = meter()
    one.relay = StatusWord3(relay_off=True, relay_command_off=True)
    one.button_needed = True
    with on_tcp(one) as url:
        answer = order("relay", url, "161", "allow-close")
    assert (answer["outcome"], answer["supply_on"]) == ("done", False)
    assert answer["awaits_button"]


def test_a_lost_answer_and_a_silent_meter_are_unknown() -> None:
    one = meter()
    one.deaf_after_orders = True
    with on_tcp(one) as url:
        answer = order("relay", url + QUICK, "161", "trip", status=6)
    assert answer["outcome"] == "unknown"
    assert sum(isinstance(request, RelayControl) for request in one.heard) == 1


def test_a_silent_meter_is_sent_no_order() -> None:
    one = meter()
    one.silent = True
    with on_tcp(one) as url:
        answer = order("relay", url + QUICK, "161", "trip", status=7)
        assert answer["error"]["code"] == "no_answer"
        answer = order("relay", url + QUICK, "161", "trip", "--zone", "UTC", status=3)
        assert not answer["was_sent"]
    assert not any(isinstance(request, RelayControl) for request in one.heard)


def test_an_interrupted_order_is_said_to_be_in_doubt() -> None:
    one = meter()
    one.deaf_after_orders = True
    with on_tcp(one) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "relay", f"{url}?delay_ms=20000", "161", "trip"],
            cwd=ROOT, env=os.environ | SECRET, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        patience = time.monotonic() + 20
        while not one.silent and time.monotonic() < patience:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=10)
    assert process.returncode == 6
    assert "not known" in complaint


def test_1997_has_no_relay() -> None:
    answer = order("relay", "tcp://127.0.0.1:1", "1", "trip", "--protocol", "1997", status=4)
    assert answer["error"]["code"] == "not_in_edition"


# --- on a terminal -------------------------------------------------------------------------


def terminal(*arguments: str) -> Any:
    return pexpect.spawn(
        sys.executable, ["-m", "cli", *arguments], cwd=str(ROOT), encoding="utf-8", timeout=20,
        env=os.environ | {"TERM": "dumb", "COLUMNS": "100"},
    )  # fmt: skip


def test_a_person_is_asked_for_the_password_unseen_and_once_more_before_it_is_dark() -> None:
    with on_tcp(one := meter()) as url:
        child = terminal("relay", url, "161", "trip")
        child.expect("password")
        child.sendline("123456")
        child.expect("supply OFF")
        child.sendline("n")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 130
        assert one.heard == []

        child = terminal("relay", url, "161", "trip")
        child.expect("password")
        child.sendline("123456")
        child.expect("supply OFF")
        child.sendline("y")
        child.expect("the contact is open")
        shown = child.before
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 0
    assert "123456" not in shown


# --- time and freeze -----------------------------------------------------------------------


def near_midnight() -> bool:
    now = datetime.now(UTC)
    second = (now.hour * 60 + now.minute) * 60 + now.second
    return min(second, 86_400 - second) < 400


def test_a_clock_is_shown_with_its_offset() -> None:
    one = meter()
    set_clock(one, -120)
    with on_tcp(one) as url:
        answer = order("time", url, "161", "--zone", "UTC")
        assert -130 < answer["offset_s"] <= -119
        done = meterhouse("time", url, "161", "show", "--zone", "UTC")
    assert "behind by 12" in done.stdout


@pytest.mark.skipif(near_midnight(), reason="clocks are not set around midnight")
def test_a_clock_is_set_and_read_back_but_not_by_a_leap() -> None:
    one = meter()
    set_clock(one, 100)
    with on_tcp(one) as url:
        answer = order("time", url, "161", "set", "--zone", "UTC", "--max-step", "60", status=3)
        assert not answer["was_sent"]
        answer = order("time", url, "161", "set", "--zone", "UTC")
    assert answer["outcome"] == "done"
    assert 90 < answer["offset_before_s"] <= 101
    assert abs(answer["offset_after_s"]) <= 5


@pytest.mark.skipif(near_midnight(), reason="clocks are not set around midnight")
def test_a_broadcast_is_heard_by_all_and_answered_by_none() -> None:
    meters = [ScriptedMeter(METER), ScriptedMeter("000000000162")]
    with on_pty(*meters) as path:
        url = f"serial://{path}"
        assert order("time", url, "--broadcast", "set", status=6)["outcome"] == "unknown"
        order("freeze", url, "--broadcast", "--when", "daily 00:00", status=6)
        time.sleep(0.3)
    for one in meters:
        assert [type(request) for request in one.heard] == [BroadcastTime, Freeze]


def test_freeze_now_and_by_the_month() -> None:
    with on_tcp(one := meter()) as url:
        assert order("freeze", url, "161")["outcome"] == "done"
        order("freeze", url, "161", "--when", "monthly 1 00:30")
    now, monthly = (request for request in one.heard if isinstance(request, Freeze))
    assert str(now.time.minute) == "99"
    assert (monthly.time.month, monthly.time.day, monthly.time.minute) == (99, 1, 30)


@pytest.mark.parametrize(
    "arguments",
    [
        ("time", "tcp://127.0.0.1:1"),
        ("time", "tcp://127.0.0.1:1", "161", "--broadcast", "set"),
        ("time", "tcp://127.0.0.1:1", "161", "162", "set"),
        ("freeze", "tcp://127.0.0.1:1"),
        ("freeze", "tcp://127.0.0.1:1", "161", "--when", "soon"),
        ("relay", "tcp://127.0.0.1:1", "161", "explode"),
        ("relay", "tcp://127.0.0.1:1", "161", "trip", "--valid-for", "0min"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert meterhouse(*arguments, env=SECRET).returncode == 2


# --- token load ----------------------------------------------------------------------------


def test_a_token_is_loaded_once_and_answered_for_again() -> None:
    with on_tcp(one := meter()) as url:
        first = order("token", "load", url, "161", "5938 6323 4721-3742-6967")
        again = order("token", "load", url, "161", TOKEN, "--sequence", str(first["sequence"]))
    assert (first["outcome"], first["result"], first["credit_added_wh"]) == ("done", "Accept", 5000)
    assert first["token"] == "…6967"
    assert not again["was_sent"]
    assert sum(isinstance(request, WriteData) for request in one.heard) == 1


def test_a_token_may_come_from_standard_input_and_is_never_printed() -> None:
    with on_tcp(meter()) as url:
        done = meterhouse("token", "load", url, "161", "-", stdin=TOKEN, env=SECRET)
    assert done.returncode == 0
    assert TOKEN[:8] not in done.stdout + done.stderr


def test_what_is_no_token_is_not_repeated_in_the_complaint() -> None:
    done = meterhouse("token", "load", "tcp://127.0.0.1:1", "161", TOKEN[:19], env=SECRET)
    assert done.returncode == 4
    assert TOKEN[:8] not in done.stdout + done.stderr


def test_a_token_into_silence_is_unknown_and_says_how_to_ask_again() -> None:
    one = meter()
    one.deaf_after_orders = True
    with on_tcp(one) as url:
        answer = order("token", "load", url + QUICK, "161", TOKEN, status=6)
    assert answer["again_with"] == "--sequence 1"


def test_orders_go_over_a_serial_line_too() -> None:
    with on_pty(meter(), paced=True) as path:
        assert order("write", f"serial://{path}", "161", "04000103", "15")["outcome"] == "done"
