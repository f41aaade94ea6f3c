"""Refunds and corrections: two people, a day, a reason that is counted (specs/utility.md 8)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from billing.accounts.tables import customer_accounts
from billing.faults import BadEntryError, OfficeRefusedError, RightMissingError
from billing.ledger.posting import balance
from billing.notices.tables import notices
from billing.office import Office
from billing.payments.channels import channel_for_money
from billing.payments.door import take
from billing.payments.faults import (
    RefundStateError,
    RefundTooMuchError,
    SecondPersonError,
    UnknownChannelError,
    UnknownRefundError,
)
from billing.payments.payment import Payment
from billing.payments.refund import Cause, Refund, RefundState
from billing.payments.refunds import CauseOfMonth, RefundDesk, refund_to_pay
from billing.payments.tables import refunds
from billing.person import Person, Right
from tests.billing.made import make_account
from tests.billing.payments.test_desk import ANNA, BORIS, _book
from tests.shop.conftest import Clock


@pytest.fixture
def anna(office: Office) -> RefundDesk:
    return RefundDesk(office.acting(ANNA))


@pytest.fixture
def boris(office: Office) -> RefundDesk:
    return RefundDesk(office.acting(BORIS))


@pytest.fixture
def chief(office: Office) -> RefundDesk:
    return RefundDesk(office.acting(Person("chief", frozenset(Right))))


@pytest.fixture
def account_id(office: Office) -> int:
    """Holds 100.00."""
    with office.writing() as connection:
        account_id = make_account(connection, office)
        take(connection, office, Payment("web", "1", 100_00, account_id))
        return account_id


def _balance(office: Office, account_id: int) -> int:
    with office.reading() as connection:
        return balance(connection, account_id)


def _asked(desk: RefundDesk, account_id: int, amount_minor: int = 40_00) -> Refund:
    return desk.ask(
        account_id,
        amount_minor,
        channel="bank",
        cause=Cause.PAID_TWICE,
        reason="paid on the web and at the counter",
    )


def test_req08_a_refund_is_asked_approved_and_paid(
    office: Office, anna: RefundDesk, boris: RefundDesk, account_id: int
) -> None:
    refund = _asked(anna, account_id)
    assert _balance(office, account_id) == 100_00
    with pytest.raises(SecondPersonError):
        anna.approve(refund.refund_id)
    with pytest.raises(RefundStateError) as refused:
        anna.pay(refund.refund_id, reference="T1")
    assert refused.value.code == "refund_state"
    assert boris.approve(refund.refund_id).state is RefundState.APPROVED
    assert (_balance(office, account_id), _book(office, "billing.refunds")) == (60_00, -40_00)
    with pytest.raises(BadEntryError):
        anna.pay(refund.refund_id)
    paid = anna.pay(refund.refund_id, reference="T1")
    assert (paid.state, paid.paid_by, paid.paid_reference) == (RefundState.PAID, "anna", "T1")
    assert (_book(office, "billing.refunds"), _book(office, "billing.received.bank")) == (0, -40_00)
    with pytest.raises(RefundStateError):
        anna.pay(refund.refund_id, reference="T2")


def test_req08_who_pays_at_the_same_time_pays_once(
    office: Office, anna: RefundDesk, boris: RefundDesk, account_id: int
) -> None:
    refund = boris.approve(_asked(anna, account_id).refund_id)

    def pay(number: int) -> int:
        try:
            anna.pay(refund.refund_id, reference=f"T{number}")
        except RefundStateError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(pay, range(4))) == 1
    assert _book(office, "billing.received.bank") == -40_00


def test_req08_the_same_transfer_pays_one_refund(
    anna: RefundDesk, boris: RefundDesk, account_id: int
) -> None:
    first, second = _asked(anna, account_id), _asked(anna, account_id)
    for each in (first, second):
        boris.approve(each.refund_id)
    anna.pay(first.refund_id, reference="T1")
    with pytest.raises(OfficeRefusedError):
        anna.pay(second.refund_id, reference="T1")


def test_no_more_goes_back_than_the_account_holds(
    anna: RefundDesk, boris: RefundDesk, account_id: int
) -> None:
    with pytest.raises(RefundTooMuchError) as refused:
        _asked(anna, account_id, 100_01)
    assert refused.value.code == "refund_too_much"
    one, two = _asked(anna, account_id, 60_00), _asked(anna, account_id, 60_00)
    boris.approve(one.refund_id)
    with pytest.raises(RefundTooMuchError):
        boris.approve(two.refund_id)
    assert boris.refuse(two.refund_id, "it has gone back").state is RefundState.REFUSED


def test_a_refund_that_cannot_be_paid_is_on_the_account_again(
    office: Office, anna: RefundDesk, boris: RefundDesk, account_id: int
) -> None:
    refund = boris.approve(_asked(anna, account_id).refund_id)
    assert anna.fail(refund.refund_id, "the bank account is closed").state is RefundState.FAILED
    assert (_balance(office, account_id), _book(office, "billing.refunds")) == (100_00, 0)


def test_req03_what_is_left_on_a_closing_account_is_paid_out(
    office: Office, anna: RefundDesk, boris: RefundDesk, chief: RefundDesk, account_id: int
) -> None:
    with office.writing() as connection:
        refund_id = refund_to_pay(
            connection,
            office.acting(ANNA),
            account_id,
            100_00,
            "bank",
            "moves away",
            due_at=office.now() + timedelta(days=10),
        )
    assert _balance(office, account_id) == 0
    with office.writing() as connection:
        for values in ({"state": "closing"}, {"state": "closed", "closed_at": office.now()}):
            connection.execute(update(customer_accounts).values(**values))
    with pytest.raises(RefundStateError):
        boris.refuse(refund_id, "no")
    boris.approve(refund_id)
    with pytest.raises(RefundStateError):
        anna.fail(refund_id, "the bank account is closed")
    assert boris.reroute(refund_id, "counter", "the bank account is closed").channel == "counter"
    chief.approve(refund_id)
    assert _balance(office, account_id) == 0, "debited once"
    assert anna.pay(refund_id).paid_reference == f"refund {refund_id}"
    assert _book(office, "billing.refunds") == 0
    assert _book(office, "tender.cash") == -100_00


def test_req29_a_refund_that_is_sent_another_way_is_approved_anew(
    office: Office, anna: RefundDesk, boris: RefundDesk, chief: RefundDesk, account_id: int
) -> None:
    """Whoever approved the way to the bank does not take the money out of the drawer alone."""
    refund_id = _asked(anna, account_id).refund_id
    boris.approve(refund_id)
    rerouted = boris.reroute(refund_id, "counter", "no bank account any more")
    assert (rerouted.state, rerouted.channel) == (RefundState.ASKED, "counter")
    assert (rerouted.approved_by, rerouted.routed_by) == (None, "boris")
    with pytest.raises(RefundStateError):
        boris.pay(refund_id)
    for desk, name in ((anna, "anna"), (boris, "boris")):
        with pytest.raises(SecondPersonError, match=name):
            desk.approve(refund_id)
    with pytest.raises(RefundStateError, match="already"):
        boris.reroute(refund_id, "counter", "again")
    assert chief.approve(refund_id).entered_at == rerouted.entered_at
    assert _balance(office, account_id) == 60_00, "debited once"
    assert boris.pay(refund_id).state is RefundState.PAID
    with office.reading() as connection:
        told = connection.scalars(select(notices.c.about).where(notices.c.event == "refund")).all()
    assert [json.loads(each)["refund_channel"] for each in told] == ["bank", "counter"]


def test_req29_the_database_lets_no_refund_go_another_way_with_the_old_approval(
    office: Office, anna: RefundDesk, boris: RefundDesk, account_id: int
) -> None:
    refund_id = boris.approve(_asked(anna, account_id).refund_id).refund_id
    with office.writing() as connection:
        channel_for_money(connection, office, "counter")
    now = office.now()
    again = {"state": "asked", "decided_at": None, "approved_by": None}
    for values in ({"channel": "counter"}, {"channel": "counter", "routed_by": "boris"}, again):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(update(refunds).values(**values))
    boris.reroute(refund_id, "counter", "no bank account any more")
    his_own = {"state": "approved", "decided_at": now, "approved_by": "boris"}
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(update(refunds).values(**his_own))


def test_req08_a_correction_is_an_entry_that_two_people_stand_for(
    office: Office, anna: RefundDesk, boris: RefundDesk, account_id: int
) -> None:
    for amount in (-30_00, 5_00):
        asked = anna.ask_correction(
            account_id, amount, cause=Cause.WRONG_READING, reason="the 7 was a 1"
        )
        assert boris.approve(asked.refund_id).state is RefundState.DONE
    assert _balance(office, account_id) == 75_00
    assert _book(office, "billing.adjustments") == -25_00


def test_req08_what_is_overdue_is_listed(
    office: Office, anna: RefundDesk, boris: RefundDesk, account_id: int, clock: Clock
) -> None:
    late = boris.approve(_asked(anna, account_id, 10_00).refund_id)
    anna.ask_correction(
        account_id,
        1,
        cause=Cause.GOODWILL,
        reason="waited long",
        due_at=office.now() + timedelta(days=60),
    )
    assert anna.list(overdue=True) == []
    clock.advance(days=11)
    assert [each.refund_id for each in anna.list(overdue=True)] == [late.refund_id]
    assert len(anna.list()) == 2
    anna.pay(late.refund_id, reference="T1")
    assert anna.list(overdue=True) == []
    assert [each.state for each in anna.list(states=(), account_id=account_id)] == [
        RefundState.PAID,
        RefundState.ASKED,
    ]
    with pytest.raises(BadEntryError):
        anna.ask_correction(
            account_id, 1, cause=Cause.OTHER, reason="x", due_at=office.now() - timedelta(days=1)
        )


def test_req08_causes_are_counted_by_month(
    anna: RefundDesk, boris: RefundDesk, account_id: int, clock: Clock
) -> None:
    clock.now = datetime(2026, 1, 31, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai
    boris.approve(_asked(anna, account_id, 10_00).refund_id)
    _asked(anna, account_id, 10_00)
    clock.advance(minutes=2)
    correction = anna.ask_correction(
        account_id, -3_00, cause=Cause.WRONG_TARIFF, reason="night was day"
    )
    boris.approve(correction.refund_id)
    year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert anna.causes(*year) == [
        CauseOfMonth("2026-01", "paid_twice", 2, 1, 10_00),
        CauseOfMonth("2026-02", "wrong_tariff", 1, 1, 3_00),
    ]


def test_the_database_wants_two_people_and_keeps_states(
    office: Office, anna: RefundDesk, account_id: int
) -> None:
    refund = _asked(anna, account_id)
    now = office.now()
    for values in (
        {"state": "approved", "entered_at": now, "decided_at": now, "approved_by": "anna"},
        {"state": "paid", "paid_at": now, "paid_by": "x", "paid_reference": "x"},
    ):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(update(refunds).values(**values))
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(refunds.delete())
    assert anna.refund(refund.refund_id).state is RefundState.ASKED


def test_req29_refunds_need_rights_and_sense(
    office: Office, anna: RefundDesk, account_id: int
) -> None:
    clerk = RefundDesk(office.acting(Person("carl", frozenset({Right.LOOK, Right.SERVE}))))
    asked = _asked(clerk, account_id)
    with pytest.raises(RightMissingError):
        clerk.approve(asked.refund_id)
    with pytest.raises(UnknownRefundError) as refused:
        anna.approve(asked.refund_id + 1)
    assert refused.value.code == "unknown_refund"
    with pytest.raises(BadEntryError):
        _asked(anna, account_id, 0)
    with pytest.raises(UnknownChannelError):
        anna.ask(account_id, 1, channel="smoke", cause=Cause.OTHER, reason="x")
