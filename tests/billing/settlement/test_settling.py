"""Settling: each interval once, what waits and why, what is posted."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import insert, select, update

from billing.accounts.tables import agreements, supply_tariffs
from billing.faults import OfficeRefusedError
from billing.ledger import books
from billing.ledger.posting import balance, entries_of
from billing.office import Office
from billing.settlement.looking import settlements_of, waiting_of
from billing.settlement.run import runs, settle_day, settle_hour, settle_month, settle_waiting
from billing.settlement.spans import midnight
from billing.settlement.tables import settlements
from headend.values import Quality
from tests.billing.settlement.made import BLOCKS, HOME, home, judged, rate
from tests.shop.conftest import Clock

DAY = date(2026, 11, 20)
FIRST = date(2026, 11, 1)
A_DAY = timedelta(days=1)
YEAR = timedelta(days=400)


def test_req13_a_day_is_settled_between_its_registers_and_posted(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    one.read(DAY, 0)
    one.read(DAY + A_DAY, 10_000)
    judged(office, DAY + A_DAY)
    done = settle_day(office, DAY)
    assert (done.state, done.settled, done.waiting) == ("done", 1, 0)
    with office.reading() as connection:
        (found,) = settlements_of(
            connection, one.account_id, office.now() - YEAR, office.now() + YEAR
        )
        assert (found.energy_wh, found.amount_minor, found.tax_minor) == (10_000, 500, 0)
        assert balance(connection, one.account_id) == -500
        (entry,) = entries_of(connection, one.account_id)
    assert entry.entry.counter == books.REVENUE
    assert entry.entry.source == found.source
    assert entry.entry.words == "Energy 2026-11-20"
    assert found.lines[0].words.startswith("energy")
    assert found.readings["meters"][0]["end"] == {"total": 10_000}


def test_req13_settling_the_same_day_again_settles_nothing(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    one.read(DAY, 0)
    one.read(DAY + A_DAY, 10_000)
    judged(office, DAY + A_DAY)
    settle_day(office, DAY)
    again = settle_day(office, DAY)
    assert again.settled == 0
    with office.reading() as connection:
        assert balance(connection, one.account_id) == -500


def test_req13_the_database_refuses_an_interval_that_is_settled(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    for number in range(3):
        one.read(DAY + number * A_DAY, number * 10_000)
    judged(office, DAY + 2 * A_DAY)
    settle_day(office, DAY + A_DAY)
    with office.reading() as connection:
        rows = connection.execute(select(settlements).order_by(settlements.c.seq)).all()
    assert [row.seq for row in rows] == [1, 2]
    last = dict(rows[-1]._mapping)
    wrong = [
        {**last, "seq": 3},  # the same interval
        {**last, "seq": 4, "since": last["until"], "until": last["until"] + A_DAY},  # a gap
        {**last, "seq": 3, "since": last["until"] + A_DAY, "until": last["until"] + 2 * A_DAY},
        {**last, "seq": 3, "sign": -1, "reverses_seq": 2, "reason": "x"},  # not the opposite
        {**last, "seq": 3, "replaces_seq": 2, "reason": "x"},  # not reversed
        {**last, "seq": 3, "since": last["until"], "until": last["until"] + A_DAY,
         "account_id": 999},
    ]  # fmt: skip
    for values in wrong:
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(insert(settlements), values)
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(update(settlements).values(energy_wh=1))
    taken = {
        **last, "seq": 3, "sign": -1, "reverses_seq": 2, "reason": "x",
        "energy_wh": -last["energy_wh"], "amount_minor": -last["amount_minor"],
    }  # fmt: skip
    with office.writing() as connection:
        connection.execute(insert(settlements), taken)
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(insert(settlements), {**taken, "seq": 4})


def test_req11_a_span_without_a_reading_waits_and_is_seen_waiting(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    one.read(DAY, 0)
    judged(office, DAY + A_DAY)
    assert settle_day(office, DAY).waiting == 1
    with office.reading() as connection:
        (waiting,) = waiting_of(connection, one.account_id)
    assert waiting.why == "no_reading"
    assert "energy_import_total" in waiting.words
    one.read(DAY + A_DAY, 4_000)
    assert settle_waiting(office, at_once=True).settled == 1
    with office.reading() as connection:
        assert waiting_of(connection, one.account_id) == []
        assert balance(connection, one.account_id) == -200


def test_req13_who_waits_for_the_months_end_does_not_keep_others_waiting(
    office: Office, clock: Clock
) -> None:
    rate(office, HOME, FIRST)
    first, second = (home(office, since=DAY) for _ in range(2))
    for each in (first, second):
        each.read(DAY, 0)
    judged(office, DAY + A_DAY)
    assert settle_day(office, DAY).waiting == 2
    with office.writing() as connection:  # its day is part of its month now
        row = connection.execute(
            select(agreements).where(agreements.c.account_id == first.account_id)
        ).one()
        values = {**row._mapping, "version": 2, "cycle": "monthly"}
        del values["agreement_id"]
        connection.execute(insert(agreements), values)
    second.read(DAY + A_DAY, 4_000)
    clock.advance(hours=1)
    assert settle_waiting(office, limit=1).settled == 0
    assert settle_waiting(office, limit=1).settled == 1


def test_req09_a_midnight_that_was_missed_is_estimated_and_marked(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY - A_DAY)
    one.read(DAY - A_DAY, 0)
    one.read(DAY + A_DAY, 20_000)
    judged(office, DAY + A_DAY)
    assert settle_day(office, DAY).settled == 2
    with office.reading() as connection:
        found = settlements_of(connection, one.account_id, office.now() - YEAR, office.now() + YEAR)
    assert [each.energy_wh for each in found] == [10_000, 10_000]
    assert all(each.is_estimated for each in found[:1])


def test_a_reading_that_comes_late_moves_nothing_that_was_billed(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY - A_DAY)
    one.read(DAY - A_DAY, 0)
    one.read(DAY + A_DAY, 20_000)
    judged(office, DAY + 2 * A_DAY)
    settle_day(office, DAY - A_DAY)
    one.read(DAY, 4_000)
    settle_day(office, DAY)
    with office.reading() as connection:
        found = settlements_of(connection, one.account_id, office.now() - YEAR, office.now() + YEAR)
    assert [each.energy_wh for each in found] == [10_000, 10_000]


def test_suspect_values_are_not_settled(office: Office) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    one.read(DAY, 0)
    one.read(DAY + A_DAY, 4_000, quality=Quality.SUSPECT)
    judged(office, DAY + A_DAY)
    assert settle_day(office, DAY).waiting == 1


def test_req13_cycles_are_hours_days_and_months(office: Office, clock: Clock) -> None:
    rate(office, HOME, FIRST)
    hourly = home(office, since=DAY, cycle="hourly", mode="prepaid")
    monthly = home(office, since=FIRST, cycle="monthly")
    begin = midnight(DAY, office.zone)
    for hour in range(4):
        hourly.read_at(begin + timedelta(hours=hour), hour * 1_000)
    monthly.read(FIRST, 0)
    monthly.read(date(2026, 12, 1), 100_000)
    judged(office, date(2026, 12, 1))
    assert settle_hour(office, begin + timedelta(hours=3, minutes=30)).settled == 3
    clock.now = midnight(date(2026, 12, 1), office.zone) + timedelta(hours=9)
    assert settle_month(office, FIRST).settled == 1
    with office.reading() as connection:
        assert balance(connection, hourly.account_id) == -150
        assert balance(connection, monthly.account_id) == -5_000
        (entry,) = entries_of(connection, monthly.account_id)
    assert entry.entry.words == "Energy 2026-11"
    assert entry.entry.due_at == midnight(date(2026, 12, 16), office.zone)
    assert {each.cycle.value for each in runs(office)} == {"hourly", "monthly"}


def test_req12_daily_settlement_of_steps_comes_to_the_same_as_the_month(
    office: Office, clock: Clock
) -> None:
    rate(office, BLOCKS, FIRST)
    daily = home(office, since=FIRST, tariff="steps")
    monthly = home(office, since=FIRST, tariff="steps", cycle="monthly")
    for number in range(31):
        daily.read(FIRST + number * A_DAY, number * 9_999)
    monthly.read(FIRST, 0)
    monthly.read(date(2026, 12, 1), 30 * 9_999)
    clock.now = midnight(date(2026, 12, 1), office.zone) + timedelta(hours=9)
    judged(office, date(2026, 12, 1))
    assert settle_day(office, date(2026, 11, 30)).settled == 30
    assert settle_month(office, FIRST).settled == 1
    with office.reading() as connection:
        ends = balance(connection, daily.account_id), balance(connection, monthly.account_id)
    assert ends[0] == ends[1] == -(50_00 + 80_00 + 119_96)


def test_req12_a_change_of_price_in_the_middle_splits_by_registers_or_by_days(
    office: Office, clock: Clock
) -> None:
    rate(office, HOME, FIRST)
    rate(office, HOME.replace("0.50", "1.00"), date(2026, 11, 11))
    read = home(office, since=FIRST, cycle="monthly")
    unread = home(office, since=FIRST, cycle="monthly")
    for each in (read, unread):
        each.read(FIRST, 0)
        each.read(date(2026, 12, 1), 300_000)
    read.read(date(2026, 11, 11), 200_000)
    clock.now = midnight(date(2026, 12, 1), office.zone) + timedelta(hours=9)
    judged(office, date(2026, 12, 1))
    assert settle_month(office, FIRST).settled == 2
    with office.reading() as connection:
        far = office.now() + YEAR
        (by_register,) = settlements_of(connection, read.account_id, office.now() - YEAR, far)
        (by_days,) = settlements_of(connection, unread.account_id, office.now() - YEAR, far)
    assert by_register.amount_minor == 200 * 50 + 100 * 100
    assert [part.split for part in by_register.parts] == ["registers", "registers"]
    assert by_days.amount_minor == 100 * 50 + 200 * 100
    assert [part.split for part in by_days.parts] == ["days", "days"]


def test_another_tariff_of_the_supply_splits_the_span_too(office: Office, clock: Clock) -> None:
    rate(office, HOME, FIRST)
    rate(office, HOME.replace("0.50", "1.00").replace('"home"', '"dear"'), FIRST)
    one = home(office, since=FIRST, cycle="monthly")
    change = midnight(date(2026, 11, 16), office.zone)
    with office.writing() as connection:
        connection.execute(
            insert(supply_tariffs).values(
                supply_id=one.supply_id, since=change, tariff="dear", set_by="test"
            )
        )
    one.read(FIRST, 0)
    one.read(date(2026, 11, 16), 10_000)
    one.read(date(2026, 12, 1), 30_000)
    clock.now = midnight(date(2026, 12, 1), office.zone) + timedelta(hours=9)
    judged(office, date(2026, 12, 1))
    settle_month(office, FIRST)
    with office.reading() as connection:
        assert balance(connection, one.account_id) == -(10 * 50 + 20 * 100)


def test_tax_goes_to_its_own_account_of_the_books(office: Office) -> None:
    taxed = HOME + '[[taxes]]\ncode = "vat"\nname = "VAT"\npercent = "10"\non = ["energy"]\n'
    rate(office, taxed, FIRST)
    one = home(office, since=DAY)
    one.read(DAY, 0)
    one.read(DAY + A_DAY, 10_000)
    judged(office, DAY + A_DAY)
    settle_day(office, DAY)
    with office.reading() as connection:
        moved = {
            each.entry.counter: each.entry.amount_minor
            for each in entries_of(connection, one.account_id)
        }
    assert moved == {books.REVENUE: -500, books.TAX: -50}
