"""`meterhouse link`, `place` and `device`, typed as an engineer types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import cli
from commands.output import CliState

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def typed(*words: str) -> Result:
        return runner.invoke(cli, words, obj=CliState())

    assert typed("init").exit_code == 0
    return typed


def test_a_line_a_place_and_a_meter(run: Run) -> None:
    for words in (
        "link add north tcp://127.0.0.1:4001",
        "link network cell-7 --open-links 40",
        "link add hill --modem MH1 --network cell-7",
        "place add substation S1",
        "place add feeder F1 --below S1",
        "place add area T1 --below F1",
        "device add 01000000017 --link north --place T1 --kind keypad",
    ):
        assert run(*words.split()).exit_code == 0, words
    (meter,) = [json.loads(line) for line in run("device", "list", "--json").output.splitlines()]
    assert (meter["meter"], meter["link"], meter["place"]) == ("01000000017", "north", "T1")
    links = json.loads(run("link", "list", "--json").output)
    assert [(each["name"], each["meters"]) for each in links] == [("hill", 0), ("north", 1)]
    assert "service points: 1" in run("place", "list").output


def test_an_import_tells_each_bad_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "meters.csv").write_text("number,link\n17,\n18,south\n")
    done = run("device", "import", "meters.csv", "--json")
    assert done.exit_code == 1
    answer = json.loads(done.output)
    assert (answer["added"], [bad["line"] for bad in answer["bad"]]) == (0, [3])
    assert run("device", "import", "meters.csv", "--skip-bad").exit_code == 1
    assert run("device", "show", "17").exit_code == 0


def test_a_replaced_meter_is_shown_with_the_one_before(run: Run) -> None:
    run("device", "add", "17", "--point", "house 4")
    run("device", "replace", "17", "18", "--reason", "burnt", "--last-wh", "1200")
    shown = json.loads(run("device", "show", "18", "--json").output)
    assert [(each["meter"], each["last_wh"]) for each in shown["history"]] == [
        ("17", 1200),
        ("18", None),
    ]
    assert run("device", "remove", "18", "--reason", "sold").exit_code == 0
    assert json.loads(run("device", "show", "18", "--json").output)["state"] == "removed"
