"""Settlement at the command line."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts.tables import customer_accounts
from billing.settlement.faults import (
    NoSuchCheckError,
    NoSuchReportError,
    NoSuchReviewError,
    NoSuchSettlementError,
    NothingToCorrectError,
    NotSettledError,
    ReportDecidedError,
    ReviewDecidedError,
    SameReviewerError,
)
from cli import main
from commands.office import open_office
from tests.billing.settlement.made import HOME, home, rate
from tests.shop.databases import SqliteFiles

A_DAY = timedelta(days=1)


class Desk:
    """Runs commands on a database where one home was read, and another one was not."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._url = url
        self._capsys = capsys
        with open_office(url) as office:
            self.today = office.today()
            since = self.today - 3 * A_DAY
            rate(office, HOME, since)
            read = home(office, since=since, mode="prepaid")
            unread = home(office, since=since, mode="prepaid")
            for number in range(4):
                read.read(since + number * A_DAY, number * 10_000)
            unread.read(since, 0)
            self.unread = unread.supply_id
            self.read = read.supply_id
            with office.reading() as connection:
                self.number: str = connection.execute(
                    select(customer_accounts.c.number).where(
                        customer_accounts.c.account_id == read.account_id
                    )
                ).scalar_one()

    def text(self, *words: str, status: int = 0) -> str:
        """What people see."""
        with pytest.raises(SystemExit) as ended:
            main(["settle", *words, "--database", self._url])
        shown = self._capsys.readouterr()
        assert ended.value.code == status, shown
        return shown.out + shown.err

    def json(self, *words: str, status: int = 0) -> Any:
        """What programs get."""
        return json.loads(self.text(*words, "--json", status=status).strip().splitlines()[-1])


@pytest.fixture
def desk(sqlite_files: SqliteFiles, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(sqlite_files.shop(), capsys)


def test_a_run_its_status_and_what_waits(desk: Desk) -> None:
    done = desk.json("run")
    assert (done["state"], done["settled"], done["waiting"]) == ("done", 3, 1)
    assert "supplies wait" in desk.text("run")
    known = desk.json("status")
    assert [each["cycle"] for each in known["runs"]] == ["daily", "daily"]
    assert known["waiting"] == {"no_reading": 1}
    (wait,) = desk.json("status", "--waiting")
    assert (wait["supply"], wait["why"]) == (desk.unread, "no_reading")
    assert desk.json("run", "--waiting")["waiting"] == 1
    assert "over" in desk.text("run", "--day", desk.today.isoformat(), status=2)


def test_req12_every_amount_is_explained_from_registers_to_the_amount(desk: Desk) -> None:
    desk.json("run")
    day = (desk.today - 2 * A_DAY).isoformat()
    told = desk.text("explain", desk.number, day)
    for words in ("Meter ", "total: 10.000 to 20.000 kWh", "tariff home, version 1", "5.00",
                  "Amount 5.00, of it tax 0.00"):  # fmt: skip
        assert words in told
    (found,) = desk.json("explain", desk.number, day)
    assert (found["energy_wh"], found["amount_minor"]) == (10_000, 500)
    assert found["parts"][0]["lines"][0]["amount"] == "500.00"
    assert "Nothing of" in desk.text("explain", desk.number, "2001-01-01")
    assert "no day" in desk.text("explain", desk.number, "tomorrow", status=2)


def test_req11_the_review_list_at_the_command_line(desk: Desk) -> None:
    desk.json("run")
    assert "Nothing is on the list" in desk.text("review", "list")
    item = desk.json("review", "estimate", str(desk.unread), "7.5", "as last year", "--supply")
    assert (item["state"], item["energy_wh"]) == ("estimated", {"total": 7_500})
    assert item["item"] in [each["item"] for each in desk.json("review", "list", "--state", "any")]
    shown = desk.text("review", "show", str(item["item"]))
    assert "as last year" in shown
    assert "Settled:" in shown
    (cause,) = desk.json("review", "causes")
    assert (cause["cause"], cause["estimated"]) == ("no_reading", 1)
    fault = desk.json("review", "release", str(item["item"]), "x", status=3)
    assert fault["error"]["code"] == ReviewDecidedError.code == "review_decided"
    fault = desk.json("review", "show", "999", status=3)
    assert fault["error"]["code"] == NoSuchReviewError.code == "no_such_review"


def test_policy_corrections_and_reports_at_the_command_line(desk: Desk) -> None:
    desk.json("run")
    acts = {each["check"]: each for each in desk.json("policy")}
    assert acts["use_swing"]["monthly"] == "hold"
    acts = {
        each["check"]: each for each in desk.json("policy", "--set", "use_swing", "daily", "flag")
    }
    assert acts["use_swing"]["daily"] == "flag"
    assert "(own)" in desk.text("policy")
    fault = desk.json("policy", "--set", "moon", "daily", "flag", status=3)
    assert fault["error"]["code"] == NoSuchCheckError.code == "no_such_settlement_check"
    assert desk.json("correct") == {"supplies": 0}
    day = (desk.today - 2 * A_DAY).isoformat()
    fault = desk.json("correct", str(desk.read), day, day, "looks odd", status=3)
    assert fault["error"]["code"] == NothingToCorrectError.code == "nothing_to_correct"
    fault = desk.json("correct", str(desk.unread), day, day, "looks odd", status=3)
    assert fault["error"]["code"] == NoSuchSettlementError.code == "no_such_settlement"
    month = (desk.today.replace(day=1) - A_DAY).strftime("%Y-%m")
    made = desk.json("report", "make", month)
    assert (made["month"], made["state"]) == (month, "draft")
    number = str(made["report"])
    fault = desk.json("report", "approve", number, "looked at", status=3)
    assert fault["error"]["code"] == SameReviewerError.code == "settlement_same_person"
    fault = desk.json("report", "make", month, status=3)
    assert fault["error"]["code"] == ReportDecidedError.code == "settlement_report_decided"
    fault = desk.json("report", "show", "99", status=3)
    assert fault["error"]["code"] == NoSuchReportError.code == "no_such_settlement_report"
    assert desk.json("report", "refuse", number, "an area is missing")["state"] == "refused"
    assert "refused" in desk.text("report", "list")
    assert NotSettledError.code == "not_settled"
    tomorrow: date = desk.today + A_DAY
    desk.text("capacity", str(desk.read), "10000", "--from", tomorrow.isoformat())
    desk.text("capacity", str(desk.read), "9000", "--from", tomorrow.isoformat(), status=3)
