"""When supply may be cut, through holidays, weekends and changed clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from headend.orders.windows import Calendar, Window

_ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC")


def _calendar(
    *windows: Window, zone: str = "Asia/Shanghai", off: frozenset[date] = frozenset()
) -> Calendar:
    return Calendar(windows, off, ZoneInfo(zone))


def test_an_order_of_saturday_noon_waits_for_monday_morning() -> None:
    calendar = _calendar(Window(1, 540, 690), Window(5, 540, 690))
    saturday = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
    assert calendar.next_opening(saturday) == datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


def test_a_holiday_is_no_day_for_a_disconnect() -> None:
    off = frozenset({date(2026, 11, 23)})
    calendar = _calendar(Window(1, 540, 690), Window(5, 540, 690), off=off)
    saturday = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
    assert calendar.next_opening(saturday) == datetime(2026, 11, 27, 1, 0, tzinfo=UTC)


def test_noon_closes() -> None:
    calendar = _calendar(Window(1, 540, 690), Window(1, 810, 960))
    at_eleven = datetime(2026, 11, 23, 3, 29, 59, tzinfo=UTC)
    assert calendar.closing(at_eleven) == datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
    noon = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    assert calendar.closing(noon) is None
    assert calendar.next_opening(noon) == datetime(2026, 11, 23, 5, 30, tzinfo=UTC)


def test_without_windows_supply_is_never_cut() -> None:
    assert _calendar().next_opening(datetime(2026, 11, 23, tzinfo=UTC)) is None


_windows = st.builds(
    lambda day, start, length: Window(day, start, min(1440, start + length)),
    st.integers(1, 7),
    st.integers(0, 1439),
    st.integers(1, 600),
)
# the days around Europe's, Newfoundland's and Lord Howe's changes, so that clocks change often
_moments = st.builds(
    lambda day, minute: day + timedelta(minutes=minute),
    st.sampled_from(
        [
            datetime(2026, 3, 7, tzinfo=UTC),
            datetime(2026, 3, 28, tzinfo=UTC),
            datetime(2026, 4, 3, tzinfo=UTC),
            datetime(2026, 10, 2, tzinfo=UTC),
            datetime(2026, 10, 24, tzinfo=UTC),
            datetime(2026, 10, 31, tzinfo=UTC),
        ]
    ),
    st.integers(0, 3 * 1440),
)


@settings(max_examples=60)
@given(st.lists(_windows, min_size=1, max_size=4), _moments, st.sampled_from(_ZONES))
@example([Window(7, 120, 150)], datetime(2026, 3, 29, 0, 0, tzinfo=UTC), "Europe/Berlin")
@example([Window(7, 90, 135)], datetime(2026, 10, 24, 23, 0, tzinfo=UTC), "Europe/Berlin")
@example([Window(7, 60, 200)], datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "Europe/Berlin")
def test_openings_and_closings_are_what_going_minute_by_minute_finds(
    windows: list[Window], moment: datetime, zone: str
) -> None:
    calendar = _calendar(*windows, zone=zone)
    step = timedelta(minutes=1)
    opening = calendar.next_opening(moment)
    assert opening is not None
    walked = moment
    while not calendar.is_open(walked):
        walked += step
        assert walked - moment < timedelta(days=9)
    assert opening == walked
    closing = calendar.closing(opening)
    while calendar.is_open(walked) and walked - opening < timedelta(days=2):
        walked += step
    if walked - opening < timedelta(days=2):
        assert closing == walked
