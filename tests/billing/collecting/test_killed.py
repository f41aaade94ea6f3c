"""A sweep that is killed, and sweeps in several processes: each step once, nothing half done."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from billing.collecting.cases import ActKind, CaseState
from billing.collecting.sweeping import sweep
from billing.collecting.tables import collection_acts
from billing.office import Office
from billing.prepaid.cuts import cuts_of
from tests.billing.collecting.debtors import (
    MONDAY,
    acts_in,
    cases_of,
    make_customer,
    owe,
    steps_taken,
    told,
    watched,
)
from tests.billing.collecting.dying import outcome, sweep_in_a_process
from tests.shop.conftest import Clock

LADDER = [
    ("reminder", 1),
    ("second_reminder", 8),
    ("formal_notice", 25),
    ("disconnect_notice", 45),
    ("disconnect", 52),
]


def test_req21_a_sweep_killed_at_any_commit_takes_each_step_once(
    office: Office, clock: Clock, database_url: str
) -> None:
    clock.now = MONDAY
    office = watched(office)
    account_id = make_customer(office)
    owe(office, account_id, 100_00)
    deaths = 0
    for _, day in LADDER:
        clock.now = MONDAY + timedelta(days=day)
        office.engine.dispose()  # no connection is shared with a child
        for step in range(2, 16):
            if outcome(sweep_in_a_process(database_url, clock.now, step / 2)) == 0:
                break
            deaths += 1
        sweep(office)
        sweep(office)
    assert deaths >= 15
    assert steps_taken(office, account_id, MONDAY) == LADDER
    assert told(office, account_id) == [step for step, _ in LADDER[:-1]]
    [case] = cases_of(office, account_id)
    numbers = [act.step_no for act in acts_in(office, case.case_id) if act.act is ActKind.STEP]
    assert numbers == [1, 2, 3, 4, 5]
    with office.reading() as connection:
        assert len(cuts_of(connection, account_id)) == 1


def test_req21_two_sweeps_at_once_take_each_step_once(
    office: Office, clock: Clock, database_url: str
) -> None:
    clock.now = MONDAY
    office = watched(office)
    accounts = [make_customer(office) for _ in range(12)]
    for account_id in accounts:
        owe(office, account_id, 100_00)
    for day in (1, 8):
        clock.now = MONDAY + timedelta(days=day)
        office.engine.dispose()
        both = [sweep_in_a_process(database_url, clock.now) for _ in range(2)]
        assert [outcome(child) for child in both] == [0, 0]
        sweep(office)
    for account_id in accounts:
        assert steps_taken(office, account_id, MONDAY) == LADDER[:2]
        assert [case.state for case in cases_of(office, account_id)] == [CaseState.OPEN]
    with office.reading() as connection:
        steps = select(func.count()).where(collection_acts.c.step.is_not(None))
        assert connection.scalar(steps) == 24
