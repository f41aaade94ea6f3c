"""The till's commands for operations, by the real entry point."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

import cli
from vending import CounterRules, NewMeter, Shop, VendRequest
from vending.sts import make_drn

NUMBER, OTHER = make_drn("07", "00000042"), make_drn("07", "00000043")


@dataclass(frozen=True)
class Till:
    """Commands of one shop, run within this process."""

    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str, status: int = 0) -> str:
        """What a command prints; for a refusal, what it says."""
        with pytest.raises(SystemExit) as end:
            cli.main(("vend", *arguments))
        printed = self.capture.readouterr()
        assert end.value.code == status, printed.err
        return printed.err if status else printed.out

    def json(self, *arguments: str, status: int = 0) -> Any:
        """A command's answer with --json: exactly one document."""
        with pytest.raises(SystemExit) as end:
            cli.main(("vend", *arguments, "--json"))
        printed = self.capture.readouterr()
        assert end.value.code == status, printed.err
        (line,) = printed.out.splitlines()
        return json.loads(line)


@pytest.fixture
def till(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Till:
    with Shop.open(database_url) as shop:
        shop.add_meter(NewMeter(NUMBER, customer="Anna Example", account="AC-1"))
        shop.add_meter(NewMeter(OTHER, customer="Ben Example"))
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", database_url)
    monkeypatch.setenv("METERHOUSE_OPERATOR", "ben")
    return Till(capsys)


def test_a_customer_is_found_and_looked_at(till: Till) -> None:
    assert [found["meter"] for found in till.json("find", "ac-1")] == []
    assert till.json("find", "AC-1")[0]["meter"] == NUMBER
    assert "Ben Example" in till.run("find", "example")
    assert "Nothing" in till.run("find", "nobody")
    looked = till.json("look", NUMBER)
    assert (looked["can_vend"], looked["why_not"], looked["debts"]) == (True, None, [])
    assert "Anna Example" in till.run("look", NUMBER)


def test_units_are_sold_given_and_carried_over(till: Till) -> None:
    sold = till.json("units", NUMBER, "34.7", "--tendered", "100", "--message-id", "u1")
    assert sold["receipt"]["payment"]["change_minor"] == 23
    assert "FREE ISSUE" in till.run("free-issue", NUMBER, "5", "--reason", "promise")
    assert "no_free_basic_due" in till.run("free-basic", NUMBER, status=3)
    assert till.json("rules", "--free-basic", "50")["free_basic_units"] == 500
    assert till.json("free-basic", NUMBER)["receipt"]["type_code"] == "010"
    given = till.json("replacement", NUMBER, OTHER, "12.5", "--reason", "burnt")
    assert given["receipt"]["type_code"] == "003"
    days = ("--since", "2020-01-01", "--until", "2099-12-31")
    assert {line["fund"] for line in till.json("claims", *days)} == {
        "fund.free_issue",
        "fund.free_basic",
        "fund.replacement",
    }
    assert "fund.replacement" in till.run("claims", *days)
    assert "two people above" in till.run("rules")
    assert till.json("statement")["free_units"] == 50 + 500 + 125


def test_a_sale_is_confirmed_reversed_and_refunded(till: Till, database_url: str) -> None:
    with Shop.open(database_url) as shop:  # its answer never arrives at the till
        sold = shop.vend(VendRequest("till", "s1", NUMBER, 10_000)).require_done()
    assert "REVERSAL" in till.run("advise", "reverse", "s1", "--reason", "no paper")
    assert "not shown" in till.run(NUMBER, "100", "--message-id", "s1", status=1)
    for asked in ((NUMBER, "100", "--message-id", "s1"), ("last", "--message-id", "s1")):
        told = till.json(*asked, status=1)
        assert (told["outcome"], told["reversed_by"]) == ("reversed", 2)
        assert sold.tokens[0].digits not in str(told)
    till.run(NUMBER, "100", "--message-id", "s2")
    assert till.json("advise", "confirm", "s2")["confirmed"] == "s2"
    assert "sale_confirmed" in till.run("advise", "reverse", "s2", status=3)
    till.run(NUMBER, "100", "--message-id", "s3")
    assert "receipt_printed" in till.run("advise", "reverse", "s3", status=3)
    receipt_no = till.json("last", NUMBER)["receipt_no"]
    refund = till.json("refund", str(receipt_no), "--reason", "meter broken")
    assert refund["receipt"]["kind"] == "refund"
    assert "Refunds" in till.run("statement")


@pytest.mark.parametrize(
    "shown",
    [
        (NUMBER, "100", "--message-id", "s1", "--json"),
        ("last", NUMBER, "--json"),
        ("last", NUMBER),
        ("last", "--message-id", "s1", "--json"),
    ],
)
def test_digits_that_were_handed_out_are_not_undone(
    till: Till, database_url: str, shown: tuple[str, ...]
) -> None:
    with Shop.open(database_url) as shop:
        sold = shop.vend(VendRequest("till", "s1", NUMBER, 10_000)).require_done()
    assert sold.tokens[0].digits in "".join(till.run(*shown).split()).replace("-", "")
    assert "receipt_printed" in till.run("advise", "reverse", "s1", status=3)


def test_the_same_sale_again_needs_an_answer(till: Till, database_url: str) -> None:
    with Shop.open(database_url) as shop:
        shop.rules.set(CounterRules())
    till.run(NUMBER, "100", "--message-id", "s1")
    refused = till.json(NUMBER, "100", "--message-id", "s2", status=3)
    assert refused["error"]["code"] == "double_sale_question"
    till.run(NUMBER, "100", "--message-id", "s2", "--second")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("power-limit", ("4600",)),
        ("phase-limit", ("2000",)),
        ("clear-credit", ()),
        ("clear-tamper", ()),
        ("water-factor", ("3",)),
        ("tariff-rate", ("7",)),
        ("test", ("--bit", "2")),
    ],
)
def test_engineering_tokens_are_made(till: Till, command: str, arguments: tuple[str, ...]) -> None:
    made = till.json("engineering", command, NUMBER, *arguments, "--reason", "visit")
    (token,) = made["receipt"]["tokens"]
    assert len(token["digits"]) == 20
    assert "--reason" in till.run("engineering", command, NUMBER, *arguments, status=2)


def test_keys_are_confirmed_and_debts_paid(till: Till) -> None:
    assert "nothing_due" in till.run("pay", NUMBER, "10", status=3)
    till.run("key-change", NUMBER, "--krn", "2", "--reason", "revision")
    assert "key_revision_differs" in till.run("confirm-key", NUMBER, "1", status=3)
    assert till.json("confirm-key", NUMBER, "2")["confirmed"] is True
