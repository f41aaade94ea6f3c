"""``meterhouse token explain``, and what all commands have in common."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.running import ROOT, meterhouse
from tests.sts.vectors import MISTY1_KEY, STA_KEY


def test_a_credit_token_is_explained_field_by_field() -> None:
    done = meterhouse(
        "token", "explain", "5938", "6323-4721", "3742 6967",
        "--decoder-key", MISTY1_KEY, "--base-year", "1993",
    )  # fmt: skip
    assert done.returncode == 0
    for text in (
        "5938 6323 4721 3742 6967",
        "transfer credit",
        "issued 2004-03-01 13:00 UTC",
        "0.1 kWh of electricity",
        "made for this meter and key",
    ):
        assert text in done.stdout
    assert "TEST" not in done.stdout


def test_sample_tables_are_marked() -> None:
    done = meterhouse("token", "explain", "26337156909030006520", "--decoder-key", STA_KEY)
    assert "TEST (sample tables)" in done.stdout
    assert "25.6 kWh" in done.stdout


def test_tests_need_no_key_and_several_tokens_may_follow_each_other() -> None:
    done = meterhouse(
        "token", "explain", "00000000000150997584", "0000", "0000", "0001", "6777", "4880"
    )
    assert done.returncode == 0
    assert "all tests" in done.stdout
    assert "breaker" in done.stdout


def test_the_key_comes_from_the_environment_too() -> None:
    done = meterhouse(
        "token", "explain", "26337156909030006520", "--json",
        env={"METERHOUSE_DECODER_KEY": STA_KEY},
    )  # fmt: skip
    (answer,) = json.loads(done.stdout)
    assert answer["amount"] == 256


def test_sections_of_a_key_are_not_shown() -> None:
    arguments = ("token", "explain", "34812744915211133004", "--decoder-key", MISTY1_KEY)
    assert "hidden" in meterhouse(*arguments).stdout
    for done in (meterhouse(*arguments), meterhouse(*arguments, "--json")):
        assert done.returncode == 0
        assert "b2088343" not in done.stdout


def test_nothing_ends_in_a_traceback() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli", "token", "explain", "00000000000150997584"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 5
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_usage_faults_answer_in_json_too() -> None:
    done = meterhouse("token", "explain", "34812744915211133004", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["26337156909030006521", "--decoder-key", STA_KEY], 1, "mistyped, or made for another"),
        (["2633715690903000652", "--decoder-key", STA_KEY], 3, "missing or doubled digit"),
        (["99999999999999999999", "--decoder-key", STA_KEY], 3, "first digits were mistyped"),
        (["26337156909030006520"], 2, "give --decoder-key or set METERHOUSE_DECODER_KEY"),
        (["26337156909030006520", "--decoder-key", "xyz"], 3, "not hexadecimal"),
        (["26337156909030006520", "--decoder-key", STA_KEY, "--ea", "11"], 3, "needs 128"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_goes_wrong_is_said(arguments: list[str], status: int, message: str) -> None:
    done = meterhouse("token", "explain", *arguments)
    assert done.returncode == status
    assert message in " ".join((done.stdout + done.stderr).split())


def test_faults_answer_in_json_when_asked() -> None:
    done = meterhouse("token", "explain", "12", "--json")
    assert json.loads(done.stdout)["error"]["code"] == "token_format"


def test_help_names_every_group_without_loading_them() -> None:
    done = meterhouse("--help")
    assert done.returncode == 0
    for group in ("demo", "init", "meter", "sim", "sts", "token", "vend"):
        assert f"\n  {group} " in done.stdout


def test_unknown_commands_are_said() -> None:
    done = meterhouse("vned")
    assert done.returncode == 2
    assert "No such command 'vned'" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = meterhouse("completion", shell)
    assert "_METERHOUSE_COMPLETE" in script.stdout
    answers = meterhouse(
        env={
            "_METERHOUSE_COMPLETE": "bash_complete",
            "COMP_WORDS": "meterhouse tok",
            "COMP_CWORD": "1",
        }
    )
    assert "token" in answers.stdout
