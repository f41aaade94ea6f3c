"""Bills at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from billing.ledger.books import ADJUSTMENTS
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from cli import main
from commands.office import open_office
from tests.billing.bills.made import address, contact
from tests.billing.made import make_account, make_supply
from tests.shop.databases import SqliteFiles

ACCOUNT = "1000000018"


class Office:
    """Runs commands on a database."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    def text(self, *words: str, status: int = 0) -> str:
        """What people see."""
        with pytest.raises(SystemExit) as ended:
            main(["bill", *words, "--database", self.url])
        shown = self._capsys.readouterr()
        assert ended.value.code == status, shown
        return shown.out + shown.err

    def json(self, *words: str, status: int = 0) -> Any:
        """What programs get."""
        return json.loads(self.text(*words, "--json", status=status).strip().splitlines()[-1])


@pytest.fixture
def office(sqlite_files: SqliteFiles, capsys: pytest.CaptureFixture[str]) -> Office:
    """With an industrial account that owes 500.00."""
    url = sqlite_files.shop()
    with open_office(url) as opened, opened.writing() as connection:
        account_id = make_account(connection, opened, customer_class="industrial")
        supply_id, _ = make_supply(connection, opened, account_id)
        address(connection, opened, supply_id, "1 Furnace Road\nSpringfield 4002")
        contact(connection, opened, account_id, "Works", post_address="PO Box 1\nSpringfield 4002")
        entry = Entry(account_id, EntryKind.ADJUSTMENT, -500_00, ADJUSTMENTS, "t 1", "brought in")
        post(connection, opened, [entry])
    return Office(url, capsys)


def test_req20_a_bill_is_made_shown_printed_and_sent(office: Office, tmp_path: Path) -> None:
    assert office.json("run") == {
        "made": 0,
        "waiting": 0,
        "empty": 0,
        "to_pay_minor": 0,
        "currency": "ZAR",
    }
    made = office.json("run", "--account", ACCOUNT)
    assert (made["bill"], made["to_pay_minor"], made["kind"]) == (
        f"{ACCOUNT}-1",
        500_00,
        "regular",
    )
    assert office.json("list", "--account", ACCOUNT, "--open")[0] == made
    assert f"{ACCOUNT}-1" in office.text("list")
    pdf = tmp_path / "bill.pdf"
    shown = office.json("show", made["bill"], "--pdf", str(pdf), "--language", "fr")
    assert [each["way"] for each in shown["deliveries"]] == ["notice", "paper"]
    assert sum(each["amount_minor"] for each in shown["lines"]) == -500_00
    assert "Facture" in PdfReader(pdf).pages[0].extract_text()
    assert pdf.stat().st_mode & 0o777 == 0o600
    assert "already" in office.text("show", made["bill"], "--pdf", str(pdf), status=2)
    assert "To be paid" in office.text("show", made["bill"])
    letters = tmp_path / "letters.pdf"
    printed = office.json("print", "--output", str(letters))
    assert (printed["letters"], printed["exact"]) == (1, True)
    assert "4002" in letters.with_suffix(".csv").read_text()
    assert office.json("print", "--output", str(tmp_path / "x.pdf"), status=3)["error"]["code"] == (
        "nothing_to_bill"
    )
    again = tmp_path / "again.pdf"
    assert office.json("print", "--again", "1", "--output", str(again))["exact"] is True
    assert again.read_bytes() == letters.read_bytes()
    assert office.json("print", "--list")[0]["letters"] == 1
    assert office.json("send", made["bill"])["notice"] is not None
    assert office.json("show", "7-1", status=3)["error"]["code"] == "no_such_bill"


def test_req18_fees_and_late_fees(office: Office) -> None:
    charged = ("fee", "charge", ACCOUNT, "visit", "75.50", "--once", "job 4")
    assert office.json(*charged) == office.json(*charged) == {"fee": 1}
    assert office.json("fee", "back", "1", "--reason", "no", status=3)["error"]["code"] == (
        "bad_entry"
    )
    [shown] = office.json("fee", "list", ACCOUNT)
    assert (shown["amount_minor"], shown["taken_back_by"]) == (75_50, None)
    rule = office.json("late-fee", "set", "industrial", "--per-day", "0.1", "--cap", "30")
    assert (rule["per_day_ppm"], rule["cap_bp"]) == (1000, 30_00)
    assert "too many digits" in office.text(
        "late-fee", "set", "public", "--per-day", "0.00001", "--cap", "30", status=2
    )
    assert office.json("late-fee", "list") == [rule]
    assert "0.1 %" in office.text("late-fee", "list")
    assert office.json("late-fee", "run") == {"posted": 0}
    made = office.json("run", "--account", ACCOUNT, "--kind", "non_metering")
    assert made["fees_minor"] == -75_50
    assert office.json("late-fee", "explain", made["bill"]) == []


def test_req19_a_withdrawal_takes_two(office: Office) -> None:
    made = office.json("run", "--account", ACCOUNT)
    asked = office.json("withdraw", made["bill"], "--reason", "a wrong balance was brought in")
    assert asked == {"bill": made["bill"], "state": "asked"}
    assert [each["bill"] for each in office.json("withdraw")] == [made["bill"]]
    refused = office.json("withdraw", made["bill"], "--approve", status=3)
    assert refused["error"]["code"] == "withdrawal_state"
    office.text("withdraw", made["bill"], status=2)


def test_req20_texts_and_ways_are_data(office: Office) -> None:
    added = office.json(
        "text", "add", "Save at night.", "--language", "en", "--until", "2099-12-31"
    )
    assert [each["text"] for each in office.json("text", "list")] == [added["text"]]
    office.json("text", "end", str(added["text"]), "--until", "2099-01-01")
    assert "2099-01-01" in office.text("text", "list")
    ways = {each["class"]: each for each in office.json("ways", "residential", "--paper")}
    assert ways["residential"] == {"class": "residential", "notice": True, "paper": True}
    assert "Letter" in office.text("ways")
