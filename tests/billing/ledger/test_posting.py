"""Entries of customers' accounts: chains that only grow, and always add up."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from billing.faults import OfficeRefusedError, UnknownAccountError
from billing.ledger.books import FEES, REVENUE
from billing.ledger.entry import Entry, EntryKind, Posted, Purse
from billing.ledger.posting import balance, balances, entries_of, post
from billing.ledger.tables import account_entries
from billing.office import Office
from tests.billing.made import make_account


def _entry(account_id: int, amount_minor: int, purse: Purse = Purse.CURRENT) -> Entry:
    return Entry(
        account_id,
        EntryKind.ADJUSTMENT,
        amount_minor,
        FEES if amount_minor < 0 else REVENUE,
        "test 1",
        "a test",
        purse,
    )


def test_a_balance_is_the_sum_of_its_entries(office: Office) -> None:
    with office.writing() as connection:
        one, two = make_account(connection, office), make_account(connection, office)
        post(connection, office, [_entry(one, 50_00), _entry(two, -7), _entry(one, -20_00)])
        post(connection, office, [_entry(one, -1), _entry(one, 5_00, Purse.DEPOSIT)])
    with office.reading() as connection:
        assert balances(connection, [one, two]) == {one: 29_99, two: -7}
        assert balance(connection, one, Purse.DEPOSIT) == 5_00
        assert balance(connection, two, Purse.PLAN) == 0
        chain = entries_of(connection, one, purse=Purse.CURRENT)
    assert [(each.seq, each.before_minor, each.balance_minor) for each in chain] == [
        (1, 0, 50_00),
        (2, 50_00, 30_00),
        (3, 30_00, 29_99),
    ]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(Purse),
            st.integers(-(10**12), 10**12).filter(bool),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 5),
)
def test_whatever_is_posted_adds_up(
    office: Office, moves: list[tuple[int, Purse, int]], at_once: int
) -> None:
    with office.writing() as connection:
        accounts = [make_account(connection, office) for _ in range(3)]
    entries = [_entry(accounts[which], amount, purse) for which, purse, amount in moves]
    for place in range(0, len(entries), at_once):
        with office.writing() as connection:
            post(connection, office, entries[place : place + at_once])
    with office.reading() as connection:
        for account_id in accounts:
            for purse in Purse:
                wanted = sum(
                    each.amount_minor
                    for each in entries
                    if each.account_id == account_id and each.purse is purse
                )
                assert balance(connection, account_id, purse) == wanted


@pytest.mark.parametrize(
    ("seq", "balance_minor"), [(1, 9), (2, 9), (3, 9), (3, 7), (4, 9)], ids=str
)
def test_the_database_refuses_what_does_not_continue_a_chain(
    office: Office, seq: int, balance_minor: int
) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_entry(account_id, 5), _entry(account_id, 3)])
    row = {
        "account_id": account_id,
        "purse": "current",
        "seq": seq,
        "posted_at": office.now(),
        "kind": "adjustment",
        "counter": FEES,
        "currency": "CNY",
        "amount_minor": 2,
        "balance_minor": balance_minor,
        "source": "test 2",
        "words": "by hand",
    }
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(insert(account_entries), row)


def test_entries_are_never_changed_or_deleted(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_entry(account_id, 5)])
    for act in (update(account_entries).values(words="x"), account_entries.delete()):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(act)


def test_an_unknown_account_takes_nothing(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
    entries = [_entry(account_id, 5), _entry(account_id + 1, 5)]
    with pytest.raises(UnknownAccountError), office.writing() as connection:
        post(connection, office, entries)
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(account_entries)) == 0


def test_watchers_see_what_was_posted_in_its_transaction(office: Office) -> None:
    seen: list[Posted] = []

    class Watcher:
        def moved(self, connection: object, office: Office, posted: list[Posted]) -> None:
            seen.extend(posted)

    from dataclasses import replace

    watched = replace(office, watchers=(Watcher(),))  # type: ignore[arg-type]
    with watched.writing() as connection:
        account_id = make_account(connection, watched)
        post(connection, watched, [_entry(account_id, 5), _entry(account_id, -7)])
    assert [(each.before_minor, each.balance_minor) for each in seen] == [(0, 5), (5, -2)]
