"""Late fees: each day once, to the cent, capped, stopped by payment (requirement 18)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from billing.accounts.tables import customer_accounts
from billing.bills import sweeping
from billing.bills.kinds import BillKind, Group
from billing.bills.late_fees import LateFeeDesk, LateFeeRule, late_days_of, sweep
from billing.bills.late_fees_back import given_back
from billing.bills.looking import bills_of, document, due_of, open_bills
from billing.bills.tables import bill_standings, late_fee_days
from billing.collecting.deferring import DeferralDesk
from billing.faults import BadEntryError, OfficeRefusedError
from billing.ledger.books import ADJUSTMENTS
from billing.ledger.entry import Entry, EntryKind, Posted, Purse
from billing.ledger.posting import balance, entries_of, post
from billing.notices.port import Event
from billing.notices.tables import notices
from billing.office import Office
from billing.payments.desk import PaymentDesk
from billing.payments.door import take
from billing.payments.payment import Payment, Taken
from billing.person import Person
from tests.billing.bills.made import bill_now, pay
from tests.billing.made import make_account
from tests.shop.conftest import Clock

DUE_DAYS = 14
_EXAMPLES = count()


def _rule(
    office: Office, per_day_ppm: int, cap_bp: int = 100_00, *, grace: int = 0, least: int = 0
) -> None:
    rule = LateFeeRule("residential", office.today(), per_day_ppm, cap_bp, grace, least)
    LateFeeDesk(office).set(rule)


def _owe(office: Office, account_id: int, amount_minor: int) -> None:
    with office.writing() as connection:
        entry = Entry(account_id, EntryKind.ADJUSTMENT, -amount_minor, ADJUSTMENTS, "t 1", "used")
        post(connection, office, [entry])


def _billed(office: Office, amount_minor: int) -> int:
    """An account with a bill of an amount."""
    with office.writing() as connection:
        account_id = make_account(connection, office)
    _owe(office, account_id, amount_minor)
    bill_now(office, account_id)
    return account_id


class Ear:
    """Hears what is posted, call by call."""

    def __init__(self) -> None:
        self.heard: list[list[Posted]] = []

    def moved(self, connection: object, office: object, posted: Sequence[Posted]) -> None:
        self.heard.append(list(posted))


def _late(office: Office, account_id: int) -> list[int]:
    with office.reading() as connection:
        return [
            -each.entry.amount_minor
            for each in entries_of(connection, account_id, purse=Purse.CURRENT)
            if each.entry.kind is EntryKind.LATE_FEE
        ]


def test_req18_nothing_is_charged_before_the_due_day_is_over(office: Office, clock: Clock) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS)
    assert sweep(office) == 0, "the due day itself is in time"
    clock.advance(days=1)
    assert sweep(office) == 0, "the first late day has not ended"
    clock.advance(days=1)
    assert sweep(office) == 1
    assert _late(office, account_id) == [50]


def test_req18_each_day_is_charged_once_whenever_the_sweep_comes(
    office: Office, clock: Clock
) -> None:
    _rule(office, 1000)
    often, seldom = _billed(office, 333_33), _billed(office, 333_33)
    clock.advance(days=DUE_DAYS + 1)
    for _ in range(10):
        clock.advance(days=1)
        sweep(office)
        assert sweep(office) == 0
    assert sum(_late(office, often)) == sum(_late(office, seldom)) == 333_33 * 10 // 1000
    third = _billed(office, 333_33)
    clock.advance(days=DUE_DAYS + 11)
    sweep(office)
    assert sum(_late(office, third)) == 333_33 * 10 // 1000


def test_req18_a_payment_stops_it(office: Office, clock: Clock) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 3)
    sweep(office)
    assert _late(office, account_id) == [50, 50]
    with office.writing() as connection:
        pay(connection, office, account_id, 200_00)
    clock.advance(days=1)
    sweep(office)
    assert _late(office, account_id) == [50, 50, 30], "what is open at the end of the day counts"
    with office.writing() as connection:
        pay(connection, office, account_id, 300_00)
    clock.advance(days=30)
    assert sweep(office) == 0
    with office.reading() as connection:
        assert balance(connection, account_id) == -1_30, "late fees bear none themselves"
        assert open_bills(connection, account_id) == []


def test_req18_the_cap_holds(office: Office, clock: Clock) -> None:
    _rule(office, 10_000, cap_bp=5_00)
    account_id = _billed(office, 100_01)
    clock.advance(days=DUE_DAYS + 40)
    sweep(office)
    assert sum(_late(office, account_id)) == 5_00
    clock.advance(days=10)
    assert sweep(office) == 0


def test_req18_grace_and_small_sums_bear_none(office: Office, clock: Clock) -> None:
    _rule(office, 1000, grace=5, least=10_00)
    one, small = _billed(office, 500_00), _billed(office, 9_99)
    clock.advance(days=DUE_DAYS + 6)
    assert sweep(office) == 0
    clock.advance(days=1)
    assert sweep(office) == 1
    assert (_late(office, one), _late(office, small)) == ([50], [])


def test_req18_the_next_bill_shows_it_and_its_own_lateness_is_its_own(
    office: Office, clock: Clock
) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 6)
    sweep(office)
    _owe(office, account_id, 100_00)
    second = bill_now(office, account_id)
    assert second.sums[Group.LATE_FEE] == -2_50
    assert second.to_pay_minor == 602_50
    with office.reading() as connection:
        [late] = [
            each
            for each in document(connection, second.bill_id).lines
            if each.group is Group.LATE_FEE
        ]
        assert late.words == f"{second.number.rpartition('-')[0]}-1"
        opened = open_bills(connection, account_id)
        due = due_of(connection, account_id, office.now())
    assert [(each.open_minor, each.late_minor) for each in opened] == [(500_00, 2_50), (100_00, 0)]
    assert due is not None
    assert (due.amount_minor, due.overdue_minor, due.due_at) == (602_50, 500_00, second.due_at)
    clock.advance(days=DUE_DAYS + 2)
    sweep(office)
    # 16 days of the first bill, and one of the second, which bears on what it has charged alone
    assert sum(_late(office, account_id)) == 2_50 + 16 * 50 + 10


def test_req18_what_was_deferred_bears_nothing_before_its_day(office: Office, clock: Clock) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    ann, bo = (DeferralDesk(office.acting(Person(name))) for name in ("ann", "bo"))
    until = office.today() + timedelta(days=DUE_DAYS + 10)
    asked = ann.ask(account_id, until=until, reason="harvest comes in a week")
    assert asked.state == "asked", "so many days take a second person"
    bo.approve(asked.deferral_id)
    clock.advance(days=DUE_DAYS + 11)
    assert sweep(office) == 0
    second = bill_now(office, account_id)
    assert (second.to_pay_minor, second.due_at > asked.due_at) == (500_00, True)
    clock.now = second.due_at + timedelta(hours=25)
    assert sweep(office) == 1


def test_req18_the_due_day_of_a_bill_never_moves(office: Office) -> None:
    _billed(office, 500_00)
    later = office.now() + timedelta(days=90)
    with pytest.raises(OfficeRefusedError, match="never changed"), office.writing() as connection:
        connection.execute(update(bill_standings).values(due_at=later))


def test_req18_a_rule_holds_from_its_day_on(office: Office, clock: Clock) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 100_00)
    with pytest.raises(BadEntryError, match="begins later"):
        _rule(office, 2000)
    LateFeeDesk(office).set(
        LateFeeRule("residential", office.today() + timedelta(days=DUE_DAYS + 3), 2000, 100_00)
    )
    clock.advance(days=DUE_DAYS + 5)
    with pytest.raises(BadEntryError, match="today or later"):
        LateFeeDesk(office).set(LateFeeRule("residential", date(2020, 1, 1), 1, 1))
    sweep(office)
    assert _late(office, account_id) == [10, 10, 20, 20]
    with office.reading() as connection:
        [opened] = open_bills(connection, account_id)
        days = late_days_of(connection, opened.bill.bill_id)
    assert [(each.open_minor, each.per_day_ppm, each.amount_minor) for each in days] == [
        (100_00, 1000, 10),
        (100_00, 1000, 10),
        (100_00, 2000, 20),
        (100_00, 2000, 20),
    ]


def test_req18_the_database_refuses_a_day_twice(office: Office, clock: Clock) -> None:
    _rule(office, 1000)
    _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 2)
    sweep(office)
    with office.reading() as connection:
        row = dict(connection.execute(select(late_fee_days)).one()._mapping)
    for changed in ({}, {"day": "2027-01-01", "amount_minor": 51}):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(insert(late_fee_days), row | changed)


def _pay_by_bank(office: Office, account_id: int, amount_minor: int, days_ago: int) -> Taken:
    """A booking of some days ago whose file is imported now."""
    paid_at = office.day_start(office.today() - timedelta(days=days_ago))
    payment = Payment("bank", f"{account_id} {days_ago}", amount_minor, account_id, paid_at=paid_at)
    with office.writing() as connection:
        return take(connection, office, payment)


def _balance(office: Office, account_id: int) -> int:
    with office.reading() as connection:
        return balance(connection, account_id)


def test_req18_who_paid_in_time_is_not_late_because_the_banks_file_was(
    office: Office, clock: Clock
) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 4)
    _pay_by_bank(office, account_id, 500_00, days_ago=4)  # on the due day
    assert sweep(office) == 0
    assert (_late(office, account_id), _balance(office, account_id)) == ([], 0)


def test_req18_late_fees_of_days_since_a_payment_are_given_back_with_it(
    office: Office, clock: Clock
) -> None:
    """Beside the charges, and the customer is told of one balance."""
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 4)
    sweep(office)
    assert _late(office, account_id) == [50, 50, 50]
    ear = Ear()
    taken = _pay_by_bank(replace(office, watchers=(ear,)), account_id, 500_00, days_ago=4)
    assert taken.balance_minor == 0
    assert [[each.entry.kind for each in heard] for heard in ear.heard] == [
        [EntryKind.PAYMENT, EntryKind.LATE_FEE]
    ], "in one posting"
    assert _late(office, account_id) == [50, 50, 50, -1_50]
    with office.reading() as connection:
        told = select(notices.c.about).where(notices.c.event == Event.PAYMENT_RECEIVED.value)
        about = connection.scalars(told).all()
        [back] = given_back(connection, account_id, bills_of(connection, account_id)[0].number)
    assert [json.loads(each)["balance_minor"] for each in about] == [0]
    assert back.entry.amount_minor == 1_50
    assert not _pay_by_bank(office, account_id, 500_00, days_ago=4).is_new
    clock.advance(days=5)
    assert sweep(office) == 0
    assert _balance(office, account_id) == 0


def test_req18_a_part_that_was_paid_before_some_late_days_lowers_those(
    office: Office, clock: Clock
) -> None:
    _rule(office, 1000, cap_bp=1_00)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 8)
    sweep(office)
    assert sum(_late(office, account_id)) == 7 * 50
    _pay_by_bank(office, account_id, 300_00, days_ago=5)  # behind two late days
    assert sum(_late(office, account_id)) == 2 * 50 + 5 * 20
    _pay_by_bank(office, account_id, 100_00, days_ago=7)  # before all of them: told of last
    assert sum(_late(office, account_id)) == 2 * 40 + 5 * 10
    clock.advance(days=1)
    sweep(office)
    assert sum(_late(office, account_id)) == 2 * 40 + 6 * 10
    clock.advance(days=60)
    sweep(office)
    assert sum(_late(office, account_id)) == 4_00, "a hundredth of what was open at first"


def test_req18_who_paid_again_because_of_a_reminder_gets_the_late_fee_back_too(
    office: Office, clock: Clock
) -> None:
    """The bill is settled when the first payment is told of."""
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 4)
    sweep(office)
    with office.writing() as connection:
        take(connection, office, Payment("counter", "1", 501_50, account_id))
    clock.advance(days=2)
    sweep(office)
    assert _balance(office, account_id) == 0
    _pay_by_bank(office, account_id, 500_00, days_ago=6)
    assert _balance(office, account_id) == 501_50


def test_req18_a_payment_that_lay_in_suspense_was_made_when_it_was_made(
    office: Office, clock: Clock
) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 500_00)
    clock.advance(days=DUE_DAYS)
    with office.writing() as connection:
        taken = take(connection, office, Payment("web", "1", 500_00, number="1", paid_at=clock()))
        number = connection.scalar(select(customer_accounts.c.number))
    clock.advance(days=4)
    sweep(office)
    assert _balance(office, account_id) == -501_50
    PaymentDesk(office).assign(taken.payment_id, str(number), "the payer called")
    assert _balance(office, account_id) == 0


def test_req18_the_database_lets_what_late_fees_rest_on_only_fall(
    office: Office, clock: Clock
) -> None:
    _rule(office, 1000)
    _billed(office, 500_00)
    clock.advance(days=DUE_DAYS + 2)
    sweep(office)
    for base_minor, is_right in ((500_01, False), (400_00, True), (None, True)):
        wrong = nullcontext() if is_right else pytest.raises(OfficeRefusedError)
        with wrong, office.writing() as connection:
            connection.execute(update(bill_standings).values(late_base_minor=base_minor))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    charges=st.lists(st.integers(1, 10**6), min_size=1, max_size=3),
    payments=st.lists(
        st.tuples(st.integers(0, 75), st.integers(0, 15), st.integers(1, 5 * 10**5)), max_size=6
    ),
    ppm=st.integers(1, 30_000),
    cap_bp=st.integers(0, 100_00),
    sweeps=st.sets(st.integers(0, 90), max_size=5),
)
def test_req18_late_fees_are_right_to_the_cent(
    office: Office,
    charges: list[int],
    payments: list[tuple[int, int, int]],
    ppm: int,
    cap_bp: int,
    sweeps: set[int],
) -> None:
    """Against a count by hand: days, fractions, and payments that go to the oldest bill first.

    A payment is made on a day, told of some days later, and counts from when it was made.
    """
    start = office.now() + timedelta(days=400 * next(_EXAMPLES))
    days = [0]
    mine = replace(office, clock=lambda: start + timedelta(days=days[0]))
    LateFeeDesk(mine).set(LateFeeRule("industrial", mine.today(), ppm, cap_bp))
    with mine.writing() as connection:
        account_id = make_account(connection, mine, customer_class="industrial")
    for day in range(91):
        days[0] = day
        if day % 25 == 0 and day // 25 < len(charges):
            _owe(mine, account_id, charges[day // 25])
            bill_now(mine, account_id, BillKind.FINAL)
        for number, (made, later, amount) in enumerate(payments):
            if made + later == day:
                paid_at = start + timedelta(days=made)
                payment = Payment("web", f"{account_id} {number}", amount, account_id, "", paid_at)
                with mine.writing() as connection:
                    take(connection, mine, payment)
        if day in sweeps or day == 90:
            sweep(mine)
    by_day: Counter[int] = Counter()
    for made, _, amount in payments:
        by_day[made] += amount
    assert sum(_late(mine, account_id)) == _by_hand(charges, by_day, ppm, cap_bp)
    with mine.writing() as connection:
        pay(connection, mine, account_id, 10**9)


def _by_hand(charges: list[int], payments: Mapping[int, int], ppm: int, cap_bp: int) -> int:
    left = list(charges)
    purse = 0
    exact = [Fraction(0)] * len(charges)
    base: list[int | None] = [None] * len(charges)
    for day in range(90):
        purse += payments.get(day, 0)
        for place in range(len(charges)):
            if place * 25 <= day:
                paid = min(purse, left[place])
                left[place] -= paid
                purse -= paid
        for place in range(len(charges)):
            if day > place * 25 + DUE_DAYS and left[place]:
                if base[place] is None:
                    base[place] = left[place]
                exact[place] += Fraction(left[place] * ppm, 10**6)
    return sum(
        min(int(each), (most or 0) * cap_bp // 10_000)
        for each, most in zip(exact, base, strict=True)
    )


def test_req18_a_sweep_puts_late_fees_on_the_bill_that_it_makes(
    office: Office, clock: Clock
) -> None:
    _rule(office, 1000)
    account_id = _billed(office, 500_00)  # 21 November
    clock.advance(days=DUE_DAYS + 27)  # 1 January
    assert sweeping.sweep(office) == 26 + 1
    with office.reading() as connection:
        [newest, _] = bills_of(connection, account_id)
    assert newest.sums[Group.LATE_FEE] == -26 * 50
    assert sweeping.sweep(office) == 0
    with office.writing() as connection:
        other = make_account(connection, office, since=office.now() - timedelta(days=9))
    _owe(office, other, 5_00)
    assert sweeping.sweep(office) == 0, "all accounts were looked at a moment ago"
    clock.advance(hours=1)
    assert sweeping.sweep(office) == 1
