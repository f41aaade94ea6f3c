"""How long a balance lasts, by the customer's own use; said once, N days ahead (requirement 17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from billing.accounts.tables import supplies
from billing.ledger.books import ensure_account
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.notices.tables import notices
from billing.office import Office
from billing.prepaid.faults import NotPrepaidError
from billing.prepaid.outlook import Outlook, daily_pass, outlook_of
from billing.prepaid.policy import set_policy
from billing.prepaid.running_out import Use, runs_out_on, trimmed_mean, use_of
from billing.prepaid.standing import Limits, limits_from_use
from billing.prepaid.states import watched
from billing.prepaid.watcher import PrepaidWatcher
from billing.settlement.tables import settlements
from storage.ledger import AccountKind
from tests.billing.made import make_account, make_supply
from tests.billing.prepaid.town import COUNTER
from tests.shop.conftest import Clock

MONDAY = date(2026, 11, 23)


def _never(_day: date) -> bool:
    return False


def _weekend(day: date) -> bool:
    return day.isoweekday() > 5


@pytest.mark.parametrize(
    ("left", "days"), [(0, 0), (99, 0), (100, 1), (399, 3), (400, 4), (36_500, 365)]
)
def test_req17_whole_days_are_counted(left: int, days: int) -> None:
    runs_out = runs_out_on(left, Use(100, 100, 9), MONDAY, _never)
    assert runs_out == MONDAY + timedelta(days=days)


def test_req17_nothing_is_said_beyond_a_year() -> None:
    assert runs_out_on(10**9, Use(1, 1, 9), MONDAY, _never) is None


def test_req17_weekends_cost_what_weekends_cost() -> None:
    use = Use(100, 1_000, 9)
    assert runs_out_on(500, use, MONDAY, _weekend) == date(2026, 11, 28)
    assert runs_out_on(500, use, MONDAY, _never) == date(2026, 11, 28)
    assert runs_out_on(501, Use(100, 1, 9), MONDAY, _weekend) == date(2026, 11, 29)


def test_req17_a_feast_and_a_day_away_do_not_count() -> None:
    assert trimmed_mean([100, 100, 100, 10_000, 0]) == 100
    assert use_of([100, 100, 100, 9_000, 0], [50]) == Use(100, 50, 6)
    assert use_of([], [50, 50]) == Use(50, 50, 2)
    assert not use_of([100, 100], []).tells


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40), st.integers(0, 10**6))
def test_req17_more_money_never_runs_out_earlier(costs: Sequence[int], left: int) -> None:
    use = use_of(costs, costs[::2])
    one = runs_out_on(left, use, MONDAY, _weekend)
    more = runs_out_on(left + 1, use, MONDAY, _weekend)
    assert one is None or more is None or one <= more
    assert not (one is None and more is not None)
    assert min(costs) <= use.workday_minor <= max(costs)


def test_req16_limits_follow_from_use_and_cycle() -> None:
    assert limits_from_use(0, "hourly", 300, 5) == Limits(1_500, 0)
    assert limits_from_use(-500, "daily", 300, 5) == Limits(1_300, -200)
    assert limits_from_use(0, "monthly", 300, 5) == Limits(10_800, 9_300)


@dataclass
class Customer:
    """A prepaid account whose days are settled, without a wire."""

    office: Office
    account_id: int
    supply_id: int
    seq: int = 0

    def settle(self, day: date, amount_minor: int, *, sign: int = 1) -> None:
        """Settle a day for so much."""
        self.seq += 1
        since, until = (self.office.day_start(day + timedelta(days=each)) for each in (0, 1))
        with self.office.writing() as connection:
            connection.execute(
                insert(settlements).values(
                    supply_id=self.supply_id,
                    seq=self.seq,
                    account_id=self.account_id,
                    since=since,
                    until=until,
                    sign=sign,
                    energy_wh=amount_minor * 10,
                    amount_minor=amount_minor,
                    tax_minor=0,
                    lines="{}",
                    readings="{}",
                    carried="0",
                    settled_at=self.office.now(),
                    settled_by="test",
                )
            )
            entry = Entry(self.account_id, EntryKind.ENERGY, -amount_minor, "billing.energy",
                          f"settlement {self.supply_id}.{self.seq}", "energy")  # fmt: skip
            post(connection, self.office, [entry])

    def pay(self, amount_minor: int) -> None:
        """Pay."""
        entry = Entry(self.account_id, EntryKind.PAYMENT, amount_minor, COUNTER, "payment 1", "p")
        with self.office.writing() as connection:
            post(connection, self.office, [entry])

    def told(self) -> list[str]:
        """What was told, and for how many days."""
        with self.office.reading() as connection:
            return list(
                connection.scalars(
                    select(notices.c.about)
                    .where(notices.c.account_id == self.account_id, notices.c.event == "days_left")
                    .order_by(notices.c.notice_id)
                )
            )


def _customer(office: Office, days: int = 10) -> Customer:
    """A customer who has used 5.00 on each of so many days until today."""
    office = replace(office, watchers=(PrepaidWatcher(),))
    today = office.today()
    since = office.day_start(today - timedelta(days=days))
    with office.writing() as connection:
        ensure_account(connection, COUNTER, AccountKind.ASSET, office.currency.code)
        account_id = make_account(connection, office, mode="prepaid", warn_minor=1, since=since)
        supply_id, _ = make_supply(connection, office, account_id, since=since)
    customer = Customer(office, account_id, supply_id)
    customer.pay(100_00)
    for back in range(days, 0, -1):
        customer.settle(today - timedelta(days=back), 5_00)
    return customer


def test_req17_about_n_days_are_left_by_the_customers_own_use(office: Office, clock: Clock) -> None:
    clock.now = office.day_start(MONDAY) + timedelta(hours=9)
    customer = _customer(office)
    found = _outlook(customer)
    assert (found.balance_minor, found.use, found.days_left) == (50_00, Use(500, 500, 10), 10)
    assert found.runs_out_on == MONDAY + timedelta(days=10)
    clock.now += timedelta(days=2)
    assert _outlook(customer).days_left == 8, "what is used and not settled yet counts"


def test_req17_a_supply_that_ended_long_ago_is_not_behind(office: Office, clock: Clock) -> None:
    clock.now = office.day_start(MONDAY) + timedelta(hours=9)
    customer = _customer(office)
    begun, ended = (MONDAY - timedelta(days=back) for back in (60, 59))
    with office.writing() as connection:
        supply_id, _ = make_supply(
            connection, office, customer.account_id, since=office.day_start(begun)
        )
    Customer(office, customer.account_id, supply_id).settle(begun, 5_00)
    with office.writing() as connection:
        connection.execute(
            update(supplies)
            .where(supplies.c.supply_id == supply_id)
            .values(until=office.day_start(ended))
        )
    customer.pay(5_00)
    assert _outlook(customer).days_left == 10


def test_req17_the_reminder_comes_once_until_money_comes(office: Office, clock: Clock) -> None:
    clock.now = office.day_start(MONDAY) + timedelta(hours=7)
    customer = _customer(office)
    assert daily_pass(customer.office) == 0, "it is too early in the day"
    day = MONDAY
    for _ in range(8):
        clock.now = office.day_start(day) + timedelta(hours=9)
        assert daily_pass(customer.office) == 1
        assert daily_pass(customer.office) == 0, "once a day"
        customer.settle(day, 5_00)
        day += timedelta(days=1)
    (told,) = customer.told()
    assert '"days_left":4' in told
    assert '"per_day_minor":500' in told
    customer.pay(100_00)
    for _ in range(22):
        clock.now = office.day_start(day) + timedelta(hours=9)
        daily_pass(customer.office)
        customer.settle(day, 5_00)
        day += timedelta(days=1)
    assert len(customer.told()) == 2, "the next time it runs out"


def test_req16_limits_are_the_accounts_own_when_the_policy_says_so(
    office: Office, clock: Clock
) -> None:
    clock.now = office.day_start(MONDAY) + timedelta(hours=9)
    customer = _customer(office)
    daily_pass(customer.office)
    with office.reading() as connection:
        (before,) = watched(connection, [customer.account_id], office.now())
    assert before.limits == Limits(1, 0)
    set_policy(office, {"limits": "use", "warn_days": 3})
    with office.reading() as connection:
        (after,) = watched(connection, [customer.account_id], office.now())
    assert after.limits == Limits(30_00, 5_00), "5 days ahead until it is computed anew"
    clock.now += timedelta(days=8)
    daily_pass(customer.office)
    with office.reading() as connection:
        (anew,) = watched(connection, [customer.account_id], office.now())
    assert anew.limits == Limits(20_00, 5_00)


def test_req17_who_is_billed_has_no_days_left(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        with pytest.raises(NotPrepaidError):
            outlook_of(connection, office, account_id)


def test_req17_the_pass_goes_on_in_pages(
    office: Office, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.prepaid.outlook._AT_ONCE", 2)
    monkeypatch.setattr("billing.prepaid.outlook._PAGES", 1)
    clock.now = office.day_start(MONDAY) + timedelta(hours=9)
    with office.writing() as connection:
        for _ in range(5):
            make_account(connection, office, mode="prepaid")
        make_account(connection, office)
    assert [daily_pass(office) for _ in range(4)] == [2, 2, 1, 0]
    clock.now += timedelta(days=1)
    assert daily_pass(office) == 2


def _outlook(customer: Customer) -> Outlook:
    with customer.office.reading() as connection:
        return outlook_of(connection, customer.office, customer.account_id)
