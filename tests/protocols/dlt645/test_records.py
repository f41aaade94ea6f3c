from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645.codec import Frame, encode
from protocols.dlt645.errors import MissingFieldError, UnknownFieldError
from protocols.dlt645.records import decode_record, encode_record
from protocols.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from tests.protocols.dlt645.vectors import BAD, GOOD, name_of

FACTS = ("protocol", "address", "control", "function", "from_meter", "abnormal", "follow_up",
         "length", "preamble_fe")  # fmt: skip


def shown(answer: dict[str, Any]) -> list[str]:
    """The values as the vectors write them."""
    return [f"{value['value']} {value['unit']}".strip() for value in answer["values"]]


@pytest.mark.parametrize("guessed", [False, True])
@pytest.mark.parametrize("vector", GOOD, ids=name_of)
def test_gathered_frames(vector: dict[str, Any], guessed: bool) -> None:
    given_ = {"hex": vector["hex"]} | ({} if guessed else {"protocol": vector["protocol"]})
    answer = decode_record(given_)
    assert {name: answer[name] for name in FACTS} == {name: vector[name] for name in FACTS}
    assert answer["di"] == vector.get("di")
    assert answer["error"] == vector.get("error", [])
    if "value" in vector:
        assert shown(answer) == vector["value"]
    assert encode_record(answer)["hex"] == vector["hex"]


@pytest.mark.parametrize("vector", BAD, ids=name_of)
def test_bad_frames_give_an_error(vector: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as fault:
        decode_record({"hex": vector["hex"], "protocol": vector["protocol"]})
    assert fault.value.code in {"frame_checksum", "frame_end"}


@given(
    st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex().upper()),
    st.integers(0, 255),
    st.binary(max_size=120),
    st.sampled_from(["2007", "1997", None]),
)
def test_any_frame_is_shown_and_made_again(
    address: str, control: int, data: bytes, protocol: str | None
) -> None:
    wire = encode(Frame(address, control, data), 2)
    answer = decode_record({"hex": wire.hex(), "protocol": protocol})
    assert bytes.fromhex(encode_record(answer)["hex"]) == wire


@given(st.text(max_size=40) | st.binary(max_size=80).map(bytes.hex))
def test_any_text_is_a_frame_or_an_error(text: str) -> None:
    with suppress(ProtocolError):
        assert decode_record({"hex": text})["address"]


