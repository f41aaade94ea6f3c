"""``meterhouse link doctor`` against scripted meters on ptys and TCP ports."""

import json
from typing import Any

from protocols.dlt645.codec import encode
from protocols.dlt645.controls import Edition
from protocols.dlt645.matching import request_frame
from protocols.dlt645.requests import ReadData
from tests.commands.meters import ScriptedMeter, on_pty, on_tcp
from tests.commands.running import meterhouse

QUICK = ("--listen", "0.3", "--delay-ms", "150")


def doctor(url: str, *options: str, status: int = 0) -> dict[str, Any]:
    done = meterhouse("link", "doctor", url, "--json", *QUICK, *options)
    assert done.returncode == status, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def advice(answer: dict[str, Any]) -> list[str]:
    return [each["code"] for each in answer["advice"]]


def test_a_meter_at_the_links_own_setting_is_ready() -> None:
    with on_pty(ScriptedMeter("000000000161"), paced=True) as path:
        answer = doctor(f"serial://{path}")
    assert [meter["address"] for meter in answer["meters"]] == ["000000000161"]
    assert (answer["setting"]["baud"], answer["setting"]["parity"]) == (2400, "E")
    assert answer["is_own_setting"]
    assert not answer["several"]
    assert not answer["echo"]
    assert advice(answer) == ["ready"]


def test_another_speed_is_found_and_the_url_to_use_is_given() -> None:
    with on_pty(ScriptedMeter("000000000161"), baud=9600) as path:
        answer = doctor(f"serial://{path}?baud=1200&exclusive=no")
    assert answer["setting"]["baud"] == 9600
    assert answer["use"] == f"serial://{path}?baud=9600&parity=E&exclusive=no"
    assert not answer["is_own_setting"]
    assert "other_setting" in advice(answer)


def test_a_1997_meter_is_found_by_its_own_question() -> None:
    meter = ScriptedMeter("000000000097", Edition.Y1997)
    meter.set(0x9010, "1.00")
    with on_pty(meter, baud=1200) as path:
        answer = doctor(f"serial://{path}")
    assert answer["meters"][0] | {"delay_ms": 0} == {
        "address": "000000000097",
        "protocol": "1997",
        "delay_ms": 0,
    }


def test_the_own_echo_is_recognised_and_is_no_second_master() -> None:
    with on_pty(ScriptedMeter("000000000161"), echo=True, paced=True) as path:
        answer = doctor(f"serial://{path}")
    assert answer["echo"]
    assert answer["found"]
    assert answer["other_masters"] == []
    assert answer["stray_bytes"] == 0


def test_silence_with_an_echo_blames_the_wires() -> None:
    with on_pty(echo=True) as path:
        answer = doctor(f"serial://{path}", "--protocol", "2007", status=1)
    assert "echo_only" in advice(answer)
    assert answer["tried"] >= 10
    assert answer["use"] is None


def test_a_second_master_is_seen() -> None:
    other = encode(request_frame(ReadData(0x00010000), "000000000777"))
    with on_pty(ScriptedMeter("000000000161"), chatter=other) as path:
        answer = doctor(f"serial://{path}")
    assert answer["found"]
    assert answer["other_masters"][0]["address"] == "000000000777"
    assert answer["other_masters"][0]["function"] == "read data"
    assert advice(answer)[0] == "second_master"


def test_stray_bytes_are_counted() -> None:
    with on_pty(ScriptedMeter("000000000161"), chatter=b"\x00\xff\x00") as path:
        answer = doctor(f"serial://{path}")
    assert answer["found"]
    assert answer["stray_bytes"] >= 3
    assert "stray_bytes" in advice(answer)


def test_meters_that_answer_at_once_are_told_apart() -> None:
    meters = [ScriptedMeter(f"{number:012d}") for number in (161, 162, 10262)]
    with on_pty(*meters, baud=2400) as path:
        answer = doctor(f"serial://{path}", "--protocol", "2007", "--delay-ms", "30")
    assert [meter["address"] for meter in answer["meters"]] == [
        "000000000161",
        "000000000162",
        "000000010262",
    ]
    assert answer["several"]
    assert answer["search"] == {"asked": 200, "planned": 200, "complete": True, "doubled": []}


def test_the_time_is_bounded() -> None:
    meters = [ScriptedMeter(f"{number:012d}") for number in (161, 162)]
    with on_tcp(*meters) as url:
        answer = doctor(url, "--protocol", "2007", "--seconds", "2", status=1)
    assert answer["took_s"] < 4
    assert answer["out_of_time"]
    assert "out_of_time" in advice(answer)


def test_a_gateway_keeps_its_own_setting() -> None:
    with on_tcp(ScriptedMeter("000000000161")) as url:
        answer = doctor(url)
    assert answer["use"] == url
    assert answer["setting"]["baud"] is None
    with on_tcp() as url:
        answer = doctor(url, status=1)
    assert advice(answer)[0] == "gateway_setting"


def test_a_person_reads_steps_a_table_and_what_to_do() -> None:
    with on_tcp(ScriptedMeter("000000000161")) as url:
        done = meterhouse("link", "doctor", url, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "One meter answers: 000000000161." in done.stdout
    assert f"meterhouse read '{url}' 000000000161 00010000" in done.stdout


def test_a_port_that_is_not_there_is_the_lines_fault() -> None:
    done = meterhouse("link", "doctor", "serial:///dev/ttyNone", "--json")
    assert done.returncode == 7
    assert json.loads(done.stdout)["error"]["code"] == "link_down"
    assert meterhouse("link", "doctor", "modbus+tcp://10.0.0.7").returncode == 4
