"""`meterhouse order`, `protect`, `window`, `holiday`, `emergency`, typed as a person types them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import main
from simulators.street import Street, build_street
from simulators.street_plan import BusPlan, StreetPlan
from tests.headend.talk.streets import LISTEN


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit status."""

    exit_code: int
    output: str


Run = Callable[..., Result]
ALWAYS = "mon-sun 0:00-24:00"


@pytest.fixture
def street() -> Iterator[Street]:
    """Three keypad meters on one line, in real time, on a loop of their own."""
    plan = BusPlan(listen=LISTEN, meters=3, load=100, credit_kwh=0)
    street = build_street(StreetPlan(buses=(plan,)))
    started, loop = threading.Event(), asyncio.new_event_loop()

    def serve() -> None:
        loop.run_until_complete(street.start())
        started.set()
        loop.run_forever()

    thread = threading.Thread(target=serve)
    thread.start()
    assert started.wait(10)
    yield street
    asyncio.run_coroutine_threadsafe(street.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def numbers(street: Street) -> list[str]:
    return [meter.address[1:] for meter in street.buses[0].wire.meters]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    street: Street,
    numbers: list[str],
) -> Run:
    monkeypatch.chdir(tmp_path)
    secrets = tmp_path / "passwords.toml"
    secrets.write_text('[default]\nlevel = 2\ndigits = "000000"\n')
    secrets.chmod(0o600)
    monkeypatch.setenv("METERHOUSE_CREDENTIALS", str(secrets))

    def typed(*words: str) -> Result:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, capsys.readouterr().out)

    for words in (
        ["init"],
        ["link", "add", "north", street.ports[0].url],
        ["place", "add", "substation", "S1"],
        ["place", "add", "feeder", "F1", "--below", "S1"],
        ["place", "add", "area", "T1", "--below", "F1"],
        *(
            ["device", "add", n, "--link", "north", "--kind", "keypad", "--place", "T1"]
            for n in numbers
        ),
    ):
        done = typed(*words)
        assert done.exit_code == 0, done.output
    return typed


def answer(done: Result, status: int = 0) -> Any:
    assert done.exit_code == status, done.output
    return json.loads(done.output)


def test_a_trip_and_a_reconnect_by_the_policys_way(run: Run, numbers: list[str]) -> None:
    run("window", "set", ALWAYS)
    tripped = answer(run("order", "relay", numbers[0], "trip", "--why", "x", "--now", "--json"))
    (order,) = tripped["orders"]
    assert (order["state"], order["result"]["supply_on"]) == ("done", False)
    back = run("order", "relay", numbers[0], "reconnect", "--why", "paid", "--now")
    assert back.exit_code == 0
    assert "awaits the button" in back.output
    shown = answer(run("order", "show", str(order["order"]), "--json"))
    assert [event["event"] for event in shown["history"]] == ["ordered", "sending", "done"]
    listed = answer(run("order", "list", "--meter", numbers[0], "--json"))
    assert [each["kind"] for each in listed] == ["relay_allow_close", "relay_trip"]


def test_a_dry_run_says_what_would_happen_to_whom_and_why_not(run: Run, numbers: list[str]) -> None:
    assert run("window", "set", "--never").exit_code == 0
    protect = ("--owner", "City hospital", "--reason", "life support", "--until", "2999-12-31")
    assert run("protect", "add", numbers[0], *protect).exit_code == 0
    weighed = answer(
        run("order", "relay", "trip", "--area", "T1", "--why", "x", "--dry-run", "--json"), 3
    )
    told = {row["meter"]: row["error"]["code"] for row in weighed["orders"]}
    assert told == {
        numbers[0]: "keep_power",
        numbers[1]: "outside_window",
        numbers[2]: "outside_window",
    }
    assert answer(run("order", "list", "--json")) == []


def test_a_batch_of_a_file_is_given_once(run: Run, numbers: list[str], tmp_path: Path) -> None:
    table = tmp_path / "meters.csv"
    table.write_text("meter\n" + "\n".join(numbers))
    words = ("order", "balance", "--csv", "meters.csv", "--batch", "b1", "--now", "--json")
    first, again = answer(run(*words)), answer(run(*words))
    assert {order["state"] for order in first["orders"]} == {"done"}
    assert [o["order"] for o in first["orders"]] == [o["order"] for o in again["orders"]]


def test_now_goes_on_past_a_meter_whose_modem_is_away(run: Run, numbers: list[str]) -> None:
    assert run("link", "add", "away", "--modem", "MH00000003").exit_code == 0
    away = "01000099999"
    assert run("device", "add", away, "--link", "away", "--kind", "keypad").exit_code == 0
    given = run("order", "balance", away, *numbers, "--now", "--json")
    states = {each["meter"]: each["state"] for each in json.loads(given.output)["orders"]}
    assert states == {away: "queued", **dict.fromkeys(numbers, "done")}


