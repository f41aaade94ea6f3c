"""Payments come in by one door, each exactly once (specs/utility.md 5)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, update

from billing.accounts.numbers import account_number
from billing.accounts.tables import customer_accounts
from billing.faults import BadEntryError, OfficeRefusedError, UnknownAccountError
from billing.ledger.books import FEES
from billing.ledger.entry import Entry, EntryKind, Posted, Purse
from billing.ledger.posting import balance, entries_of, post
from billing.notices.tables import notices
from billing.office import Office
from billing.payments.channels import SUSPENSE
from billing.payments.door import take
from billing.payments.faults import PaymentConflictError, UnknownChannelError
from billing.payments.payment import Payment, PaymentState, Purpose, Taken
from billing.payments.tables import payments
from storage.ledger import balances as book_balances
from tests.billing.made import make_account, make_supply


def _take(office: Office, payment: Payment) -> Taken:
    with office.writing() as connection:
        return take(connection, office, payment)


@pytest.fixture
def account_id(office: Office) -> int:
    with office.writing() as connection:
        return make_account(connection, office)


@pytest.mark.parametrize(
    "channel", ["counter", "bank", "alipay", "wechat", "kiosk", "web", "voucher"]
)
def test_req05_every_channel_posts_through_the_same_door_once(
    office: Office, account_id: int, channel: str
) -> None:
    payment = Payment(channel, "ref 1", 50_00, account_id, paid_at=office.now())
    first = _take(office, payment)
    again = _take(office, payment)
    assert first == Taken(first.payment_id, True, 50_00, account_id, PaymentState.POSTED)
    assert again == replace(first, is_new=False)
    with office.reading() as connection:
        entries = entries_of(connection, account_id)
    assert [(each.entry.counter, each.entry.amount_minor) for each in entries] == [
        (f"billing.received.{channel}", 50_00)
    ]


def test_req05_the_same_reference_of_another_channel_is_another_payment(
    office: Office, account_id: int
) -> None:
    _take(office, Payment("alipay", "7", 1_00, account_id))
    assert _take(office, Payment("wechat", "7", 1_00, account_id)).balance_minor == 2_00


@pytest.mark.parametrize(
    "other",
    [
        {"amount_minor": 50_01},
        {"account_id": None, "number": account_number(1)},
        {"purpose": Purpose.DEPOSIT},
        {"paid_at": "later"},
    ],
    ids=str,
)
def test_req05_the_same_reference_with_other_contents_is_refused(
    office: Office, account_id: int, other: dict[str, object]
) -> None:
    payment = Payment("web", "ref 1", 50_00, account_id, paid_at=office.now())
    _take(office, payment)
    if "paid_at" in other:
        other = {"paid_at": office.now() + timedelta(seconds=1)}
    with pytest.raises(PaymentConflictError) as refused:
        _take(office, replace(payment, **other))  # type: ignore[arg-type]
    assert refused.value.code == "payment_conflict"
    with office.reading() as connection:
        assert balance(connection, account_id) == 50_00


def test_req05_a_time_in_another_zone_is_the_same_time(office: Office, account_id: int) -> None:
    payment = Payment("web", "r", 1, account_id, paid_at=office.now())
    _take(office, payment)
    assert payment.paid_at is not None
    local = replace(payment, paid_at=payment.paid_at.astimezone(office.zone))
    assert not _take(office, local).is_new


def test_req05_eight_at_once_post_once(office: Office, account_id: int) -> None:
    payment = Payment("alipay", "2026112200001", 30_00, account_id)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: _take(office, payment), range(8)))
    assert sum(each.is_new for each in taken) == 1
    assert {each.payment_id for each in taken} == {taken[0].payment_id}
    with office.reading() as connection:
        assert balance(connection, account_id) == 30_00


def test_req05_eight_with_the_same_reference_for_eight_accounts_post_once(office: Office) -> None:
    with office.writing() as connection:
        accounts = [make_account(connection, office) for _ in range(8)]

    def attempt(account_id: int) -> bool:
        try:
            return _take(office, Payment("wechat", "x", 30_00, account_id)).is_new
        except PaymentConflictError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, accounts)) == 1
    with office.reading() as connection:
        assert sum(balance(connection, each) for each in accounts) == 30_00


def test_req05_an_account_is_found_by_its_number_or_its_meters(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        make_supply(connection, office, account_id)
    number = account_number(account_id)
    spaced = f"{number[:5]} {number[5:]}"
    assert _take(office, Payment("web", "1", 1_00, number=spaced)).balance_minor == 1_00
    assert _take(office, Payment("web", "2", 1_00, number="00000000001")).balance_minor == 2_00


@pytest.mark.parametrize("case", ["unknown", "closed", "none"])
def test_req05_money_for_no_account_is_kept_in_suspense(office: Office, case: str) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        if case == "closed":
            connection.execute(
                update(customer_accounts)
                .where(customer_accounts.c.account_id == account_id)
                .values(state="closing")
            )
            connection.execute(
                update(customer_accounts)
                .where(customer_accounts.c.account_id == account_id)
                .values(state="closed", closed_at=office.now())
            )
    number = {"unknown": "9999999999", "closed": account_number(account_id), "none": ""}[case]
    payment = Payment("bank", "1", 12_34, number=number)
    taken = _take(office, payment)
    assert (taken.state, taken.account_id) == (PaymentState.SUSPENSE, None)
    assert not _take(office, payment).is_new
    with office.reading() as connection:
        books = {each.account: each.balance_minor for each in book_balances(connection)}
        assert books[SUSPENSE] == 12_34
        assert balance(connection, account_id) == 0


def test_a_deposit_is_served_as_far_as_it_is_asked(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office, deposit_minor=100_00)
    _take(office, Payment("counter", "1", 70_00, account_id, purpose=Purpose.DEPOSIT))
    last = _take(office, Payment("counter", "2", 70_00, account_id, purpose=Purpose.DEPOSIT))
    assert last.balance_minor == 40_00
    _take(office, Payment("counter", "3", 5_00, account_id))
    with office.reading() as connection:
        assert balance(connection, account_id, Purse.DEPOSIT) == 100_00
        assert balance(connection, account_id) == 45_00


def test_watchers_hear_of_a_payment_in_its_transaction(office: Office, account_id: int) -> None:
    class Ear:
        heard: list[Posted] = []  # noqa: RUF012

        def moved(self, connection: object, office: object, posted: Sequence[Posted]) -> None:
            self.heard += posted

    ear = Ear()
    _take(replace(office, watchers=(ear,)), Payment("kiosk", "1", 5, account_id))
    assert [(each.entry.kind, each.balance_minor) for each in ear.heard] == [(EntryKind.PAYMENT, 5)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": 0},
        {"amount_minor": -5},
        {"amount_minor": 1.0},
        {"reference": ""},
        {"reference": "two\nlines"},
        {"reference": "x" * 141},
        {"number": "9" * 65},
    ],
    ids=str,
)
def test_what_is_no_payment_is_refused(
    office: Office, account_id: int, wrong: dict[str, object]
) -> None:
    payment = replace(Payment("web", "r", 1, account_id), **wrong)  # type: ignore[arg-type]
    with pytest.raises(BadEntryError):
        _take(office, payment)


def test_unknown_channels_and_ids_are_refused(office: Office, account_id: int) -> None:
    with pytest.raises(UnknownChannelError) as refused:
        _take(office, Payment("smoke", "r", 1, account_id))
    assert refused.value.code == "unknown_channel"
    with pytest.raises(UnknownAccountError):
        _take(office, Payment("web", "r", 1, account_id + 1))
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(payments)) == 0


def test_a_payment_is_never_changed_or_deleted(office: Office, account_id: int) -> None:
    _take(office, Payment("web", "r", 1, account_id, note="for Li Wei"))
    for act in (
        update(payments).values(amount_minor=2),
        update(payments).values(reference="s"),
        update(payments).values(state="returned", account_id=None),
        payments.delete(),
    ):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(act)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=12))
def test_req05_however_often_they_are_told_payments_add_up(
    office: Office, told: list[tuple[int, int]]
) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
    kept: dict[str, int] = {}
    for which, amount in told:
        reference = f"{account_id}/{which}"
        payment = Payment("alipay", reference, amount, account_id)
        if kept.setdefault(reference, amount) == amount:
            _take(office, payment)
        else:
            with pytest.raises(PaymentConflictError):
                _take(office, payment)
    with office.reading() as connection:
        assert balance(connection, account_id) == sum(kept.values())


def test_req16_the_customer_is_told_of_a_payment_once(office: Office, account_id: int) -> None:
    payment = Payment("kiosk", "1", 5_00, account_id)
    for _ in range(2):
        _take(office, payment)
    with office.reading() as connection:
        told = connection.execute(select(notices)).all()
    assert [(each.event, each.account_id) for each in told] == [("payment_received", account_id)]


def test_the_balance_that_is_answered_is_the_one_after_all_watchers(
    office: Office, account_id: int
) -> None:
    class Collector:
        def moved(self, connection: Connection, office: Office, posted: Sequence[Posted]) -> None:
            for each in posted:
                if each.entry.kind is EntryKind.PAYMENT:
                    fee = Entry(account_id, EntryKind.FEE, -3_00, FEES, "fee 1", "a fee")
                    post(connection, office, [fee])

    watched = replace(office, watchers=(Collector(),))
    assert _take(watched, Payment("web", "1", 50_00, account_id)).balance_minor == 47_00
