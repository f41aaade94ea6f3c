"""``meterhouse frame``: on JSON lines, in traces, and as frames pass on a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from protocols.dlt645.codec import encode
from protocols.dlt645.matching import request_frame
from protocols.dlt645.requests import ReadData
from protocols.transport import TraceWriter
from tests.commands.meters import on_pty
from tests.commands.running import ROOT, meterhouse

VECTORS = json.loads((ROOT / "tests/vectors/dlt645.json").read_text("utf-8"))["vectors"]
ASK_ADDRESS = "68 AA AA AA AA AA AA 68 13 00 DF 16"
REQUEST = encode(request_frame(ReadData(0x00010000), "000000000777"))


def frames(command: str, *records: object) -> list[dict[str, Any]]:
    lines = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in records)
    done = meterhouse("frame", command, "--jsonl", "-", stdin=lines)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_issues_example() -> None:
    (answer,) = frames("decode", {"hex": ASK_ADDRESS, "protocol": "2007"})
    expected = {
        "protocol": "2007", "address": "AAAAAAAAAAAA", "control": "13",
        "function": "read address", "from_meter": False, "abnormal": False,
        "follow_up": False, "length": 0, "di": None, "name": None, "values": [], "error": [],
    }  # fmt: skip
    assert expected.items() <= answer.items()


def test_a_value_has_its_unit() -> None:
    hexes = "68 61 01 00 00 00 00 68 91 08 33 33 34 33 AB 89 67 45"
    total = sum(bytes.fromhex(hexes)) & 0xFF
    (answer,) = frames("decode", {"hex": f"{hexes} {total:02X} 16"})
    assert answer["values"] == [{"value": "123456.78", "unit": "kWh"}]
    assert (answer["di"], answer["from_meter"]) == ("00010000", True)


def test_decoding_and_encoding_are_inverse_for_every_recorded_frame() -> None:
    records = [{"hex": each["hex"]} for each in VECTORS if "hex" in each]
    assert len(records) > 100
    decoded = [
        each for each in frames("decode", *records) if "error" not in each or each["error"] == []
    ]
    encoded = frames("encode", *decoded)
    again = frames("decode", *encoded)
    assert again == decoded


def test_a_frame_that_must_be_rejected_gives_the_reason_and_the_run_goes_on() -> None:
    broken = ASK_ADDRESS.replace("DF", "DE")
    answers = frames("decode", {"hex": broken}, "no json", {"hex": ASK_ADDRESS}, {})
    codes = [each["error"]["code"] if isinstance(each["error"], dict) else "" for each in answers]
    assert codes == ["frame_checksum", "invalid_json", "", "missing_field"]


def test_show_puts_pieces_of_a_frame_together(tmp_path: Path) -> None:
    times = iter(range(10**18, 10**18 + 10**10, 10**7))
    with TraceWriter(tmp_path / "a.pcapng", clock_ns=lambda: next(times)) as writer:
        link = writer.link("tcp://10.0.0.7:4001")
        link.sent(REQUEST)
        link.stray(REQUEST[:9])
        link.stray(REQUEST[9:] + b"\x00\x01")
        writer.link("modbus+tcp://10.0.0.7").sent(b"\x00\x01\x00\x00")
    done = meterhouse("frame", "show", str(tmp_path / "a.pcapng"), "--json")
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each.get("function") for each in shown] == ["read data", "read data", None, None]
    assert shown[1]["stray"]
    assert shown[2]["noise_bytes"] == 2
    assert shown[3]["hex"] == "00010000"
    lines = meterhouse("frame", "show", str(tmp_path / "a.pcapng")).stdout.splitlines()
    assert "-> 000000000777 read data 00010000 Forward active energy, total" in lines[0]


@pytest.mark.parametrize("content", [b"", b"no trace at all"])
def test_what_is_no_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pcapng").write_bytes(content)
    done = meterhouse("frame", "show", str(tmp_path / "a.pcapng"), "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (4, "trace_file")


def test_watch_shows_what_passes_and_sends_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "seen.pcapng"
    with on_pty(chatter=REQUEST) as path:
        done = meterhouse(
            "frame", "watch", f"serial://{path}", "--seconds", "1", "--json", "--trace", str(trace)
        )
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(seen) >= 3
    assert {each["address"] for each in seen} == {"000000000777"}
    shown = meterhouse("frame", "show", str(trace), "--json").stdout.splitlines()
    assert len(shown) >= 3
    assert all(json.loads(line)["stray"] for line in shown)
