"""Changes: asked, approved by a second person, applied at a date (requirement 2)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from billing.accounts.changes import ChangeRequest
from billing.accounts.faults import (
    ChangeStateError,
    NoSuchChangeError,
    SecondLookError,
    SettledSinceError,
)
from billing.accounts.looking import agreement_at, contacts_of, tariff_at
from billing.accounts.sweep import sweep
from billing.accounts.tables import account_changes, supplies
from billing.accounts.values import ChangeKind, ChangeState
from billing.faults import BadEntryError, OfficeRefusedError
from billing.office import Office
from billing.settlement.tables import settlements
from tests.billing.accounts.desks import SECOND, desk_of, make_point, open_account
from tests.shop.conftest import Clock


def test_req02_a_name_changes_and_the_old_one_stays_visible(office: Office) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    _id, number = open_account(desk)
    wish = ChangeRequest(ChangeKind.NAME, {"name": "Li Wei-Ming"}, "married")
    change_id = desk.ask_change(number, wish)
    with pytest.raises(SecondLookError) as refused:
        desk.approve_change(change_id)
    assert refused.value.code == "second_look"
    assert [each.change_id for each in desk.changes(waiting=True)] == [change_id]
    done = second.approve_change(change_id)
    assert (done.state, done.asked_by, done.approved_by) == (ChangeState.APPLIED, "Wang", "Chen")
    assert (done.old, done.new) == ("name: L** W**", "name: L** W**")
    (opened,) = desk.opened_changes(number, "asked by the customer")
    assert (opened.old, opened.new) == ("name: Li Wei", "name: Li Wei-Ming")
    assert desk.opened_card(number, "asked").name == "Li Wei-Ming"
    assert len(desk.search("li wei-ming")) == 1
    assert desk.search("Li Wei") == []
    with office.reading() as connection:
        row = connection.execute(select(account_changes)).one()
    assert row.old_value is None
    assert b"Li Wei" not in bytes(row.old_sealed) + bytes(row.new_sealed)
    with pytest.raises(ChangeStateError) as ended:
        second.approve_change(change_id)
    assert ended.value.code == "change_state"


def test_req02_the_log_is_never_changed(office: Office) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    _id, number = open_account(desk)
    wish = ChangeRequest(ChangeKind.LANGUAGE, {"language": "zh"}, "asked")
    second.approve_change(desk.ask_change(number, wish))
    for statement in (
        delete(account_changes),
        update(account_changes).values(asked_by="another"),
        update(account_changes).values(new_value="{}"),
        update(account_changes).values(state="asked", ended_at=None),
        update(account_changes).values(approved_by="another"),
    ):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(statement)


def test_req02_a_contact_changes_and_what_was_sent_was_sent_to_the_old_one(office: Office) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    account_id, number = open_account(desk)
    (old,) = desk.opened_card(number, "test").contacts
    wish = ChangeRequest(
        ChangeKind.CONTACT_CHANGE,
        {"phone": "0086 139 0000 1111"},
        "new phone",
        contact_id=old.contact_id,
    )
    second.approve_change(desk.ask_change(number, wish))
    (new,) = desk.opened_card(number, "test").contacts
    assert new.contact_id != old.contact_id
    assert (new.phone, new.email, new.name) == ("+8613900001111", old.email, old.name)
    assert [each.account.number for each in desk.search("+86 139-0000-1111")] == [number]
    assert desk.search("+8613800138000") == []
    (log,) = desk.opened_changes(number, "test")
    assert log.old == "phone: +8613800138000"
    add = ChangeRequest(
        ChangeKind.CONTACT_ADD, {"name": "Zhao Min", "role": "accountant"}, "their accountant"
    )
    second.approve_change(desk.ask_change(number, add))
    end = ChangeRequest(ChangeKind.CONTACT_END, {}, "left", contact_id=new.contact_id)
    second.approve_change(desk.ask_change(number, end))
    with office.reading() as connection:
        people = contacts_of(connection, office, account_id)
    assert [(each.role, each.name) for each in people] == [("accountant", "Zhao Min")]
    with pytest.raises(NoSuchChangeError) as refused:
        desk.ask_change(number, end)
    assert refused.value.code == "no_such_change"


def test_req02_a_payment_channel_changes_at_its_date(office: Office, clock: Clock) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    account_id, number = open_account(desk)
    start = office.now()
    wish = ChangeRequest(
        ChangeKind.TERMS,
        {"payment_channel": "bank", "cycle": "monthly"},
        "asked by letter",
        from_at=start + timedelta(days=3),
    )
    approved = second.approve_change(desk.ask_change(number, wish))
    assert approved.state is ChangeState.APPROVED
    assert sweep(office) == 0
    clock.advance(days=3, minutes=5)
    assert sweep(office) == 1
    assert sweep(office) == 0
    with office.reading() as connection:
        before = agreement_at(connection, account_id, start + timedelta(days=2))
        now = agreement_at(connection, account_id, office.now())
    assert (before.version, before.payment_channel, before.cycle) == (1, "counter", "daily")
    assert (now.version, now.payment_channel, now.cycle) == (2, "bank", "monthly")
    assert now.since == start + timedelta(days=3)
    (log,) = desk.changes(number)
    assert log.old == "cycle: daily, payment_channel: counter"


def test_req02_nobody_is_forced_to_prepay(office: Office) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    account_id, number = open_account(desk)
    with pytest.raises(ChangeStateError, match="how the customer"):
        desk.ask_change(number, ChangeRequest(ChangeKind.MODE, {"mode": "prepaid"}, "arrears"))
    wish = ChangeRequest(ChangeKind.MODE, {"mode": "prepaid"}, "asked", consent="signed form 12")
    done = second.approve_change(desk.ask_change(number, wish))
    assert (done.old, done.new, done.consent) == (
        "mode: postpaid",
        "mode: prepaid",
        "signed form 12",
    )
    assert desk.card(number).account.mode == "prepaid"
    with office.reading() as connection:
        assert agreement_at(connection, account_id, office.now()).mode == "prepaid"
    with pytest.raises(ChangeStateError, match="already"):
        desk.ask_change(number, wish)


def test_req02_a_tariff_changes_at_the_start_of_a_day_that_is_not_settled(
    office: Office, clock: Clock
) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    with office.writing() as connection:
        point = make_point(connection, office, "2001")
    account_id, number = open_account(desk, point=point, tariff="home")
    (card,) = desk.card(number).supplies
    supply_id = card.supply.supply_id
    later = office.day_start(office.today() + timedelta(days=2))
    wish = ChangeRequest(
        ChangeKind.TARIFF, {"tariff": "shop"}, "opens a shop", later, supply_id=supply_id
    )
    second.approve_change(desk.ask_change(number, wish))
    with office.reading() as connection:
        assert tariff_at(connection, supply_id, later - timedelta(seconds=1)) == "home"
        assert tariff_at(connection, supply_id, later) == "shop"
    noon = ChangeRequest(
        ChangeKind.TARIFF, {"tariff": "x"}, "r", later + timedelta(hours=12), supply_id=supply_id
    )
    with pytest.raises(BadEntryError, match="start of a day"):
        desk.ask_change(number, noon)
    with office.writing() as connection:
        since = connection.scalar(select(supplies.c.since))
        connection.execute(
            settlements.insert().values(
                supply_id=supply_id,
                seq=1,
                account_id=account_id,
                since=since,
                until=later + timedelta(days=9),
                sign=1,
                energy_wh=0,
                amount_minor=0,
                tax_minor=0,
                lines="[]",
                readings="{}",
                carried="0",
                settled_at=office.now(),
                settled_by="test",
            )
        )
    clock.advance(days=3)
    past = ChangeRequest(
        ChangeKind.TARIFF,
        {"tariff": "y"},
        "r",
        later + timedelta(days=1),
        supply_id=supply_id,
    )
    with pytest.raises(SettledSinceError) as refused:
        desk.ask_change(number, past)
    assert refused.value.code == "settled_since"


def test_req02_what_cannot_be_applied_any_more_has_failed(office: Office, clock: Clock) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    _id, number = open_account(desk)
    (contact,) = desk.card(number).contacts
    for reason in ("one", "two"):
        wish = ChangeRequest(
            ChangeKind.CONTACT_END,
            {},
            reason,
            office.now() + timedelta(hours=1),
            contact_id=contact.contact_id,
        )
        second.approve_change(desk.ask_change(number, wish))
    clock.advance(hours=2)
    assert sweep(office) == 2
    two, one = desk.changes(number)
    assert (one.state, two.state) == (ChangeState.APPLIED, ChangeState.FAILED)
    assert "ended" in (two.words or "")


def test_a_change_is_refused_or_taken_back(office: Office) -> None:
    desk, second = desk_of(office), desk_of(office, SECOND)
    _id, number = open_account(desk)
    wish = ChangeRequest(ChangeKind.CLASS, {"class": "commercial"}, "a shop now")
    one, two = desk.ask_change(number, wish), desk.ask_change(number, wish)
    second.refuse_change(one, "no proof")
    desk.withdraw_change(two, "mistake")
    states = {each.change_id: (each.state, each.words) for each in desk.changes(number)}
    assert states[one] == (ChangeState.REFUSED, "no proof")
    assert states[two] == (ChangeState.WITHDRAWN, "mistake")
    with pytest.raises(ChangeStateError):
        second.approve_change(one)
    with pytest.raises(NoSuchChangeError):
        second.approve_change(999)
