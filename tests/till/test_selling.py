"""A customer at the till, from the meter's number to the receipt."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.running import meterhouse
from tests.till.conftest import NUMBER, Clerk, Counter
from vending import Tender
from vending.price.situation import Scheme, SchemeKind
from vending.shop.rules import CounterRules
from vending.sts import make_drn

WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
"""Digits as Chinese keyboards may make them."""


@pytest.mark.parametrize("databases", ["sqlite", "postgresql"], indirect=True)
def test_number_amount_enter_sells_and_the_next_customer_comes(
    counter: Counter, clerk: Clerk
) -> None:
    clerk.sees("no shift | ben | terminal 1", "TEST KEYS", "** help")
    clerk.types(NUMBER)
    clerk.sees("Anna Example", "Block 4, House 12", "none yet", "TEST: public test keys")
    clerk.types("100")
    clerk.sees("34.7 kWh @ 2.50", "Customer gives", "ZAR 100.00", "34.7 kWh")
    clerk.types("")
    clerk.sees("CREDIT TOKEN", "Tendered, cash", "CHANGE", "ZAR 0.23")
    clerk.types(NUMBER)
    clerk.sees("34.7 kWh for ZAR 100.00")
    clerk.types("", "*1")
    clerk.sees("CREDIT TOKEN")
    clerk.types("*2", "")
    clerk.sees("CREDIT TOKEN", "COPY 1")
    assert clerk.leaves() == 0
    assert counter.sales == 1
    assert '"noted": null' in counter.note()


def test_the_same_till_is_vend_without_arguments(counter: Counter, clerk: Clerk) -> None:
    assert clerk.leaves() == 0
    for words in (["till"], ["vend"]):
        refused = meterhouse(*words, env=counter.env)
        assert refused.returncode == 2
        assert "needs a terminal" in refused.stderr


def test_mistyped_numbers_are_told_at_once(clerk: Clerk) -> None:
    wrong = NUMBER[:-1] + str((int(NUMBER[-1]) + 1) % 10)
    for typed, told in (
        (wrong, f"the other digits ask for {NUMBER[-1]}"),
        ("0123", "has 4 digits"),
        ("1" * 20, "*7 verifies it"),
        ("1" * 16, "*6 redeems it"),
        ("*8", "There is no key *8"),
        ("*9", "No outcome is unknown"),
        (make_drn("07", "00000043"), "unknown_meter"),
    ):
        clerk.types(typed)
        clerk.sees(told)
    assert clerk.leaves() == 0


def test_keys_that_are_no_characters_are_refused_and_wide_digits_are_digits(
    counter: Counter, clerk: Clerk
) -> None:
    clerk.types("\x1b[A")
    clerk.sees("means nothing here")
    clerk.screen.expect_exact(" > ")
    os.write(clerk.screen.child_fd, b"\xff\xfe\n")
    clerk.sees("means nothing here")
    clerk.types("٣٤")
    clerk.sees("✗")
    clerk.types(NUMBER.translate(WIDE))
    clerk.sees("Anna Example")
    clerk.types("100".translate(WIDE), "")
    clerk.sees("CREDIT TOKEN")
    assert clerk.leaves() == 0
    assert counter.sales == 1


def test_an_amount_is_read_with_the_point_or_the_comma_of_the_keypad(clerk: Clerk) -> None:
    clerk.types(NUMBER, "12,5")
    clerk.sees("ZAR 12.50")
    clerk.types("0")
    clerk.sees("Cancelled: nothing was sold.")
    for typed, code in (("1,000", "amount_format"), ("1.234", "amount_format"), ("1", "minimum")):
        clerk.types(NUMBER, typed)
        clerk.sees(code)
        clerk.types("")
        clerk.sees("Cancelled")
    assert clerk.leaves() == 0


def test_units_are_sold_and_change_is_counted(counter: Counter, clerk: Clerk) -> None:
    clerk.types(NUMBER, "+50")
    clerk.sees("50.0 kWh", "ZAR 143.75", "what the customer gives")
    clerk.types("+100")
    clerk.sees("below_minimum")
    clerk.types("+200")
    clerk.sees("Change", "56.25", "ZAR 200.00")
    clerk.types("")
    clerk.sees("CREDIT TOKEN", "CHANGE  ZAR 56.25")
    assert clerk.leaves() == 0
    assert counter.sales == 1


def test_a_digit_chooses_the_tender(counter: Counter, clerk: Clerk) -> None:
    clerk.types(NUMBER, "100")
    clerk.sees("Enter SELLS for CASH")
    clerk.types("2")
    clerk.sees("Enter SELLS for CARD")
    clerk.types("77")
    clerk.sees("Enter sells, 0 cancels.")
    clerk.types("")
    clerk.sees("Tendered, card")
    assert clerk.leaves() == 0
    with counter.shop() as shop:
        (row,) = shop.reports.sales(("tender",))
    assert row.tender == Tender.CARD


def test_a_blocked_meter_is_told_before_any_amount(counter: Counter, clerk: Clerk) -> None:
    with counter.shop() as shop:
        shop.block_meter(NUMBER, "tampered with")
    clerk.types(NUMBER)
    clerk.sees("Anna Example", "tampered with", "meter_blocked")
    clerk.types("*0")
    assert clerk.ends() == 0


def test_debts_are_shown(counter: Counter, clerk: Clerk) -> None:
    with counter.shop() as shop:
        shop.tariffs.add_debt(
            NUMBER,
            name="Old arrears",
            principal_minor=2_000,
            scheme=Scheme(SchemeKind.PERCENT, rate_bp=2_500),
            reason="moved in",
        )
    clerk.types(NUMBER)
    clerk.sees("Owes", "ZAR 20.00", "Old arrears")
    clerk.types("", "*0")
    assert clerk.ends() == 0


def test_the_same_sale_again_is_asked_about(counter: Counter, clerk: Clerk) -> None:
    with counter.shop() as shop:
        shop.rules.set(CounterRules(double_sale_window_s=600))
    clerk.types(NUMBER, "100", "")
    clerk.sees("CREDIT TOKEN")
    clerk.types(NUMBER, "100", "")
    clerk.sees("The same was sold to meter")
    clerk.types("", "0")
    clerk.sees("Cancelled: nothing was sold.")
    clerk.types(NUMBER, "100", "", "1")
    clerk.sees("CREDIT TOKEN")
    assert clerk.leaves() == 0
    assert counter.sales == 2


def test_customers_are_found_by_name(clerk: Clerk) -> None:
    clerk.types("/nobody")
    clerk.sees("Nobody was found.")
    clerk.types("anna")
    clerk.sees(f"1  {NUMBER}  Anna Example")
    clerk.types("1")
    clerk.sees("Customer")
    clerk.types("")
    clerk.sees("Cancelled")
    assert clerk.leaves() == 0


def test_a_token_is_verified(counter: Counter, clerk: Clerk) -> None:
    clerk.types(NUMBER, "100", "")
    clerk.sees("CREDIT TOKEN")
    with counter.shop() as shop:
        token = shop.last_receipt(NUMBER).token
    clerk.types("*7", "", token)
    clerk.sees("Good for this meter", "on receipt 1")
    clerk.types("*7", NUMBER, f"{token[:-1]}{(int(token[-1]) + 1) % 10}")
    clerk.sees("Not for this meter")
    clerk.types("*7", "", "123")
    clerk.sees("✗")
    assert clerk.leaves() == 0


def test_the_receipt_goes_to_the_printer_too(
    tmp_path: Path, till: Callable[..., Clerk], counter: Counter
) -> None:
    paper = tmp_path / "printer"
    paper.touch()
    clerk = till("--printer", str(paper))
    clerk.types(NUMBER, "100", "")
    clerk.sees("CREDIT TOKEN", "went to")
    assert clerk.leaves() == 0
    assert b"CREDIT TOKEN" in paper.read_bytes()
    broken = till("--printer", str(tmp_path / "nothing"))
    broken.types(NUMBER, "100", "")
    broken.sees("CREDIT TOKEN", "Not printed", "*2 prints a copy")
    assert broken.leaves() == 0
    assert counter.sales == 2


def test_the_screen_may_be_small_and_change_its_size(till: Callable[..., Clerk]) -> None:
    clerk = till(width=40)
    clerk.sees("** help")
    clerk.types("**")
    clerk.sees("leave the till")
    clerk.screen.expect_exact(" > ")
    clerk.screen.setwinsize(30, 160)
    clerk.screen.sendline(NUMBER)
    clerk.sees("Anna Example")
    clerk.types("")
    status = clerk.sees("** help")
    assert "*6 voucher" in status
    assert clerk.leaves() == 0
