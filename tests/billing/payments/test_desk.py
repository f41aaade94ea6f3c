"""Suspense, and payments that were wrong (specs/utility.md 5 and 8)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from billing.accounts.numbers import account_number
from billing.faults import BadEntryError, OfficeRefusedError, RightMissingError, UnknownAccountError
from billing.ledger.entry import EntryKind, Purse
from billing.ledger.posting import balance, entries_of
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.payments.acts import Act
from billing.payments.channels import SUSPENSE
from billing.payments.counter import Counter
from billing.payments.desk import PaymentDesk
from billing.payments.door import take
from billing.payments.faults import (
    CashDoesNotBounceError,
    PaymentStateError,
    SecondPersonError,
    UnknownPaymentError,
)
from billing.payments.payment import Payment, PaymentState, Purpose
from billing.payments.refund import RefundState
from billing.payments.refunds import RefundDesk
from billing.payments.tables import payment_undos
from billing.person import Person, Right
from storage.audit import audit_lines
from storage.ledger import transfers
from tests.billing.made import make_account

ANNA, BORIS = Person("anna"), Person("boris")


def _book(office: Office, account: str) -> int:
    """What stands on an account of the general books: its transfers and its entries."""
    with office.reading() as connection:
        moved = sum(
            connection.scalar(select(func.sum(side)).where(which == account)) or 0
            for side, which in (
                (transfers.c.amount_minor, transfers.c.debit_account),
                (-transfers.c.amount_minor, transfers.c.credit_account),
            )
        )
        entered = connection.scalar(
            select(func.coalesce(func.sum(account_entries.c.amount_minor), 0)).where(
                account_entries.c.counter == account
            )
        )
    return int(moved) + int(entered or 0)


@pytest.fixture
def anna(office: Office) -> PaymentDesk:
    return PaymentDesk(office.acting(ANNA))


@pytest.fixture
def boris(office: Office) -> PaymentDesk:
    return PaymentDesk(office.acting(BORIS))


def _taken(office: Office, payment: Payment) -> int:
    with office.writing() as connection:
        return take(connection, office, payment).payment_id


def _accounts(office: Office, count: int = 2, deposit_minor: int = 0) -> list[int]:
    with office.writing() as connection:
        return [make_account(connection, office, deposit_minor=deposit_minor) for _ in range(count)]


def test_req05_money_in_suspense_is_assigned_by_a_person(office: Office, anna: PaymentDesk) -> None:
    (account_id,) = _accounts(office, 1)
    payment_id = _taken(office, Payment("bank", "1", 12_34, number="1", note="from Li Wei"))
    assert [each.payment_id for each in anna.list(state=PaymentState.SUSPENSE)] == [payment_id]
    assert _book(office, SUSPENSE) == -12_34
    placed = anna.assign(payment_id, account_number(account_id), "the payer called")
    assert (placed.state, placed.account_id) == (PaymentState.POSTED, account_id)
    assert (_book(office, SUSPENSE), _book(office, "billing.received.bank")) == (0, 12_34)
    assert anna.list(state=PaymentState.SUSPENSE) == []
    shown = anna.show(payment_id)
    assert [each.act for each in shown.acts] == [Act.SUSPENDED, Act.ASSIGNED]
    assert shown.note == "from Li Wei"
    looker = Person("guest", frozenset({Right.LOOK}))
    assert PaymentDesk(office.acting(looker)).show(payment_id).note == ""
    with office.reading() as connection:
        opened = connection.execute(
            select(audit_lines).where(audit_lines.c.action == "personal.open")
        ).one()
    assert (opened.subject, opened.detail) == (f"payment {payment_id}", "note")
    with office.reading() as connection:
        assert balance(connection, account_id) == 12_34
    with pytest.raises(PaymentStateError) as refused:
        anna.assign(payment_id, account_number(account_id), "again")
    assert refused.value.code == "payment_state"
    again = Payment("bank", "1", 12_34, number="1")
    with office.writing() as connection:
        assert take(connection, office, again).balance_minor == 12_34


def test_a_deposit_out_of_suspense_is_a_deposit(office: Office, anna: PaymentDesk) -> None:
    (account_id,) = _accounts(office, 1, 10_00)
    payment_id = _taken(office, Payment("bank", "1", 12_34, purpose=Purpose.DEPOSIT))
    anna.assign(payment_id, account_number(account_id), "he called")
    with office.reading() as connection:
        assert balance(connection, account_id, Purse.DEPOSIT) == 10_00
        assert balance(connection, account_id) == 2_34


def test_req05_money_in_suspense_is_sent_back(office: Office, anna: PaymentDesk) -> None:
    payment_id = _taken(office, Payment("alipay", "1", 12_34, number="1"))
    refund_id = anna.send_back(payment_id, "nobody knows the payer")
    assert (_book(office, SUSPENSE), _book(office, "billing.refunds")) == (0, -12_34)
    assert anna.show(payment_id).payment.state is PaymentState.RETURNED
    RefundDesk(office.acting(BORIS)).approve(refund_id)
    paid = RefundDesk(office.acting(ANNA)).pay(refund_id, reference="back 1")
    assert paid.state is RefundState.PAID
    assert (_book(office, "billing.refunds"), _book(office, "billing.received.alipay")) == (0, 0)


@pytest.mark.parametrize("number", ["9999999999", ""])
def test_money_is_not_assigned_to_nobody(office: Office, anna: PaymentDesk, number: str) -> None:
    payment_id = _taken(office, Payment("bank", "1", 12_34))
    with pytest.raises(UnknownAccountError):
        anna.assign(payment_id, number, "guess")
    with pytest.raises(BadEntryError):
        anna.assign(payment_id, "1", " ")
    with pytest.raises(UnknownPaymentError) as refused:
        anna.assign(payment_id + 1, number, "guess")
    assert refused.value.code == "unknown_payment"


def test_req08_a_bounced_payment_is_reversed_by_two_people(
    office: Office, anna: PaymentDesk, boris: PaymentDesk
) -> None:
    (account_id,) = _accounts(office, 1)
    payment_id = _taken(office, Payment("bank", "1", 50_00, account_id))
    anna.ask_undo(payment_id, "debit returned by the bank", bounced=True)
    with pytest.raises(SecondPersonError) as refused:
        anna.decide_undo(payment_id, approve=True)
    assert refused.value.code == "payment_second_person"
    assert [each.payment_id for each in boris.undos()] == [payment_id]
    undone = boris.decide_undo(payment_id, approve=True)
    assert undone.state is PaymentState.UNDONE
    with office.reading() as connection:
        entries = entries_of(connection, account_id)
    assert [(each.entry.kind, each.entry.reverses_seq, each.balance_minor) for each in entries] == [
        (EntryKind.PAYMENT, None, 50_00),
        (EntryKind.PAYMENT_UNDONE, 1, 0),
    ]
    assert _book(office, "billing.received.bank") == 0
    for again in (anna.ask_undo, boris.ask_undo):
        with pytest.raises(PaymentStateError):
            again(payment_id, "again", bounced=True)
    with office.writing() as connection:
        assert not take(connection, office, Payment("bank", "1", 50_00, account_id)).is_new


def test_req08_a_payment_for_another_account_is_moved(
    office: Office, anna: PaymentDesk, boris: PaymentDesk
) -> None:
    wrong, right = _accounts(office, 2, 30_00)
    payment_id = _taken(office, Payment("web", "1", 50_00, wrong, purpose=Purpose.DEPOSIT))
    undo = anna.ask_undo(
        payment_id, "typed a wrong digit", bounced=False, to_number=account_number(right)
    )
    assert undo.to_number == account_number(right)
    moved = boris.decide_undo(payment_id, approve=True)
    assert (moved.state, moved.account_id) == (PaymentState.POSTED, right)
    with office.reading() as connection:
        assert [
            balance(connection, each, purse)
            for each in (wrong, right)
            for purse in (Purse.CURRENT, Purse.DEPOSIT)
        ] == [0, 0, 20_00, 30_00]
    assert _book(office, "billing.received.web") == 50_00


def test_req08_a_payment_of_nobody_known_goes_into_suspense(
    office: Office, anna: PaymentDesk, boris: PaymentDesk
) -> None:
    wrong, right = _accounts(office)
    payment_id = _taken(office, Payment("web", "1", 50_00, wrong))
    anna.ask_undo(payment_id, "he never paid this", bounced=False)
    assert boris.decide_undo(payment_id, approve=True).state is PaymentState.SUSPENSE
    assert _book(office, SUSPENSE) == -50_00
    anna.assign(payment_id, account_number(right), "found the payer")
    assert _book(office, SUSPENSE) == 0
    with office.reading() as connection:
        assert (balance(connection, wrong), balance(connection, right)) == (0, 50_00)


def test_money_in_suspense_may_bounce(
    office: Office, anna: PaymentDesk, boris: PaymentDesk
) -> None:
    payment_id = _taken(office, Payment("bank", "1", 50_00))
    anna.ask_undo(payment_id, "the bank took it back", bounced=True)
    assert boris.decide_undo(payment_id, approve=True).state is PaymentState.UNDONE
    assert (_book(office, SUSPENSE), _book(office, "billing.received.bank")) == (0, 0)


def test_a_refused_undo_changes_nothing(
    office: Office, anna: PaymentDesk, boris: PaymentDesk
) -> None:
    (account_id,) = _accounts(office, 1)
    payment_id = _taken(office, Payment("web", "1", 50_00, account_id))
    anna.ask_undo(payment_id, "I think", bounced=True)
    with pytest.raises(PaymentStateError):
        boris.ask_undo(payment_id, "me too", bounced=True)
    assert boris.decide_undo(payment_id, approve=False).state is PaymentState.POSTED
    with pytest.raises(PaymentStateError):
        boris.decide_undo(payment_id, approve=True)
    with office.reading() as connection:
        assert balance(connection, account_id) == 50_00


def test_cash_does_not_bounce(office: Office, anna: PaymentDesk) -> None:
    (account_id,) = _accounts(office, 1)
    taken = Counter(office.acting(ANNA)).take(Payment("counter", "1", 50_00, account_id))
    with pytest.raises(CashDoesNotBounceError) as refused:
        anna.ask_undo(taken.payment_id, "oh", bounced=True)
    assert refused.value.code == "cash_does_not_bounce"


def test_the_database_wants_two_people(office: Office, anna: PaymentDesk) -> None:
    (account_id,) = _accounts(office, 1)
    payment_id = _taken(office, Payment("web", "1", 50_00, account_id))
    anna.ask_undo(payment_id, "I think", bounced=True)
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(
            update(payment_undos).values(state="done", decided_at=office.now(), approved_by="anna")
        )


def test_req29_payments_need_rights(office: Office) -> None:
    (account_id,) = _accounts(office, 1)
    payment_id = _taken(office, Payment("web", "1", 50_00))
    guest = PaymentDesk(office.acting(Person("guest", frozenset({Right.LOOK}))))
    with pytest.raises(RightMissingError):
        guest.assign(payment_id, account_number(account_id), "x")
    with pytest.raises(RightMissingError):
        guest.send_back(payment_id, "x")
    with pytest.raises(RightMissingError):
        guest.decide_undo(payment_id, approve=True)
    with pytest.raises(RightMissingError):
        PaymentDesk(office.acting(replace(ANNA, rights=frozenset()))).list()
