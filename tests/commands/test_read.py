"""``meterhouse read``, ``items`` and ``profile``: against scripted meters on real ports."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.dlt645.controls import Edition
from protocols.modbus import Framing, RegisterImage, Value, load_profile, serve_tcp
from tests.commands.meters import ScriptedMeter, in_thread, on_pty, on_tcp
from tests.commands.running import ROOT, meterhouse


def meter() -> ScriptedMeter:
    scripted = ScriptedMeter("000000000161")
    scripted.set(0x00010000, "123456.78")
    scripted.set(0x02010100, "220.1")
    scripted.items[0x0201FF00] = bytes.fromhex("0122ffffffff")
    return scripted


def read(url: str, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = meterhouse("read", url, *arguments, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_items_by_identifier_and_by_name() -> None:
    with on_tcp(meter()) as url:
        answer = read(url, "161", "00010000", "voltage, PHASE a")
    assert answer["meter"] == "000000000161"
    assert [item["item"] for item in answer["items"]] == ["00010000", "02010100"]
    assert answer["items"][0]["values"] == [{"value": "123456.78", "unit": "kWh"}]
    assert answer["items"][1]["values"] == [{"value": "220.1", "unit": "V"}]


def test_a_block_keeps_its_labels_and_says_what_is_not_there() -> None:
    with on_pty(meter()) as path:
        (item,) = read(f"serial://{path}", "161", "0201FF00")["items"]
    assert [value["value"] for value in item["values"]] == ["220.1", None, None]
    assert item["values"][2]["label"] == "Voltage, phase C"


def test_a_status_word_names_its_bits() -> None:
    with on_tcp(meter()) as url:
        (item,) = read(url, "161", "04000503")["items"]
    assert item["flags"] == ["supply main", "not prepaid"]


def test_one_refusal_does_not_cost_the_others_but_shows_in_the_status() -> None:
    with on_tcp(meter()) as url:
        answer = read(url, "161", "00020000", "00010000", status=7)
    refused, given = answer["items"]
    assert refused["error"]["code"] == "meter_refusal"
    assert given["values"][0]["value"] == "123456.78"


def test_a_silent_meter_is_one_error() -> None:
    with on_tcp(meter()) as url:
        answer = read(f"{url}?delay_ms=100", "162", "00010000", "02010100", status=7)
    assert answer["error"]["code"] == "no_answer"


def test_who_is_there() -> None:
    with on_tcp(meter()) as url:
        done = meterhouse("read", url, "--address")
        assert done.stdout == "000000000161\n"
        assert meterhouse("read", url, "161", "--address").returncode == 2


def test_a_1997_meter_takes_identifiers_of_both_editions() -> None:
    old = ScriptedMeter("000000000097", Edition.Y1997)
    old.set(0x9010, "12.34")
    with on_tcp(old) as url:
        for item in ("9010", "00010000", "forward active energy, total"):
            answer = read(url, "97", item, "--protocol", "1997")
            assert answer["items"][0]["values"] == [{"value": "12.34", "unit": "kWh"}]


def test_a_table_for_people() -> None:
    with on_tcp(meter()) as url:
        done = meterhouse("read", url, "161", "0201FF00", "00020000")
    assert done.returncode == 7
    assert "220.1" in done.stdout
    assert "not available" in done.stdout
    assert "refuses" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("161",), 2, "Which ITEM?"),
        ((), 2, "Which METER?"),
        (("161", "voltage"), 4, "02010200 Voltage, phase B"),
        (("161", "no such thing"), 4, "No item is called"),
        (("16x", "00010000"), 4, "up to 12 digits"),
    ],
)
def test_what_cannot_be_asked(arguments: tuple[str, ...], status: int, text: str) -> None:
    done = meterhouse("read", "tcp://127.0.0.1:1", *arguments)
    assert done.returncode == status
    assert text in done.stderr


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("tcp://127.0.0.1:1", 7),
        ("serial:///dev/ttyNone", 7),
        ("serial://dev/ttyUSB0", 4),
        ("ftp://host", 4),
        ("tcp://127.0.0.1:1?delay_ms=soon", 4),
    ],
)
def test_links_that_lead_nowhere(url: str, status: int) -> None:
    done = meterhouse("read", url, "161", "00010000", "--json")
    assert done.returncode == status
    assert "error" in json.loads(done.stdout)


def test_a_trace_is_read_back_by_frame_show(tmp_path: Path) -> None:
    trace = tmp_path / "line.pcapng"
    with on_tcp(meter()) as url:
        read(url, "161", "00010000", "--trace", str(trace))
    shown = [
        json.loads(line)
        for line in meterhouse("frame", "show", str(trace), "--json").stdout.splitlines()
    ]
    assert [frame["direction"] for frame in shown] == ["sent", "received"]
    assert shown[1]["values"] == [{"value": "123456.78", "unit": "kWh"}]


def test_watching_goes_on_until_it_is_interrupted() -> None:
    with on_tcp(meter()) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "read", url, "161", "00010000", "--watch", "1", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        process.communicate()
    assert all(line["items"][0]["values"][0]["value"] == "123456.78" for line in lines)
    assert lines[0]["time"] < lines[1]["time"]


# --- Modbus --------------------------------------------------------------------------------


@asynccontextmanager
async def modbus_server() -> Any:
    """An Eastron SDM120 with three values, as unit 3."""
    values: dict[str, Value] = {"voltage_l1": Decimal("230.10"), "energy_import_total": 12_345}
    image = RegisterImage(load_profile("eastron-sdm120"), values)
    server = await serve_tcp({3: image}, Framing.TCP, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"modbus+tcp://127.0.0.1:{port}"
    finally:
        server.close()
        await asyncio.sleep(0)


def test_modbus_items_by_name() -> None:
    with in_thread(modbus_server) as url:
        answer = read(url, "3", "--profile", "eastron-sdm120", "voltage_l1", "energy_import_total")
    assert answer["protocol"] == "eastron-sdm120"
    assert answer["items"][0]["values"] == [{"value": "230.10", "unit": "V"}]
    assert answer["items"][1]["values"] == [{"value": "12345", "unit": "Wh"}]


def test_modbus_asks_for_a_profile_and_a_unit() -> None:
    done = meterhouse("read", "modbus+tcp://127.0.0.1:1", "1")
    assert done.returncode == 2
    assert "--profile" in done.stderr
    done = meterhouse("read", "modbus+tcp://127.0.0.1:1", "x", "--profile", "eastron-sdm120")
    assert done.returncode == 2
    done = meterhouse("read", "modbus+tcp://127.0.0.1:1", "1", "--profile", "nothing", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (4, "modbus_profile")


# --- looking up ----------------------------------------------------------------------------


def test_items_are_found_by_words_in_both_languages() -> None:
    for words in (("Voltage", "phase", "A"), ("A相电压",)):
        (item, *_) = json.loads(meterhouse("items", *words, "--json").stdout)
        assert item["item"] == "02010100"
        assert item["formats"] == ["XXX.X V"]
    (block,) = json.loads(meterhouse("items", "0201FF00", "--json").stdout)
    assert block["name"] == "Voltage, phases"
    assert meterhouse("items", "no", "such", "words").returncode == 1


def test_profiles_are_listed_and_shown() -> None:
    listed = json.loads(meterhouse("profile", "list", "--json").stdout)
    assert len(listed) >= 10
    shown = json.loads(meterhouse("profile", "show", "meterhouse-keypad", "--json").stdout)
    assert shown["tokens"]
    assert {"item": "credit", "unit": "Wh"}.items() <= shown["values"][8].items()
    assert "eastron-sdm120" in meterhouse("profile", "list").stdout
    assert "voltage_l1" in meterhouse("profile", "show", "eastron-sdm120").stdout
    assert meterhouse("profile", "show", "nothing").returncode == 4


def test_starting_is_not_slowed_by_what_is_not_used() -> None:
    """A DL/T 645 link loads no Modbus."""
    code = "import sys, commands.read; print('pymodbus' in sys.modules)"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "False\n"
    assert time.monotonic() - started < 20
