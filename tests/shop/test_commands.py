"""The clerks' commands: by the entry point, as processes of their own, and at a terminal."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest
import structlog

import cli
from storage.schema import SCHEMA_VERSION
from tests.commands.running import ROOT, meterhouse
from tests.shop.databases import Databases
from vending import NewMeter, Shop
from vending.sts import make_drn

NUMBER = make_drn("07", "00000042")


@dataclass(frozen=True)
class Counter:
    """A shop and its commands, run within this process by the real entry point."""

    url: str
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str, status: int = 0) -> str:
        """What a command prints; for a refusal, what it says."""
        out, errors = self.both(*arguments, status=status)
        return errors if status else out

    def json(self, *arguments: str, status: int = 0) -> Any:
        """A command's answer with --json: exactly one document."""
        out, _ = self.both(*arguments, "--json", status=status)
        (line,) = out.splitlines()
        return json.loads(line)

    def both(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """What a command prints on standard output and on standard error."""
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        printed = self.capture.readouterr()
        assert end.value.code == status, printed.err
        return printed.out, printed.err


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    """For commands that are processes of their own; the shop has one meter."""
    with Shop.open(database_url) as shop:
        shop.add_meter(NewMeter(NUMBER, customer="Anna Example"))
    return {"METERHOUSE_DATABASE_URL": database_url, "METERHOUSE_OPERATOR": "ben"}


@pytest.fixture
def counter(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Counter:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(structlog, "configure", lambda **_: None)  # the tests capture the logs
    return Counter(env["METERHOUSE_DATABASE_URL"], capsys)


def test_a_shop_is_made_and_sells_and_repeats_by_processes_of_their_own(
    databases: Databases,
) -> None:
    env = {"METERHOUSE_DATABASE_URL": databases.empty()}

    def run(*arguments: str) -> str:
        done = meterhouse(*arguments, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    made = run(
        "init", "--currency", "ZAR", "--price", "2.50", "--tax", "15", "--zone", "Asia/Tokyo"
    )
    assert "ZAR 2.50 a kWh and 15 % tax" in made
    assert "PUBLIC TEST KEYS" in made
    run("meter", "add", NUMBER, "--customer", "Anna Example")
    sold = [run("vend", NUMBER, "100", "--message-id", "s1", "--json") for _ in range(2)]
    assert sold[0] == sold[1]
    receipt = json.loads(sold[0])["receipt"]
    assert (receipt["tokens"][0]["units"], receipt["zone"]) == (347, "Asia/Tokyo")
    with Shop.open(env["METERHOUSE_DATABASE_URL"]) as shop:
        assert shop.last_response("till", "s1").response.decode() == sold[0].rstrip("\n")


def test_a_sale_is_printed_and_can_be_asked_for_again(counter: Counter) -> None:
    receipt = counter.run("vend", NUMBER, "100", "--message-id", "s1")
    assert "34.7 kWh" in receipt
    assert "Anna Example" in receipt
    assert "TEST" in receipt
    assert counter.run("vend", NUMBER, "100.00", "--message-id", "s1") == receipt
    assert counter.run("vend", "last", NUMBER) == receipt
    assert counter.run("vend", "last", "--message-id", "s1") == receipt
    copy = counter.run("vend", "reprint", "1")
    assert "COPY 1" in copy
    assert counter.json("vend", "statement")["sales"] == 1


def test_every_command_answers_in_json(counter: Counter) -> None:
    sold = counter.json("vend", NUMBER, "50")
    receipt = sold["receipt"]
    assert counter.json("vend", "trial", NUMBER, "50")["units"] == receipt["tokens"][0]["units"]
    assert counter.json("vend", "last", NUMBER) == receipt
    assert counter.json("vend", "reprint", "1")["copy_no"] == 1
    digits = receipt["tokens"][0]["digits"]
    assert counter.json("vend", "verify", NUMBER, digits)["receipt_no"] == 1
    changed = counter.json("vend", "key-change", NUMBER, "--krn", "2")["receipt"]
    assert len(changed["tokens"]) == 4
    assert counter.json("meter", "show", NUMBER)["krn"] == 2
    assert counter.json("meter", "block", NUMBER, "debt")["blocked"] == "debt"
    assert counter.json("meter", "unblock", NUMBER)["blocked"] is None
    assert counter.json("upgrade") == {"schema": SCHEMA_VERSION}
    assert [meter["meter"] for meter in counter.json("meter", "list")] == [NUMBER]
    statement = counter.json("vend", "statement")
    assert (statement["agrees"], statement["key_changes"]) == (True, 1)


def test_people_get_tables(counter: Counter) -> None:
    counter.run("vend", NUMBER, "50")
    assert "Anna Example" in counter.run("meter", "list")
    assert "SGC 123457 KRN 1 TI 01" in counter.run("meter", "show", NUMBER)
    assert "17.3 kWh" in counter.run("vend", "trial", NUMBER, "50")
    assert "ledger agree" in counter.run("vend", "statement")
    assert "Key change: enter last" in counter.run("vend", "key-change", NUMBER, "--krn", "2")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("vend", NUMBER, "1"), 3, "below_minimum"),
        (("vend", NUMBER, "1O0"), 3, "amount_format"),
        (("vend", NUMBER[:-1] + "9", "100"), 3, "check_digit"),
        (("vend", "07000000013", "100"), 3, "unknown_meter"),
        (("vend", "reprint", "7"), 3, "unknown_receipt"),
        (("vend", "reprint", "9" * 30), 4, "request_format"),
        (("vend", "last", "--message-id", "x\x00"), 4, "request_format"),
        (("vend", NUMBER, "100", "--operator", "x\udc80"), 4, "request_format"),
        (("vend", "reprint", "7", "--operator", "x\udc80"), 4, "request_format"),
        (("meter", "list", "--after", "\udc80"), 4, "request_format"),
        (("vend", "key-change", NUMBER, "--krn", "9" * 30), 4, "request_format"),
        (("price", "set", "0"), 3, "invalid_setting"),
        (("price", "set", "2,5"), 3, "amount_format"),
        (("vend", "last", "--message-id", "never"), 3, "unknown_message"),
        (("vend", "key-change", NUMBER), 3, "key_unchanged"),
        (("meter", "add", NUMBER), 3, "meter_exists"),
        (("meter", "add", "0700000001x"), 3, "invalid_value"),
        (("init",), 5, "database_exists"),
    ],
)
def test_refusals_have_a_code_and_an_exit_status(
    counter: Counter, arguments: tuple[str, ...], status: int, code: str
) -> None:
    assert code in counter.run(*arguments, status=status)
    error = counter.json(*arguments, status=status)["error"]
    assert error["code"] == code
    assert error["message"]


