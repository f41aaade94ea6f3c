"""The command, as a person and as a program call it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from cli import main
from commands.office import open_office
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact
from tests.shop.databases import SqliteFiles

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    sqlite_files: SqliteFiles,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command on a shop of its own; gives the status and what it printed."""
    url = sqlite_files.shop()
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", url)
    monkeypatch.setenv("METERHOUSE_OPERATOR", "wei")

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        status = ended.value.code
        assert isinstance(status, int)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def answer(run: Run, *words: str) -> Any:
    status, out = run("notice", *words, "--json")
    assert status == 0, out
    return json.loads(out)


def account_told(event: Event, **about: str | int) -> None:
    url = os.environ["METERHOUSE_DATABASE_URL"]
    with open_office(url) as office, office.writing() as connection:
        account_id = make_account(connection, office, since=datetime(2026, 1, 1, tzinfo=UTC))
        make_contact(connection, office, account_id)
        assert queue_notice(connection, office, Notice(event, account_id, "x", about))


def test_a_message_from_the_outbox_to_the_folder(run: Run, tmp_path: Path) -> None:
    status, out = run("notice", "channels")
    assert "nobody is told anything" in out
    assert run("notice", "test", "email")[0] == 3
    folder = f"folder={tmp_path}"
    (channel,) = answer(run, "channels", "--set", "email", "--by", "file", folder)
    assert (channel["channel"], channel["enabled"], channel["waiting"]) == ("email", True, 0)
    assert answer(run, "test", "email")["outcome"] == "ready"
    assert answer(run, "test", "email", "--to", "me@power.example")["outcome"] == "sent"
    account_told(Event.PAYMENT_RECEIVED, amount_minor=50_00)
    status, out = run("notice", "list")
    assert (status, "queued" in out, "l**@e**" in out) == (0, True, True)
    assert answer(run, "send") == {"done": 1}
    assert run("notice", "send") == (0, "Nothing was due.\n")
    (message,) = answer(run, "list", "--state", "sent")
    shown = answer(run, "show", str(message["message"]))
    assert [each["act"] for each in shown["history"]] == ["queued", "sending", "sent"]
    assert run("notice", "show", "1")[0] == 0
    status, out = run("notice", "retry", "1", "why not")
    assert (status, "message_state" in out) == (3, True)
    assert run("notice", "outcome", "1", "arrived", "x")[0] == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_previews_staff_quiet_hours_and_faults_are_clear(run: Run) -> None:
    previews = answer(run, "preview", "disconnect_notice")
    assert [each["language"] for each in previews] == ["en", "fr", "pt", "zh"]
    assert all(each["sms_parts"] <= 3 for each in previews)
    status, out = run("notice", "preview", "bill", "-l", "zh")
    assert (status, "part(s)" in out) == (0, True)
    assert run("notice", "preview", "birthday")[0] == 3
    (added,) = answer(run, "staff", "--add", "duty", "--to", "duty@power.example")
    assert (added["role"], added["channel"]) == ("duty", "email")
    assert "duty@power.example" in run("notice", "staff")[1]
    assert answer(run, "staff", "--remove", str(added["staff"])) == []
    assert run("notice", "quiet", "sms", "*", "22:00-07:00")[0] == 0
    assert run("notice", "quiet", "sms", "bill", "none")[0] == 0
    assert run("notice", "quiet", "sms", "bill", "at night")[0] == 3
    assert run("notice", "callbacks") == (0, "Nobody is to be called.\n")
    assert run("notice", "channels", "--set", "email")[0] == 2
    assert run("notice", "channels", "--set", "email", "--by", "smtp", "host")[0] == 2
    status, out = run("notice", "channels", "--set", "email", "--by", "smtp", "host=h")
    assert (status, "needs the settings sender" in out) == (3, True)
    status, out = run("notice", "listen", "--port", "0")
    assert (status, "report_secret_file" in out) == (3, True)
    status, out = run("notice", "contact-corrected", "7", "--email", "a@example.org")
    assert (status, "no_such_message" in out) == (3, True)


def test_the_contact_record_is_shown_and_noted(run: Run, tmp_path: Path) -> None:
    answer(run, "channels", "--set", "email", "--by", "file", f"folder={tmp_path}")
    account_told(Event.LOW_BALANCE, balance_minor=1)
    (message,) = answer(run, "list")
    status, out = run("notice", "record", message["account"], "--note", "asked about her bill")
    assert (status, "asked about her bill" in out, "low_balance: queued" in out) == (0, True, True)
    lines = answer(run, "record", message["account"])
    assert [line["act"] for line in lines] == ["noted", "queued"]
    assert run("notice", "record", "12")[0] == 3
