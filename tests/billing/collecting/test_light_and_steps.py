"""Steps after the light has come back, and notices for which there is no time (21, 22, 23)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing.collecting.plan import PlanState
from billing.collecting.plans import PlanDesk
from billing.office import Office
from billing.person import Person
from billing.prepaid.cuts import CutState, cuts_of, move_cut, orders_of
from headend.orders.moves import find_order
from headend.orders.placing import take_back
from headend.orders.tables import disconnect_windows
from tests.billing.collecting.debtors import (
    MONDAY,
    cases_of,
    make_customer,
    owe,
    pay,
    run_days,
    steps_taken,
    told,
    watched,
)
from tests.shop.conftest import Clock


@pytest.fixture
def debtor_office(office: Office, clock: Clock) -> Office:
    clock.now = MONDAY
    return watched(office).acting(Person("anna"))


def dark_debtor(office: Office, clock: Clock) -> int:
    """Somebody who is disconnected for 100.00, and whose light is on its way back."""
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    run_days(office, clock, 60)
    assert cases_of(office, account_id)[0].last_step == "disconnect"
    with office.writing() as connection:
        assert office.station is not None
        [cut] = cuts_of(connection, account_id)
        [trip] = orders_of(connection, cut.cut_id)
        order = find_order(connection, trip.order_id, lock=True)
        take_back(connection, office.station, None, order, "opened by hand")
    move(office, account_id, CutState.DARK)
    move(office, account_id, CutState.RECONNECTING)
    return account_id


def move(office: Office, account_id: int, to: CutState) -> None:
    """As the head-end's orders would have it."""
    with office.writing() as connection:
        [cut, *_] = cuts_of(connection, account_id)
        move_cut(connection, cut, to, "seen on the meter", office.now())


def test_req23_a_broken_plan_leads_back_to_the_disconnect(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = dark_debtor(office, clock)
    plan = PlanDesk(office).ask(account_id, parts=2, reason="asked")
    assert plan.state is PlanState.ACTIVE
    move(office, account_id, CutState.LIT)
    lit_at = clock.now
    run_days(office, clock, 90)
    assert PlanDesk(office).show(plan.plan_id).state is PlanState.BROKEN
    steps = [(step, day) for step, day in steps_taken(office, account_id, lit_at) if day >= 0]
    assert [step for step, _ in steps] == ["disconnect_notice", "disconnect"]
    assert steps[1][1] - steps[0][1] >= 7, "announced as far ahead as the first time"


def test_req21_who_has_light_for_half_of_the_debt_still_owes_the_other_half(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = dark_debtor(office, clock)
    owe(office, account_id, 100_00)
    pay(office, account_id, 100_00)
    move(office, account_id, CutState.LIT)
    lit_at = clock.now
    run_days(office, clock, 60)
    steps = [(step, day) for step, day in steps_taken(office, account_id, lit_at) if day >= 0]
    assert [step for step, _ in steps] == ["disconnect_notice", "disconnect"]
    assert steps[0][1] >= 6, "some days in peace"


def test_req21_no_disconnect_is_announced_for_a_time_at_which_there_is_none(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    with office.writing() as connection:
        connection.execute(disconnect_windows.delete())
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    run_days(office, clock, 60)
    [case] = cases_of(office, account_id)
    assert told(office, account_id)[-1] == "formal_notice"
    assert case.announced_at is None
    assert case.held_because is not None
    assert "window" in case.held_because
    assert case.next_at is not None
    assert case.next_at <= clock.now + timedelta(days=1)
