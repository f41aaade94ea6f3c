"""Money that comes, or is owed in parts, while an account ends (requirements 3 and 23)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from billing.accounts.closing import CloseRequest, ask, closing_of, proceed
from billing.accounts.rules import set_rules
from billing.accounts.sweep import sweep
from billing.accounts.values import AccountRules, ClosingState
from billing.accounts.watcher import ClosedWatcher
from billing.collecting.plan import PlanState
from billing.collecting.plan_calling import call_instalments
from billing.collecting.plans import PlanDesk
from billing.ledger.books import REVENUE
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, post
from billing.office import Office
from billing.payments.door import take
from billing.payments.faults import ChannelClosedError, SecondPersonError
from billing.payments.payment import Payment, Purpose
from billing.payments.refund import Cause
from billing.payments.refunds import RefundDesk
from billing.payments.tables import payment_channels
from billing.person import Person
from tests.billing.made import make_account
from tests.shop.conftest import Clock


def _account(office: Office, *, deposit_minor: int = 0) -> int:
    with office.writing() as connection:
        return make_account(connection, office, deposit_minor=deposit_minor)


def _owe(office: Office, account_id: int, amount_minor: int) -> None:
    entry = Entry(account_id, EntryKind.ENERGY, -amount_minor, REVENUE, "settlement 1", "energy")
    with office.writing() as connection:
        post(connection, office, [entry])


def _pay(
    office: Office,
    account_id: int,
    amount_minor: int,
    reference: str,
    purpose: Purpose = Purpose.ACCOUNT,
) -> None:
    payment = Payment("bank", reference, amount_minor, account_id, purpose=purpose)
    with office.writing() as connection:
        take(connection, office, payment)


def _close(office: Office, account_id: int) -> ClosingState:
    with office.writing() as connection:
        ask(connection, office, account_id, CloseRequest("moves away"))
    return proceed(office, account_id).state


def _held(office: Office, account_id: int) -> list[int]:
    with office.reading() as connection:
        return [balance(connection, account_id, purse) for purse in Purse]


def test_req23_a_plan_ends_with_the_account_and_is_not_charged_once_more(
    office: Office, clock: Clock
) -> None:
    account_id = _account(office)
    _owe(office, account_id, 100_00)
    plan = PlanDesk(office).ask(account_id, parts=4, reason="a hard winter")
    assert _close(office, account_id) is ClosingState.OWING
    assert _held(office, account_id) == [-100_00, 0, 0]
    assert PlanDesk(office).show(plan.plan_id).state is PlanState.ENDED
    _pay(office, account_id, 100_00, "1")
    assert proceed(office, account_id).state is ClosingState.CLOSED
    clock.now += timedelta(days=200)
    assert call_instalments(office) == 0
    assert _held(office, account_id) == [0, 0, 0]


def test_req23_a_plan_that_waits_for_a_second_person_is_refused_when_the_account_ends(
    office: Office,
) -> None:
    account_id = _account(office)
    _owe(office, account_id, 100_000_00)
    plan = PlanDesk(office).ask(account_id, parts=4, reason="a hard winter")
    assert plan.state is PlanState.ASKED
    _close(office, account_id)
    assert PlanDesk(office).show(plan.plan_id).state is PlanState.REFUSED


def test_req23_what_is_owed_at_the_end_is_paid_by_instalments(office: Office, clock: Clock) -> None:
    account_id = _account(office)
    _owe(office, account_id, 100_00)
    assert _close(office, account_id) is ClosingState.OWING
    PlanDesk(office).ask(account_id, parts=2, reason="a hard winter")
    assert sweep(office) == 0
    found = proceed(office, account_id)
    assert (found.state, found.waits) == (
        ClosingState.OWING,
        "the customer pays 100.00 by instalments",
    )
    clock.now += timedelta(days=200)
    call_instalments(office)
    _pay(office, account_id, 100_00, "1")
    sweep(office)
    assert proceed(office, account_id).state is ClosingState.CLOSED


def test_req03_no_deposit_is_asked_of_who_leaves(office: Office) -> None:
    account_id = _account(office, deposit_minor=100_00)
    _pay(office, account_id, 100_00, "1", Purpose.DEPOSIT)
    _owe(office, account_id, 150_00)
    assert _close(office, account_id) is ClosingState.OWING
    _pay(office, account_id, 50_00, "2", Purpose.DEPOSIT)
    assert _held(office, account_id) == [0, 0, 0]
    assert proceed(office, account_id).state is ClosingState.CLOSED


def test_req03_a_deposit_that_came_after_the_end_goes_to_the_rest(office: Office) -> None:
    account_id = _account(office)
    _owe(office, account_id, 50_00)
    assert _close(office, account_id) is ClosingState.OWING
    words, source = "deposit", "payment 0"
    moved = [
        Entry(account_id, EntryKind.DEPOSIT, sign * 50_00, "billing.between_purses", source, words,
              purse)
        for sign, purse in ((-1, Purse.CURRENT), (1, Purse.DEPOSIT))
    ]  # fmt: skip
    with office.writing() as connection:
        post(connection, office, moved)
    _pay(office, account_id, 50_00, "1")
    assert proceed(office, account_id).state is ClosingState.CLOSED


def test_req08_who_closes_an_account_does_not_approve_its_refund(office: Office) -> None:
    account_id = _account(office)
    _pay(office, account_id, 80_00, "1")
    one = office.acting(Person("ann"))
    with one.writing() as connection:
        ask(connection, one, account_id, CloseRequest("moves away", refund_channel="alipay"))
    sweep(office)  # nobody's hand: it was she who has asked
    with office.reading() as connection:
        refund_id = closing_of(connection, account_id).refund_id
    assert refund_id is not None
    with pytest.raises(SecondPersonError):
        RefundDesk(one).approve(refund_id)
    assert RefundDesk(office.acting(Person("bob"))).approve(refund_id).asked_by == "ann"


def test_req03_what_is_put_right_after_the_end_is_given_back(office: Office) -> None:
    office = replace(office, watchers=(ClosedWatcher(),))
    account_id = _account(office)
    refunds = RefundDesk(office.acting(Person("ann")))
    asked = refunds.ask_correction(account_id, 30_00, cause=Cause.WRONG_READING, reason="misread")
    again = refunds.ask_correction(account_id, -5_00, cause=Cause.WRONG_READING, reason="misread")
    assert _close(office, account_id) is ClosingState.CLOSED
    second = RefundDesk(office.acting(Person("bob")))
    second.approve(asked.refund_id)
    assert _held(office, account_id) == [0, 0, 0]
    (refund,) = [each for each in second.list(account_id=account_id) if each.channel]
    assert (refund.amount_minor, refund.channel) == (30_00, "counter")
    second.approve(again.refund_id)
    assert _held(office, account_id) == [-5_00, 0, 0]


def test_req03_who_owes_after_the_end_can_pay(office: Office) -> None:
    office = replace(office, watchers=(ClosedWatcher(),))
    account_id = _account(office, deposit_minor=100_00)
    assert _close(office, account_id) is ClosingState.CLOSED
    _pay(office, account_id, 5_00, "nothing is owed")
    assert _held(office, account_id) == [0, 0, 0], "it waits in suspense"
    _owe(office, account_id, 7_00)
    _pay(office, account_id, 10_00, "what was owed, and more")
    assert _held(office, account_id) == [0, 0, 0]
    (refund,) = RefundDesk(office).list(account_id=account_id)
    assert refund.amount_minor == 3_00


def test_req03_a_correction_after_the_end_does_not_fail_for_a_channel_that_is_shut(
    office: Office,
) -> None:
    office = replace(office, watchers=(ClosedWatcher(),))
    account_id = _account(office)
    _pay(office, _account(office), 1_00, "of another")
    with office.writing() as connection:
        ask(connection, office, account_id, CloseRequest("moves away", refund_channel="bank"))
    assert proceed(office, account_id).state is ClosingState.CLOSED
    _open(office, "bank", is_open=False)
    with office.writing() as connection:
        entry = Entry(account_id, EntryKind.ADJUSTMENT, 7_00, REVENUE, "settlement 2", "energy")
        post(connection, office, [entry])
    assert _held(office, account_id) == [7_00, 0, 0]


def test_req03_a_closing_says_that_its_refund_has_no_channel(office: Office) -> None:
    account_id = _account(office)
    _pay(office, account_id, 30_00, "1")
    _open(office, "bank", is_open=False)
    with office.writing() as connection:
        ask(connection, office, account_id, CloseRequest("moves away", refund_channel="bank"))
    for _ in range(2):
        with pytest.raises(ChannelClosedError):
            proceed(office, account_id)
        with office.reading() as connection:
            found = closing_of(connection, account_id)
        assert found.state is ClosingState.SETTLING
        assert "channel bank is closed" in (found.waits or "")
    _open(office, "bank", is_open=True)
    sweep(office)
    found = proceed(office, account_id)
    assert (found.state, found.refund_minor) == (ClosingState.REFUNDING, 30_00)


def _open(office: Office, channel: str, *, is_open: bool) -> None:
    with office.writing() as connection:
        connection.execute(
            update(payment_channels)
            .where(payment_channels.c.channel == channel)
            .values(state="open" if is_open else "closed")
        )


def test_req08_the_day_of_a_refund_is_that_of_the_rules_for_accounts(
    office: Office, clock: Clock
) -> None:
    office = replace(office, watchers=(ClosedWatcher(),))
    with office.writing() as connection:
        set_rules(connection, office, AccountRules(refund_days=3))
    account_id = _account(office)
    _pay(office, account_id, 80_00, "1")
    with office.writing() as connection:
        ask(connection, office, account_id, CloseRequest("moves away", refund_channel="bank"))
    proceed(office, account_id)
    desk = RefundDesk(office.acting(Person("bob")))
    (refund,) = desk.list()
    with office.reading() as connection:
        assert closing_of(connection, account_id).refund_due_at == refund.due_at
    assert refund.due_at == clock.now + timedelta(days=3)
    clock.advance(days=4)
    assert [each.refund_id for each in desk.list(overdue=True)] == [refund.refund_id]
    desk.approve(refund.refund_id)
    desk.pay(refund.refund_id, reference="transfer 1")
    assert proceed(office, account_id).state is ClosingState.CLOSED
    late = Entry(account_id, EntryKind.ENERGY, 5_00, REVENUE, "settlement 2", "corrected")
    with office.writing() as connection:
        post(connection, office, [late])
    (after,) = desk.list()
    assert after.due_at == clock.now + timedelta(days=3)
