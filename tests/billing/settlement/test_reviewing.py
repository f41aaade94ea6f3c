"""Checks before settling (requirement 11): what is flagged waits for a person, with the reason."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from billing.faults import BadEntryError
from billing.ledger.posting import balance
from billing.office import Office
from billing.settlement.faults import NoSuchReviewError, ReviewDecidedError
from billing.settlement.looking import settlements_of, waiting_of
from billing.settlement.policy import Act, Kind, set_act
from billing.settlement.reviewing import ReviewDesk
from billing.settlement.run import settle_day, settle_month
from billing.settlement.spans import midnight
from headend.registry.tables import end_devices, installations
from headend.watching.checks.flag import Flag
from headend.watching.findings import FindingDesk, Found, Hold, hold_of, keep_findings
from headend.watching.tables import findings
from tests.billing.settlement.made import HOME, Home, home, judged, rate
from tests.shop.conftest import Clock

DAY = date(2026, 11, 20)
FIRST = date(2026, 11, 1)
A_DAY = timedelta(days=1)
FAR = timedelta(days=400)
TIMES = """
code = "times"
name = "Times"
[energy]
rates = { t1 = "1.00", t2 = "0.30" }
names = { t1 = "peak", t2 = "valley" }
"""


def _exchange(one: Home, at: datetime, last_wh: int, first_wh: int, ratio: int = 1) -> int:
    """Another meter hangs there; gives its id."""
    with one.office.writing() as connection:
        connection.execute(
            update(installations)
            .where(installations.c.device_id == one.device_id)
            .values(until=at, last_wh=last_wh)
        )
        point = connection.scalar(
            select(installations.c.point_id).where(installations.c.device_id == one.device_id)
        )
        device_id: int = connection.execute(
            insert(end_devices)
            .values(
                number=f"9{one.device_id:010d}",
                protocol="dlt645-2007",
                address=f"9{one.device_id:011d}",
                kind="credit",
                ratio=ratio,
                state="active",
                added_at=at,
            )
            .returning(end_devices.c.device_id)
        ).scalar_one()
        connection.execute(
            insert(installations).values(
                point_id=point,
                device_id=device_id,
                since=at,
                first_wh=first_wh,
                reason="meter defective",
                made_by="test",
            )
        )
    return device_id


def _settled(one: Home) -> list[int]:
    with one.office.reading() as connection:
        found = settlements_of(
            connection, one.account_id, one.office.now() - FAR, one.office.now() + FAR
        )
    return [each.energy_wh for each in found]


def test_req11_an_exchange_in_the_period_waits_and_counts_both_meters(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    one.read(DAY, 0)
    noon = midnight(DAY, office.zone) + timedelta(hours=12)
    # written down from the meter itself: its transformers multiply it
    device = _exchange(one, noon, last_wh=6_000, first_wh=100, ratio=10)
    one.read(DAY + A_DAY, 10 * 100 + 3_000, device_id=device)
    judged(office, DAY + A_DAY)
    assert settle_day(office, DAY).waiting == 1
    desk = ReviewDesk(office)
    (item,) = desk.list(holding=True)
    assert (item.check, item.cause) == ("exchange", "exchange")
    assert "6000 Wh" in item.reason
    assert "meter defective" in item.reason
    assert desk.release(item.review_id, "papers are in order").state == "released"
    assert _settled(one) == [6_000 + 3_000]
    with pytest.raises(ReviewDecidedError):
        desk.release(item.review_id, "again")


def test_req11_first_reading_after_a_change_waits_unless_the_account_is_prepaid(
    office: Office,
) -> None:
    rate(office, HOME, FIRST)
    homes = [home(office, since=DAY - A_DAY, mode=mode) for mode in ("postpaid", "prepaid")]
    for one in homes:
        one.read(DAY - A_DAY, 0)
        device = _exchange(one, midnight(DAY, office.zone), last_wh=5_000, first_wh=0)
        one.read(DAY + A_DAY, 4_000, device_id=device)
    judged(office, DAY + A_DAY)
    settle_day(office, DAY)
    assert _settled(homes[0]) == [5_000]
    assert _settled(homes[1]) == [5_000, 4_000]
    items = ReviewDesk(office).list()
    assert {(each.check, each.holds) for each in items} == {
        ("first_reading", True), ("first_reading", False)
    }  # fmt: skip
    causes = ReviewDesk(office).causes(office.now() - A_DAY, office.now() + A_DAY)
    assert [(each.cause, each.found, each.open) for each in causes] == [("first_reading", 2, 2)]


def test_req11_a_register_that_went_back_waits_until_it_is_estimated(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY - A_DAY, mode="prepaid")
    one.read(DAY - A_DAY, 0)
    one.read(DAY, 9_000)
    one.read(DAY + A_DAY, 4_000)
    judged(office, DAY + A_DAY)
    settle_day(office, DAY)
    desk = ReviewDesk(office)
    (item,) = desk.list()
    assert (item.check, item.cause, item.holds) == ("register", "register_backward", True)
    with pytest.raises(BadEntryError):
        desk.release(item.review_id, "let it pass")
    with pytest.raises(BadEntryError):
        desk.estimate(item.review_id, {"total": -1}, "as last week")
    desk.estimate(item.review_id, {"total": 8_000}, "as last week")
    assert _settled(one) == [9_000, 8_000]
    with office.reading() as connection:
        last = settlements_of(connection, one.account_id, office.now() - FAR, office.now())[-1]
    assert last.is_estimated
    assert last.readings["meters"][0]["end"] == {"total": 17_000}


def test_req11_a_register_that_is_full_begins_again(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY - 2 * A_DAY, mode="prepaid")
    at = midnight(DAY - A_DAY, office.zone)
    device = _exchange(one, at, last_wh=3_000, first_wh=999_990_000)
    one.read(DAY, 999_995_000, device_id=device)
    one.read(DAY + A_DAY, 2_000, device_id=device)
    judged(office, DAY + A_DAY)
    settle_day(office, DAY)
    assert _settled(one) == [3_000, 5_000, 7_000]
    assert [(each.check, each.holds) for each in ReviewDesk(office).list()] == [
        ("first_reading", False), ("rollover", False)
    ]  # fmt: skip


def test_req11_registers_of_time_of_use_are_compared_with_the_total(office: Office) -> None:
    rate(office, TIMES, FIRST)
    good = home(office, since=DAY, tariff="times")
    bad = home(office, since=DAY, tariff="times")
    for one, valley in ((good, 6_990), (bad, 3_000)):
        one.read(DAY, 0, t1=0, t2=0)
        one.read(DAY + A_DAY, 10_000, t1=3_000, t2=valley)
    judged(office, DAY + A_DAY)
    done = settle_day(office, DAY)
    assert (done.settled, done.waiting) == (1, 1)
    with office.reading() as connection:
        (found,) = settlements_of(connection, good.account_id, office.now() - FAR, office.now())
    assert found.amount_minor == 300 + 210  # the larger register takes what is missing
    (item,) = ReviewDesk(office).list()
    assert (item.check, item.account_id) == ("tariff_gap", bad.account_id)
    assert item.figures["gap_wh"] == -4_000


def test_req11_use_far_from_the_usual_waits_where_the_head_end_has_not_judged(
    office: Office, clock: Clock
) -> None:
    rate(office, HOME, date(2026, 7, 1))
    set_act(office, "not_judged", Kind.MONTHLY, Act.PASS)
    one = home(office, since=date(2026, 7, 1), cycle="monthly")
    register = 0
    for month, used in ((7, 0), (8, 310), (9, 310), (10, 300), (11, 310), (12, 600)):
        register += used * 1_000
        one.read(date(2026, month, 1), register)
    clock.now = midnight(date(2026, 12, 1), office.zone) + timedelta(hours=9)
    settle_month(office, FIRST)
    assert _settled(one) == [310_000, 310_000, 300_000, 310_000]
    (item,) = ReviewDesk(office).list()
    assert (item.check, item.cause) == ("use_swing", "use_above")
    ReviewDesk(office).release(item.review_id, "a second household")
    assert _settled(one)[-1] == 600_000


def test_req11_what_the_head_end_holds_waits_and_prepaid_is_only_flagged(office: Office) -> None:
    assert office.station is not None
    rate(office, HOME, FIRST)
    homes = [home(office, since=DAY, mode=mode) for mode in ("postpaid", "prepaid")]
    begin, end = midnight(DAY, office.zone), midnight(DAY + A_DAY, office.zone)
    for one in homes:
        one.read(DAY, 0)
        one.read(DAY + A_DAY, 5_000)
        flag = Flag("use_swing", "More than usual.")
        with office.writing() as connection:
            keep_findings(
                connection, [Found(flag, begin, end, device_id=one.device_id)], office.now()
            )
    judged(office, DAY + A_DAY)
    set_act(office, "use_swing", Kind.DAILY, Act.HOLD)
    set_act(office, "use_swing", Kind.PREPAID, Act.FLAG)
    settle_day(office, DAY)
    assert _settled(homes[0]) == []
    assert _settled(homes[1]) == [5_000]
    with office.reading() as connection:
        assert hold_of(connection, homes[0].device_id, begin, end) is Hold.HELD
        (wait,) = waiting_of(connection, homes[0].account_id)
        number = connection.scalar(
            select(findings.c.finding_id).where(findings.c.device_id == homes[0].device_id)
        )
    assert wait.why == "held"
    assert f"finding show {number}" in wait.words
    FindingDesk(office.station).dismiss(number or 0, "they were at home")
    settle_day(office, DAY)
    assert _settled(homes[0]) == [5_000]


def test_req11_what_nobody_has_judged_waits_but_prepaid_does_not(office: Office) -> None:
    rate(office, HOME, FIRST)
    homes = [home(office, since=DAY, mode=mode) for mode in ("postpaid", "prepaid")]
    for one in homes:
        one.read(DAY, 0)
        one.read(DAY + A_DAY, 5_000)
    settle_day(office, DAY)
    assert _settled(homes[0]) == []
    assert _settled(homes[1]) == [5_000]
    with office.reading() as connection:
        assert waiting_of(connection, homes[0].account_id)[0].why == "not_judged"


def test_req11_a_span_without_a_reading_may_be_estimated_by_a_person(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    other = home(office, since=DAY)
    for each in (one, other):
        each.read(DAY, 0)
    judged(office, DAY + A_DAY)
    settle_day(office, DAY)
    desk = ReviewDesk(office)
    item = desk.estimate_waiting(one.supply_id, {"total": 7_000}, "neighbour's use")
    assert (item.state, item.check) == ("estimated", "no_reading")
    assert _settled(one) == [7_000]
    with office.reading() as connection:
        assert balance(connection, one.account_id) == -350
    with pytest.raises(NoSuchReviewError):
        desk.estimate_waiting(one.supply_id, {"total": 7_000}, "again")
    # the next reading puts right what was estimated too low or too high
    one.read(DAY + 2 * A_DAY, 12_000)
    judged(office, DAY + 2 * A_DAY)
    settle_day(office, DAY + A_DAY)
    assert _settled(one) == [7_000, 5_000]


def test_every_check_says_what_it_is() -> None:
    from billing.settlement.policy import defaults

    assert json.dumps({name: rule.words for name, rule in defaults().items()})
    assert all(set(rule.acts) == set(Kind) for rule in defaults().values())
