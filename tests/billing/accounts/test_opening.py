"""Opening an account: applied for, checked, signed, paid for (requirement 1)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, select, update

from billing.accounts.checks import checked_application, checked_terms
from billing.accounts.desk import AccountDesk
from billing.accounts.faults import (
    AccountStateError,
    PointTakenError,
    SameIdentityError,
)
from billing.accounts.tables import agreements, applications, customer_accounts, customers, supplies
from billing.accounts.values import Terms
from billing.faults import BadEntryError, OfficeRefusedError, RightMissingError
from billing.ledger.entry import Purse
from billing.ledger.posting import balance
from billing.office import Office
from billing.payments.desk import PaymentDesk
from billing.payments.door import take
from billing.payments.payment import Payment, Purpose
from billing.person import Person, Right
from billing.tariffs.faults import UnknownRateError
from storage.audit import audit_lines
from tests.billing.accounts.desks import (
    CLERK,
    SECOND,
    TERMS,
    application,
    desk_of,
    make_point,
    open_account,
    pay,
)


def test_req01_an_account_is_active_when_its_deposit_is_paid(office: Office) -> None:
    desk = desk_of(office)
    with office.writing() as connection:
        point = make_point(connection, office, "1001")
    applied = desk.apply(application(point=point, tariff="home", mode="prepaid"))
    assert desk.card(applied.number).waits == "the application is to be checked"
    desk.check(applied.number)
    assert desk.card(applied.number).waits == "the agreement is to be signed"
    desk.sign(applied.number, TERMS)
    assert "100.00" in (desk.card(applied.number).waits or "")
    pay(desk, applied.account_id, 60_00)
    card = desk.card(applied.number)
    assert (card.account.state, card.balances[Purse.DEPOSIT]) == ("checked", 0)
    pay(desk, applied.account_id, 50_00)
    card = desk.card(applied.number)
    assert card.account.state == "active"
    assert card.balances[Purse.DEPOSIT] == 100_00
    assert card.balances[Purse.CURRENT] == 10_00
    (supply,) = card.supplies
    assert (supply.point, supply.meter, supply.tariff) == (point, "1001", "home")
    assert card.agreement is not None
    assert card.agreement.mode == "prepaid"
    assert card.waits is None


def test_req08_a_first_deposit_that_bounces_is_not_held(office: Office) -> None:
    desk = desk_of(office)
    applied = desk.apply(application())
    desk.check(applied.number)
    desk.sign(applied.number, TERMS)
    for reference, amount_minor in (("1", 40_00), ("2", 70_00), ("3", 20_00)):
        with office.writing() as connection:
            payment = Payment("bank", reference, amount_minor, applied.account_id)
            take(connection, desk.office, payment)
    assert _held(desk, applied.number) == (30_00, 100_00)
    _bounce(office, 3)
    assert _held(desk, applied.number) == (10_00, 100_00), "it came after the deposit was held"
    _bounce(office, 2)
    assert _held(desk, applied.number) == (10_00, 30_00)
    _bounce(office, 1)
    assert _held(desk, applied.number) == (0, 0)
    with office.writing() as connection:
        again = Payment("bank", "4", 110_00, applied.account_id, purpose=Purpose.DEPOSIT)
        take(connection, desk.office, again)
    assert _held(desk, applied.number) == (10_00, 100_00)


def _held(desk: AccountDesk, number: str) -> tuple[int, int]:
    """What is on the account, and its deposit."""
    card = desk.card(number)
    assert card.account.state == "active"
    return card.balances[Purse.CURRENT], card.balances[Purse.DEPOSIT]


def _bounce(office: Office, payment_id: int) -> None:
    PaymentDesk(office.acting(CLERK)).ask_undo(payment_id, "no cover", bounced=True)
    PaymentDesk(office.acting(SECOND)).decide_undo(payment_id, approve=True)


def test_req01_without_a_deposit_the_signature_is_enough(office: Office) -> None:
    desk = desk_of(office)
    applied = desk.apply(application())
    with pytest.raises(AccountStateError) as refused:
        desk.sign(applied.number, Terms())
    assert refused.value.code == "account_state"
    desk.check(applied.number)
    desk.sign(applied.number, Terms())
    assert desk.card(applied.number).account.state == "active"
    with pytest.raises(AccountStateError):
        desk.check(applied.number)
    with pytest.raises(AccountStateError):
        desk.sign(applied.number, Terms())


def test_req01_an_identity_that_is_there_is_found(office: Office) -> None:
    desk = desk_of(office)
    first = desk.apply(application())
    desk.check(first.number)
    again = desk.apply(application(name="Someone Else", identity="11010119900307123X"))
    found = desk.look_again(again.number)
    assert found.their_accounts == (first.number,)
    with pytest.raises(SameIdentityError, match=first.number) as refused:
        desk.check(again.number)
    assert refused.value.code == "same_identity"
    desk.check(again.number, same_customer=True)
    one, two = desk.card(first.number).account, desk.card(again.number).account
    assert one.customer_id == two.customer_id
    assert len(desk.search("110101 19900307 123X")) == 2
    assert desk.search("Someone Else") == []


def test_req01_the_database_keeps_one_checked_customer_for_an_identity(office: Office) -> None:
    desk = desk_of(office)
    desk.check(desk.apply(application()).number)
    desk.apply(application())
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(
            update(customers)
            .where(customers.c.checked_at.is_(None))
            .values(checked_at=office.now())
        )


def test_req01_an_application_is_rejected_with_a_reason(office: Office) -> None:
    desk = desk_of(office)
    applied = desk.apply(application())
    with pytest.raises(BadEntryError):
        desk.reject(applied.number, " ")
    desk.reject(applied.number, "no such street")
    assert desk.card(applied.number).account.state == "rejected"
    with office.reading() as connection:
        row = connection.execute(select(applications)).one()
    assert (row.decision, row.reason, row.decided_by) == ("rejected", "no such street", "Wang")
    with pytest.raises(AccountStateError):
        desk.check(applied.number)


def test_a_service_point_is_on_one_account(office: Office) -> None:
    desk = desk_of(office)
    with office.writing() as connection:
        point = make_point(connection, office, "1002")
    _id, number = open_account(desk, point=point, tariff="home")
    other = desk.apply(application(identity="OTHER 1", point=point, tariff="home"))
    with pytest.raises(PointTakenError, match=number) as refused:
        desk.check(other.number)
    assert refused.value.code == "point_taken"
    with pytest.raises(PointTakenError, match="no service point"):
        desk.apply(application(point="nowhere", tariff="home"))
    with pytest.raises(UnknownRateError):
        desk.apply(application(point=point, tariff="hmoe"))


def test_a_point_that_was_taken_meanwhile_costs_no_payment(office: Office) -> None:
    desk = desk_of(office)
    with office.writing() as connection:
        point = make_point(connection, office, "1003")
    waiting = desk.apply(application(point=point, tariff="home"))
    desk.check(waiting.number)
    desk.sign(waiting.number, TERMS)
    with office.writing() as connection:  # by another way than the desk, which would refuse it
        account_id, _number = waiting.account_id, waiting.number
        point_id = connection.scalar(select(applications.c.point_id))
        connection.execute(
            supplies.insert().values(account_id=account_id, point_id=point_id, since=office.now())
        )
    pay(desk, account_id, 100_00)
    card = desk.card(waiting.number)
    assert card.account.state == "active"
    assert "on account" in (card.waits or "")
    with office.reading() as connection:
        assert balance(connection, account_id, Purse.DEPOSIT) == 100_00


def test_states_follow_each_other_in_one_order_only(office: Office) -> None:
    desk = desk_of(office)
    open_account(desk)
    for state in ("applied", "checked", "rejected"):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(
                update(customer_accounts).values(
                    state=state, closed_at=office.now() if state == "rejected" else None
                )
            )


def test_req03_nothing_is_ever_deleted(office: Office) -> None:
    open_account(desk_of(office))
    for table in (customers, customer_accounts, agreements, applications):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(delete(table))


def test_the_trail_says_who_and_nothing_personal(office: Office) -> None:
    open_account(desk_of(office))
    with office.reading() as connection:
        lines = connection.execute(select(audit_lines)).all()
    acts = [each.action for each in lines if each.action.startswith("account.")]
    assert acts == ["account.apply", "account.check", "account.sign", "account.activate"]
    assert all(each.actor == CLERK.name for each in lines if each.action in acts)
    assert not any(word in str(lines) for word in ("Li Wei", "River", "1990", "138"))


def test_req29_opening_takes_the_right_to_serve(office: Office) -> None:
    with pytest.raises(RightMissingError) as refused:
        desk_of(office, Person("guest", frozenset({Right.LOOK}))).apply(application())
    assert refused.value.code == "right_missing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"identity": "12"},
        {"address": ""},
        {"mode": "later"},
        {"customer_class": "x"},
        {"channel": "a b"},
        {"language": "english"},
        {"kind": "cat"},
        {"point": "p"},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BadEntryError) as refused:
        checked_application(application(**wrong))
    assert "Li Wei" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cycle": "yearly"},
        {"bill_day": 29},
        {"due_days": 0},
        {"payment_channel": ""},
        {"warn_minor": 1, "floor_minor": 2},
        {"deposit_minor": -1},
        {"deposit_minor": 10**16},
    ],
)
def test_terms_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadEntryError):
        checked_terms(Terms(**wrong))
