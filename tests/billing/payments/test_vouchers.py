"""Vouchers pay onto accounts, each PIN once (specs/utility.md 6)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import insert

from billing.accounts.numbers import account_number
from billing.faults import BillingError, OfficeRefusedError, UnknownAccountError
from billing.ledger.posting import balance
from billing.office import Office
from billing.payments.vouchers import VoucherCounter
from tests.billing.made import make_account
from tests.billing.payments.test_desk import _book
from tests.shop.conftest import Clock
from vending import Shop
from vending.shop.faults import ShopError
from vending.vouchers.desk import MadeVouchers
from vending.vouchers.faults import (
    TooManyVoucherTriesError,
    VoucherBlockedError,
    VoucherExpiredError,
    VoucherNotActiveError,
    VoucherUnknownError,
    VoucherUsedError,
)
from vending.vouchers.pins import Pin
from vending.vouchers.tables import voucher_account_payments, voucher_payments


@pytest.fixture
def shop(database_url: str, clock: Clock) -> Iterator[Shop]:
    with Shop.open(database_url, now=clock) as shop:
        yield shop


@pytest.fixture
def made(shop: Shop, clock: Clock) -> MadeVouchers:
    made = shop.vouchers.make(50_00, 3, clock() + timedelta(days=30))
    shop.vouchers.activate(made.batch.batch_id, "corner shop")
    return made


@pytest.fixture
def accounts(office: Office) -> list[int]:
    with office.writing() as connection:
        return [make_account(connection, office) for _ in range(2)]


def _balance(office: Office, account_id: int) -> int:
    with office.reading() as connection:
        return balance(connection, account_id)


def test_req06_a_voucher_pays_its_face_value_onto_an_account_once(
    office: Office, shop: Shop, made: MadeVouchers, accounts: list[int]
) -> None:
    counter, number = VoucherCounter(office), account_number(accounts[0])
    first = counter.redeem(number, made.pins[0], client="desk")
    assert (first.taken.is_new, first.taken.balance_minor) == (True, 50_00)
    again = counter.redeem(number, made.pins[0], client="desk")
    assert (again.taken.is_new, again.taken.payment_id) == (False, first.taken.payment_id)
    with pytest.raises(VoucherUsedError, match="onto an account"):
        counter.redeem(account_number(accounts[1]), made.pins[0], client="desk")
    assert [_balance(office, each) for each in accounts] == [50_00, 0]
    batch = shop.vouchers.batch(made.batch.batch_id)
    assert (batch.redeemed, batch.left) == (1, 2)
    assert _book(office, "tender.voucher") == 50_00
    assert _book(office, "billing.received.voucher") == 0
    with pytest.raises(ShopError):
        shop.vouchers.block_one(made.batch.batch_id, 1, "stolen")


def test_req06_the_same_pin_from_eight_pays_once(
    office: Office, made: MadeVouchers, accounts: list[int]
) -> None:
    def redeem(which: int) -> bool:
        number = account_number(accounts[which % 2])
        try:
            done = VoucherCounter(office).redeem(number, made.pins[0], client=f"line {which}")
        except VoucherUsedError:
            return False
        return done.taken.is_new

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(redeem, range(8))) == 1
    assert sum(_balance(office, each) for each in accounts) == 50_00


def test_req06_wrong_tries_are_limited_and_a_right_one_is_none(
    office: Office, made: MadeVouchers, accounts: list[int], clock: Clock
) -> None:
    counter, number = VoucherCounter(office), account_number(accounts[0])
    counter.redeem(number, made.pins[0], client="web")
    for _ in range(5):
        with pytest.raises(VoucherUnknownError):
            counter.redeem(number, Pin.fresh(), client="web")
    with pytest.raises(TooManyVoucherTriesError):
        counter.redeem(number, made.pins[1], client="web")
    assert _balance(office, accounts[0]) == 50_00
    clock.advance(minutes=61)
    assert counter.redeem(number, made.pins[1], client="web").taken.balance_minor == 100_00


@pytest.mark.parametrize("number", ["", "1", "9999999999"])
def test_req06_who_names_no_account_learns_of_no_voucher(
    office: Office, made: MadeVouchers, number: str
) -> None:
    counter = VoucherCounter(office)
    for _ in range(5):
        with pytest.raises(UnknownAccountError):
            counter.redeem(number, made.pins[0], client="web")
    with pytest.raises(TooManyVoucherTriesError):
        counter.redeem(number, made.pins[0], client="web")


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("made", VoucherNotActiveError),
        ("blocked", VoucherBlockedError),
        ("expired", VoucherExpiredError),
    ],
)
def test_req06_a_voucher_that_is_not_valid_does_not_pay(
    office: Office,
    shop: Shop,
    accounts: list[int],
    clock: Clock,
    state: str,
    fault: type[Exception],
) -> None:
    made = shop.vouchers.make(50_00, 1, clock() + timedelta(days=30))
    if state != "made":
        shop.vouchers.activate(made.batch.batch_id, "corner shop")
    if state == "blocked":
        shop.vouchers.block_one(made.batch.batch_id, 1, "stolen")
    if state == "expired":
        clock.advance(days=31)
    with pytest.raises(fault):
        VoucherCounter(office).redeem(account_number(accounts[0]), made.pins[0], client="web")
    assert _balance(office, accounts[0]) == 0


def test_req06_when_the_payment_fails_the_pin_is_not_used(
    office: Office, made: MadeVouchers, accounts: list[int]
) -> None:
    from dataclasses import replace

    class Broken:
        def moved(self, *_: object) -> None:
            raise BillingError("the watcher has fallen over")

    broken = VoucherCounter(replace(office, watchers=(Broken(),)))
    with pytest.raises(BillingError):
        broken.redeem(account_number(accounts[0]), made.pins[0], client="web")
    assert _balance(office, accounts[0]) == 0
    done = VoucherCounter(office).redeem(account_number(accounts[0]), made.pins[0], client="web")
    assert done.taken.is_new


def test_req06_the_database_lets_a_voucher_pay_once(
    office: Office, made: MadeVouchers, accounts: list[int]
) -> None:
    VoucherCounter(office).redeem(account_number(accounts[0]), made.pins[0], client="web")
    for table, values in (
        (voucher_payments, {"voucher_id": 1, "receipt_no": 1}),
        (voucher_account_payments, {"voucher_id": 1, "subject": "payment 9"}),
    ):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(insert(table).values(paid_at=office.now(), **values))
