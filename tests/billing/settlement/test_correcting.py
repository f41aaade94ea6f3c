"""Corrections (requirement 13): a reversal and a new settlement, never an edit; the last one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, insert

from billing.ledger import books
from billing.ledger.entry import EntryKind, Posted
from billing.ledger.posting import balance, entries_of
from billing.office import Office
from billing.settlement.correcting import correct, follow_corrections
from billing.settlement.faults import (
    NoSuchSettlementError,
    NothingToCorrectError,
    NotSettledError,
)
from billing.settlement.final import final_settlement
from billing.settlement.looking import effective, settlements_of
from billing.settlement.reviewing import ReviewDesk
from billing.settlement.run import settle_day
from billing.settlement.spans import midnight
from billing.settlement.tables import settlements
from headend.store.corrections import correct_reading
from headend.values import Quality, Reading, Source
from tests.billing.settlement.made import BLOCKS, HOME, Home, home, judged, rate

FIRST = date(2026, 11, 1)
DAY = date(2026, 11, 10)
A_DAY = timedelta(days=1)
FAR = timedelta(days=400)


def _settled(office: Office, one: Home, days: int, *, daily_wh: int) -> None:
    for number in range(days + 1):
        one.read(FIRST + number * A_DAY, number * daily_wh)
    judged(office, FIRST + days * A_DAY)
    settle_day(office, FIRST + (days - 1) * A_DAY)


def _correct(office: Office, one: Home, day: date, value: int, *, why: str = "misread") -> None:
    assert office.station is not None
    at = midnight(day, office.zone)
    reading = Reading(one.device_id, "energy_import_total", at, 0, Source.FREEZE)
    correct_reading(office.station, reading, value=value, reason=why)


def _amounts(office: Office, one: Home) -> dict[date, int]:
    with office.reading() as connection:
        rows = effective(connection, one.supply_id, office.now() - FAR, office.now() + FAR)
    return {each.since.astimezone(office.zone).date(): each.amount_minor for each in rows}


def test_req13_a_corrected_reading_reverses_and_settles_anew(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=FIRST)
    _settled(office, one, 5, daily_wh=10_000)
    _correct(office, one, date(2026, 11, 3), 24_000)
    assert follow_corrections(office) == 1
    assert follow_corrections(office) == 0
    with office.reading() as connection:
        found = settlements_of(connection, one.account_id, office.now() - FAR, office.now() + FAR)
        assert balance(connection, one.account_id) == -5 * 500
        entries = entries_of(connection, one.account_id)
    made = [(each.seq, each.reverses_seq, each.replaces_seq, each.energy_wh) for each in found]
    assert made[5:] == [
        (6, 2, None, -10_000), (7, None, 2, 14_000), (8, 3, None, -10_000), (9, None, 3, 6_000)
    ]  # fmt: skip
    assert all(each.reason == "reading corrected: misread" for each in found[5:])
    undone = [each.entry for each in entries if each.entry.kind is EntryKind.ENERGY_REVERSED]
    assert [each.reverses_seq for each in undone] == [2, 3]
    assert {each.counter for each in undone} == {books.REVENUE}
    assert undone[0].words == "Taken back: Energy 2026-11-02"
    assert entries[6].entry.words == "Corrected: Energy 2026-11-02"


def test_req13_steps_after_a_corrected_day_are_settled_anew_where_they_change(
    office: Office,
) -> None:
    rate(office, BLOCKS, FIRST)
    one = home(office, since=FIRST, tariff="steps")
    same = home(office, since=FIRST, tariff="steps")
    for each in (one, same):
        _settled(office, each, 12, daily_wh=9_500)
    # a day's use moves to the next one: the limit of 100 kWh is passed on another day
    _correct(office, one, date(2026, 11, 3), 15_000)
    follow_corrections(office)
    before, after = _amounts(office, same), _amounts(office, one)
    assert sum(after.values()) == sum(before.values())
    changed = [day for day in before if before[day] != after[day]]
    assert changed == [date(2026, 11, 2), date(2026, 11, 3)]
    # now the use itself is less: later days lie in cheaper steps
    _correct(office, one, date(2026, 11, 13), 12 * 9_500 - 6_000)
    follow_corrections(office)
    with office.reading() as connection:
        assert balance(connection, one.account_id) == -(100 * 50 + 8 * 80)
        rows = effective(connection, one.supply_id, office.now() - FAR, office.now() + FAR)
    assert sum(each.energy_wh for each in rows) == 108_000


def test_req13_later_days_in_steps_follow_when_an_earlier_day_was_too_much(
    office: Office,
) -> None:
    rate(office, BLOCKS, FIRST)
    one = home(office, since=FIRST, tariff="steps")
    _settled(office, one, 6, daily_wh=40_000)
    assert _amounts(office, one)[date(2026, 11, 6)] == 4_800
    for number in range(2, 7):
        _correct(office, one, FIRST + number * A_DAY, number * 40_000 - 30_000)
    follow_corrections(office)
    amounts = _amounts(office, one)
    assert sum(amounts.values()) == 100 * 50 + 100 * 80 + 10 * 120
    # and what comes after goes on from the corrected registers and steps
    one.read(FIRST + 7 * A_DAY, 7 * 40_000 - 30_000)
    judged(office, FIRST + 7 * A_DAY)
    settle_day(office, FIRST + 6 * A_DAY)
    assert _amounts(office, one)[date(2026, 11, 7)] == 4_800


def test_req13_nothing_is_corrected_where_the_readings_are_the_same(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=FIRST)
    begin, end = midnight(FIRST, office.zone), midnight(DAY, office.zone)
    with pytest.raises(NoSuchSettlementError):
        correct(office, one.supply_id, begin, end, "looks odd")
    _settled(office, one, 3, daily_wh=10_000)
    with pytest.raises(NothingToCorrectError):
        correct(office, one.supply_id, begin, end, "looks odd")
    with office.reading() as connection:
        assert balance(connection, one.account_id) == -1_500


def test_req13_a_correction_that_cannot_be_settled_changes_nothing(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=FIRST)
    _settled(office, one, 3, daily_wh=10_000)
    _correct(office, one, date(2026, 11, 3), 900_000, why="typed badly")
    with pytest.raises(NotSettledError):
        correct(
            office,
            one.supply_id,
            midnight(date(2026, 11, 2), office.zone),
            midnight(date(2026, 11, 3), office.zone),
            "looks odd",
        )
    assert follow_corrections(office) == 0
    with office.reading() as connection:
        assert balance(connection, one.account_id) == -1_500


def test_req13_a_supply_that_fails_costs_no_other_and_no_correction(office: Office) -> None:
    rate(office, HOME, FIRST)
    broken, sound = (home(office, since=FIRST) for _ in range(2))
    _settled(office, sound, 3, daily_wh=10_000)
    broken.read(FIRST + A_DAY, 10_000)
    with office.writing() as connection:  # what no program of ours writes
        connection.execute(
            insert(settlements).values(
                supply_id=broken.supply_id,
                seq=1,
                account_id=broken.account_id,
                since=midnight(FIRST, office.zone),
                until=midnight(FIRST + A_DAY, office.zone),
                sign=1,
                energy_wh=10_000,
                amount_minor=500,
                tax_minor=0,
                lines="{}",
                readings="{}",
                carried="0",
                settled_at=office.now(),
                settled_by="somebody",
            )
        )
    for each in (broken, sound):
        _correct(office, each, FIRST + A_DAY, 12_000)
    assert follow_corrections(office) == 1
    assert follow_corrections(office) == 0
    assert _amounts(office, sound)[FIRST] == 600
    (item,) = ReviewDesk(office).list()
    assert (item.supply_id, item.check) == (broken.supply_id, "correction")
    assert "fault in the program (KeyError)" in item.reason
    assert f"settle correct {broken.supply_id} 2026-11-01 2026-11-01 REASON" in item.reason


def test_req13_who_corrects_a_reading_does_not_wait_for_what_is_settled_anew(
    office: Office,
) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=FIRST)
    _settled(office, one, 3, daily_wh=10_000)
    _correct(office, one, FIRST + A_DAY, 12_000)
    if office.engine.dialect.name == "sqlite":  # who writes is alone
        return
    watcher = _Correcting(office, one)
    assert follow_corrections(replace(office, watchers=(watcher,))) == 1
    assert watcher.waited_s < 1
    assert follow_corrections(office) == 1


@dataclass
class _Correcting:
    """A balance watcher that corrects another reading while the first one is followed."""

    office: Office
    one: Home
    waited_s: float = 0.0

    def moved(self, _connection: Connection, _office: Office, _posted: Sequence[Posted]) -> None:
        began = time.monotonic()
        _correct(self.office, self.one, FIRST + 2 * A_DAY, 21_000)
        self.waited_s = time.monotonic() - began


def test_req03_final_settlement_goes_to_the_moment_whatever_the_cycle(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=FIRST, cycle="monthly")
    one.read(FIRST, 0)
    at = midnight(DAY, office.zone) + timedelta(hours=10)
    with pytest.raises(NotSettledError), office.writing() as connection:
        final_settlement(connection, office, one.supply_id, at)
    one.read_at(at, 95_000, source=Source.MANUAL)
    for _ in range(2):
        with office.writing() as connection:
            found = final_settlement(connection, office, one.supply_id, at)
    assert found == []
    with office.reading() as connection:
        (row,) = effective(connection, one.supply_id, office.now() - FAR, office.now())
        assert (row.until, row.energy_wh) == (at, 95_000)
        assert balance(connection, one.account_id) == -47_50
    with pytest.raises(NotSettledError), office.writing() as connection:
        final_settlement(connection, office, one.supply_id, at - timedelta(hours=1))


def test_estimated_qualities_are_marked(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=FIRST)
    one.read(FIRST, 0)
    one.read(FIRST + A_DAY, 5_000, quality=Quality.ESTIMATED)
    judged(office, FIRST + A_DAY)
    settle_day(office, FIRST)
    with office.reading() as connection:
        (row,) = effective(connection, one.supply_id, office.now() - FAR, office.now())
    assert row.is_estimated
