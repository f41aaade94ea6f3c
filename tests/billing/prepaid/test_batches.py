"""Settlements of thousands of accounts: one query for each 500, and writes for those that move."""

from __future__ import annotations

import time

from sqlalchemy import event

from billing.ledger.books import REVENUE
from billing.ledger.entry import Entry, EntryKind, Posted
from billing.office import Office
from billing.prepaid.standing import Level
from billing.prepaid.states import watched
from billing.prepaid.watcher import PrepaidWatcher
from tests.billing.made import make_account

ACCOUNTS = 600


def test_req14_who_stays_well_costs_one_query_for_five_hundred(office: Office) -> None:
    with office.writing() as connection:
        ids = [make_account(connection, office, mode="prepaid") for _ in range(ACCOUNTS)]
    posted = [_posted(office, each, 50_00) for each in ids]
    posted[7] = _posted(office, ids[7], 10_00)
    posted[8] = _posted(office, ids[8], -1)
    asked: list[str] = []
    with office.writing() as connection:

        def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
            asked.append(statement)

        event.listen(office.engine, "before_cursor_execute", count)
        began = time.perf_counter()
        PrepaidWatcher().moved(connection, office, [*posted[:7], *posted[9:]])
        took = time.perf_counter() - began
        assert len(asked) == 2
        assert took < 5, "a million accounts come to minutes at most, on a busy machine too"
        PrepaidWatcher().moved(connection, office, posted)
        event.remove(office.engine, "before_cursor_execute", count)
    with office.reading() as connection:
        levels = {each.account_id: each.level for each in watched(connection, ids, office.now())}
    assert (levels.pop(ids[7]), levels.pop(ids[8])) == (Level.WARNED, Level.DISCONNECT_DUE)
    assert set(levels.values()) == {Level.OK}


def _posted(office: Office, account_id: int, balance_minor: int) -> Posted:
    entry = Entry(account_id, EntryKind.ENERGY, -1, REVENUE, "settlement 1.1", "energy")
    return Posted(entry, 1, office.now(), balance_minor)
