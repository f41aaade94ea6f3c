"""What happens to a supply, or to its readings, while it is settled."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from billing.accounts.supplying import end_supply
from billing.faults import OfficeRefusedError
from billing.ledger.posting import balance
from billing.office import Office
from billing.settlement.batch import settle
from billing.settlement.correcting import follow_corrections
from billing.settlement.due import load, of_supplies
from billing.settlement.looking import settled_until, settlements_of
from billing.settlement.run import settle_day, settle_supplies
from billing.settlement.spans import midnight
from headend.store.corrections import correct_reading
from headend.store.tables import reading_corrections
from headend.values import Reading, Source
from tests.billing.settlement.made import HOME, Home, home, judged, rate

FIRST = date(2026, 11, 1)
DAY = date(2026, 11, 20)
A_DAY = timedelta(days=1)
FAR_BACK = datetime(2026, 1, 1, tzinfo=UTC)


def test_req13_who_moves_out_while_the_day_is_settled_pays_until_then_only(
    office: Office,
) -> None:
    rate(office, HOME, FIRST)
    one = home(office, since=DAY)
    one.read(DAY, 0)
    one.read(DAY, 5_000, minutes=720)
    one.read(DAY + A_DAY, 10_000)
    judged(office, DAY + A_DAY)
    noon = midnight(DAY, office.zone) + timedelta(hours=12)
    until = midnight(DAY + A_DAY, office.zone)
    with office.reading() as connection:
        dues = load(connection, of_supplies([one.supply_id]), until)
    with office.writing() as connection:
        end_supply(connection, office, one.supply_id, noon, "moved")
    with pytest.raises(OfficeRefusedError, match="was ended"), office.writing() as connection:
        settle(connection, office, dues, until)
    assert settle_supplies(office, [one.supply_id]).energy_wh == 5_000
    with office.reading() as connection:
        assert settled_until(connection, [one.supply_id]) == {one.supply_id: noon}


def test_req13_a_correction_that_is_committed_after_a_later_one_is_followed_too(
    office: Office,
) -> None:
    rate(office, HOME, FIRST)
    one, other = home(office, since=FIRST), home(office, since=FIRST)
    for each in (one, other):
        for day in range(4):
            each.read(FIRST + day * A_DAY, day * 10_000)
    judged(office, FIRST + 3 * A_DAY)
    settle_day(office, FIRST + 2 * A_DAY)
    _correct(office, one, 12_000)
    follow_corrections(office)
    if office.engine.dialect.name == "sqlite":  # who writes is alone
        _correct(office, other, 14_000)
        assert follow_corrections(office) == 1
        return
    done: list[int] = []
    sweep = threading.Thread(target=lambda: done.append(follow_corrections(office)))
    with office.writing() as connection:
        first = connection.execute(select(reading_corrections)).one()._mapping
        values = {name: value for name, value in first.items() if name != "correction_id"}
        values |= {"device_id": other.device_id, "value": 14_000}
        connection.execute(insert(reading_corrections).values(values))
        _correct(office, one, 13_000)
        sweep.start()
        sweep.join(1)
    sweep.join(30)
    assert sum(done) + follow_corrections(office) == 2
    with office.reading() as connection:
        assert balance(connection, other.account_id) == -3 * 500
        rows = settlements_of(connection, other.account_id, FAR_BACK, office.now())
    assert [each.energy_wh for each in rows[3:]] == [-10_000, 14_000, -10_000, 6_000]


def _correct(office: Office, one: Home, value: int) -> None:
    """The register at the begin of the second day."""
    assert office.station is not None
    at = midnight(FIRST + A_DAY, office.zone)
    reading = Reading(one.device_id, "energy_import_total", at, 0, Source.FREEZE)
    correct_reading(office.station, reading, value=value, reason="misread")
