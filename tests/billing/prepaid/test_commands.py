"""``meterhouse prepaid``, as a clerk types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing.accounts.looking import account
from billing.ledger.books import ensure_account, open_books
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from billing.person import Person
from billing.prepaid.emergency import EmergencyCreditDesk
from billing.prepaid.policy import load_policy
from billing.prepaid.watcher import PrepaidWatcher
from billing.privacy.key_file import make_key_file, open_seal
from headend.station import Station
from storage.engine import open_engine
from storage.ledger import AccountKind
from tests.billing.conftest import ZONE
from tests.billing.made import make_account, make_supply
from tests.billing.prepaid.town import COUNTER
from tests.commands.running import meterhouse
from tests.shop.databases import SqliteFiles
from vending import Currency


@pytest.fixture
def url(sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    found = sqlite_files.shop()
    monkeypatch.setenv("METERHOUSE_DATABASE", found)
    yield found
    sqlite_files.discard(found)


@contextmanager
def _office(url: str) -> Iterator[Office]:
    key = Path(url.removeprefix("sqlite:///") + ".personal-key")
    if not key.exists():
        make_key_file(key)
    engine = open_engine(url)

    def now() -> datetime:
        return datetime.now(UTC)

    yield Office(
        engine=engine,
        zone=ZONE,
        currency=Currency.named("ZAR"),
        clock=now,
        seal=open_seal(key),
        person=Person("another"),
        watchers=(PrepaidWatcher(),),
        station=Station(engine, ZONE, now),
    )
    engine.dispose()


def _account(url: str, balance_minor: int) -> str:
    """A prepaid account with a balance; its number."""
    with _office(url) as office, office.writing() as connection:
        open_books(connection, "ZAR")
        ensure_account(connection, COUNTER, AccountKind.ASSET, "ZAR")
        account_id = make_account(connection, office, mode="prepaid")
        make_supply(connection, office, account_id)
        entry = Entry(account_id, EntryKind.ADJUSTMENT, balance_minor, "billing.adjustments",
                      "adjustment 1", "brought in")  # fmt: skip
        post(connection, office, [entry])
        return account(connection, account_id).number


def _json(url: str, *words: str):  # type: ignore[no-untyped-def]
    done = meterhouse("prepaid", *words, "--database", url, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_req16_a_clerk_sees_who_is_short(url: str) -> None:
    number = _account(url, -5_00)
    (found,) = _json(url, "list")
    assert (found["account"], found["state"], found["balance_minor"]) == (
        number,
        "disconnect_due",
        -5_00,
    )
    shown = _json(url, "status", number)
    assert shown["outlook"]["floor_minor"] == 0
    assert shown["disconnect"] is None
    assert [move["level"] for move in shown["history"]] == ["disconnect_due"]
    plain = meterhouse("prepaid", "status", number, "--database", url)
    assert "switched off below 0.00" in plain.stdout
    days = meterhouse("prepaid", "days-left", number, "--database", url)
    assert "cannot be said yet" in days.stdout


def test_req22_the_policy_is_shown_and_changed(url: str) -> None:
    assert _json(url, "policy")["notice_h"] == 24
    assert _json(url, "policy", "notice_h=48", "limits=use")["limits"] == "use"
    with _office(url) as office, office.reading() as connection:
        assert load_policy(connection).notice_h == 48
    wrong = meterhouse("prepaid", "policy", "asks_max=0", "--database", url, "--json")
    assert json.loads(wrong.stdout)["error"]["code"] == "prepaid_policy"
    assert wrong.returncode == 3


def test_refusals_have_a_code(url: str) -> None:
    number = _account(url, 50_00)
    for words, code in (
        (("release", number, "--why", "x"), "not_held"),
        (("reconnect", number, "--why", "x"), "no_cut"),
        (("emergency-credit", "approve", "7"), "emergency_credit"),
        (("emergency-credit", "ask", "1000", "--reason", "x"), "emergency_credit_limit"),
    ):
        done = meterhouse("prepaid", *words, "--database", url)
        assert code in done.stderr, words
        assert done.returncode == 3


def test_req26_emergency_credit_from_the_command_line(url: str) -> None:
    _account(url, 50_00)
    made = _json(url, "emergency-credit", "ask", "20.00", "--reason", "flood")
    assert (made["state"], made["share_bp"]) == ("asked", 3_000)
    own = meterhouse("prepaid", "emergency-credit", "approve", "1", "--database", url)
    assert "second person" in own.stderr
    with _office(url) as office:
        EmergencyCreditDesk(office).approve(1)
    given = _json(url, "emergency-credit", "give", "1")
    assert (given["state"], given["accounts"], given["given_minor"]) == ("given", 1, 20_00)
    assert _json(url, "emergency-credit", "recover", "1")["state"] == "recovering"
    plain = meterhouse("prepaid", "emergency-credit", "list", "--database", url)
    assert "recovering" in plain.stdout
