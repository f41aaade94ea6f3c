"""The clerks' and the back office's commands, as a person or a program calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import main
from tests.cash.camt import Booking, Payment, statement
from vending import Meter, Shop, Tender, VendRequest


class Desk:
    """Runs commands on one shop."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.capsys = capsys

    def run(self, *words: str, status: int = 0) -> str:
        """Standard output."""
        with pytest.raises(SystemExit) as done:
            main([*words, "--database", self.url])
        out, errors = self.capsys.readouterr()
        assert done.value.code == status, errors + out
        return out

    def json(self, *words: str, status: int = 0) -> Any:
        """The answer."""
        return json.loads(self.run(*words, "--json", status=status))


@pytest.fixture
def desk(database_url: str, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(database_url, capsys)


ANN = ("--operator", "ann")


def test_a_day_by_commands(desk: Desk, shop: Shop, meter: Meter) -> None:
    opened = desk.json("shift", "open", "--float", "50", *ANN)
    shop.vend(
        VendRequest("t", "1", meter.number, 10_000, Tender.CASH, operator="ann", terminal="1")
    )
    assert desk.json("shift", "show", *ANN)["state"] == "open"
    assert "expected" not in desk.run("shift", "show", *ANN)
    refused = desk.json("shift", "close", "--cash", "1", *ANN, status=3)
    assert refused["error"]["code"] == "difference_reason"
    closed = desk.json("shift", "close", "--reason", "cash=robbed", *ANN)
    assert closed["tenders"][0]["reason"] == "robbed"
    number = str(opened["batch_id"])
    assert "COPY 1" in desk.run("shift", "reprint", number)
    assert desk.json("shift", "list")[0]["state"] == "closed"
    sales = str(desk.json("batch", "open", "sales")["batch_id"])
    desk.run("batch", "collect", sales, number)
    assert "SALES BATCH" in desk.run("batch", "close", sales)
    bank = str(desk.json("batch", "open", "bank")["batch_id"])
    desk.run("batch", "collect", bank, sales)
    slip = desk.json("batch", "deposit", bank, "S1", "1", "--account", "ZA 1")
    assert (slip["amount_minor"], slip["bank_account"]) == (100, "ZA1")
    desk.json("batch", "close", bank, "--reason", "float kept", status=0)
    (sold,) = desk.json("report", "sales", "--by", "tender")
    assert (sold["sales"], list(sold["units"])) == (1, ["electricity"])
    assert "electricity kWh" in desk.run("report", "sales")
    assert "electricity_kwh,water_m3,gas_m3,time_min" in desk.run("report", "sales", "--csv", "-")
    assert desk.json("report", "unknown") == []


def test_a_statement_by_commands(desk: Desk, shop: Shop, meter: Meter, tmp_path: Path) -> None:
    file = tmp_path / "s.xml"
    file.write_bytes(
        statement([Booking([Payment("100.00", meter.number)]), Booking([Payment("1.00")])])
    )
    assert len(desk.json("bank", "import", str(file), "--preview")) == 2
    assert desk.json("bank", "list") == []
    assert desk.json("bank", "import", str(file))["added"] == 2
    assert desk.json("bank", "import", str(file))["again"] is True
    assert meter.number in desk.run("bank", "list")
    assert desk.json("bank", "review", "--sure", "90", "--operator", "boss") == [
        {"entry_id": 1, "state": "waiting", "kind": "meter"}
    ]
    tokens = tmp_path / "tokens.jsonl"
    assert desk.json("bank", "vend", "--tokens", str(tokens), *ANN)["done"] == 1
    (line,) = map(json.loads, tokens.read_text().splitlines())
    assert line["tokens"] == [shop.last_receipt(meter.number).token]
    assert tokens.stat().st_mode & 0o077 == 0
    refused = desk.json("bank", "review", "2", "--accept", "--operator", "boss", status=3)
    assert refused["error"]["code"] == "bank_review"
    desk.run("bank", "review", "2", "--reject", "who knows", "--operator", "boss")
    desk.run("bank", "review", "2", status=2)


def test_vendors_by_commands(desk: Desk, tmp_path: Path) -> None:
    added = desk.json("vendor", "add", "Corner Shop")
    assert added["reference"].startswith("VND")
    topped = desk.json("vendor", "top-up", "1", "500", "--reference", "R1")
    assert topped["available_minor"] == 50_000
    rates = desk.json("vendor", "commission", "1", "--percent", "1.5")["rates"]
    assert rates[0]["basis_points"] == 150
    assert desk.json("vendor", "commission", "1", "--settle")["settled"]["receipts"] == 0
    days = tmp_path / "days.csv"
    assert desk.json("vendor", "statement", "1", "--csv", str(days))["agrees"] is True
    assert "500.00" in days.read_text()
    assert "blocked: debt" in desk.run("vendor", "block", "1", "--reason", "debt")
    assert desk.json("vendor", "block", "1", "--undo")["blocked"] is None
    assert desk.json("terminal", "add", "T1")[0]["vendor_id"] is None
    assert desk.json("terminal", "assign", "T1", "--vendor", "1")[0]["vendor_id"] == 1
    assert "Corner Shop" in desk.run("vendor", "list")
    assert "T1" in desk.run("terminal", "list")
