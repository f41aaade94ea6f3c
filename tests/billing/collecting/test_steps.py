"""From a reminder to the disconnect, step by step, and what stops it (requirements 21 and 22)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from billing.collecting.cases import ActKind, CaseState, Outcome
from billing.collecting.cover import cover_of
from billing.collecting.effect import StepEffect, effect_of_steps
from billing.collecting.sweeping import sweep
from billing.collecting.tables import collection_acts, collection_cases
from billing.faults import OfficeRefusedError
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.notices.tables import notice_messages
from billing.office import Office
from billing.prepaid.cuts import CutState, cuts_of
from headend.orders.tables import emergency_stops, keep_powers, orders
from headend.registry.tables import places, service_points
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
from tests.billing.notices.made import make_contact, set_up
from tests.shop.conftest import Clock

LADDER = [
    ("reminder", 1),
    ("second_reminder", 8),
    ("formal_notice", 18),
    ("disconnect_notice", 30),
    ("disconnect", 37),
]


@pytest.fixture
def debtor_office(office: Office, clock: Clock) -> Office:
    clock.now = MONDAY
    return watched(office)


def known_debtor(office: Office, clock: Clock) -> int:
    """Somebody who was collected before, and is spared no more."""
    account_id = make_customer(office)
    owe(office, account_id, 90_00)
    run_days(office, clock, 12)
    pay(office, account_id, 90_00)
    clock.advance(days=2)
    return account_id


def test_req21_each_step_comes_at_its_time_and_the_customer_is_told(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = known_debtor(office, clock)
    before, since = len(told(office, account_id)), clock.now
    owe(office, account_id, 100_00)
    run_days(office, clock, 40)
    assert steps_taken(office, account_id, since)[2:] == LADDER
    assert told(office, account_id)[before:] == [step for step, _ in LADDER[:-1]]
    [_, case] = cases_of(office, account_id)
    assert (case.state, case.steps_done) == (CaseState.OPEN, 5)
    with office.reading() as connection:
        [cut] = cuts_of(connection, account_id)
        kinds = connection.scalars(select(orders.c.kind)).all()
    assert (cut.asker, cut.state, list(kinds)) == ("collecting", CutState.ORDERED, ["relay_trip"])


def test_req22_the_first_debt_is_given_more_time(debtor_office: Office, clock: Clock) -> None:
    office, since = debtor_office, clock.now
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    run_days(office, clock, 60)
    assert steps_taken(office, account_id, since) == [
        ("reminder", 1),
        ("second_reminder", 8),
        ("formal_notice", 25),
        ("disconnect_notice", 45),
        ("disconnect", 52),
    ]


def test_req22_small_sums_are_never_disconnected(debtor_office: Office, clock: Clock) -> None:
    office, since = debtor_office, clock.now
    account_id = make_customer(office)
    owe(office, account_id, 30_00, clock.now - timedelta(days=30))
    run_days(office, clock, 40)
    assert [step for step, _ in steps_taken(office, account_id, since)] == [
        "reminder",
        "second_reminder",
        "formal_notice",
    ]
    [case] = cases_of(office, account_id)
    held = [act for act in acts_in(office, case.case_id) if act.act is ActKind.HELD]
    assert [act.words for act in held] == [
        "Less is overdue than the step disconnect_notice is for."
    ]


def test_req21_a_disconnect_is_announced_for_an_hour_in_which_it_may_happen(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = known_debtor(office, clock)
    owe(office, account_id, 100_00)
    run_days(office, clock, 31)
    case = cases_of(office, account_id)[1]
    assert case.announced_at is not None
    wall = case.announced_at.astimezone(office.zone)
    assert case.announced_at - clock.now > timedelta(days=4)
    assert wall.isoweekday() <= 5
    clock.now = case.announced_at - timedelta(minutes=1)
    sweep(office)
    assert cases_of(office, account_id)[1].last_step == "disconnect_notice"


def test_req21_a_payment_stops_everything_in_its_own_transaction(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    run_days(office, clock, 60)
    assert cases_of(office, account_id)[0].last_step == "disconnect"
    pay(office, account_id, 100_00)
    [case] = cases_of(office, account_id)
    assert (case.state, case.outcome, case.next_at) == (CaseState.CLOSED, Outcome.PAID, None)
    kinds = [act.act for act in acts_in(office, case.case_id)]
    assert kinds[-2:] == [ActKind.RECONNECT, ActKind.CLOSED]
    with office.reading() as connection:
        [cut] = cuts_of(connection, account_id)
    assert cut.state is CutState.DROPPED  # nothing was sent yet
    run_days(office, clock, 5)
    assert len(cases_of(office, account_id)) == 1


def test_req21_a_reminder_that_has_not_left_does_not_leave_after_the_payment(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
    account_id = make_customer(office)
    with office.writing() as connection:
        make_contact(connection, office, account_id)
    owe(office, account_id, 100_00)
    run_days(office, clock, 3)

    def waiting() -> list[str]:
        with office.reading() as connection:
            return list(connection.scalars(select(notice_messages.c.state)))

    assert set(waiting()) == {"queued"}
    pay(office, account_id, 100_00)
    assert set(waiting()) == {"failed"}


def test_req21_a_part_payment_leaves_some_days_in_peace(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    run_days(office, clock, 9)
    pay(office, account_id, 10_00)
    [case] = cases_of(office, account_id)
    assert case.next_at is not None
    before = case.next_at
    pay(office, account_id, 60_00)
    [case] = cases_of(office, account_id)
    assert case.state is CaseState.OPEN
    assert case.next_at is not None
    assert case.next_at >= max(before, clock.now + timedelta(days=6))
    paid = [act for act in acts_in(office, case.case_id) if act.act is ActKind.PART_PAID]
    assert [(act.paid_minor, act.overdue_minor) for act in paid] == [(1000, 9000), (6000, 3000)]


def test_req22_nobody_protected_is_told_of_a_disconnect_or_cut(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = known_debtor(office, clock)
    with office.writing() as connection:
        point_id = connection.scalar(select(service_points.c.point_id))
        connection.execute(
            keep_powers.insert().values(
                point_id=point_id,
                owner="City Hospital",
                reason="life support",
                since=clock.now,
                until=clock.now + timedelta(days=35),
                added_by="test",
                added_at=clock.now,
                lift_needs_two=0,
            )
        )
    since = clock.now
    owe(office, account_id, 100_00)
    run_days(office, clock, 33)
    assert [step for step, _ in steps_taken(office, account_id, since)][2:] == [
        step for step, _ in LADDER[:3]
    ]
    [_, case] = cases_of(office, account_id)
    assert case.held_because == "A keep-power order of City Hospital protects it."
    run_days(office, clock, 10)  # it is over on the 35th day
    assert steps_taken(office, account_id, since)[-2:] == [
        ("disconnect_notice", 35),
        ("disconnect", 42),
    ]


def test_req26_an_emergency_stops_every_step(debtor_office: Office, clock: Clock) -> None:
    office, since = debtor_office, clock.now
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    run_days(office, clock, 3)
    with office.writing() as connection:
        connection.execute(
            emergency_stops.insert().values(reason="flood", since=clock.now, declared_by="test")
        )
    run_days(office, clock, 30)
    assert [step for step, _ in steps_taken(office, account_id, since)] == ["reminder"]
    [case] = cases_of(office, account_id)
    assert case.held_because == "Emergency: flood"
    with office.writing() as connection:
        connection.execute(update(emergency_stops).values(resumed_at=clock.now, resumed_by="test"))
    run_days(office, clock, 2)
    assert steps_taken(office, account_id, since)[1:] == [("second_reminder", 33)]


def test_req21_a_debt_that_is_gone_without_a_payment_is_seen(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = make_customer(office)
    there = owe(office, account_id, 100_00)
    run_days(office, clock, 3)
    back = Entry(
        account_id,
        EntryKind.ENERGY_REVERSED,
        100_00,
        there.entry.counter,
        "settlement 2",
        "back",
        reverses_seq=there.seq,
    )
    with office.writing() as connection:
        post(connection, office, [back])
    [case] = cases_of(office, account_id)
    assert case.outcome is Outcome.PAID


def test_req21_prepaid_accounts_are_left_to_their_balance(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    account_id = make_customer(office, mode="prepaid")
    owe(office, account_id, 100_00)
    run_days(office, clock, 5)
    assert cases_of(office, account_id) == []


def test_req21_who_has_paid_after_which_step(debtor_office: Office, clock: Clock) -> None:
    office, since = debtor_office, clock.now
    early, later, never = (make_customer(office) for _ in range(3))
    for account_id in (early, later, never):
        owe(office, account_id, 100_00)
    run_days(office, clock, 3)
    pay(office, early, 100_00)
    pay(office, later, 30_00)
    run_days(office, clock, 9)
    pay(office, later, 70_00)
    with office.reading() as connection:
        found = effect_of_steps(connection, since, clock.now + timedelta(days=1))
    assert found == [
        StepEffect("reminder", 3, payments=2, settled=1, paid_minor=130_00, days=2),
        StepEffect("second_reminder", 2, payments=1, settled=1, paid_minor=70_00, days=4),
    ]
    assert [each.settled_percent for each in found] == [33, 50]


def test_req21_the_database_keeps_each_step_once(debtor_office: Office, clock: Clock) -> None:
    office = debtor_office
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    run_days(office, clock, 3)
    [case] = cases_of(office, account_id)
    row = {
        "case_id": case.case_id,
        "seq": 9,
        "at": clock.now,
        "act": "step",
        "step": "reminder",
        "step_no": 1,
        "words": "",
        "overdue_minor": 1,
        "days": 1,
        "paid_minor": 0,
        "actor": "",
    }
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(collection_acts.insert().values(**row))
    for values in ({"steps_done": 3}, {"opened_at": datetime(2020, 1, 1, tzinfo=UTC)}):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(update(collection_cases).values(**values))
    for act in (collection_acts.delete(), collection_cases.delete()):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(act)


def test_req26_an_emergency_in_a_place_stops_the_steps_of_those_below_it(
    debtor_office: Office, clock: Clock
) -> None:
    office = debtor_office
    here, elsewhere = make_customer(office), make_customer(office)
    with office.writing() as connection:
        above: int | None = None
        made: list[int] = []
        for kind, name in (("substation", "North"), ("feeder", "F 7"), ("area", "River Side")):
            above = connection.execute(
                places.insert()
                .values(kind=kind, name=name, parent_id=above)
                .returning(places.c.place_id)
            ).scalar_one()
            made.append(above)
        _, feeder, area = made
        connection.execute(
            update(service_points).where(service_points.c.name == "point 1").values(place_id=area)
        )
        connection.execute(
            emergency_stops.insert().values(
                place_id=feeder, reason="flood", since=clock.now, declared_by="test"
            )
        )
        connection.execute(
            keep_powers.insert().values(
                place_id=area,
                owner="Town Hall",
                reason="elections",
                since=clock.now,
                until=clock.now + timedelta(days=5),
                added_by="test",
                added_at=clock.now,
                lift_needs_two=0,
            )
        )
    with office.reading() as connection:
        cover = cover_of(connection, [here, elsewhere], clock.now)
        later = cover_of(connection, [here, elsewhere], clock.now + timedelta(days=5))
    assert cover.suspended == {here: "Emergency: flood"}
    assert cover.protected == {here: "A keep-power order of Town Hall protects it."}
    assert later.protected == {}
    assert cover.supplied == {here, elsewhere}
