"""What is owed and how old it is: payments settle what was due first (requirement 21)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.collecting.ageing import AGE_CLASSES, age_days, ageing, open_items, open_items_of
from billing.ledger.books import ADJUSTMENTS
from billing.ledger.entry import Entry, EntryKind, Posted, Purse
from billing.ledger.posting import balance, entries_of, post
from billing.office import Office
from tests.billing.made import make_account
from tests.shop.conftest import Clock

BEGIN = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)


def entry(
    account_id: int,
    amount_minor: int,
    due_at: datetime | None = None,
    reverses_seq: int | None = None,
) -> Entry:
    return Entry(
        account_id,
        EntryKind.ADJUSTMENT,
        amount_minor,
        ADJUSTMENTS,
        "test 1",
        "a test",
        due_at=due_at if amount_minor < 0 else None,
        reverses_seq=reverses_seq,
    )


def test_req21_a_payment_settles_what_was_due_first(office: Office, clock: Clock) -> None:
    now = clock.now
    with office.writing() as connection:
        one = make_account(connection, office)
        late, soon = now + timedelta(days=20), now + timedelta(days=3)
        post(connection, office, [entry(one, -50, late), entry(one, -30, soon), entry(one, 40)])
    with office.reading() as connection:
        items = open_items(connection, one)
    assert [(each.seq, each.amount_minor, each.open_minor) for each in items] == [(1, 50, 40)]
    assert items[0].due_at == late


def test_req21_a_payment_that_bounced_brings_back_a_debt_of_its_age(
    office: Office, clock: Clock
) -> None:
    clock.now = BEGIN
    with office.writing() as connection:
        one = make_account(connection, office)
        post(connection, office, [entry(one, -50)])
    clock.advance(days=100)
    with office.writing() as connection:
        post(connection, office, [entry(one, 50), entry(one, -50, reverses_seq=2)])
    with office.reading() as connection:
        [row] = ageing(connection, office, clock.now)
    assert row.oldest_due_at == BEGIN
    assert row.by_age_minor == (0, 0, 0, 50, 0)


def test_req21_ageing_counts_days_of_the_utilitys_calendar(office: Office, clock: Clock) -> None:
    clock.now = datetime(2026, 3, 1, 15, 59, tzinfo=UTC)  # 23:59 there
    with office.writing() as connection:
        one = make_account(connection, office)
        post(connection, office, [entry(one, -7), entry(one, -5, clock.now + timedelta(days=400))])
    posted = clock.now
    for days, wanted in ((0, 0), (30, 0), (31, 1), (60, 1), (61, 2), (90, 2), (91, 3), (181, 4)):
        at = posted + timedelta(days=days)
        with office.reading() as connection:
            [row] = ageing(connection, office, at)
        assert row.by_age_minor.index(7) == wanted
        assert (row.not_due_minor, row.owed_minor, row.overdue_minor) == (5, 12, 7)


def test_req21_what_is_due_at_midnight_was_to_be_paid_the_day_before(
    office: Office, clock: Clock
) -> None:
    midnight = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
    assert age_days(office, midnight, midnight) == 1
    clock.now = BEGIN
    with office.writing() as connection:
        one = make_account(connection, office)
        post(connection, office, [entry(one, -7, midnight)])
    for days, wanted in ((29, 0), (30, 1)):
        with office.reading() as connection:
            [row] = ageing(connection, office, midnight + timedelta(days=days))
        assert row.by_age_minor.index(7) == wanted


def test_req21_an_account_in_credit_owes_nothing(office: Office) -> None:
    with office.writing() as connection:
        one = make_account(connection, office)
        post(connection, office, [entry(one, -50), entry(one, 50)])
    with office.reading() as connection:
        assert open_items(connection, one) == []
        assert list(ageing(connection, office, office.now())) == []


@dataclass
class Left:
    due_at: datetime
    seq: int
    open_minor: int


def naive_items(chain: Sequence[Posted]) -> list[Left]:
    """The same by pouring every credit over the debits, one by one."""
    gone: set[int] = set()
    by_seq = {each.seq: each for each in chain}
    for each in chain:
        undoes = each.entry.reverses_seq
        if undoes is None or undoes in gone:
            continue
        there = by_seq[undoes].entry
        if there.reverses_seq is None and there.amount_minor == -each.entry.amount_minor:
            gone |= {undoes, each.seq}
    kept = [each for each in chain if each.seq not in gone]
    debts = sorted(
        (
            Left(each.entry.due_at or each.posted_at, each.seq, -each.entry.amount_minor)
            for each in kept
            if each.entry.amount_minor < 0
        ),
        key=lambda left: (left.due_at, left.seq),
    )
    for each in kept:
        money = max(each.entry.amount_minor, 0)
        for debt in debts:
            used = min(money, debt.open_minor)
            debt.open_minor -= used
            money -= used
    return [debt for debt in debts if debt.open_minor]


moves = st.lists(
    st.tuples(
        st.integers(0, 2),  # whose
        st.integers(-500, 500).filter(bool),
        st.none() | st.integers(-40, 250),  # due in how many days
        st.integers(0, 25),  # days until the next one
        st.booleans(),  # takes back an earlier one
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves, st.integers(0, 300))
def test_req21_ageing_equals_a_naive_recount(
    office: Office,
    clock: Clock,
    made: list[tuple[int, int, int | None, int, bool]],
    looked_after_days: int,
) -> None:
    clock.now = BEGIN
    with office.writing() as connection:
        accounts = [make_account(connection, office) for _ in range(3)]
        for whose, amount, due_days, wait_days, takes_back in made:
            account_id = accounts[whose]
            due_at = None if due_days is None else clock.now + timedelta(days=due_days)
            chain = entries_of(connection, account_id, purse=Purse.CURRENT)
            each = entry(account_id, amount, due_at)
            if takes_back and chain:
                back = chain[amount % len(chain)]
                each = entry(account_id, -back.entry.amount_minor, due_at, back.seq)
            post(connection, office, [each])
            clock.advance(days=wait_days)
    at = BEGIN + timedelta(days=looked_after_days)
    with office.reading() as connection:
        rows = {row.account_id: row for row in ageing(connection, office, at)}
        together = open_items_of(connection, accounts, at)
        for account_id in accounts:
            chain = [
                each
                for each in entries_of(connection, account_id, purse=Purse.CURRENT)
                if each.posted_at <= at
            ]
            wanted = naive_items(chain)
            found = open_items(connection, account_id, at)
            assert found == together.get(account_id, [])
            assert [(each.due_at, each.seq, each.open_minor) for each in found] == [
                (each.due_at, each.seq, each.open_minor) for each in wanted
            ]
            owed = max(0, -sum(each.entry.amount_minor for each in chain))
            assert sum(each.open_minor for each in found) == owed
            assert (account_id in rows) == bool(owed)
            if not owed:
                continue
            row = rows[account_id]
            amounts = [0] * len(AGE_CLASSES)
            for item in wanted:
                days = age_days(office, item.due_at, at)
                if item.due_at <= at:
                    place = next(
                        place
                        for place, each in enumerate(AGE_CLASSES)
                        if each.days_max is None or days <= each.days_max
                    )
                    amounts[place] += item.open_minor
            assert row.by_age_minor == tuple(amounts)
            assert row.owed_minor == owed
            assert row.oldest_due_at == wanted[0].due_at
        if at >= clock.now:
            for account_id in accounts:
                owed = -min(0, balance(connection, account_id))
                assert owed == (rows[account_id].owed_minor if owed else 0)
