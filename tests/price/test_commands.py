"""The commands, as a person and as a program call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import main
from tests.shop.databases import SqliteFiles

FILES = Path(__file__).parent.parent.parent / "docs" / "examples"
BLOCKS = str(FILES / "tariff-blocks.toml")
METER = "07000000013"


@pytest.fixture
def run(
    sqlite_files: SqliteFiles,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Run a command on a shop of its own; gives the status and what it printed."""
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", sqlite_files.shop())

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        status = ended.value.code
        assert isinstance(status, int)
        return status, capsys.readouterr().out

    return run


def _answer(run: Any, *words: str) -> Any:
    status, out = run(*words, "--json")
    assert status == 0, out
    return json.loads(out)


def test_a_tariff_is_added_assigned_and_explained(run: Any) -> None:
    assert _answer(run, "tariff", "add", BLOCKS)["version"] == 1
    assert _answer(run, "tariff", "list")[0]["tariff"]["name"] == "Domestic 20 A"
    run("meter", "add", METER)
    assert _answer(run, "tariff", "assign", "Domestic 20 A", METER)["assigned"] == 1
    assert _answer(run, "tariff", "assign", "Domestic 20 A", METER)["assigned"] == 0
    sold = _answer(run, "vend", METER, "500", "--yes")
    number = sold["receipt"]["receipt_no"]
    explained = _answer(run, "tariff", "explain", str(number))
    assert explained["tariff"]["version"] == 1
    assert sum(line["amount_minor"] for line in explained["lines"]) == 50_000
    assert _answer(run, "tariff", "revise", BLOCKS, "--from", "2099-01-01")["version"] == 2
    assert _answer(run, "tariff", "show", "Domestic 20 A", "--version", "1")["version"] == 1
    assert _answer(run, "tariff", "assign", "--flat", METER)["assigned"] == 1
    for words in (
        ("tariff", "list"),
        ("tariff", "show", "Domestic 20 A"),
        ("tariff", "explain", str(number)),
    ):
        status, out = run(*words)
        assert status == 0
        assert "Domestic 20 A" in out or "@" in out


def test_a_file_is_tried_before_it_is_added(run: Any) -> None:
    (tried,) = _answer(run, "tariff", "try", BLOCKS, "100", "--used", "10.5", "--channel", "card")
    assert sum(line["amount_minor"] for line in tried["lines"]) == 10_000
    assert tried["lines"][0]["reason"] == {"code": "fee_card", "values": []}
    status, out = run("tariff", "try", BLOCKS, "100", "1000", "--plot")
    assert status == 0
    assert "last block @" in out
    assert "3.00" in out
    assert "#####" in out


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("tariff", "show", "Nothing"), 3),
        (("tariff", "try", "nothing.toml", "1"), 2),
        (("tariff", "assign", "Nothing"), 2),
        (("tariff", "add", BLOCKS, "--from", "yesterday"), 2),
        (("tariff", "add", BLOCKS, "--from", "2020-01-01"), 3),
        (("tariff", "explain", "99"), 3),
        (("debt", "list", METER), 3),
        (("debt", "add", METER, "10", "--name", "A", "--reason", "b"), 2),
        (("debt", "write-off", "9", "--reason", "b"), 3),
    ],
)
def test_what_cannot_be_done_is_said_with_a_status(
    run: Any, words: tuple[str, ...], status: int
) -> None:
    assert run(*words)[0] == status


def test_a_debt_is_added_listed_and_written_off(run: Any) -> None:
    run("meter", "add", METER)
    added = _answer(
        run,
        "debt",
        "add",
        METER,
        "300",
        "--name",
        "Old bill",
        "--percent",
        "20",
        "--fixed",
        "50",
        "--reason",
        "bill of 2025",
    )
    assert (added["scheme"], added["rate_bp"], added["fixed_minor"]) == ("lesser", 2_000, 5_000)
    number = str(added["debt_id"])
    left = _answer(run, "debt", "write-off", number, "100", "--reason", "mistake")
    assert left["left_minor"] == 20_000
    status, out = run("debt", "list", METER)
    assert status == 0
    assert "lesser (20 % of tendered or 50.00)" in " ".join(out.split())
