"""A year of due moments on any utility's calendar: each meter exactly once in each period."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headend.collection.calendar import (
    ROLLING_DAYS,
    days_meant,
    due_moments,
    first_of,
    is_day,
    month_number,
    next_due,
)
from headend.collection.faults import PlanError
from headend.collection.plan import When, document_of, parse_plan, read_document
from headend.collection.retries import next_try, urgency_of
from headend.collection.window import Window, is_open, next_opening
from headend.talk.faults import UnknownQuantityError
from headend.work.port import Urgency

ZONES = st.sampled_from(
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
     "America/Santiago", "Africa/Casablanca", "Asia/Beirut"]
).map(ZoneInfo)  # fmt: skip
TIMES = st.times().map(lambda face: face.replace(second=0, microsecond=0))
YEARS = st.integers(2020, 2037)
DAYS = st.integers(1, 31)
MONTHS_2 = (date(2026, 1, 1), date(2028, 2, 1))


def days_of_a_year(when: When, year: int, zone: ZoneInfo) -> list[datetime]:
    """The due moments that a service meets which always asks for the next one."""
    moment = datetime(year, 1, 1, tzinfo=zone).astimezone(UTC) - timedelta(seconds=1)
    end = datetime(year + 1, 1, 1, tzinfo=zone).astimezone(UTC)
    found = []
    while (moment := next_due(when, moment, zone)) < end:
        found.append(moment)
    return found


@settings(max_examples=30)
@given(
    ZONES,
    YEARS,
    TIMES,
    st.integers(1, 31),
    st.lists(st.tuples(st.integers(2, 12), st.integers(1, 31)), max_size=3),
)
def test_each_reading_day_comes_once_a_month_also_when_it_is_moved(
    zone: ZoneInfo, year: int, at: time, first: int, moves: list[tuple[int, int]]
) -> None:
    """A move holds from the first of a month on."""
    when = plan({"days": "reading", "at": f"{at:%H:%M}"})
    in_force = {1: first} | dict(sorted(moves))
    read = []
    for moment in days_of_a_year(when, year, zone):
        day = moment.astimezone(zone).date()
        own = in_force[max(month for month in in_force if month <= day.month)]
        if own in days_meant(day):
            read.append(day.month)
    assert read == list(range(1, 13))


def plan(when: dict[str, object]) -> When:
    return parse_plan({"what": {"quantities": ["energy_import_total"]}, "when": when}).when


@settings(max_examples=30)
@given(ZONES, YEARS, TIMES, st.integers(0, 10**9))
def test_a_rolling_plan_reads_each_meter_once_a_month(
    zone: ZoneInfo, year: int, at: time, device_id: int
) -> None:
    when = plan({"days": "rolling", "at": f"{at:%H:%M}"})
    read = [
        moment.astimezone(zone).date().month
        for moment in days_of_a_year(when, year, zone)
        if device_id % ROLLING_DAYS == moment.astimezone(zone).date().day - 1
    ]
    assert read == list(range(1, 13))


@settings(max_examples=20)
@given(ZONES, YEARS, st.sampled_from([15, 30, 60, 360, 1440]), st.data())
def test_every_so_many_minutes_is_evenly_spread_over_days_of_any_length(
    zone: ZoneInfo, year: int, every_min: int, data: st.DataObject
) -> None:
    offset = data.draw(st.integers(0, every_min - 1))
    when = plan({"every_min": every_min, "at": f"{offset // 60:02}:{offset % 60:02}"})
    first = date(year, 1, 1)
    days = [first + timedelta(days=n) for n in range(366)]
    moments = [moment for day in days for moment in due_moments(when, day, zone)]
    assert moments == sorted(set(moments))
    place = data.draw(st.integers(0, len(moments) - 2))
    assert next_due(when, moments[place], zone) == moments[place + 1]
    # a day that is longer or shorter by a part of the interval bends one step, no other
    odd = [b - a for a, b in pairwise(moments)
           if b - a != timedelta(minutes=every_min)]  # fmt: skip
    assert len(odd) <= 8
    by_day = Counter(moment.astimezone(zone).date() for moment in moments)
    assert len(by_day) >= 365
    assert sum(count != 1440 // every_min for count in by_day.values()) <= 8


@given(st.dates(*MONTHS_2), st.lists(st.integers(1, 31), min_size=1, max_size=4))
def test_a_day_that_a_month_lacks_is_its_last(day: date, days: list[int]) -> None:
    month = [first_of(month_number(day)) + timedelta(days=n) for n in range(31)]
    month = [each for each in month if each.month == day.month]
    assert {each for each in month if is_day(days, each)} == {
        month[min(wanted, len(month)) - 1] for wanted in days
    }
    assert sorted(n for each in month for n in days_meant(each)) == list(range(1, 32))


def test_a_day_of_autumn_has_one_more_hourly_round_and_one_of_spring_one_less() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    when = plan({"every_min": 60})
    counts = [
        len(list(due_moments(when, day, berlin)))
        for day in (date(2026, 3, 29), date(2026, 7, 1), date(2026, 10, 25))
    ]
    assert counts == [23, 24, 25]


@given(ZONES, st.integers(0, 525_600), TIMES, TIMES)
def test_a_window_opens_within_two_days_and_not_before_it_is_open(
    zone: ZoneInfo, minute: int, start: time, end: time
) -> None:
    if start == end:
        return
    windows = [Window(start, end)]
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    opening = next_opening(windows, now, zone)
    assert now <= opening <= now + timedelta(days=2)
    if is_open(windows, now, zone):
        assert opening == now
    if opening > now:
        just_before = opening - timedelta(seconds=1)
        assert just_before < now or not is_open(windows, just_before, zone)


@given(st.integers(1, 60), st.integers(0, 600), st.integers(1, 40))
def test_pauses_between_attempts_never_shrink_and_have_a_limit(
    first_min: int, more_min: int, attempts: int
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    longest = first_min + more_min
    pauses = [next_try(now, n, first_min, longest) - now for n in range(1, attempts + 1)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= timedelta(minutes=longest)


@pytest.mark.parametrize("planned", list(Urgency))
def test_what_is_tried_again_loses_urgency(planned: Urgency) -> None:
    order = [urgency_of(planned, attempt) for attempt in range(4)]
    assert order[0] is planned
    assert order[2] >= order[1]
    assert order[2] >= min(planned, Urgency.RETRY_LATE) or planned is Urgency.ORDER


def test_a_plan_is_the_same_after_it_was_kept() -> None:
    document = {
        "what": {"daily": ["energy_import_total"], "events": True, "profile_min": 30},
        "whom": {"lists": ["factories"]},
        "when": {"days": [1, 15], "at": "01:30"},
        "windows": [["22:00", "06:00"]],
        "urgency": "late",
        "line_s": 600,
    }
    made = parse_plan(document)
    assert read_document(document_of(made)) == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": {"every_min": 7}},
        {"when": {"every_min": 60, "days": [1]}},
        {"when": {"days": []}},
        {"when": {"days": "weekly"}},
        {"what": {}},
        {"what": {"quantities": ["meter_number"]}},
        {"windows": [["06:00", "06:00"]]},
        {"urgency": "asap"},
        {"colour": "red"},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    document = {"what": {"quantities": ["credit"]}, "when": {"every_min": 60}, **wrong}
    with pytest.raises((PlanError, UnknownQuantityError), match=r"\.$"):
        parse_plan(document)
