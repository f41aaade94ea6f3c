"""The drawer's day at the till: open, sell, count blindly, close; and vouchers."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.till.conftest import NUMBER, Clerk, Counter
from vending import Shop
from vending.cash.reckoning import Count
from vending.people.actor import Role
from vending.people.credentials import Password


def test_a_shift_is_opened_counted_blindly_and_closed(clerk: Clerk) -> None:
    clerk.sees("no shift")
    clerk.types("*4")
    clerk.sees("no_shift")
    clerk.types("*3", "")
    clerk.sees("Cancelled")
    clerk.types("*3", "50")
    clerk.sees("Shift 1 is open", "shift 1 | 0 sales", "*4 close")
    clerk.types("*3", "0")
    clerk.sees("shift_open")
    clerk.types(NUMBER, "100", "")
    clerk.sees("CREDIT TOKEN", "shift 1 | 1 sale |")
    clerk.types("*4", "")
    clerk.sees("Cancelled: the shift stays open")
    clerk.types("*4", "149")
    before = clerk.sees("Card slips")
    assert "149.77" not in before  # what is expected comes behind the count
    clerk.types("", "", "", "")
    clerk.sees("149.00", "149.77", "cash is 0.77 short")
    clerk.types("")
    clerk.sees("waits for its reasons", "COUNTED")
    clerk.types("*4")
    clerk.sees("counted before", "cash is 0.77 short")
    clerk.types("1")
    clerk.sees("SHIFT REPORT", "wrong change given", "no shift")
    assert clerk.leaves() == 0


def test_cash_needs_a_shift_where_the_house_wants_it(counter: Counter, clerk: Clerk) -> None:
    assert clerk.leaves() == 0
    with counter.shop() as shop:
        shop.shifts.require_shifts(True)
    clerk.start()
    clerk.sees("no shift: cash needs one, *3")
    clerk.types(NUMBER, "100")
    clerk.sees("No shift of", "no_shift", "*3 opens your shift", "2 card")
    clerk.types("", "1", "0")
    clerk.sees("nothing was sold")
    clerk.types(NUMBER, "+40", "*3", "0")  # what was typed is still there
    clerk.sees("Shift 1 is open", "Customer gives", "Enter SELLS for CASH")
    clerk.types("")
    clerk.sees("CREDIT TOKEN", "40.0 kWh")
    clerk.types("*0")
    clerk.sees("Shift 1 is not closed yet")
    assert clerk.ends() == 0
    assert counter.sales == 1


def test_without_a_shift_the_same_sale_is_paid_by_card(counter: Counter, clerk: Clerk) -> None:
    with counter.shop() as shop:
        shop.shifts.require_shifts(True)
    clerk.types(NUMBER, "100")
    clerk.sees("no_shift", "*3 opens your shift")
    clerk.types("2")
    clerk.sees("Customer gives", "Enter SELLS for CARD")
    clerk.types("")
    clerk.sees("CREDIT TOKEN")
    assert clerk.leaves() == 0
    assert counter.sales == 1


def test_a_shift_that_was_closed_in_between_costs_no_typing(counter: Counter, clerk: Clerk) -> None:
    with counter.shop() as shop:
        shop.shifts.require_shifts(True)
    clerk.types("*3", "0", NUMBER, "100")
    clerk.sees("Enter SELLS for CASH")
    with counter.shop() as shop:
        shop.shifts.count(1, Count({"cash": 0}), operator="ben")
    clerk.types("")
    clerk.sees("no_shift", "Nothing was sold", "*3 opens your shift")
    clerk.types("2")
    clerk.sees("Enter SELLS for CARD")
    clerk.types("")
    clerk.sees("CREDIT TOKEN")
    assert clerk.leaves() == 0
    assert counter.sales == 1


def test_the_balance_of_the_drawer_is_for_supervisors_before_the_count(
    counter: Counter, till: Callable[..., Clerk], tmp_path: Path
) -> None:
    password = "correct horse battery staple"
    secret = tmp_path / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    counter.env["METERHOUSE_PASSWORD_FILE"] = str(secret)
    with counter.shop() as shop:
        shop.people.add_operator("ada", password, [Role.ADMINISTRATOR])
    with Shop.open(counter.url, credentials=Password("ada", password)) as shop:
        shop.people.add_operator("ben", password, [Role.CLERK])
        shop.people.add_operator("sue", password, [Role.SUPERVISOR])
    clerk = till()
    clerk.types("*3", "50")
    clerk.sees("Shift 1 is open")
    clerk.types("*5")
    clerk.sees("permission_denied")
    assert clerk.leaves() == 0
    counter.env["METERHOUSE_OPERATOR"] = "sue"
    supervisor = till()
    supervisor.types("*3", "50", "*5")
    supervisor.sees("should hold", "50.00")
    assert supervisor.leaves() == 0


def test_a_voucher_is_redeemed_and_its_pin_is_never_shown_or_kept(
    counter: Counter, clerk: Clerk
) -> None:
    with counter.shop() as shop:
        made = shop.vouchers.make(10_000, 2, datetime.now(UTC) + timedelta(days=30), operator="ben")
        shop.vouchers.activate(made.batch.batch_id, "Kiosk", operator="ben")
    pin = made.pins[0].digits().replace(" ", "")
    wrong = pin[:-1] + str((int(pin[-1]) + 1) % 10)
    shown = io.StringIO()
    clerk.screen.logfile_read = shown
    clerk.types("*6", NUMBER)
    clerk.sees("Anna Example")
    clerk.types(wrong)
    clerk.sees("was mistyped")
    clerk.types(pin)
    clerk.sees("CREDIT TOKEN", "Tendered, voucher")
    clerk.types("*6", "", pin)
    clerk.sees("voucher_used", "Nothing was sold.")
    clerk.types("*6", "0")
    clerk.types("*6", "", "")
    clerk.sees("Cancelled: the voucher was not taken")
    assert clerk.leaves() == 0
    assert pin not in shown.getvalue()
    assert pin not in counter.note()
    assert counter.sales == 1


def test_help_names_every_key(clerk: Clerk) -> None:
    clerk.types("**")
    for key in ("*1", "*2", "*3", "*4", "*5", "*6", "*7", "*9", "*0"):
        clerk.sees(key)
    clerk.types("*1")
    clerk.sees("Nothing was sold at this till yet.")
    clerk.types("*2", "77")
    clerk.sees("unknown_receipt")
    clerk.types("*2", "x")
    clerk.sees("digits only")
    assert clerk.leaves() == 0
