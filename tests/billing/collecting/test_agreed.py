"""Instalment plans, later due dates, write-offs (requirement 23)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from billing.collecting.ageing import open_items
from billing.collecting.cases import ActKind, CaseState, Outcome
from billing.collecting.deferring import DeferralDesk
from billing.collecting.faults import (
    NothingOwedError,
    OtherPersonError,
    PlanError,
    PlanStateError,
    UnknownPlanError,
)
from billing.collecting.plan import PlanState
from billing.collecting.plan_ending import end_with_account
from billing.collecting.plans import PlanDesk, divided
from billing.collecting.score import score
from billing.collecting.sweeping import sweep
from billing.collecting.tables import instalment_plans
from billing.collecting.writing_off import WriteOffDesk
from billing.faults import BadEntryError, OfficeRefusedError, RightMissingError
from billing.ledger.entry import Purse
from billing.ledger.posting import balance, lock
from billing.office import Office
from billing.person import Person, Right
from tests.billing.collecting.debtors import (
    MONDAY,
    acts_in,
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

ANNA, BO = Person("anna"), Person("bo")


@pytest.fixture
def desk_office(office: Office, clock: Clock) -> Office:
    clock.now = MONDAY
    return watched(office).acting(ANNA)


def purses(office: Office, account_id: int) -> tuple[int, int]:
    with office.reading() as connection:
        current = balance(connection, account_id)
        return current, balance(connection, account_id, Purse.PLAN)


def debtor(office: Office, clock: Clock, amount_minor: int = 300_00) -> int:
    """Somebody who was reminded once."""
    account_id = make_customer(office)
    owe(office, account_id, amount_minor)
    run_days(office, clock, 3)
    return account_id


def test_req23_a_plan_that_is_kept_ends_the_case(desk_office: Office, clock: Clock) -> None:
    office = desk_office
    account_id = debtor(office, clock)
    plan = PlanDesk(office).ask(account_id, parts=3, reason="lost his job")
    assert (plan.state, plan.left_minor) == (PlanState.ACTIVE, 300_00)
    assert purses(office, account_id) == (0, -300_00)
    assert cases_of(office, account_id)[0].state is CaseState.PAUSED
    for part in plan.parts:
        clock.now = part.call_at + timedelta(hours=5)
        sweep(office)
        sweep(office)
        with office.reading() as connection:
            [item] = open_items(connection, account_id)
        assert (item.open_minor, item.due_at) == (100_00, part.due_at)
        clock.advance(days=2)
        pay(office, account_id, 100_00)
    clock.advance(days=10)
    sweep(office)
    [case] = cases_of(office, account_id)
    assert case.outcome is Outcome.PLAN_KEPT
    assert PlanDesk(office).show(plan.plan_id).state is PlanState.KEPT
    assert purses(office, account_id) == (0, 0)
    assert told(office, account_id) == ["reminder", "plan_agreed"]


def test_req23_a_broken_plan_goes_back_to_its_step(desk_office: Office, clock: Clock) -> None:
    office = desk_office
    account_id = debtor(office, clock)
    plan = PlanDesk(office).ask(account_id, parts=3, reason="lost his job")
    clock.now = plan.parts[0].due_at + timedelta(days=9)
    sweep(office)
    assert PlanDesk(office).show(plan.plan_id).state is PlanState.ACTIVE
    clock.advance(days=1)
    sweep(office)
    assert PlanDesk(office).show(plan.plan_id).state is PlanState.BROKEN
    assert purses(office, account_id) == (-300_00, 0)
    since = clock.now
    run_days(office, clock, 2)
    [case] = cases_of(office, account_id)
    assert case.state is CaseState.OPEN
    assert ActKind.RESUMED in [act.act for act in acts_in(office, case.case_id)]
    assert [step for step, _ in steps_taken(office, account_id, since)] == [
        "reminder",
        "second_reminder",
    ]
    assert told(office, account_id)[1:3] == ["plan_agreed", "plan_broken"]
    assert PlanDesk(office).show(plan.plan_id).left_minor == 0


def test_req24_a_plan_that_ends_with_its_account_was_not_broken(
    desk_office: Office, clock: Clock
) -> None:
    office = desk_office
    account_id = debtor(office, clock)
    plan = PlanDesk(office).ask(account_id, parts=3, reason="moves next month")
    with office.writing() as connection:
        lock(connection, [account_id])
        end_with_account(connection, office, account_id)
    assert PlanDesk(office).show(plan.plan_id).state is PlanState.ENDED
    assert purses(office, account_id) == (-300_00, 0)
    assert [each.plan_id for each in PlanDesk(office).list(state=PlanState.ENDED)] == [plan.plan_id]
    [case] = cases_of(office, account_id)
    said = [act.words for act in acts_in(office, case.case_id) if act.act is ActKind.RESUMED]
    assert said == [f"Plan {plan.plan_id} ended with the account."]
    with office.reading() as connection:
        reasons = score(connection, office, account_id, office.now()).reasons
    assert "plan_broken" not in [each.code for each in reasons]
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(update(instalment_plans).values(state="active", ended_at=None))


def test_req23_above_a_limit_a_plan_takes_a_second_person(
    desk_office: Office, clock: Clock
) -> None:
    office = desk_office
    account_id = debtor(office, clock, 2_000_00)
    desk = PlanDesk(office)
    plan = desk.ask(account_id, parts=4, reason="a repair")
    assert (plan.state, plan.two_because) == (PlanState.ASKED, "it is for more than 1000.00")
    assert purses(office, account_id) == (-2_000_00, 0)
    with pytest.raises(OtherPersonError) as same:
        desk.approve(plan.plan_id)
    assert same.value.code == "other_person"
    with pytest.raises(PlanStateError) as second:
        desk.ask(account_id, parts=2, reason="again")
    assert second.value.code == "plan_state"
    approved = PlanDesk(office.acting(BO)).approve(plan.plan_id)
    assert (approved.state, approved.approved_by) == (PlanState.ACTIVE, "bo")
    assert purses(office, account_id) == (0, -2_000_00)
    with pytest.raises(PlanStateError):
        desk.refuse(plan.plan_id, "too late")


def test_req23_what_a_plan_cannot_be_is_refused(desk_office: Office, clock: Clock) -> None:
    office = desk_office
    account_id = debtor(office, clock)
    desk = PlanDesk(office)
    with pytest.raises(PlanError) as many:
        desk.ask(account_id, parts=13, reason="x")
    assert many.value.code == "plan_refused"
    with pytest.raises(NothingOwedError) as more:
        desk.ask(account_id, parts=2, reason="x", amount_minor=301_00)
    assert more.value.code == "nothing_owed"
    with pytest.raises(BadEntryError):
        desk.ask(account_id, parts=2, reason=" ")
    with pytest.raises(UnknownPlanError) as unknown:
        desk.show(99)
    assert unknown.value.code == "unknown_plan"
    clerk = office.acting(Person("clerk", frozenset({Right.LOOK, Right.SERVE})))
    with pytest.raises(RightMissingError):
        PlanDesk(clerk).ask(account_id, parts=2, reason="x")
    assert divided(100, 3) == [34, 33, 33]


def test_req23_a_later_due_date_holds_the_steps_and_no_longer(
    desk_office: Office, clock: Clock
) -> None:
    office, since = desk_office, clock.now
    account_id = debtor(office, clock)
    until = office.today() + timedelta(days=14)
    found = DeferralDesk(office).ask(account_id, until=until, reason="in hospital")
    assert found.state == "granted"
    assert purses(office, account_id) == (-300_00, 0)
    with office.reading() as connection:
        [item] = open_items(connection, account_id)
    assert item.due_at == found.due_at == office.day_start(until + timedelta(days=1))
    assert cases_of(office, account_id)[0].state is CaseState.PAUSED
    clock.now = found.due_at - timedelta(hours=1)
    sweep(office)
    assert cases_of(office, account_id)[0].state is CaseState.PAUSED
    clock.now = found.due_at + timedelta(hours=12)
    run_days(office, clock, 9)
    assert [step for step, _ in steps_taken(office, account_id, since)] == [
        "reminder",
        "second_reminder",
    ]


def test_req23_a_deferred_debt_that_is_paid_ends_the_case(
    desk_office: Office, clock: Clock
) -> None:
    office = desk_office
    account_id = debtor(office, clock)
    until = office.today() + timedelta(days=40)
    asked = DeferralDesk(office).ask(account_id, until=until, reason="a late harvest")
    assert (asked.state, asked.two_because) == ("asked", "it is for more than 14 days")
    with pytest.raises(OtherPersonError):
        DeferralDesk(office).approve(asked.deferral_id)
    DeferralDesk(office.acting(BO)).approve(asked.deferral_id)
    pay(office, account_id, 300_00)
    clock.now = asked.due_at + timedelta(hours=1)
    sweep(office)
    assert cases_of(office, account_id)[0].outcome is Outcome.PAID
    with pytest.raises(PlanError):
        DeferralDesk(office).ask(account_id, until=office.today(), reason="x")


def test_a_write_off_takes_two_and_what_comes_later_is_recovered(
    desk_office: Office, clock: Clock
) -> None:
    office = desk_office
    account_id = debtor(office, clock)
    desk = WriteOffDesk(office)
    asked = desk.ask(account_id, reason="moved away")
    assert purses(office, account_id) == (-300_00, 0)
    with pytest.raises(OtherPersonError):
        desk.approve(asked.write_off_id)
    done = WriteOffDesk(office.acting(BO)).approve(asked.write_off_id)
    assert (done.state, purses(office, account_id)) == ("done", (0, 0))
    assert cases_of(office, account_id)[0].outcome is Outcome.WRITTEN_OFF
    pay(office, account_id, 120_00)
    sweep(office)
    pay(office, account_id, 200_00)
    sweep(office)
    sweep(office)
    assert desk.list()[0].recovered_minor == 300_00
    assert purses(office, account_id) == (20_00, 0)
    with pytest.raises(NothingOwedError):
        desk.ask(account_id, reason="again")


def test_a_refused_write_off_moves_nothing(desk_office: Office, clock: Clock) -> None:
    office = desk_office
    account_id = debtor(office, clock)
    desk = WriteOffDesk(office)
    asked = desk.ask(account_id, reason="moved away", amount_minor=100_00)
    assert desk.refuse(asked.write_off_id, "he is back").state == "refused"
    with pytest.raises(PlanStateError):
        WriteOffDesk(replace(office, person=BO)).approve(asked.write_off_id)
    assert purses(office, account_id) == (-300_00, 0)
