"""Reading days: set once, moved by two people with a notice, and read on the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import insert, update

from headend.collection.faults import ReadingDayError
from headend.collection.reading_days import ReadingDays
from headend.collection.tables import reading_days
from headend.faults import NotAllowedError, StoreRefusedError
from headend.person import Person, Right
from headend.station import Station
from tests.headend.collection.collecting import ENERGY, head_end, plan_of
from tests.headend.registered import add_device, add_line
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

NUMBER = "77700000001"


@pytest.fixture
def desks(station: Station) -> tuple[ReadingDays, ReadingDays]:
    """Anna asks, Ben approves; the meter stands at its point."""
    add_device(station, NUMBER, add_line(station, "tcp://127.0.0.1:1"))
    anna, ben = (replace(station, person=Person(name)) for name in ("anna", "ben"))
    return ReadingDays(anna), ReadingDays(ben)


def test_a_move_takes_a_second_person_and_a_notice(
    desks: tuple[ReadingDays, ReadingDays],
) -> None:
    anna, ben = desks
    assert anna.set_first(NUMBER, 5).state == "agreed"
    with pytest.raises(ReadingDayError, match="ask for a move"):
        anna.set_first(NUMBER, 6)
    with pytest.raises(ReadingDayError, match="at least 10 days"):
        anna.ask(NUMBER, 20, date(2026, 12, 1), date(2026, 11, 25), "asked by phone")
    move = anna.ask(NUMBER, 20, date(2027, 1, 9), date(2026, 12, 1), "asked by phone")
    assert (move.state, move.from_month) == ("asked", date(2027, 1, 1))
    with pytest.raises(ReadingDayError, match="Another person"):
        anna.approve(move.move_id)
    with pytest.raises(ReadingDayError, match="waits for approval already"):
        ben.ask(NUMBER, 21, date(2027, 2, 1), date(2026, 12, 1), "again")
    agreed = ben.approve(move.move_id)
    assert (agreed.state, agreed.approved_by) == ("agreed", "ben")
    with pytest.raises(ReadingDayError, match="No move"):
        ben.approve(move.move_id)
    assert [each.day for each in anna.moves()] == [5, 20]


def test_a_move_never_holds_within_a_month_that_has_begun(
    desks: tuple[ReadingDays, ReadingDays], clock: Clock
) -> None:
    anna, ben = desks
    anna.set_first(NUMBER, 5)
    with pytest.raises(ReadingDayError, match="never within this one"):
        anna.ask(NUMBER, 20, date(2026, 11, 1), date(2026, 10, 1), "late")
    move = anna.ask(NUMBER, 20, date(2027, 1, 1), date(2026, 12, 1), "in time")
    clock.advance(days=45)
    with pytest.raises(ReadingDayError, match="has begun"):
        ben.approve(move.move_id)
    assert ben.approve(move.move_id, agrees=False).state == "refused"


def test_who_may_not_approve_cannot(
    station: Station, desks: tuple[ReadingDays, ReadingDays]
) -> None:
    anna, _ = desks
    anna.set_first(NUMBER, 5)
    move = anna.ask(NUMBER, 20, date(2027, 1, 1), date(2026, 12, 1), "asked")
    clerk = Person("carl", frozenset({Right.LOOK, Right.READ}))
    with pytest.raises(NotAllowedError):
        ReadingDays(replace(station, person=clerk)).approve(move.move_id)


def test_the_database_itself_refuses_a_move_by_one_person(
    station: Station, desks: tuple[ReadingDays, ReadingDays]
) -> None:
    anna, _ = desks
    anna.set_first(NUMBER, 5)
    move = anna.ask(NUMBER, 20, date(2027, 1, 1), date(2026, 12, 1), "asked")
    for wrong in (
        {"state": "agreed"},
        {"state": "agreed", "approved_by": "anna", "approved_at": station.now()},
        {"day": 21},
    ):
        with pytest.raises(StoreRefusedError), station.writing() as connection:
            connection.execute(
                update(reading_days).where(reading_days.c.move_id == move.move_id).values(**wrong)
            )
    with pytest.raises(StoreRefusedError), station.writing() as connection:
        connection.execute(
            insert(reading_days).values(
                point_id=1, day=9, from_month=24_330, state="agreed", is_first=1, reason="again",
                ordered_by="anna", ordered_at=station.now(),
            )
        )  # fmt: skip


@on_a_loop
async def test_a_plan_by_reading_days_reads_each_meter_on_its_day(
    station: Station, clock: Clock
) -> None:
    async with head_end(station, clock) as head:
        days = ReadingDays(station)
        today = (station.now().astimezone(station.zone) + timedelta(days=1)).date()
        for device, ahead in zip(head.devices, (0, 0, 1), strict=False):
            days.set_first(device.number, (today + timedelta(days=ahead)).day)
        head.collection.add_plan(
            "billing", plan_of(ENERGY, when={"days": "reading", "at": "00:30"})
        )
        head.wait(hours=8)
        await head.swept()
        head.wait(days=1)
        await head.swept()
        head.wait(days=1)
        await head.swept()
        second, first = head.collection.rounds()
        assert (first.counts, second.counts) == ({"read": 2}, {"read": 1})
