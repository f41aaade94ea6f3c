"""The credit score: a sum of findings that anyone can check (requirement 24)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from billing.collecting.faults import CollectionRulesError
from billing.collecting.record import (
    MonthRecord,
    Movement,
    histories,
    history_of,
    months_of,
)
from billing.collecting.rule_store import RuleDesk
from billing.collecting.rules import delivered, read_rules
from billing.collecting.score import (
    Facts,
    score,
    score_of,
    scores,
    snapshot_scores,
    snapshots_of,
    terms,
)
from billing.collecting.tables import score_snapshots
from billing.faults import BadEntryError, OfficeRefusedError, UnknownAccountError
from billing.office import Office
from billing.payments.door import take
from billing.payments.payment import Payment
from billing.settlement.tables import settlements
from tests.billing.collecting.debtors import MONDAY, make_customer, owe, pay, watched
from tests.shop.conftest import Clock

RULES = read_rules(delivered())
FIRST = date(2026, 1, 1)


def month(place: int, days_late: int = 0, *, paid: bool = True) -> MonthRecord:
    return MonthRecord(date(2025, place, 1), 100_00, days_late, paid)


def test_req24_the_reasons_can_be_read_and_add_up() -> None:
    months = [month(place) for place in range(1, 9)]
    months += [month(9, 5), month(10, 7), month(11, 12), month(12, 40)]
    found = score_of(RULES, Facts(months, overdue_minor=0, customer_days=800))
    assert [str(each) for each in found.reasons] == [
        "everybody begins with: +650",
        "paid in time 8 of 12 months: +120",
        "paid late 3 of 12 months: -45",
        "paid more than 30 days late 1 of 12 months: -35",
        "a customer for 2 years: +20",
    ]
    assert (found.points, found.band) == (710, "B")


def test_req24_debts_disconnects_and_broken_plans_cost_points() -> None:
    facts = Facts(
        [month(place) for place in range(1, 12)] + [month(12, 50, paid=False)],
        overdue_minor=210_00,
        customer_days=100,
        bounced=1,
        disconnected=1,
        plans_broken=1,
        plans_kept=1,
        written_off=True,
        recent_use_wh=10_000,
        earlier_use_wh=300_000,
        earlier_use_days=270,
    )
    moved = {each.code: each.points for each in score_of(RULES, facts).reasons}
    assert moved == {
        "start": 650,
        "on_time": 165,
        "unpaid": -50,
        "owes_months": -80,
        "bounced": -30,
        "disconnected": -80,
        "plan_broken": -80,
        "plan_kept": 30,
        "written_off": -200,
        "swinging_use": -20,
    }


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=12),
    st.integers(0, 10**7),
    st.integers(0, 9000),
)
def test_req24_a_later_payment_never_scores_better(
    record: list[tuple[int, bool]], overdue: int, days: int
) -> None:
    months = [
        month(place + 1, late, paid=paid or late == 0) for place, (late, paid) in enumerate(record)
    ]
    found = score_of(RULES, Facts(months, overdue, days))
    assert 0 <= found.points <= 1000
    raw = sum(each.points for each in found.reasons)
    assert found.points == max(0, min(1000, raw))
    for place, each in enumerate(months):
        if each.paid and not each.days_late:
            worse = [*months[:place], month(place + 1, 5), *months[place + 1 :]]
            assert score_of(RULES, Facts(worse, overdue, days)).points <= found.points


def movement(
    seq: int, day: int, amount: int, due: int = 0, reverses: int | None = None
) -> Movement:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    kind = "payment" if amount > 0 else "energy"
    at = begin + timedelta(days=day)
    return Movement(seq, kind, at, begin + timedelta(days=due), amount, reverses)


def test_req24_the_record_tells_when_each_debt_was_paid() -> None:
    chain = [
        movement(1, 0, -100, due=20),
        movement(2, 10, -50, due=40),
        movement(3, 25, 120),
        movement(4, 60, 30),
        movement(5, 61, 40),
        movement(6, 62, -40, due=62, reverses=5),  # bounced
        movement(7, 63, -10, due=70),
    ]
    history = history_of([(each, 0) for each in chain])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    assert [
        (due.amount_minor, due.paid_at and (due.paid_at - begin).days) for due in history.dues
    ] == [(100, 25), (50, 60), (10, None)]
    at = begin + timedelta(days=75)
    months = months_of(history, UTC, at)
    assert [(each.month, each.days_late, each.paid) for each in months.values()] == [
        (date(2026, 1, 1), 6, True),
        (date(2026, 2, 1), 21, True),
        (date(2026, 3, 1), 6, False),
    ]


def test_req24_a_score_comes_from_the_books(office: Office, clock: Clock) -> None:
    clock.now = MONDAY
    office = watched(office)
    good, bad = make_customer(office), make_customer(office)
    for _ in range(6):
        for account_id in (good, bad):
            owe(office, account_id, 100_00, clock.now + timedelta(days=14))
        clock.advance(days=10)
        pay(office, good, 100_00)
        clock.advance(days=20)
    with office.reading() as connection:
        found = scores(connection, office, [good, bad, 99], clock.now)
        assert score(connection, office, good, clock.now) == found[good]
        assert terms(connection, office, bad, clock.now).deposit_months == 2
        with pytest.raises(UnknownAccountError):
            score(connection, office, 99, clock.now)
    assert set(found) == {good, bad}
    assert (found[good].band, found[bad].band) == ("B", "D")
    words = [each.words for each in found[bad].reasons]
    assert "not paid 6 of 6 months" in words
    assert "owes 3 usual months" in words


def test_req24_a_payment_counts_from_when_it_was_paid(office: Office, clock: Clock) -> None:
    clock.now = MONDAY
    office = watched(office)
    account_id = make_customer(office)
    owe(office, account_id, 100_00, clock.now + timedelta(days=14))
    in_time = clock.now + timedelta(days=10)
    clock.advance(days=20)  # the bank's file comes late
    with office.writing() as connection:
        take(connection, office, Payment("bank", "late file", 100_00, account_id, paid_at=in_time))
    with office.reading() as connection:
        [(_, history)] = histories(connection, [account_id], MONDAY - timedelta(days=1), clock.now)
    assert [due.paid_at for due in history.dues] == [in_time]
    assert [each.days_late for each in months_of(history, UTC, clock.now).values()] == [0]


def test_req24_use_that_halved_is_a_reason(office: Office, clock: Clock) -> None:
    clock.now = MONDAY
    office = watched(office)
    account_id = make_customer(office)
    with office.writing() as connection:
        for place in range(12):
            since = MONDAY + timedelta(days=30 * place)
            connection.execute(
                insert(settlements).values(
                    supply_id=1,
                    seq=place + 1,
                    account_id=account_id,
                    since=since,
                    until=since + timedelta(days=30),
                    sign=1,
                    energy_wh=300_000 if place < 9 else 60_000,
                    amount_minor=1,
                    tax_minor=0,
                    lines="[]",
                    readings="[]",
                    carried="0",
                    settled_at=since + timedelta(days=31),
                    settled_by="test",
                )
            )
    clock.now = MONDAY + timedelta(days=360)
    with office.reading() as connection:
        found = score(connection, office, account_id, clock.now)
    assert "use of the last 90 days is 20 % of what it was before" in [
        each.words for each in found.reasons
    ]


def test_req24_scores_are_kept_once_a_month(office: Office, clock: Clock) -> None:
    clock.now = MONDAY
    office = watched(office)
    account_id = make_customer(office)
    assert snapshot_scores(office) == 1
    assert snapshot_scores(office) == 0
    clock.advance(days=40)
    assert snapshot_scores(office) == 1
    with office.reading() as connection:
        kept = snapshots_of(connection, account_id)
    assert [f"{each.month:%Y-%m}" for each in kept] == ["2026-04", "2026-03"]
    assert kept[0].score.reasons[0].points == 650
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(update(score_snapshots).values(points=1000))


def test_req21_the_rules_are_data_and_nonsense_is_refused(office: Office) -> None:
    desk = RuleDesk(office)
    assert desk.show().version == 0
    changed = delivered().replace("start = 650", "start = 500")
    assert desk.set(changed, "the board's decision").version == 1
    assert desk.show().rules.score.start == 500
    with pytest.raises(BadEntryError):
        desk.set(changed, " ")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hour = 9 ", "hour = 24 ", "hour is a whole number"),
        ('does = "reminder"', 'does = "shout"', "cannot be used"),
        ("points = 0", "points = 10", "last band begins at 0"),
        ("classes_of_age = [30, 60", "classes_of_age = [60, 30", "grow"),
        ('modes = ["postpaid"]', 'modes = ["barter"]', "modes is a list"),
        ("[deferral]", "[deferral]\nsoon = 1", "do not know soon"),
        ("start = 650", "", "leave out start"),
        ('does = "disconnect_notice"', 'does = "formal_notice"', "follows a disconnect notice"),
        ("ahead_days = 7 ", "ahead_days = 0 ", "announced days ahead"),
        ("hour = 9 ", "hour = = ", "no TOML"),
    ],
)
def test_req21_rules_that_cannot_be_used_say_why(old: str, new: str, words: str) -> None:
    assert old in delivered()
    with pytest.raises(CollectionRulesError, match=words) as refused:
        read_rules(delivered().replace(old, new, 1 if "does" not in old else -1))
    assert refused.value.code == "collection_rules"
