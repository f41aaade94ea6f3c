"""Accounts at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import main
from commands.office import open_office
from tests.billing.accounts.desks import make_point, make_tariffs
from tests.shop.databases import SqliteFiles


class Till:
    """The command line on one database."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    def run(self, *words: str, status: int = 0, command: str = "account") -> str:
        with pytest.raises(SystemExit) as ended:
            main([command, *words, "--database", self.url])
        said = self._capsys.readouterr()
        assert ended.value.code == status, said
        return said.out

    def ask(self, *words: str, status: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", status=status))


@pytest.fixture
def till(sqlite_files: SqliteFiles, capsys: pytest.CaptureFixture[str]) -> Till:
    return Till(sqlite_files.shop(), capsys)


def _apply(till: Till, *words: str, identity: str = "ID 1111") -> str:
    number = till.ask(
        "apply", "Li Wei", identity, "7 River Street", "--phone", "+8613800138000", *words
    )["account"]
    assert isinstance(number, str)
    return number


def test_req01_an_account_is_opened_shown_and_closed(till: Till) -> None:
    with open_office(till.url) as office, office.writing() as connection:
        point = make_point(connection, office, "6001")
        make_tariffs(connection, office)
    number = _apply(till, "--point", point, "--tariff", "home")
    assert till.ask("check", number, "--look")["point_taken"] is None
    assert "Nothing speaks against it" in till.run("check", number)
    assert till.ask("sign", number, "--warn", "20", "--floor", "-5")["state"] == "active"
    shown = till.ask("show", number)
    assert (shown["name"], shown["contacts"][0]["phone"]) == ("L** W**", "****00")
    assert shown["agreement"]["floor_minor"] == -5_00
    assert shown["supplies"][0]["meter"] == "6001"
    said = till.run("show", number, "--open", "asked at the counter")
    assert "Li Wei" in said
    assert "Li Wei" not in till.run("show", number)
    assert number in till.run("list")
    assert till.ask("search", "Li", "Wei")[0]["account"] == number
    assert till.ask("search", "nobody at all") == []
    closing = till.ask("close", number, "--reason", "moves", "--refund-channel", "bank")
    assert closing["state"] in ("settling", "asked")
    assert number in till.run("closings")
    assert till.run("closings", "--overdue").strip() == "None."


def test_req02_changes_wait_for_a_second_person(till: Till) -> None:
    number = _apply(till)
    till.run("check", number)
    till.run("sign", number)
    change = till.ask("change", number, "terms", "cycle=monthly", "warn=30", "--reason", "asked")
    refused = till.ask("approve", str(change["change"]), status=3)
    assert refused["error"]["code"] == "second_look"
    added = till.ask(
        "contact", "add", number, "--name", "Zhao Min", "--role", "tenant", "--reason", "rents"
    )
    log = till.ask("changes", number)
    assert [each["kind"] for each in log] == ["contact_add", "terms"]
    assert "Zhao" not in till.run("changes")
    assert "Zhao Min" in str(till.ask("changes", number, "--open", "asked"))
    till.run("withdraw", str(added["change"]), "--reason", "mistake")
    till.run("refuse", str(change["change"]), "--reason", "no form")
    assert till.ask("changes", "--waiting") == []


def test_req13_who_is_settled_by_the_hour_is_told_what_that_lives_on(till: Till) -> None:
    number, other = _apply(till), _apply(till, identity="ID 2222")
    for each in (number, other):
        till.run("check", each)
    assert "plan add hours --hourly" in till.run("sign", number, "--cycle", "hourly")
    assert till.ask("sign", other)["lacking"] is None
    asked = ("change", other, "terms", "cycle=hourly", "--reason", "asked")
    change = till.ask(*asked)
    assert "No reading plan reads any meter by the hour" in change["lacking"]
    till.run("withdraw", str(change["change"]), "--reason", "not yet")
    till.run(
        "add", "hours", "--hourly", "energy_import_total", "--every", "60", "--at", "00:05",
        command="plan",
    )  # fmt: skip
    assert till.ask(*asked)["lacking"] is None


def test_what_is_wrong_is_said(till: Till) -> None:
    assert till.ask("show", "1000000019", status=3)["error"]["code"] == "account_number"
    assert till.ask("show", "1000000018", status=3)["error"]["code"] == "unknown_account"
    number = _apply(till)
    till.run("reject", number, "--reason", "no such street")
    assert till.ask("check", number, status=3)["error"]["code"] == "account_state"
    till.run("close", number, status=2)


def test_req01_accounts_are_imported(till: Till, tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text("old_number,name,balance\nA-1,Li Wei,5\nA-2,,\n", encoding="utf-8")
    report = till.ask("import", str(file), status=1)
    assert (report["kept"], report["bad"][0]["line"]) == (False, 3)
    said = till.run("import", str(file), "--skip-bad", status=1)
    assert "1 new accounts" in said
    assert till.ask("search", "A-1")[0]["balance_minor"] == 5_00


def test_the_rules_are_set(till: Till) -> None:
    assert till.ask("rules")["refund_days"] == 10
    assert till.ask("rules", "--keep-years", "7") == {"refund_days": 10, "keep_years": 7}