def test_a_reconnect_is_confirmed_as_what_the_policy_makes_of_it(
    run: Run, numbers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("commands.order.batch.confirm", lambda words, **_: asked.append(words))
    words = ("order", "relay", numbers[0], "reconnect", "--why", "paid", "--json")
    assert run(*words, "--now").exit_code == 0
    assert asked == []
    assert run("order", "policy", "close_keypad=close").exit_code == 0
    assert run(*words).exit_code == 0
    assert asked == [
        f"This switches supply ON: somebody may work on it. Order relay_close for {numbers[0]}?"
    ]


def test_a_meters_number_is_taken_with_spaces_around_it(run: Run, numbers: list[str]) -> None:
    assert answer(run("order", "list", "--meter", f" {numbers[0]} ", "--json")) == []


def test_too_many_trips_wait_for_somebody_else(run: Run, numbers: list[str]) -> None:
    run("window", "set", ALWAYS)
    assert run("order", "policy", "trips_at_once_max=2").exit_code == 0
    given = answer(run("order", "relay", *numbers, "trip", "--why", "x", "--batch", "b", "--json"))
    assert {order["state"] for order in given["orders"]} == {"waiting_approval"}
    refused = answer(run("order", "approve", "--batch", "b", "--json"), 3)
    assert refused["error"]["code"] == "second_person"
    cancelled = answer(run("order", "cancel", "--batch", "b", "--why", "paid", "--json"))
    assert {order["state"] for order in cancelled} == {"cancelled"}


def test_a_sold_token_is_delivered_on_a_persons_word(
    run: Run, numbers: list[str], street: Street
) -> None:
    assert run("meter", "add", numbers[0], "--customer", "Anna").exit_code == 0
    assert run("vend", "sell", numbers[0], "10.00").exit_code == 0
    done = answer(run("order", "token", "1", "--now", "--json"))
    (order,) = done["orders"]
    assert (order["state"], order["result"]["result"]) == ("done", "Accept")
    assert street.meter(numbers[0]).tokens_accepted == 1
    (listed,) = answer(run("order", "list", "--receipt", "1", "--json"))
    (waited,) = answer(run("order", "wait", str(order["order"]), "--json"))
    assert listed == waited == order
    again = answer(run("order", "token", "1", "--now", "--json"), 3)
    assert again["error"]["code"] == "order_waiting"


def test_windows_holidays_and_emergencies(run: Run, tmp_path: Path, numbers: list[str]) -> None:
    windows = answer(run("window", "show", "--json"))
    assert {each["weekday"] for each in windows["windows"]} == {1, 2, 3, 4, 5}
    (tmp_path / "days.csv").write_text("day,name\n2026-10-01,National Day\n2026-10-02,\n")
    imported = answer(run("holiday", "import", "days.csv", "--json"))
    assert imported == {"days": 2, "added": 2}
    assert run("holiday", "remove", "2026-10-02").exit_code == 0
    assert run("holiday", "list").output.strip() == "2026-10-01  National Day"
    (stop,) = answer(run("emergency", "stop", "--reason", "flood", "--json"))
    weighed = answer(
        run("order", "relay", numbers[0], "trip", "--why", "x", "--dry-run", "--json",
            "--outside-window", "refuse"), 3
    )  # fmt: skip
    assert weighed["orders"][0]["error"]["code"] == "disconnects_suspended"
    assert run("emergency", "resume", str(stop["number"])).exit_code == 0
    assert "not suspended" in run("emergency", "list").output


def test_keep_power_is_asked_to_end_and_goes_on_protecting(run: Run, numbers: list[str]) -> None:
    protect = ("--owner", "City hospital", "--reason", "life support", "--until", "2999-12-31")
    (made,) = answer(run("protect", "add", numbers[0], *protect, "--json"))
    ended = run("protect", "end", str(made["number"]), "--why", "moved out")
    assert "It still protects" in ended.output
    again = answer(run("protect", "end", str(made["number"]), "--why", "really", "--json"), 3)
    assert again["error"]["code"] == "second_person"


@pytest.mark.parametrize(
    "words",
    [
        ["order", "relay", "trip", "--why", "x"],
        ["order", "relay", "17", "trip"],
        ["window", "set"],
        ["order", "approve"],
    ],
)
def test_what_is_not_said_is_asked_for(run: Run, words: list[str]) -> None:
    assert run(*words).exit_code == 2
