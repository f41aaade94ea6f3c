"""What a day of settlement asks of the database does not grow with the days before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from billing.bills.kinds import BillKind
from billing.bills.making import BillOrder, make_bill
from billing.ledger.posting import balances
from billing.office import Office
from billing.settlement.looking import settled_until
from billing.settlement.policy import Act, Kind, set_act
from billing.settlement.run import settle_day
from billing.settlement.spans import midnight
from headend.store.registers import add_readings
from headend.values import Reading, Source
from tests.billing.settlement.made import BLOCKS, NAMES, Home, home, rate
from tests.shop.conftest import Clock

FIRST = date(2026, 5, 1)
A_DAY = timedelta(days=1)
FEW, MANY = 50, 150
MORE_PERCENT = 15
"""A tree that is larger is a little deeper; what was posted is three times as much."""


@pytest.fixture
def homes(office: Office) -> list[Home]:
    """Three homes with steps, read on each midnight; the head-end has judged nothing."""
    rate(office, BLOCKS, FIRST)
    found = [home(office, since=FIRST, tariff="steps", mode="prepaid") for _ in range(3)]
    with office.writing() as connection:
        add_readings(
            connection,
            [
                Reading(
                    each.device_id, NAMES["total"], midnight(FIRST + number * A_DAY, office.zone),
                    number * 9_000, Source.FREEZE,
                )
                for number in range(MANY + 2)
                for each in found
            ],
        )  # fmt: skip
    set_act(office, "not_judged", Kind.PREPAID, Act.PASS)
    set_act(office, "use_swing", Kind.PREPAID, Act.FLAG)
    return found


def test_req13_a_day_costs_the_same_after_some_weeks_and_after_some_months(
    office: Office, clock: Clock, homes: list[Home]
) -> None:
    accounts = [each.account_id for each in homes]
    supplies = [each.supply_id for each in homes]
    acts: dict[str, Callable[[int], object]] = {
        "settled": lambda number: settle_day(office, FIRST + number * A_DAY),
        "balances": lambda _: _read(office, lambda it: balances(it, accounts)),
        "ends": lambda _: _read(office, lambda it: settled_until(it, supplies)),
    }
    asked: dict[str, list[int]] = {name: [] for name in acts}
    for number in (FEW, MANY):
        clock.now = midnight(FIRST + (number + 1) * A_DAY, office.zone)
        settle_day(office, FIRST + (number - 1) * A_DAY)
        for name, act in acts.items():
            with _counted(office) as work:
                act(number)
            asked[name].append(work[0])
    for name, (few, many) in asked.items():
        assert 100 * many <= (100 + MORE_PERCENT) * few, (name, few, many)


def test_req20_a_bill_costs_what_was_posted_since_the_one_before_it(
    office: Office, clock: Clock, homes: list[Home]
) -> None:
    one = homes[0]
    asked = []
    for number in (FEW, MANY):
        clock.now = midnight(FIRST + (number + 1) * A_DAY, office.zone)
        settle_day(office, FIRST + (number - 1) * A_DAY)
        with office.writing() as connection:
            make_bill(connection, office, BillOrder(one.account_id, BillKind.REGULAR))
        settle_day(office, FIRST + number * A_DAY)
        with _counted(office) as work, office.writing() as connection:
            make_bill(connection, office, BillOrder(one.account_id, BillKind.REGULAR))
        asked.append(work[0])
    assert 100 * asked[1] <= (100 + MORE_PERCENT) * asked[0], asked


def _read(office: Office, ask: Callable[[Any], object]) -> None:
    with office.reading() as connection:
        ask(connection)


@contextmanager
def _counted(office: Office) -> Iterator[list[int]]:
    """How much the database does in the block: steps of SQLite, rows that PostgreSQL looks at."""
    work = [0]
    if office.engine.dialect.name == "sqlite":

        def step() -> None:
            work[0] += 1

        def watch(driver: Any, *_: object) -> None:
            driver.set_progress_handler(step, 10)

        office.engine.dispose()
        event.listen(office.engine, "connect", watch)
        try:
            yield work
        finally:
            event.remove(office.engine, "connect", watch)
            office.engine.dispose()
        return
    with office.writing() as connection:
        connection.execute(text("ANALYZE"))  # as the server does by itself after a while
    before = _rows_read(office)
    yield work
    work[0] = _rows_read(office) - before


def _rows_read(office: Office) -> int:
    with office.writing() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with office.reading() as connection:
        indexes = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes"
        tables = "SELECT sum(seq_tup_read) FROM pg_stat_user_tables"
        return int(connection.scalar(text(f"SELECT ({indexes}) + ({tables})")))
