"""The counter takes payments through the cashier's open shift (specs/utility.md 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import insert

from billing.ledger.posting import balance
from billing.office import Office
from billing.payments.counter import Counter
from billing.payments.desk import PaymentDesk
from billing.payments.door import take
from billing.payments.faults import UnknownChannelError
from billing.payments.payment import Payment
from billing.payments.refund import Cause
from billing.payments.refunds import RefundDesk
from tests.billing.made import make_account
from tests.billing.payments.test_desk import ANNA, BORIS, _book
from tests.shop.conftest import Clock
from vending import Shop
from vending.cash.faults import NoShiftError, VendorTerminalError
from vending.cash.reckoning import Count
from vending.cash.tables import terminals, vendors
from vending.shop.books import Tender


@pytest.fixture
def shop(database_url: str, clock: Clock) -> Iterator[Shop]:
    with Shop.open(database_url, now=clock) as shop:
        yield shop


@pytest.fixture
def account_id(office: Office) -> int:
    with office.writing() as connection:
        return make_account(connection, office)


def test_req05_cash_goes_through_the_open_shift_and_is_counted_with_it(
    office: Office, shop: Shop, account_id: int
) -> None:
    shop.shifts.require_shifts(True)
    counter = Counter(office.acting(ANNA))
    payment = Payment("counter", "c1", 50_00, account_id)
    with pytest.raises(NoShiftError):
        counter.take(payment, terminal="till 1")
    shift = shop.shifts.open(operator="anna", terminal="till 1", float_minor=0)
    first = counter.take(payment, terminal="till 1")
    again = counter.take(payment, terminal="till 1")
    assert (first.is_new, again.is_new, again.payment_id) == (True, False, first.payment_id)
    counter.take(Payment("counter", "c2", 7_00, account_id), terminal="till 1", tender=Tender.CARD)
    refunds = RefundDesk(office.acting(ANNA))
    asked = refunds.ask(
        account_id, 20_00, channel="counter", cause=Cause.PAID_TWICE, reason="paid twice"
    )
    RefundDesk(office.acting(BORIS)).approve(asked.refund_id)
    refunds.pay(asked.refund_id, terminal="till 1")
    shown = PaymentDesk(office).show(first.payment_id).payment
    assert (shown.taken_by, shown.taken_where) == ("anna", f"till 1, shift {shift.batch_id}")
    reckoned = shop.shifts.count(shift.batch_id, Count({"cash": 30_00, "card": 7_00}))
    assert [(each.tender, each.expected_minor, each.difference_minor) for each in reckoned] == [
        ("cash", 30_00, 0),
        ("card", 7_00, 0),
    ]
    report = shop.shifts.close(shift.batch_id).data()
    assert [(each["subject"], each["amount_minor"]) for each in report["accounts"]] == [
        (f"payment {first.payment_id}", 50_00),
        (f"payment {first.payment_id + 1}", 7_00),
        (f"refund {asked.refund_id}", -20_00),
    ]
    assert _book(office, "billing.received.counter") == 0
    with pytest.raises(NoShiftError):
        counter.take(Payment("counter", "c3", 1, account_id), terminal="till 1")


def test_req05_without_shifts_cash_lies_in_the_drawer_all_the_same(
    office: Office, account_id: int
) -> None:
    Counter(office.acting(ANNA)).take(Payment("counter", "c1", 50_00, account_id))
    with office.reading() as connection:
        assert balance(connection, account_id) == 50_00
    assert _book(office, "tender.cash") == 50_00
    assert _book(office, "billing.received.counter") == 0


def test_a_vendors_till_takes_no_payments_of_accounts(office: Office, account_id: int) -> None:
    with office.writing() as connection:
        vendor_id = connection.execute(
            insert(vendors)
            .values(name="corner", added_at=office.now())
            .returning(vendors.c.vendor_id)
        ).scalar_one()
        connection.execute(
            insert(terminals).values(name="corner 1", vendor_id=vendor_id, added_at=office.now())
        )
    with pytest.raises(VendorTerminalError):
        Counter(office).take(Payment("counter", "c1", 1, account_id), terminal="corner 1")


def test_a_counter_takes_for_counters_only(office: Office, account_id: int) -> None:
    with pytest.raises(UnknownChannelError):
        Counter(office).take(Payment("alipay", "c1", 1, account_id))


def test_what_an_other_channel_took_the_counter_does_not_take_again(
    office: Office, account_id: int
) -> None:
    payment = Payment("counter", "c1", 50_00, account_id)
    with office.writing() as connection:
        take(connection, office, payment)
    assert not Counter(office).take(replace(payment, where="elsewhere")).is_new


@pytest.mark.parametrize("number", [True, False])
def test_req05_a_card_that_bounces_goes_out_of_what_cards_have_brought(
    office: Office, account_id: int, number: bool
) -> None:
    whose = account_id if number else None
    payment = Payment("counter", "c1", 50_00, whose)
    before = _book(office, Tender.CARD.account)
    taken = Counter(office.acting(ANNA)).take(payment, tender=Tender.CARD)
    assert _book(office, Tender.CARD.account) == before + 50_00
    PaymentDesk(office.acting(ANNA)).ask_undo(taken.payment_id, "charged back", bounced=True)
    PaymentDesk(office.acting(BORIS)).decide_undo(taken.payment_id, approve=True)
    assert _book(office, "billing.received.counter") == 0
    assert _book(office, Tender.CARD.account) == before
