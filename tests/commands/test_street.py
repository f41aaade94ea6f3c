"""``meterhouse sim street``, and the engineers' commands against its meters."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.commands.running import ROOT, meterhouse
from tests.commands.test_sim import token
from vending.sts import EncryptionAlgorithm

SECRET = {"METERHOUSE_METER_PASSWORD": "000000"}


@contextmanager
def street(*options: str) -> Iterator[dict[str, Any]]:
    """A street in a process of its own; gives what it prints first, later also its totals."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "sim", "street", "--json", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate()
        told: dict[str, Any] = json.loads(first)
        yield told
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=20)
        assert (process.returncode, complaints) == (0, "")
        told["totals"] = json.loads(rest.splitlines()[-1])
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def mixed() -> Iterator[dict[str, Any]]:
    with street("--meters", "8", "--per-bus", "2", "--protocol", "mixed", "--port", "0") as told:
        yield told


def link(told: dict[str, Any], bus: int) -> tuple[str, str]:
    """A bus's URL and its first meter."""
    port = told["ports"][bus]
    return port["link"], port["meters"][0]


def run(*arguments: str, status: int = 0) -> dict[str, Any]:
    done = meterhouse(*arguments, "--json", env=SECRET)
    assert done.returncode == status, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_every_protocol_is_read(mixed: dict[str, Any]) -> None:
    url, meter = link(mixed, 0)
    energy, voltage = run("read", url, meter, "00010000", "02010100")["items"]
    assert re.fullmatch(r"\d+\.\d\d", energy["values"][0]["value"])
    assert 180 < float(voltage["values"][0]["value"]) < 260
    url, meter = link(mixed, 1)
    (old,) = run("read", url, meter, "9010", "--protocol", "1997")["items"]
    assert old["values"][0]["unit"] == "kWh"
    for bus in (2, 3):
        url, meter = link(mixed, bus)
        assert url.startswith("modbus+")
        number, credit = run(
            "read", url, "1", "--profile", "meterhouse-keypad", "meter_number", "credit"
        )["items"]
        assert number["values"][0]["value"].zfill(12) == meter
        assert credit["values"][0]["unit"] == "Wh"
        assert 49_000 < int(credit["values"][0]["value"]) <= 50_000


def test_a_relay_trips_and_closes_over_both_protocols(mixed: dict[str, Any]) -> None:
    url, meter = link(mixed, 0)
    assert run("relay", url, meter, "trip")["supply_on"] is False
    closed = run("relay", url, meter, "allow-close")
    assert closed["outcome"] == "done"
    url, _ = link(mixed, 2)
    profile = ("--profile", "meterhouse-keypad")
    tripped = run("relay", url, "1", "trip", *profile)
    assert (tripped["outcome"], tripped["supply_on"]) == ("done", False)
    assert run("relay", url, "1", "close", *profile)["outcome"] == "done"


@pytest.mark.parametrize(("bus", "profile"), [(0, ()), (3, ("--profile", "meterhouse-keypad"))])
def test_a_token_is_loaded_by_wire(mixed: dict[str, Any], bus: int, profile: Any) -> None:
    url, meter = link(mixed, bus)
    whom = "1" if profile else meter
    digits = token(50, drn=meter[1:], ea=EncryptionAlgorithm.MISTY1)
    answer = run("token", "load", url, whom, digits, *profile)
    assert (answer["outcome"], answer["result"]) == ("done", "Accept")
    assert answer["credit_added_wh"] == 5000
    again = run("token", "load", url, whom, digits, *profile, status=3)
    assert again["result"] == "UsedError"
    assert again["sequence"] == answer["sequence"] + 1


def test_the_doctor_tells_the_meters_of_a_bus_apart(mixed: dict[str, Any]) -> None:
    url, _ = link(mixed, 0)
    answer = run("link", "doctor", url, "--protocol", "2007", "--listen", "0.2", "--delay-ms", "40")
    assert [meter["address"] for meter in answer["meters"]] == mixed["ports"][0]["meters"]
    assert answer["several"]


def test_faults_are_injected_and_counted() -> None:
    with street("--meters", "1", "--port", "0", "--faults", "seed=3,echo=100%,noise=50%") as told:
        url, meter = link(told, 0)
        run("read", url, meter, "00010000", "02010100", "02800002")
    assert told["totals"]["requests"] == 3
    assert told["totals"]["answers"] == 3
    assert told["totals"]["faults"]["echo"] == 3


def test_a_street_on_ptys_and_one_from_a_file(tmp_path: Path) -> None:
    with street("--meters", "2", "--per-bus", "1", "--pty", "--baud", "9600") as told:
        for bus in (0, 1):
            url, meter = link(told, bus)
            assert url.startswith("serial:///dev/pts/")
            run("read", url, meter, "00010000")
    plan = tmp_path / "street.toml"
    plan.write_text(
        '[[bus]]\nmeters = 3\nkind = "money"\nfirst = 100\nlisten = "127.0.0.1:0"\n', "utf-8"
    )
    with street(str(plan), "--speed", "60") as told:
        url, meter = link(told, 0)
        (left,) = run("read", url, meter, "00900200")["items"]
    assert left["values"][0]["unit"] == "yuan"
    assert 45 < float(left["values"][0]["value"]) <= 50


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--faults", "silence=2"), 2),
        (("--faults", "gremlins=1%"), 3),
        (("--port", "65535", "--meters", "64"), 2),
        (("no/such/file.toml",), 3),
        (("no/such/file.toml", "--meters", "3"), 2),
        (("--per-bus", "0"), 2),
    ],
)
def test_streets_that_cannot_be_built(options: tuple[str, ...], status: int) -> None:
    done = meterhouse("sim", "street", *options)
    assert done.returncode == status, done.stderr


def test_a_port_that_is_taken_is_said() -> None:
    with street("--meters", "1", "--port", "0") as told:
        port = told["ports"][0]["link"].rpartition(":")[2]
        done = meterhouse("sim", "street", "--meters", "1", "--port", port)
    assert done.returncode == 1
    assert "cannot be opened" in done.stderr


def test_a_terminal_shows_counters_and_ctrl_c_ends_it() -> None:
    child = pexpect.spawn(
        sys.executable, ["-m", "cli", "sim", "street", "--meters", "3", "--port", "0"],
        cwd=str(ROOT), encoding="utf-8", timeout=20, dimensions=(30, 120),
    )  # fmt: skip
    child.expect("3 meters. Ctrl-C ends it.")
    child.expect("0 requests, 0 answers")
    child.sendintr()
    child.expect("3 meters are gone")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