def test_another_request_under_a_known_id_is_a_wrong_request(counter: Counter) -> None:
    counter.run("vend", NUMBER, "100", "--message-id", "s1")
    assert "message_conflict" in counter.run("vend", NUMBER, "99", "--message-id", "s1", status=4)


def test_a_shop_that_is_not_there_is_the_installations_fault(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    done = meterhouse("vend", NUMBER, "100", "--database", url)
    assert done.returncode == 5
    assert "meterhouse init" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_is_said_to_be_so(counter: Counter) -> None:
    assert "Give either a METER" in counter.run("vend", "last", status=2)
    assert "Missing argument 'AMOUNT'" in counter.run("vend", NUMBER, status=2)
    for day in ("yesterday", "9999-12-31", "0001-01-01"):
        for side in ("--since", "--until"):
            assert "is not a day" in counter.run("vend", "statement", side, day, status=2)


def test_a_mistyped_number_is_put_right_under_the_same_message_id(counter: Counter) -> None:
    mistyped = NUMBER[:-1] + str((int(NUMBER[-1]) + 1) % 10)
    for command in (("vend",), ("vend", "key-change")):
        rest = ("100",) if command == ("vend",) else ("--krn", "2")
        message_id = ("--message-id", command[-1])
        assert "check_digit" in counter.run(*command, mistyped, *rest, *message_id, status=3)
        counter.run(*command, NUMBER, *rest, *message_id)


def test_the_message_id_is_announced_before_the_sale_to_programs_too(counter: Counter) -> None:
    _, errors = counter.both("vend", NUMBER, "1", "--json", status=3)
    announced, refused = errors.splitlines()[0], errors.splitlines()[1]
    assert announced.startswith("Message id ")
    assert "below_minimum" in refused
    out, errors = counter.both("vend", "key-change", NUMBER, "--krn", "2", "--json")
    assert errors.split() == ["Message", "id", json.loads(out)["message_id"]]


def test_the_price_is_shown_and_set(counter: Counter) -> None:
    assert "ZAR 2.50 a kWh and 15 % tax" in counter.run("price", "show")
    assert "ZAR 3.00 a kWh and 15 % tax" in counter.run("price", "set", "3.00")
    assert counter.json("price", "set", "4", "--tax", "0") == {
        "currency": "ZAR",
        "price_per_kwh": "4.00",
        "tax_percent": "0",
    }
    assert counter.json("price", "show")["price_per_kwh"] == "4.00"
    assert "25.0 kWh" in counter.run("vend", NUMBER, "100")


def test_logs_stay_off_standard_output_and_hold_no_token(env: dict[str, str]) -> None:
    env = env | {"METERHOUSE_LOG_LEVEL": "info"}
    done = meterhouse("vend", NUMBER, "100", "--json", env=env)
    digits = json.loads(done.stdout)["receipt"]["tokens"][0]["digits"]
    assert '"event": "vend.done"' in done.stderr
    assert digits not in done.stderr
    assert "Anna" not in done.stderr


def test_at_a_terminal_the_customer_is_shown_and_the_clerk_is_asked(env: dict[str, str]) -> None:
    def at_the_till(*arguments: str) -> pexpect.spawn[str]:
        return pexpect.spawn(
            sys.executable,
            ["-m", "cli", "vend", NUMBER, "100", *arguments],
            cwd=str(ROOT),
            env=os.environ | env,
            encoding="utf-8",
            timeout=60,
        )

    asked = at_the_till()
    asked.expect("Anna Example")
    asked.expect(r"Sell 34\.7 kWh for ZAR 100\.00\?")
    asked.sendline("n")
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == 130
    with Shop.open(env["METERHOUSE_DATABASE_URL"]) as shop:
        assert shop.statement().sales == 0
    asked = at_the_till()
    asked.expect("Sell")
    asked.sendline("y")
    asked.expect("CREDIT TOKEN")
    asked.expect(pexpect.EOF)
    unasked = at_the_till("--yes")
    unasked.expect("CREDIT TOKEN")
    unasked.expect(pexpect.EOF)
    with_a_new_id = at_the_till("--message-id", "s1")
    with_a_new_id.expect(r"Sell 34\.7 kWh")
    with_a_new_id.sendline("y")
    with_a_new_id.expect("CREDIT TOKEN")
    with_a_new_id.expect(pexpect.EOF)
    with_a_known_id = at_the_till("--message-id", "s1")  # nothing is sold, nothing to be asked
    with_a_known_id.expect("Answered before")
    with_a_known_id.expect("CREDIT TOKEN")
    with_a_known_id.expect(pexpect.EOF)
    with Shop.open(env["METERHOUSE_DATABASE_URL"]) as shop:
        assert shop.statement().sales == 3
