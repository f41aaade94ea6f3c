"""The end of an account (requirement 3), and one customer after another at a service point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from billing.accounts.closing import CloseRequest
from billing.accounts.desk import AccountDesk
from billing.accounts.faults import (
    AccountStateError,
    ClosingStateError,
    PointTakenError,
    SettledSinceError,
)
from billing.accounts.supplying import NewSupply
from billing.accounts.sweep import sweep
from billing.accounts.tables import customer_accounts, supplies
from billing.accounts.values import Closing, ClosingState
from billing.faults import BadEntryError, OfficeRefusedError
from billing.ledger.books import REVENUE
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, post
from billing.notices.tables import notices
from billing.office import Office
from billing.payments.refunds import RefundDesk
from billing.settlement.tables import settlements
from tests.billing.accounts.desks import (
    SECOND,
    TERMS,
    application,
    desk_of,
    make_point,
    open_account,
    pay,
)
from tests.shop.conftest import Clock


def _settle(office: Office, supply_id: int, until: datetime, amount_minor: int) -> None:
    """One settlement up to a moment, as the room of settlements posts it."""
    with office.writing() as connection:
        row = connection.execute(select(supplies).where(supplies.c.supply_id == supply_id)).one()
        last = connection.execute(
            select(func.max(settlements.c.until), func.max(settlements.c.seq)).where(
                settlements.c.supply_id == supply_id
            )
        ).one()
        connection.execute(
            settlements.insert().values(
                supply_id=supply_id,
                seq=(last[1] or 0) + 1,
                account_id=row.account_id,
                since=last[0] or row.since,
                until=until,
                sign=1,
                energy_wh=0,
                amount_minor=amount_minor,
                tax_minor=0,
                lines="[]",
                readings="{}",
                carried="0",
                settled_at=office.now(),
                settled_by="test",
            )
        )
        entry = Entry(
            row.account_id, EntryKind.ENERGY, -amount_minor, REVENUE, "settlement 1", "energy"
        )
        post(connection, office, [entry])


class Settling:
    """Settlements that wait for a reading until it is there."""

    def __init__(self, amount_minor: int) -> None:
        self.amount_minor = amount_minor
        self.has_reading = False

    def __call__(self, office: Office, supply_ids: Sequence[int]) -> Mapping[int, str]:
        if not self.has_reading:
            return dict.fromkeys(supply_ids, "no final reading of the meter yet")
        for supply_id in supply_ids:
            with office.reading() as connection:
                until = connection.scalar(
                    select(supplies.c.until).where(supplies.c.supply_id == supply_id)
                )
            assert until is not None
            _settle(office, supply_id, until, self.amount_minor)
        return {}


def _supplied(desk: AccountDesk, meter: str) -> tuple[int, str, int]:
    with desk.office.writing() as connection:
        point = make_point(connection, desk.office, meter)
    account_id, number = open_account(desk, point=point, tariff="home", identity=f"ID {meter}")
    (card,) = desk.card(number).supplies
    return account_id, number, card.supply.supply_id


def _pay_out(office: Office, refund_id: int) -> None:
    refunds = RefundDesk(office.acting(SECOND))
    refunds.approve(refund_id)
    refunds.pay(refund_id, reference=f"transfer {refund_id}")


def test_req03_an_account_ends_with_everything_settled_and_given_back(
    office: Office, clock: Clock
) -> None:
    settling = Settling(30_00)
    desk = replace(desk_of(office), settle=settling)
    account_id, number, _supply = _supplied(desk, "3001")
    pay(desk, account_id, 50_00)
    last = office.today() + timedelta(days=2)
    asked = desk.close(number, CloseRequest("moves away", last, "bank"))
    assert (asked.state, asked.ends_at) == (ClosingState.ASKED, office.day_start(last))
    assert sweep(office, settling) == 0
    clock.advance(days=3)
    assert sweep(office, settling) == 1
    (waiting,) = desk.closings()
    assert waiting.state is ClosingState.SETTLING
    assert waiting.waits == "no final reading of the meter yet"
    assert desk.card(number).account.state == "closing"
    settling.has_reading = True
    refunding = desk.proceed(number)
    assert refunding.state is ClosingState.REFUNDING
    assert refunding.refund_minor == 50_00 + TERMS.deposit_minor - 30_00
    assert refunding.refund_due_at == office.now() + timedelta(days=10)
    assert desk.closings(overdue=True) == []
    clock.advance(days=11)
    assert [each.account_id for each in desk.closings(overdue=True)] == [account_id]
    assert refunding.refund_id is not None
    _pay_out(office, refunding.refund_id)
    assert sweep(office) == 1
    card = desk.card(number)
    assert card.account.state == "closed"
    assert set(card.balances.values()) == {0}
    assert card.closing is not None
    assert (card.closing.state, card.closing.waits) == (ClosingState.CLOSED, None)
    assert all(each.supply.until == asked.ends_at for each in card.supplies)
    assert len(desk.entries(number)) >= 6
    with office.reading() as connection:
        told = connection.scalars(select(notices.c.event)).all()
    assert "account_closed" in told


def test_req03_who_owes_is_not_closed_before_it_is_paid(office: Office) -> None:
    settling = Settling(180_00)
    settling.has_reading = True
    desk = replace(desk_of(office), settle=settling)
    account_id, number, _supply = _supplied(desk, "3002")
    with office.writing() as connection:
        connection.execute(update(supplies).values(address_sealed=None))
    closing = _closed_now(desk, number)
    assert closing.state is ClosingState.OWING
    assert "80.00" in (closing.waits or "")
    assert sweep(office) == 0
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(update(customer_accounts).values(state="closed", closed_at=office.now()))
    pay(desk, account_id, 80_00)
    assert sweep(office) == 1
    assert desk.card(number).account.state == "closed"


def _closed_now(desk: AccountDesk, number: str) -> Closing:
    clock = desk.office.clock
    assert isinstance(clock, Clock)
    clock.advance(hours=1)
    return desk.close(number, CloseRequest("moves away", refund_channel="bank"))


def test_req03_what_comes_late_goes_back_too(office: Office) -> None:
    settling = Settling(10_00)
    settling.has_reading = True
    desk = replace(desk_of(office), settle=settling)
    account_id, number, _supply = _supplied(desk, "3003")
    first = _closed_now(desk, number)
    pay(desk, account_id, 5_00)
    assert first.refund_id is not None
    _pay_out(office, first.refund_id)
    assert sweep(office) == 1
    again = desk.card(number).closing
    assert again is not None
    assert (again.state, again.refund_minor) == (ClosingState.REFUNDING, 5_00)
    assert again.refund_id is not None
    _pay_out(office, again.refund_id)
    assert sweep(office) == 1
    assert desk.card(number).account.state == "closed"


def test_req03_a_refund_that_came_back_is_asked_for_again(office: Office) -> None:
    settling = Settling(10_00)
    settling.has_reading = True
    desk = replace(desk_of(office), settle=settling)
    _id, number, _supply = _supplied(desk, "3004")
    first = _closed_now(desk, number)
    with pytest.raises(ClosingStateError):
        desk.refund_again(number, "bank")
    assert first.refund_id is not None
    RefundDesk(office.acting(SECOND)).refuse(first.refund_id, "no such bank account")
    waiting = desk.proceed(number)
    assert "refused" in (waiting.waits or "")
    again = desk.refund_again(number, "counter")
    assert again.refund_id not in (None, first.refund_id)
    assert again.refund_minor == 90_00


def test_req03_a_customer_who_stays_goes_on(office: Office) -> None:
    desk = desk_of(office)
    _id, number, supply_id = _supplied(desk, "3005")
    day = office.today() + timedelta(days=5)
    desk.close(number, CloseRequest("moves", day))
    desk.withdraw_closing(number, "stays")
    card = desk.card(number)
    assert card.account.state == "active"
    old, new = card.supplies
    assert (old.supply.supply_id, old.supply.until) == (supply_id, office.day_start(day))
    assert (new.supply.since, new.supply.until, new.tariff) == (old.supply.until, None, "home")
    assert card.closing is None
    with pytest.raises(ClosingStateError) as refused:
        desk.proceed(number)
    assert refused.value.code == "closing_state"


def test_req03_days_that_are_settled_are_not_closed_away(office: Office, clock: Clock) -> None:
    desk = desk_of(office)
    _id, number, supply_id = _supplied(desk, "3006")
    clock.advance(days=5)
    _settle(office, supply_id, office.now(), 1)
    with pytest.raises(SettledSinceError):
        desk.close(number, CloseRequest("moved", office.today() - timedelta(days=2)))
    with pytest.raises(BadEntryError):
        desk.close(number, CloseRequest(" "))
    assert desk.card(number).account.state == "active"


def test_req04_several_service_points_are_on_one_account(office: Office) -> None:
    desk = desk_of(office)
    account_id, number, _supply = _supplied(desk, "3010")
    with office.writing() as connection:
        second = make_point(connection, office, "3011")
    desk.add_supply(number, NewSupply(second, "shop", address="9 Hill Road"))
    assert [each.point for each in desk.card(number).supplies] == ["point of 3010", second]
    assert [each.account.account_id for each in desk.search("3011")] == [account_id]
    assert desk.search(second)[0].account.number == number
    with pytest.raises(PointTakenError):
        desk.add_supply(number, NewSupply(second, "shop"))


def test_one_moves_out_and_another_moves_in_on_one_day(office: Office, clock: Clock) -> None:
    desk = desk_of(office)
    _out_id, out, supply_id = _supplied(desk, "3020")
    _in_id, in_ = open_account(desk, name="Sun Yu", identity="ID 9999")
    clock.advance(days=2)
    day = office.today()
    new_id = desk.transfer(supply_id, in_, day, close=True)
    with office.reading() as connection:
        rows = connection.execute(select(supplies).order_by(supplies.c.supply_id)).all()
    assert [(each.supply_id, each.until) for each in rows] == [
        (supply_id, office.day_start(day)),
        (new_id, None),
    ]
    assert rows[1].since == rows[0].until
    assert desk.card(out).account.state == "closing"
    assert desk.card(in_).supplies[0].tariff == "home"
    assert desk.opened_card(in_, "test").supplies[0].address == "7 River Street, flat 12"
    with pytest.raises(AccountStateError):
        desk.transfer(new_id, out, day)


def test_an_account_that_is_not_active_yet_gets_no_service_point(office: Office) -> None:
    desk = desk_of(office)
    with office.writing() as connection:
        point = make_point(connection, office, "3030")
    applied = desk.apply(application())
    with pytest.raises(AccountStateError):
        desk.add_supply(applied.number, NewSupply(point, "home"))
    with pytest.raises(AccountStateError):
        desk.close(applied.number, CloseRequest("moved"))


def test_deposit_and_instalments_come_together_at_the_end(office: Office) -> None:
    settling = Settling(10_00)
    settling.has_reading = True
    desk = replace(desk_of(office), settle=settling)
    account_id, number, _supply = _supplied(desk, "3040")
    with office.writing() as connection:
        moves = [
            Entry(account_id, EntryKind.PLAN, 40_00, "billing.between_purses", "plan 1", "plan"),
            Entry(
                account_id,
                EntryKind.PLAN,
                -40_00,
                "billing.between_purses",
                "plan 1",
                "plan",
                Purse.PLAN,
            ),
        ]
        post(connection, office, moves)
    closing = _closed_now(desk, number)
    assert closing.refund_minor == 100_00 - 10_00  # the plan's 40.00 was lent, and is taken back
    with office.reading() as connection:
        assert balance(connection, account_id, Purse.PLAN) == 0
        assert balance(connection, account_id, Purse.DEPOSIT) == 0