@pytest.mark.parametrize(
    ("record", "wire"),
    [
        ({"address": "161", "function": "read data", "di": "00010000"},
         "FE FE FE FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33"),
        ({"address": "161", "function": "read data", "from_meter": True, "di": "00010000",
          "values": [{"value": "0.26", "unit": "kWh"}], "preamble_fe": 0},
         "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16"),
        ({"address": "AAAAAAAAAAAA", "function": "read address", "preamble_fe": 0},
         "68 AA AA AA AA AA AA 68 13 00 DF 16"),
        ({"address": "999999999999", "function": "broadcast time",
          "values": ["2017-06-05 10:22:51"], "preamble_fe": 0},
         "68 99 99 99 99 99 99 68 08 06 84 55 43 38 39 4A 4B 16"),
        ({"address": "001803140001", "function": "write data", "di": "04000101",
          "password_level": 2, "password": "101010", "operator": "11111111",
          "values": [{"value": "2018-05-10 w4"}], "preamble_fe": 0},
         "68 01 00 14 03 18 00 68 14 10 34 34 33 37 35 43 43 43 44 44 44 44 37 43 38 4B 01 16"),
        ({"address": "123456789012", "function": "read data", "from_meter": True,
          "abnormal": True, "error": ["no requested data", "password wrong/not authorised"],
          "preamble_fe": 0},
         "68 12 90 78 56 34 12 68 D1 01 39 91 16"),
        ({"protocol": "1997", "address": "201708176934", "control": "81", "di": "C011",
          "values": ["22:22:04"]},
         "FE FE FE FE 68 34 69 17 08 17 20 68 81 05 44 F3 37 55 55 61 16"),
        ({"address": "111111111111", "function": "relay control", "password": "000000",
          "operator": "00000000", "command": "trip", "valid_until": "2018-05-12 15:41:24",
          "preamble_fe": 2},
         "FE FE 68 11 11 11 11 11 11 68 1C 10 33 33 33 33 33 33 33 33 4D 33 57 74 48 45 38 4B"),
    ],
)  # fmt: skip
def test_frames_from_fields(record: dict[str, Any], wire: str) -> None:
    assert encode_record(record)["hex"].startswith(wire)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({}, "missing_field"),
        ({"hex": 1}, "invalid_field"),
        ({"hex": "6"}, "invalid_field"),
        ({"hex": ""}, "frame_not_found"),
        ({"hex": "68", "protocol": "2013"}, "invalid_field"),
        ({"hex": "68", "protocoll": "2007"}, "unknown_field"),
    ],
)
def test_records_that_cannot_be_decoded(record: dict[str, Any], code: str) -> None:
    with pytest.raises(ProtocolError) as fault:
        decode_record(record)
    assert fault.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"address": None}, "missing_field"),
        ({"address": "12A"}, "address"),
        ({"function": None}, "missing_field"),
        ({"function": "read dates"}, "invalid_field"),
        ({"control": "1"}, "invalid_field"),
        ({"di": "0001"}, "invalid_field"),
        ({"di": "zzzzzzzz"}, "invalid_field"),
        ({"di": "0BADBAD0"}, "unknown_item"),
        ({"values": []}, "value_format"),
        ({"values": "0.26"}, "invalid_field"),
        ({"values": [0.26]}, "invalid_field"),
        ({"values": ["0.263"]}, "value_format"),
        ({"values": ["raw 0"]}, "invalid_field"),
        ({"from_meter": 1}, "invalid_field"),
        ({"preamble_fe": -1}, "invalid_field"),
        ({"data": "0"}, "invalid_field"),
        ({"data": "00" * 256}, "too_long"),
        ({"adress": "1"}, "unknown_field"),
    ],
)
def test_records_that_cannot_be_encoded(change: dict[str, Any], code: str) -> None:
    good = {"address": "161", "function": "read data", "from_meter": True, "di": "00010000",
            "values": ["0.26"]}  # fmt: skip
    assert encode_record(good)
    with pytest.raises(LocalProtocolError) as fault:
        encode_record(good | change)
    assert fault.value.code == code


def test_what_is_odd_is_said() -> None:
    answer = decode_record({"hex": "11 22 68AAAAAAAAAAAA681300DF16"})
    assert answer["notes"] == ["2 bytes of noise skipped"]
    part = decode_record({"hex": encode(Frame("000000000161", 0xB1, bytes(30))).hex()})
    assert part["follow_up"]
    assert part["notes"] == ["a part of a long answer: it has no values of its own"]
    late = decode_record(
        {"hex": encode(Frame("9" * 12, 0x08, bytes.fromhex("170605102251"))).hex()}
    )
    assert shown(late) == ["not a time 170605102251"]


def test_a_status_word_is_put_into_words() -> None:
    frame = Frame("000000000161", 0x91, bytes.fromhex("030500045002"))
    answer = decode_record({"hex": encode(frame).hex()})
    assert shown(answer) == ["0250"]
    assert answer["flags"] == ["supply main", "money prepaid", "relay off", "relay command off"]


def test_a_value_that_is_not_available_is_null() -> None:
    frame = Frame("000000000161", 0x91, bytes.fromhex("00ff01021922ffffffff"))
    answer = decode_record({"hex": encode(frame).hex()})
    assert answer["values"] == [
        {"value": "221.9", "unit": "V"},
        {"value": None, "unit": "V"},
        {"value": None, "unit": "V"},
    ]
    assert answer["labels"] == ["Voltage, phase A", "Voltage, phase B", "Voltage, phase C"]


def test_faults_belong_to_the_right_side() -> None:
    assert issubclass(MissingFieldError, LocalProtocolError)
    assert issubclass(UnknownFieldError, LocalProtocolError)
