"""`meterhouse collect`, as a person and as a program call it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import commands.office
from billing.office import Office
from cli import main
from commands.office import open_office
from tests.billing.collecting.debtors import make_customer, owe, pay, watched
from tests.shop.databases import SqliteFiles

Run = Callable[..., tuple[int, str]]
DAY = timedelta(days=1)


@pytest.fixture
def url(sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch) -> str:
    found = sqlite_files.shop()
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", found)
    return found


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as ``who``; gives the status and what it printed."""
    assert url

    def run(*words: str, who: str = "wei") -> tuple[int, str]:
        monkeypatch.setattr(commands.office, "login_name", lambda: who)
        with pytest.raises(SystemExit) as ended:
            main(words)
        status = ended.value.code
        assert isinstance(status, int)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


@pytest.fixture
def office(url: str) -> Iterator[Office]:
    with open_office(url) as opened:
        yield watched(opened)


@pytest.fixture
def debtor(office: Office) -> str:
    """Somebody who owes 300.00 since 40 days; their number."""
    account_id = make_customer(office)
    owe(office, account_id, 300_00, office.now() - 40 * DAY)
    owe(office, account_id, 50_00, office.now() + 10 * DAY)
    return "1000000018"


def answer(run: Run, *words: str, who: str = "wei") -> Any:
    status, out = run("collect", *words, "--json", who=who)
    assert status == 0, out
    return json.loads(out)


def say(run: Run, *words: str, who: str = "wei") -> str:
    status, out = run("collect", *words, who=who)
    assert status == 0, out
    return out


def test_req21_ageing_is_shown_and_drawn(run: Run, debtor: str, tmp_path: Path) -> None:
    picture = tmp_path / "ageing.svg"
    found = answer(run, "ageing", "--accounts", "5", "--plot", str(picture))
    assert found["classes"] == ["not due", "0-30", "31-60", "61-90", "91-180", ">180"]
    assert found["totals_minor"] == {"residential": [50_00, 0, 300_00, 0, 0, 0]}
    [account] = found["accounts"]
    assert (account["account"], account["overdue_minor"]) == (debtor, 300_00)
    assert picture.read_bytes().startswith(b"<svg")
    assert "300.00" in say(run, "ageing")


def test_req21_cases_are_run_shown_stepped_and_dropped(
    run: Run, debtor: str, tmp_path: Path, office: Office
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(say(run, "rules").replace("hour = 9 ", "hour = 0 "), "utf-8")
    status, out = run("collect", "rules", "--set", str(rules))
    assert status == 2
    assert "--reason" in out
    assert answer(run, "rules", "--set", str(rules), "--reason", "at night") == {"version": 1}
    assert answer(run, "run")["touched"] > 0
    [case] = answer(run, "cases")
    assert (case["account"], case["last_step"], case["class"]) == (debtor, "reminder", "medium")
    assert debtor in say(run, "cases", "--class", "medium")
    assert answer(run, "cases", "--class", "heavy") == []
    shown = answer(run, "show", "1")
    assert [each["act"] for each in shown["acts"]] == ["opened", "step"]
    assert [each["open_minor"] for each in shown["items"]] == [300_00, 50_00]
    assert shown["next"].startswith("Nothing before")
    assert "reminder" in say(run, "show", "1")
    assert answer(run, "step", debtor)["done"].startswith("Nothing before")
    status, out = run("collect", "show", "9", "--json")
    assert json.loads(out)["error"]["code"] == "unknown_case"
    assert answer(run, "drop", "1", "--reason", "a mistake")["outcome"] == "dropped"
    status, out = run("collect", "drop", "1", "--reason", "again", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (3, "case_state")
    assert answer(run, "cases", "--account", debtor)[0]["state"] == "closed"
    pay(office, 1, 300_00)
    [step] = answer(run, "effect")
    assert (step["step"], step["taken"], step["settled"]) == ("reminder", 1, 0)
    assert "reminder" in say(run, "effect")


def test_req23_a_plan_is_asked_approved_and_listed(run: Run, debtor: str) -> None:
    asked = answer(run, "plan", "ask", debtor, "7", "--reason", "out of work")
    assert (asked["state"], asked["two_because"]) == ("asked", "it has more than 6 parts")
    status, out = run("collect", "plan", "approve", "1", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (3, "other_person")
    assert "Plan 1 is active" in say(run, "plan", "approve", "1", who="li")
    assert len(answer(run, "plan", "show", "1")["parts"]) == 7
    assert [each["plan"] for each in answer(run, "plan", "list", "--state", "active")] == [1]
    assert debtor in say(run, "plan", "list")


def test_req23_a_due_date_is_put_off(run: Run, debtor: str, office: Office) -> None:
    until = (office.today() + 20 * DAY).isoformat()
    asked = answer(run, "defer", "ask", debtor, until, "--reason", "in hospital")
    assert asked["state"] == "asked"
    assert "is refused" in say(run, "defer", "refuse", "1", "--reason", "no")
    soon = (office.today() + 10 * DAY).isoformat()
    assert "is granted" in say(run, "defer", "ask", debtor, soon, "--reason", "in hospital")
    assert [each["state"] for each in answer(run, "defer", "list")] == ["granted", "refused"]
    assert debtor in say(run, "defer", "list")
    assert answer(run, "ageing")["totals_minor"]["residential"][:2] == [350_00, 0]


def test_a_debt_is_written_off_by_two(run: Run, debtor: str) -> None:
    asked = answer(run, "write-off", "ask", debtor, "--reason", "gone", "--amount", "300.00")
    assert (asked["state"], asked["amount_minor"]) == ("asked", 300_00)
    assert "second person" in say(run, "write-off", "ask", debtor, "--reason", "gone")
    assert "is done" in say(run, "write-off", "approve", "1", who="li")
    assert "is refused" in say(run, "write-off", "refuse", "2", "--reason", "no")
    assert debtor in say(run, "write-off", "list", "--state", "done")
    assert answer(run, "ageing")["totals_minor"]["residential"] == [50_00, 0, 0, 0, 0, 0]


def test_req24_a_score_says_why(run: Run, debtor: str) -> None:
    found = answer(run, "score", debtor, "--history")
    assert found["reasons"][0] == {
        "code": "start",
        "words": "everybody begins with",
        "points": 650,
    }
    assert found["points"] == sum(each["points"] for each in found["reasons"])
    assert "Terms:" in say(run, "score", debtor)


@pytest.mark.usefixtures("debtor")
def test_req25_without_history_there_is_no_forecast(run: Run) -> None:
    status, out = run("collect", "forecast", "--show-hits", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (3, "no_forecast")
    status, out = run("collect", "forecast", "--train", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (3, "too_little_history")
