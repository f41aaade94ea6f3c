"""``meterhouse sts``: the stable interface for engineers and outside checks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.running import ROOT, json_lines, meterhouse
from tests.sts.vectors import DECODER_KEYS, KEY_CHANGES, STA_KEY, TOKENS, VECTORS
from vending.sts import encode_amount

CREDIT: dict[str, Any] = {
    "ea": 7,
    "decoder_key": STA_KEY,
    "class": 0,
    "subclass": 0,
    "base_year": 2014,
    "issued_at": "2026-11-21T09:30:00Z",
    "rnd": 5,
    "amount": 256,
}


def code_of(answer: dict[str, Any]) -> str:
    return str(answer["error"]["code"])


def test_all_published_tokens_are_encoded_in_order() -> None:
    answers = json_lines("encode", TOKENS)
    assert [answer["token"] for answer in answers] == [vector["token"] for vector in TOKENS]


def test_all_published_tokens_are_decoded() -> None:
    wanted = ("token", "ea", "decoder_key", "base_year")
    records = [{name: vector[name] for name in wanted if name in vector} for vector in TOKENS]
    exact = ("class", "subclass", "rnd", "register", "control", "manufacturer_code")
    for answer, vector in zip(json_lines("decode", records), TOKENS, strict=True):
        assert answer["crc_ok"]
        for name in exact:
            assert answer.get(name) == vector.get(name)
        for name in ("amount", "max_power_limit_w"):
            if name in vector:
                assert answer[name] == encode_amount(vector[name]).amount


def test_all_published_decoder_keys_are_derived() -> None:
    answers = json_lines("decoder-key", DECODER_KEYS)
    assert [answer["decoder_key"] for answer in answers] == [
        vector["decoder_key"] for vector in DECODER_KEYS
    ]


def test_all_published_key_changes_are_made() -> None:
    answers = json_lines("key-change", KEY_CHANGES)
    assert [answer["tokens"] for answer in answers] == [vector["tokens"] for vector in KEY_CHANGES]


def test_the_class_may_be_left_to_the_tokens_own_field() -> None:
    records = [{k: v for k, v in vector.items() if k != "class"} for vector in TOKENS]
    answers = json_lines("encode", records)
    assert [answer["token"] for answer in answers] == [vector["token"] for vector in TOKENS]


def test_every_management_token_goes_out_and_comes_back() -> None:
    cases = [
        (0, {"max_power_limit_w": 2500}),
        (1, {"register": 0}),
        (2, {"rate": 77}),
        (5, {}),
        (6, {"mppul_w": 900}),
        (7, {"wm_factor": 10}),
    ]
    stamp = {name: CREDIT[name] for name in ("ea", "decoder_key", "base_year", "issued_at", "rnd")}
    records = [stamp | {"class": 2, "subclass": sub} | own for sub, own in cases]
    made = json_lines("encode", records)
    key = {"ea": 7, "decoder_key": STA_KEY, "base_year": 2014}
    read = json_lines("decode", [key | {"token": answer["token"]} for answer in made])
    for (subclass, own), answer in zip(cases, read, strict=True):
        assert (answer["class"], answer["subclass"]) == (2, subclass)
        assert answer["issued_at"] == "2026-11-21T09:30:00Z"
        assert own.items() <= answer.items()


def test_a_program_may_ask_line_by_line() -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "sts", "encode"],
        cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as engine:  # fmt: skip
        assert engine.stdin is not None
        assert engine.stdout is not None
        for _ in range(2):
            engine.stdin.write(json.dumps(CREDIT).encode() + b"\n")
            engine.stdin.flush()
            assert json.loads(engine.stdout.readline())["token"] == "26337156909030006520"


def test_bad_lines_answer_in_place_and_the_run_goes_on() -> None:
    lines = [
        json.dumps(CREDIT).encode(),
        b"",
        b"not json",
        b"[1]",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"a": "' + b"x" * 70_000 + b'"}',
        b"NaN",
        json.dumps(CREDIT | {"amount": -1}).encode(),
        json.dumps(CREDIT).encode(),
    ]
    done = meterhouse("sts", "encode", stdin=b"\r\n".join(lines))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [answer.get("token", "") or code_of(answer) for answer in answers] == [
        "26337156909030006520",
        *["invalid_json"] * 7,
        "invalid_value",
        "26337156909030006520",
    ]
    assert "8 of 10 lines refused" in done.stderr


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"ea": 9}, "unconfirmed", "deprecated"),
        ({"ea": 8}, "invalid_value", "use 7 (STA) or 11 (MISTY1)"),
        ({"ea": "7"}, "invalid_value", "'ea' must be a whole number"),
        ({"ea": None}, "missing_field", "'ea' is missing"),
        ({"decoder_key": "zz"}, "key_format", "not hexadecimal"),
        ({"decoder_key": "00"}, "key_format", "8 bits"),
        ({"ea": 11}, "key_format", "needs 128"),
        ({"class": 3}, "not_issuable", "reserved"),
        ({"class": 4}, "invalid_value", "Class 4"),
        ({"subclass": 4}, "unconfirmed", "Currency credit"),
        ({"subclass": 8}, "not_issuable", "reserved"),
        ({"class": 2, "subclass": 3}, "key_change", "key-change"),
        ({"class": 2, "subclass": 12}, "not_issuable", "proprietary"),
        ({"class": 1, "subclass": 7, "control": 1, "amount": None}, "not_issuable", "proprietary"),
        ({"class": 1, "control": 1, "amount": None}, "missing_field", "manufacturer_code"),
        ({"rnd": 16}, "invalid_value", "0-15"),
        ({"rnd": None}, "missing_field", "'rnd'"),
        ({"amount": 1.5}, "invalid_value", "whole number"),
        ({"amount": True}, "invalid_value", "whole number"),
        ({"amount": 18_201_625}, "invalid_value", "18201624"),
        ({"base_year": 2000}, "invalid_value", "1993, 2014 or 2035"),
        ({"base_year": 1993}, "tid_range", "change the meter's key"),
        ({"base_year": 2035}, "tid_range", "before base date"),
        ({"issued_at": "yesterday"}, "invalid_value", "ISO 8601"),
        ({"issued_at": "2026-11-21T09:30:00"}, "invalid_value", "time zone"),
        ({"issued_at": 5}, "invalid_value", "text in quotes"),
        ({"issued_at": None, "tid": 1}, "invalid_value", "reserved minute"),
        ({"tid": 5}, "invalid_value", "do not agree"),
        ({"ken": 5}, "key_expired", "KEN 5"),
        ({"tables": "mine"}, "invalid_value", "--tables FILE"),
        ({"control": 1}, "invalid_value", "belong to different tokens"),
        ({"issued_at": "9999-12-31T23:59:59-23:59"}, "tid_range", "No base date"),
        ({"issued_at": "0001-01-01T00:00:00+23:59"}, "tid_range", "No base date"),
        ({"amuont": 5}, "unknown_field", "is it 'amount'"),
    ],
)
def test_every_refusal_has_its_code(change: dict[str, Any], code: str, message: str) -> None:
    from vending.sts import StsError
    from vending.sts.records import RecordEngine

    with pytest.raises(StsError) as caught:
        RecordEngine().encode(CREDIT | change)
    assert caught.value.code == code
    assert message in str(caught.value)
    assert STA_KEY not in str(caught.value)


def test_remarks_in_a_record_are_ignored() -> None:
    (answer,) = json_lines(
        "encode", [CREDIT | {"case": "x", "comment": "y", "shop": 7, "notes": "z"}]
    )
    assert answer == {
        "token": "26337156909030006520",
        "tid": 6778650,
        "rounding": 0,
        "tables": "sample",
    }


def test_rounding_is_shown() -> None:
    (answer,) = json_lines("encode", [CREDIT | {"amount": 20_000}])
    assert answer["rounding"] == 4


def test_a_wrong_crc_shows_no_fields() -> None:
    (answer,) = json_lines(
        "decode", [{"token": "26337156909030006521", "ea": 7, "decoder_key": STA_KEY}]
    )
    assert answer["crc_ok"] is False
    assert answer.keys() == {"class", "subclass", "name", "crc_ok", "tables"}


def test_three_tokens_only_by_name() -> None:
    record = KEY_CHANGES[1] | {"three_tokens": True, "sgc": "123457"}
    (refused,) = json_lines("key-change", [record])
    assert code_of(refused) == "unconfirmed"
    (made,) = json_lines("key-change", [record], "--allow-unconfirmed-3kct")
    assert len(made["tokens"]) == 3


def test_operator_tables_replace_the_samples(tmp_path: Path) -> None:
    own = {
        "substitution": VECTORS["sta_sample_tables"]["substitution"][::-1],
        "permutation": VECTORS["sta_sample_tables"]["permutation"],
    }
    file = tmp_path / "tables.json"
    file.write_text(json.dumps(own))
    sample, licensed, forced = (
        *json_lines("encode", [CREDIT]),
        *json_lines("encode", [CREDIT, CREDIT | {"tables": "sample"}], "--tables", str(file)),
    )
    assert licensed["token"] != sample["token"] == forced["token"]
    assert "tables" not in licensed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("{}", "substitution"),
        ('{"substitution": [[1],[2]], "permutation": []}', "Substitution table 1"),
    ],
)
def test_unusable_tables_end_the_run_at_once(
    tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "tables.json"
    if text is not None:
        file.write_text(text)
    done = meterhouse("sts", "encode", "--tables", str(file), stdin=json.dumps(CREDIT))
    assert done.returncode == 3
    assert message in done.stderr
    assert done.stdout == ""
