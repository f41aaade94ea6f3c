"""Who will be late at the next due date: learnt from counts, tested on later months (req 25)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from billing.collecting.faults import NoForecastError, TooLittleHistoryError
from billing.collecting.features import GROUPS, bills_of, examples_of, features_of
from billing.collecting.forecasting import ForecastDesk, forecast_due
from billing.collecting.model import Counting, Hits, Model, fit, hits_of
from billing.collecting.record import Due
from billing.collecting.tables import arrears_forecasts
from billing.ledger.books import REVENUE, received
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from tests.billing.collecting.debtors import told, watched
from tests.billing.collecting.payers import (
    BEGIN,
    GRACE_DAYS,
    LEAD_DAYS,
    bills_of_town,
    histories_of_town,
)
from tests.billing.made import make_account
from tests.shop.conftest import Clock

ZONE = ZoneInfo("Asia/Shanghai")
MONTHS = 24
YEAR = timedelta(days=365)


def simulated(seed: int, customers: int) -> tuple[Counting, Counting]:
    """Examples of a town's first year, to learn from, and of its second, to test."""
    learnt, held = Counting(), Counting()
    end = BEGIN + timedelta(days=740)
    for history in histories_of_town(seed, customers, MONTHS):
        for example in examples_of(
            bills_of(history), ZONE, BEGIN, end, lead_days=LEAD_DAYS, grace_days=GRACE_DAYS
        ):
            counting = learnt if example.due_at < BEGIN + YEAR else held
            counting.add(example.features, example.late)
    return learnt, held


def test_req25_the_forecast_hits_on_a_simulated_year_that_it_has_not_seen() -> None:
    learnt, held = simulated(seed=20261122, customers=600)
    model = fit(learnt.counts)
    hits = hits_of(model, held.counts, 300_000)
    assert hits.due == held.total
    assert 8 <= hits.late_percent <= 25
    assert hits.precision_percent >= 45
    assert hits.recall_percent >= 35
    assert hits.lift_tenths >= 35
    late = [each.late * 1000 // each.due for each in hits.tenths]
    assert late[0] > 3 * late[4] > 0
    for tenth in hits.tenths[:3]:  # the chances are what they say
        assert abs(tenth.chance_ppm / 1e6 - tenth.late / tenth.due) < 0.15


def test_req25_the_same_counts_give_the_same_model() -> None:
    learnt, _ = simulated(seed=1, customers=100)
    again = dict(reversed(list(learnt.counts.items())))
    assert fit(learnt.counts) == fit(again)
    model = fit(learnt.counts)
    assert Model.read(model.document()) == model


def test_req25_a_model_says_why() -> None:
    model = Model(-2000, tuple(tuple(range(len(each))) for each in GROUPS.values()))
    reasons = model.reasons((3, 4, 0, 2, 1))
    assert reasons[0] == ("last 12 months: more late", 4)
    assert model.chance_ppm((0, 0, 0, 0, 0)) == round(1e6 / (1 + 2.718281828459045**2))


def test_req25_nothing_is_known_before_it_happened() -> None:
    due_at = [BEGIN + timedelta(days=31 * place) for place in range(4)]
    bills = [Due(each, 100, each - timedelta(days=9), each + timedelta(days=20)) for each in due_at]
    soon = features_of(bills, ZONE, due_at[2] + timedelta(days=10), 100)
    assert soon == (3, 4, 2, 1, 1)
    later = features_of(bills, ZONE, due_at[2] + timedelta(days=25), 100)
    assert later == (3, 4, 2, 0, 1)
    assert features_of(bills, ZONE, due_at[0] - timedelta(days=1), 100) == (0, 0, 4, 0, 3)


def test_req25_hits_count_what_was_named() -> None:
    model = Model(0, tuple((0,) * len(each) for each in GROUPS.values()))
    counts = {(0, 0, 0, 0, 0): (80, 20), (1, 1, 1, 1, 1): (20, 20)}
    hits = hits_of(model, counts, 500_000)
    assert (hits.due, hits.late, hits.named, hits.named_late) == (100, 40, 100, 40)
    assert (hits.precision_percent, hits.recall_percent) == (40, 100)
    assert sum(each.due for each in hits.tenths) == 100
    assert sum(each.late for each in hits.tenths) == 40
    assert Hits.read(hits.document()) == hits


def test_req25_it_learns_from_the_books_and_reminds_before_the_due_date(
    office: Office, clock: Clock
) -> None:
    town = list(bills_of_town(seed=7, customers=80, months=14))
    clock.now = BEGIN - timedelta(days=60)
    office = watched(office)
    with office.writing() as connection:
        accounts = [make_account(connection, office) for _ in town]
    last = town[0][-1]
    end = last.due_at - timedelta(days=3)
    events: list[tuple[datetime, int, int, datetime | None]] = []
    for account_id, bills in zip(accounts, town, strict=True):
        for bill in bills:
            events.append((bill.known_at, account_id, -bill.amount_minor, bill.due_at))
            if bill.paid_at is not None:
                events.append((bill.paid_at, account_id, bill.amount_minor, None))
    with office.writing() as connection:
        by_day: dict[datetime, list[Entry]] = {}
        for at, account_id, amount, due_at in sorted(events, key=lambda each: each[:3]):
            if at <= end:
                kind = EntryKind.ENERGY if amount < 0 else EntryKind.PAYMENT
                counter = REVENUE if amount < 0 else received("test")
                entry = Entry(account_id, kind, amount, counter, "test 1", "x", due_at=due_at)
                by_day.setdefault(at, []).append(entry)
        for at, entries in by_day.items():
            clock.now = at
            post(connection, office, entries)
    clock.now = end
    desk = ForecastDesk(office)
    with pytest.raises(NoForecastError) as none:
        desk.newest()
    assert none.value.code == "no_forecast"
    trained = desk.train()
    assert desk.newest() == trained
    assert trained.hits.lift_tenths > 15
    assert trained.hits.due > 200
    clock.now = office.day_start(office.today()) + timedelta(hours=10)
    made = forecast_due(office)
    assert made > 0
    assert forecast_due(office) == 0
    forecasts = desk.list()
    assert len(forecasts) == made
    assert [each.chance_ppm for each in forecasts] == sorted(
        (each.chance_ppm for each in forecasts), reverse=True
    )
    for each in forecasts:
        assert each.reminded == (each.chance_ppm >= 300_000)
        assert told(office, each.account_id) == ["early_reminder"] * each.reminded
    assert any(each.reminded for each in forecasts)
    with office.reading() as connection:
        assert len(connection.execute(select(arrears_forecasts)).all()) == made


def test_req25_too_little_history_is_said(office: Office) -> None:
    with pytest.raises(TooLittleHistoryError) as little:
        ForecastDesk(office).train()
    assert little.value.code == "too_little_history"
