from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vending.sts import (
    TID_MAX,
    BaseDate,
    InvalidValueError,
    KeyExpiredError,
    KeyExpiry,
    TidRangeError,
    following,
    is_reserved,
    next_tid,
    require_not_expired,
    tid_at,
    time_of,
)

BASES = st.sampled_from(BaseDate)
TIDS = st.integers(0, TID_MAX)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("issued_at", "base", "tid"),
    [
        ("1993-01-01T00:00:00Z", BaseDate.Y1993, 0),
        ("2004-03-01T13:55:00Z", BaseDate.Y1993, 5871715),
        ("2025-03-01T13:55:00Z", BaseDate.Y2014, 5871715),
        ("2026-11-21T09:30:59Z", BaseDate.Y2014, 6778650),
        ("2035-01-01T00:02:00Z", BaseDate.Y2035, 2),
    ],
)
def test_minutes_since_the_base_date(issued_at: str, base: BaseDate, tid: int) -> None:
    assert tid_at(at(issued_at), base) == tid


def test_zones_do_not_matter() -> None:
    local = at("2026-11-21T11:30:00+02:00")
    assert tid_at(local, BaseDate.Y2014) == tid_at(at("2026-11-21T09:30:00Z"), BaseDate.Y2014)
    odd = datetime(2026, 11, 21, 15, 15, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert tid_at(odd, BaseDate.Y2014) == 6778650


def test_the_first_minute_after_midnight_is_reserved() -> None:
    midnight = tid_at(at("2026-01-01T00:00:00Z"), BaseDate.Y2014)
    assert tid_at(at("2026-01-01T00:01:00Z"), BaseDate.Y2014) == midnight + 2
    assert tid_at(at("2026-01-01T00:02:00Z"), BaseDate.Y2014) == midnight + 2
    assert following(midnight) == midnight + 2


def test_base_dates_end() -> None:
    assert BaseDate.Y1993.last == at("2024-11-24T20:15:00Z")
    assert BaseDate.Y2014.last == at("2045-11-24T20:15:00Z")
    assert BaseDate.Y2035.last.year == 2066
    assert tid_at(BaseDate.Y1993.last, BaseDate.Y1993) == TID_MAX
    with pytest.raises(TidRangeError, match=r"ended at 2024-11-24T20:15Z.*change the meter's key"):
        tid_at(at("2024-11-24T20:16:00Z"), BaseDate.Y1993)
    with pytest.raises(TidRangeError, match="lies before base date 2035"):
        tid_at(at("2034-12-31T23:59:00Z"), BaseDate.Y2035)


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(InvalidValueError, match="needs a time zone"):
        tid_at(datetime(2026, 1, 1), BaseDate.Y2014)  # noqa: DTZ001 - the fault under test


@given(TIDS, BASES)
def test_time_and_tid_are_inverse(tid: int, base: BaseDate) -> None:
    again = tid_at(time_of(tid, base), base)
    assert again == (tid + 1 if is_reserved(tid) else tid)


@given(
    st.lists(st.datetimes(datetime(2014, 1, 1), datetime(2045, 1, 1)), min_size=1, max_size=50)  # noqa: DTZ001
)
def test_tids_only_grow_whatever_the_clock_does(moments: list[datetime]) -> None:
    last: int | None = None
    for moment in moments:
        tid = next_tid(moment.replace(tzinfo=UTC), BaseDate.Y2014, last)
        assert last is None or tid > last
        assert not is_reserved(tid)
        last = tid


def test_the_last_tid_has_no_successor() -> None:
    with pytest.raises(TidRangeError, match="later base date"):
        following(TID_MAX)


def test_key_expiry() -> None:
    require_not_expired(0x00FFFF, KeyExpiry(0))
    require_not_expired(TID_MAX, KeyExpiry(255))
    with pytest.raises(KeyExpiredError, match=r"KEN 0, this token needs 1"):
        require_not_expired(0x010000, KeyExpiry(0))
    with pytest.raises(TidRangeError):
        require_not_expired(TID_MAX + 1, KeyExpiry(255))
