"""The bills of a day: each account once, whatever is killed, whoever runs (requirement 19)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from billing.accounts.closing import CloseRequest, ask, proceed
from billing.accounts.tables import agreements, closings
from billing.accounts.values import ClosingState
from billing.bills.kinds import BillKind, Group
from billing.bills.looking import bills_of, document
from billing.bills.run import RunSums, count_due, period_of, run
from billing.bills.tables import bill_standings, bills
from billing.faults import RightMissingError
from billing.ledger.books import ADJUSTMENTS
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from billing.person import Person, Right
from tests.billing.bills.made import line, pay, settle
from tests.billing.made import make_account, make_supply
from tests.shop.conftest import Clock

ROOT = Path(__file__).parents[3]


def _owe(office: Office, account_id: int, amount_minor: int = 10_00) -> None:
    with office.writing() as connection:
        entry = Entry(account_id, EntryKind.ADJUSTMENT, -amount_minor, ADJUSTMENTS, "t 1", "used")
        post(connection, office, [entry])


def _accounts(office: Office, number: int) -> list[int]:
    with office.writing() as connection:
        made = [make_account(connection, office) for _ in range(number)]
        entries = [
            Entry(each, EntryKind.ADJUSTMENT, -10_00, ADJUSTMENTS, "t 1", "used") for each in made
        ]
        post(connection, office, entries)
    return made


def _settled(office: Office, account_id: int, supply_id: int, until: datetime) -> None:
    with office.writing() as connection:
        lines = [line("t1", "500", "10", "0.50")]
        settle(connection, office, account_id, supply_id, until, lines, 10_000)


def test_req19_an_account_is_billed_on_its_day_and_once_a_month(
    office: Office, clock: Clock
) -> None:
    [account_id] = _accounts(office, 1)  # 21 November; the agreement's day is the first
    assert run(office) == RunSums(), "it was opened behind this month's day"
    clock.advance(days=9)
    assert run(office) == RunSums(), "30 November"
    clock.advance(days=1)
    assert count_due(office) == 1
    assert run(office) == RunSums(made=1, to_pay_minor=10_00)
    assert (run(office), count_due(office)) == (RunSums(), 0)
    clock.advance(days=30)
    _owe(office, account_id)
    assert run(office).made == 0, "31 December"
    clock.advance(days=5)
    assert run(office).made == 1, "a run that was missed is made up for"
    with office.reading() as connection:
        assert [each.period for each in bills_of(connection, account_id)] == ["2027-01", "2026-12"]
        assert period_of(connection, office, account_id) is None


def test_req19_the_day_is_that_of_the_newest_agreement(office: Office, clock: Clock) -> None:
    [account_id] = _accounts(office, 1)
    with office.writing() as connection:
        row = connection.execute(select(agreements)).one()._mapping
        newer = {**row, "version": 2, "bill_day": 20, "since": office.now() + timedelta(days=2)}
        del newer["agreement_id"]
        connection.execute(insert(agreements), newer)
    clock.advance(days=11)  # 2 December
    assert run(office).made == 0
    clock.advance(days=18)  # 20 December
    assert run(office).made == 1
    with office.reading() as connection:
        assert bills_of(connection, account_id)[0].period == "2026-12"


def test_req19_a_large_customer_gets_one_bill_when_all_points_are_settled(
    office: Office, clock: Clock
) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        points = [make_supply(connection, office, account_id)[0] for _ in range(3)]
    clock.advance(days=12)  # 3 December
    cut = office.day_start(office.today().replace(day=1))
    _settled(office, account_id, points[0], cut)
    _settled(office, account_id, points[1], cut + timedelta(days=1))
    assert run(office) == RunSums(waiting=1), "the third is read on a neighbouring day"
    _settled(office, account_id, points[2], cut + timedelta(days=2))
    assert run(office) == RunSums(made=1, to_pay_minor=15_00)
    with office.reading() as connection:
        [made] = bills_of(connection, account_id)
        shown = document(connection, made.bill_id)
    assert made.kind is BillKind.COLLECTIVE
    assert f"{made.due_on(office.zone)}" == "2026-12-15", "one due date, from the bill day"
    assert {each.supply_id for each in shown.supplies} == set(points)
    assert sum(each.amount_minor for each in shown.lines) == made.sums[Group.ENERGY] == -15_00


def test_req19_what_stays_unread_does_not_hold_back_the_rest(office: Office, clock: Clock) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        one, _ = make_supply(connection, office, account_id)
        make_supply(connection, office, account_id)
    clock.advance(days=12)
    _settled(office, account_id, one, office.day_start(office.today().replace(day=1)))
    assert run(office).waiting == 1
    assert run(office, wait_days=2).made == 1


def test_an_account_with_nothing_to_bill_gets_none(office: Office, clock: Clock) -> None:
    with office.writing() as connection:
        make_account(connection, office)
    clock.advance(days=11)
    assert run(office) == RunSums(empty=1)


def test_a_run_needs_the_right(office: Office) -> None:
    with pytest.raises(RightMissingError):
        run(office.acting(Person("Eve", frozenset({Right.LOOK}))))


def test_a_bill_that_asks_for_nothing_is_settled_as_it_is_made(
    office: Office, clock: Clock
) -> None:
    [account_id] = _accounts(office, 1)
    _owe(office, account_id, -50_00)
    clock.advance(days=11)
    run(office)
    with office.reading() as connection:
        assert connection.scalar(select(bill_standings.c.settled_at)) == office.now()


@pytest.mark.timeout(120)
def test_req19_killed_runs_and_runs_side_by_side_bill_everybody_once(
    office: Office, clock: Clock, database_url: str
) -> None:
    made = _accounts(office, 450)
    clock.advance(days=11)
    worker = [
        sys.executable,
        "-m",
        "tests.billing.bills.biller",
        database_url,
        office.now().isoformat(),
    ]
    for kill_after_s in (0.05, 0.3):
        with subprocess.Popen(worker, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(kill_after_s)
            process.send_signal(signal.SIGKILL)
    several = [subprocess.Popen(worker, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait(timeout=100) for each in several] == [0, 0]
    run(office)
    with office.reading() as connection:
        counts = connection.execute(
            select(bills.c.account_id, func.count(), func.sum(bills.c.total_minor)).group_by(
                bills.c.account_id
            )
        ).all()
    assert {tuple(row) for row in counts} == {(each, 1, -10_00) for each in made}


def test_a_moved_day_bills_a_month_once(office: Office, clock: Clock) -> None:
    [account_id] = _accounts(office, 1)
    clock.advance(days=11)
    run(office)
    with office.writing() as connection:
        row = connection.execute(select(agreements)).one()._mapping
        newer = {**row, "version": 2, "bill_day": 15}
        del newer["agreement_id"]
        connection.execute(insert(agreements), newer)
        assert connection.scalar(select(func.count()).select_from(agreements)) == 2
    _owe(office, account_id)
    clock.advance(days=20)
    assert run(office).made == 0
    clock.advance(days=25)
    assert run(office).made == 1


def test_req19_an_account_that_was_closed_gets_its_final_bill_once(
    office: Office, clock: Clock
) -> None:
    [account_id] = _accounts(office, 1)
    closing = {
        "account_id": account_id,
        "reason": "moves away",
        "ends_at": office.now(),
        "refund_channel": "counter",
        "state": "settling",
        "asked_by": "test",
        "asked_at": office.now(),
    }
    with office.writing() as connection:
        connection.execute(insert(closings), closing)
    assert run(office).made == 0, "the final settlement is not made"
    clock.advance(days=1)
    with office.writing() as connection:
        connection.execute(update(closings).values(state="owing", settled_at=office.now()))
    assert run(office) == RunSums(made=1, to_pay_minor=10_00)
    assert run(office) == RunSums()
    with office.reading() as connection:
        assert bills_of(connection, account_id)[0].kind is BillKind.FINAL


def test_req19_what_is_put_right_after_the_end_is_on_a_bill_too(
    office: Office, clock: Clock
) -> None:
    [account_id] = _accounts(office, 1)
    with office.writing() as connection:
        ask(connection, office, account_id, CloseRequest("moves away"))
    assert proceed(office, account_id).state is ClosingState.OWING
    assert run(office) == RunSums(made=1, to_pay_minor=10_00)
    with office.writing() as connection:
        pay(connection, office, account_id, 10_00)
    assert proceed(office, account_id).state is ClosingState.CLOSED
    assert run(office) == RunSums(), "the payment that ends it has its receipt"
    clock.advance(days=40)
    _owe(office, account_id, -3_00)
    assert run(office).made == 1
    _owe(office, account_id, 8_00)
    assert run(office) == RunSums(made=1, to_pay_minor=5_00)
    assert run(office) == RunSums()
    with office.reading() as connection:
        found = bills_of(connection, account_id)
        groups = [
            [each.group for each in document(connection, bill.bill_id).lines] for bill in found
        ]
    assert [(each.kind, each.total_minor) for each in found] == [
        (BillKind.FINAL, -5_00), (BillKind.FINAL, 3_00), (BillKind.FINAL, -10_00)
    ]  # fmt: skip
    assert groups[1] == [Group.PAYMENTS, Group.ADJUSTMENTS]
