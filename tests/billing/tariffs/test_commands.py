"""The commands, as a person and as a program call them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import commands.office
from billing.person import Person
from cli import main
from tests.shop.databases import SqliteFiles

FILES = Path(__file__).parents[3] / "docs" / "examples"
HOME = str(FILES / "rate-home.toml")
WORKS = str(FILES / "rate-industry.toml")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    sqlite_files: SqliteFiles,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command on a shop of its own, as ``who``; gives the status and what it printed."""
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", sqlite_files.shop())

    def run(*words: str, who: str = "wei") -> tuple[int, str]:
        monkeypatch.setenv("METERHOUSE_OPERATOR", who)
        with pytest.raises(SystemExit) as ended:
            main(words)
        status = ended.value.code
        assert isinstance(status, int)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


@pytest.fixture
def home(tmp_path: Path) -> str:
    """The example of a home, in the currency of the shop that the tests have."""
    file = tmp_path / "home.toml"
    file.write_text(Path(HOME).read_text("utf-8").replace("CNY", "ZAR"), "utf-8")
    return str(file)


def _answer(run: Run, *words: str, who: str = "wei") -> Any:
    status, out = run(*words, "--json", who=who)
    assert status == 0, out
    return json.loads(out)


def test_req12_a_tariff_is_proposed_approved_shown_and_withdrawn(run: Run, home: str) -> None:
    assert "no tariff yet" in run("rate", "list")[1]
    added = _answer(run, "rate", "add", home, "--from", "2030-01-01")
    assert added == {"code": "home", "version": 1, "since": "2030-01-01", "state": "proposed"}
    status, out = run("rate", "approve", "home", "1")
    assert status == 3
    assert "rate_same_person" in out
    assert _answer(run, "rate", "approve", "home", "1", who="mei")["state"] == "approved"
    run("rate", "add", home, "--from", "2031-01-01")
    assert [each["state"] for each in _answer(run, "rate", "list")] == ["approved", "proposed"]
    shown = _answer(run, "rate", "show", "home", "--version", "1")
    assert (shown["asked_by"], shown["approved_by"]) == ("wei", "mei")
    assert shown["tariff"]["blocks"]["steps"][0] == {"up_to": "2880", "rate": "0.4883"}
    gone = _answer(run, "rate", "withdraw", "home", "1", "--reason", "not decided")
    assert gone["state"] == "withdrawn"
    for words in (("list",), ("show", "home"), ("show", "home", "--version", "2")):
        status, out = run("rate", *words)
        assert status == 0
        assert "Residential" in out
    assert run("rate", "show", "home", "--version", "9")[0] == 2
    assert run("rate", "show", "works")[0] == 3


def test_req12_price_answers_what_so_many_kwh_would_cost(run: Run, home: str) -> None:
    run("rate", "add", home, "--from", "2026-01-01")
    run("rate", "approve", "home", "1", who="mei")
    asked = ("rate", "price", "home", "500", "--before-year", "2700", "--from", "2026-07-01")
    answer = _answer(run, *asked)
    # 180 x 0.4883 = 87.894; 320 x 0.5383 = 172.256; together 260.15
    assert answer["amount_minor"] == 26_015
    assert (answer["first_day"], answer["last_day"]) == ("2026-07-01", "2026-07-31")
    assert [line["code"] for line in answer["lines"]] == ["block1", "block2", "vat"]
    status, out = run(*asked)
    assert status == 0
    assert "block 2 (2880 to 4800 kWh of the year): 320.000 kWh at 0.5383" in out
    assert "ZAR 260.15" in out
    assert run("rate", "price", "home", "500", "--from", "2025-07-01")[0] == 3


def test_req12_a_file_is_priced_and_drawn_without_a_shop(run: Run, tmp_path: Path) -> None:
    use = ("--register", "t1=400", "--register", "t2=500", "--register", "t3=300")
    more = ("--capacity", "300", "--demand", "330", "--reactive", "500")
    nowhere = ("--database", f"sqlite:///{tmp_path / 'none.db'}")
    for name, head in (("bill.png", b"\x89PNG"), ("bill.svg", b"<svg")):
        file = tmp_path / name
        status, out = run("rate", "price", WORKS, *use, *more, *nowhere, "--plot", str(file))
        assert status == 0, out
        assert file.read_bytes().startswith(head)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("price", HOME),
        ("price", HOME, "x"),
        ("price", HOME, "5", "--register", "t1=4"),
        ("price", HOME, "--register", "t1"),
        ("price", HOME, "5", "--from", "today"),
        ("price", HOME, "5", "--from", "2026-07-02", "--to", "2026-07-01"),
        ("price", HOME, "5", "--plot", "bill.gif"),
        ("price", "missing.toml", "5"),
        ("price", WORKS, "5"),
        ("price", HOME, "5", "--from", "2026-12-02", "--to", "2027-01-05"),
    ],
)
def test_what_cannot_be_priced_is_refused(run: Run, words: tuple[str, ...]) -> None:
    status, out = run("rate", *words)
    assert status in (2, 3), out


def test_check_tells_all_faults_of_a_file(run: Run, tmp_path: Path) -> None:
    assert _answer(run, "rate", "check", HOME)["ok"] is True
    assert "up_to: 2880" in run("rate", "check", HOME)[1]
    bad = tmp_path / "bad.toml"
    bad.write_text('code = "a"\n[energy]\nrate = "x"\ncolour = "red"\n')
    status, out = run("rate", "check", str(bad))
    assert status == 3
    for place in ("name", "energy.rate", "energy.colour"):
        assert f"{place}: " in out


def test_rights_are_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.office, "person_of", lambda *_: Person("clerk", frozenset()))
    for words in (
        ("add", HOME, "--from", "2030-01-01"),
        ("approve", "home", "1"),
        ("withdraw", "home", "1", "--reason", "x"),
        ("list",),
        ("price", "home", "5"),
    ):
        status, out = run("rate", *words)
        assert status == 3
        assert "right_missing" in out
