"""A clock that stands years ahead burns no token identifiers; a shop that was closed sells on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.shop.conftest import RND, Clock
from tests.shop.databases import START
from vending import (
    CounterRules,
    FreeIssueRequest,
    KeyChangeRequest,
    Meter,
    PaymentRequest,
    Shop,
    VendRequest,
)
from vending.people.credentials import ApiKey, Password
from vending.people.faults import PersonNeededError
from vending.shop.faults import (
    ClockAheadError,
    InvalidSettingError,
    PermissionDeniedError,
    ReasonMissingError,
)

LIMIT = timedelta(hours=840)
CHIEF = Password("chief", "the chief's password")
EVE = Password("eve", "the supervisor's password")
BEN = Password("ben", "the clerk's password")


@pytest.fixture(autouse=True)
def _watched(shop: Shop) -> None:
    """The tests' shops ask nobody about their clock; this one does, as shops do by default."""
    assert CounterRules().clock_ahead_max_h * timedelta(hours=1) == LIMIT
    shop.rules.set(CounterRules(double_sale_window_s=0))


def sale(meter: Meter, message_id: str) -> VendRequest:
    return VendRequest("till", message_id, meter.number, 10_000)


def test_a_year_ahead_sells_nothing_and_stores_nothing(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    first = shop.vend(sale(meter, "s1")).require_done()
    clock.now = START.replace(year=2036)
    with pytest.raises(ClockAheadError, match="2036-11-21"):
        shop.vend(sale(meter, "s2"))
    clock.now = START + timedelta(hours=1)
    second = shop.vend(sale(meter, "s2")).require_done()  # the same id, by the right clock
    tids = [receipt.tokens[0].tid for receipt in (first, second)]
    assert tids[1] is not None
    assert tids[0] is not None
    assert tids[1] - tids[0] == 60


def test_a_month_of_holidays_is_no_question(shop: Shop, meter: Meter, clock: Clock) -> None:
    shop.vend(sale(meter, "s1")).require_done()
    clock.now += LIMIT
    shop.vend(sale(meter, "s2")).require_done()
    clock.now += LIMIT
    shop.vend(sale(meter, "s3")).require_done()
    clock.now += LIMIT + timedelta(minutes=1)
    with pytest.raises(ClockAheadError):
        shop.vend(sale(meter, "s4"))


def test_the_receipts_of_other_tills_tell_the_time_too(
    shop: Shop, meter: Meter, clock: Clock, database_url: str
) -> None:
    shop.vend(sale(meter, "s1")).require_done()
    clock.now += LIMIT
    with Shop.open(database_url, now=clock, rnd=lambda: RND) as other:
        other.vend(sale(meter, "s2")).require_done()
    clock.now += LIMIT
    shop.vend(sale(meter, "s3")).require_done()


def test_whatever_leaves_a_receipt_waits(shop: Shop, meter: Meter, clock: Clock) -> None:
    shop.vend(sale(meter, "s1")).require_done()
    clock.now = START.replace(year=2036)
    with pytest.raises(ClockAheadError):
        shop.trial_vend(meter.number, 10_000)
    with pytest.raises(ClockAheadError):
        shop.giving.free_issue(FreeIssueRequest("till", "f1", meter.number, 10, "storm"))
    with pytest.raises(ClockAheadError):
        shop.key_change(KeyChangeRequest("till", "k1", meter.number, krn=2))
    with pytest.raises(ClockAheadError):
        shop.payments.pay(PaymentRequest("till", "p1", meter.number, 100))
    standing = shop.lookup.confirm_meter(meter.number)
    assert isinstance(standing.why_not, ClockAheadError)


def test_what_was_answered_is_answered_again(shop: Shop, meter: Meter, clock: Clock) -> None:
    first = shop.vend(sale(meter, "s1"))
    clock.now = START.replace(year=2036)
    assert shop.vend(sale(meter, "s1")).response == first.response


def test_a_person_says_that_the_clock_is_right(shop: Shop, meter: Meter, clock: Clock) -> None:
    shop.vend(sale(meter, "s1")).require_done()
    clock.now = START.replace(year=2027)
    assert shop.clock.show().is_far_ahead
    with pytest.raises(ReasonMissingError):
        shop.clock.accept(" ")
    accepted = shop.clock.accept("closed for a year", operator="eve")
    assert not accepted.is_far_ahead
    assert accepted.seen == clock.now
    line = list(shop.audit.lines())[-1]
    assert (line.action, line.actor, line.reason) == ("clock.accepted", "eve", "closed for a year")
    shop.vend(sale(meter, "s2")).require_done()


def test_who_may_say_so(shop: Shop, database_url: str, clock: Clock) -> None:
    shop.people.add_operator(CHIEF.name, CHIEF.password, ["administrator"])
    with Shop.open(database_url, now=clock, credentials=CHIEF) as chief:
        chief.people.add_operator(EVE.name, EVE.password, ["supervisor"])
        chief.people.add_operator(BEN.name, BEN.password, ["clerk"])
        robot = chief.people.add_api_key("robot", ["supervisor"])
    with (
        Shop.open(database_url, now=clock, credentials=BEN) as till,
        pytest.raises(PermissionDeniedError),
    ):
        till.clock.accept("looked at the church")
    with (
        Shop.open(database_url, now=clock, credentials=ApiKey(robot.text)) as program,
        pytest.raises(PersonNeededError),
    ):
        program.clock.accept("looked at the church")
    with Shop.open(database_url, now=clock, credentials=EVE) as office:
        office.clock.accept("looked at the church")


def test_a_shop_that_has_given_nothing_out_has_nothing_to_compare_with(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    clock.now = START.replace(year=2030)
    assert shop.clock.show().seen is None
    shop.vend(sale(meter, "s1")).require_done()


def test_the_limit_is_the_utilitys_to_set(shop: Shop, meter: Meter, clock: Clock) -> None:
    shop.vend(sale(meter, "s1")).require_done()
    shop.trial_vend(meter.number, 10_000)  # the longer limit is known to this process
    shop.rules.set(CounterRules(double_sale_window_s=0, clock_ahead_max_h=36))
    clock.now += timedelta(hours=37)
    with pytest.raises(ClockAheadError):
        shop.vend(sale(meter, "s2"))
    shop.rules.set(CounterRules(double_sale_window_s=0, clock_ahead_max_h=0))
    clock.now = START.replace(year=2036)
    shop.vend(sale(meter, "s2")).require_done()
    with pytest.raises(InvalidSettingError):
        CounterRules(clock_ahead_max_h=-1)
