"""Payments, refunds and channels at the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from billing.accounts.numbers import account_number
from cli import main
from commands.office import open_office
from tests.billing.made import make_account
from tests.billing.payments.hooks import SECRET, message, post, signed_headers
from tests.shop.databases import SqliteFiles

ROOT = Path(__file__).parents[3]
ONE = "1000000018"


class Desk:
    """Runs commands on a database, each as somebody."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    def text(self, *words: str, status: int = 0) -> str:
        """What people see."""
        with pytest.raises(SystemExit) as ended:
            main([*words, "--database", self.url])
        shown = self._capsys.readouterr()
        assert ended.value.code == status, shown
        return shown.out + shown.err

    def json(self, *words: str, status: int = 0) -> Any:
        """What programs get."""
        return json.loads(self.text(*words, "--json", status=status).strip().splitlines()[-1])


@pytest.fixture
def desk(sqlite_files: SqliteFiles, capsys: pytest.CaptureFixture[str]) -> Desk:
    url = sqlite_files.shop()
    with open_office(url) as office, office.writing() as connection:
        for _ in range(2):
            make_account(connection, office)
    return Desk(url, capsys)


def test_req05_req08_a_day_at_the_desk(desk: Desk) -> None:
    two = account_number(2)
    words = ("payment", "take", ONE, "50", "--reference", "r1", "--operator", "anna")
    taken = desk.json(*words)
    assert (taken["new"], taken["balance_minor"]) == (True, 50_00)
    assert desk.json(*words)["new"] is False
    assert "Balance" in desk.text("payment", "take", ONE, "1", "--operator", "anna")
    lost = desk.json("payment", "take", "999", "7", "--operator", "anna")
    assert lost["state"] == "suspense"
    number = str(lost["payment"])
    assert number in desk.text("payment", "list", "--state", "suspense")
    placed = ("payment", "assign", number, two, "--reason", "he called", "--operator", "anna")
    assert desk.json(*placed)["account"] == two
    payment = str(taken["payment"])
    asked = ("payment", "undo", payment, "--to", two, "--reason", "wrong number")
    desk.text(*asked, "--operator", "anna")
    assert payment in desk.text("payment", "undos")
    refused = desk.json("payment", "approve", payment, "--operator", "anna", status=3)
    assert refused["error"]["code"] == "payment_second_person"
    assert desk.json("payment", "approve", payment, "--operator", "boris")["account"] == two
    shown = desk.json("payment", "show", payment)
    assert [each["act"] for each in shown["acts"]] == ["posted", "moved"]
    assert "moved by boris" in desk.text(
        "payment", "show", "--channel", "counter", "--reference", "r1"
    )
    refund = ("refund", "ask", two, "20", "--channel", "bank", "--cause", "paid_twice")
    made = desk.json(*refund, "--reason", "twice", "--operator", "anna")
    refund_id = str(made["refund"])
    assert "boris" not in desk.text("refund", "list")
    desk.text("refund", "approve", refund_id, "--operator", "boris")
    desk.text("refund", "pay", refund_id, "--reference", "T1", "--operator", "anna")
    assert desk.json("refund", "show", refund_id)["state"] == "paid"
    right = ("refund", "correct", ONE, "3", "--against", "--cause", "wrong_tariff")
    corrected = desk.json(*right, "--reason", "night", "--operator", "anna")
    assert corrected["amount_minor"] == -3_00
    desk.text("refund", "refuse", str(corrected["refund"]), "--reason", "no", "--operator", "boris")
    assert {each["cause"] for each in desk.json("refund", "causes")} == {
        "paid_twice",
        "wrong_tariff",
    }
    assert desk.json("refund", "list", "--overdue") == []


def test_req05_channels_are_set_up_tested_and_reconciled(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "does not work" in desk.text("channel", "test", "alipay", status=1)
    desk.text("channel", "health", status=1)
    secret = tmp_path / "alipay.secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    desk.text(
        *("channel", "set", "alipay", "--scheme", "hmac-sha256", "--key-file", str(secret)),
        *("--statement", "csv", "--mapping", "generic", "--setting", 'success="OK"'),
    )
    assert desk.json("channel", "test", "alipay")["up"] is True
    assert SECRET.decode() not in desk.text("channel", "list", "--json")
    desk.text("channel", "add", "post", "file", "--title", "Post office")
    desk.text("channel", "set", "post", "--statement", "csv", "--account", "CITY")
    statement = tmp_path / "post.csv"
    statement.write_text(
        f"Date,Description,Amount,Reference\n2026-11-20,account {ONE},5.00,P1\n"
        "2026-11-20,broken,abc,P2\n"
    )
    done = desk.json("payment", "import", "post", str(statement), status=1)
    assert (done["taken"], len(done["bad"])) == (1, 1)
    alipay = tmp_path / "alipay.csv"
    alipay.write_text(f"Date,Description,Amount,Reference\n2026-11-20,for {ONE},9.00,A1\n")
    made = desk.json("channel", "reconcile", "alipay", str(alipay), status=1)
    number = str(made["reconciliation"])
    assert made["details"][0]["kind"] == "missing_here"
    assert "missing here" in desk.text("channel", "reconciled", number)
    taken = desk.json("channel", "take-missing", number, "1", "--words", "their message was lost")
    assert desk.json("payment", "show", str(taken["payment"]))["account"] == ONE
    assert desk.json("channel", "review", number)["state"] == "reviewed"
    assert number in desk.text("channel", "reconciled")
    monkeypatch.setattr(sys, "stdin", StringIO(f"BAL {ONE}"))
    assert "not known" in desk.text("channel", "sms", "13800001234")


def test_req05_the_listener_takes_what_is_posted_until_it_is_told_to_end(
    desk: Desk, tmp_path: Path
) -> None:
    secret = tmp_path / "alipay.secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    desk.text("channel", "set", "alipay", "--scheme", "hmac-sha256", "--key-file", str(secret))
    process = subprocess.Popen(
        [sys.executable, "cli.py", "channel", "listen", "--port", "0", "--database", desk.url],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )
    assert process.stderr is not None
    try:
        port = int(process.stderr.readline().split(" for ")[0].rpartition(":")[2])
        body = message("A1", 5_00, ONE)
        answer = post(port, "alipay", body, signed_headers(body, datetime.now(UTC)))
        assert (answer.status, answer.body) == (200, "success")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "1 payments taken, 0 messages refused." in process.stderr.read()
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
    assert desk.json("payment", "list", "--channel", "alipay")[0]["amount_minor"] == 5_00
