"""Moments as SQLite keeps them: text of one width that sorts as time does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.types import moment_text, text_moment

_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 - the zone is drawn
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=_ZONES,
)


@given(_MOMENTS)
def test_a_moment_comes_back_as_it_was_kept_in_utc(moment: datetime) -> None:
    text = moment_text(moment)
    assert text is not None
    assert len(text) == len("2026-01-01T00:00:00.000000Z")
    back = text_moment(text)
    assert back == moment
    assert back.tzinfo is UTC


@given(_MOMENTS, _MOMENTS)
def test_texts_sort_as_their_moments_do(one: datetime, other: datetime) -> None:
    assert (str(moment_text(one)) < str(moment_text(other))) == (one < other)


@given(_MOMENTS, _ZONES)
def test_one_moment_has_one_text_in_every_zone(moment: datetime, zone: timezone) -> None:
    assert moment_text(moment.astimezone(zone)) == moment_text(moment)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="needs a zone"):
        moment_text(datetime(2026, 1, 1))  # noqa: DTZ001


def test_nothing_stays_nothing() -> None:
    assert moment_text(None) is None
    assert text_moment(None) is None
