"""Hours: from a meter's own freezes over a socket to the amounts; and what is said without them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sqlalchemy import insert, select

from billing.accounts.tables import supplies, supply_tariffs
from billing.ledger.posting import balance
from billing.office import Office
from billing.settlement.hourly import unread_hours
from billing.settlement.looking import effective, waiting_of
from billing.settlement.run import settle_hour, settle_waiting
from headend.registry.tables import installations
from headend.store import readings as store
from headend.values import Source
from simulators.street_plan import BusPlan
from tests.billing.made import make_account
from tests.billing.settlement.made import HOME, rate
from tests.headend.collection.collecting import Head, head_end
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

IMPORT = "energy_import_total"
HOURS = {
    "what": {"hourly": [IMPORT], "clock": False},
    "when": {"every_min": 60, "at": "00:05"},
}
AN_HOUR = timedelta(hours=1)


@on_a_loop
async def test_req13_hours_are_settled_by_the_freezes_that_a_plan_reads(
    office: Office, clock: Clock
) -> None:
    assert office.station is not None
    rate(office, HOME, office.today() - timedelta(days=30))
    bus = BusPlan(listen=LISTEN, credit_kwh=5_000, load=2_345)
    async with head_end(office.station, clock, bus) as head:
        since = office.now().replace(minute=0, second=0, microsecond=0) + AN_HOUR
        account_id, supply_id = _supplied(office, head, since)
        with office.reading() as connection:
            lacking = unread_hours(connection, office, account_id)
        assert lacking is not None
        assert head.devices[0].number in lacking
        assert "plan add hours --hourly" in lacking
        head.wait(hours=4)
        assert settle_hour(office, office.now()).settled == 0
        with office.reading() as connection:
            (wait,) = waiting_of(connection, account_id)
        assert wait.why == "no_reading"
        assert "--hourly energy_import_total" in wait.words
        head.collection.add_plan("hours", HOURS)
        with office.reading() as connection:
            assert unread_hours(connection, office, account_id) is None
        head.wait(hours=1)
        await head.swept()
        settle_waiting(office, at_once=True)
        head.wait(hours=1)
        await head.swept()
        settle_hour(office, office.now())
        with office.reading() as connection:
            rows = effective(connection, supply_id, since - AN_HOUR, office.now())
            frozen = store.readings(
                connection, head.devices[0].device_id, IMPORT, since, office.now()
            )
            owed = -balance(connection, account_id)
    shown = {each.at: each.value for each in frozen if each.source is Source.FREEZE}
    assert len(rows) == 5
    assert not any(each.is_estimated for each in rows)
    assert [each.energy_wh for each in rows] == [
        shown[each.until] - shown[each.since] for each in rows
    ]
    assert {each.until - each.since for each in rows} == {AN_HOUR}
    energy = sum(each.energy_wh for each in rows)
    assert energy > 5 * 2_000
    assert owed + Fraction(rows[-1].carried) == Fraction(energy) * Fraction(Decimal("0.05"))


def _supplied(office: Office, head: Head, since: datetime) -> tuple[int, int]:
    """An hourly account at the street's first meter; gives its id and its supply's."""
    with office.writing() as connection:
        account_id = make_account(connection, office, mode="prepaid", cycle="hourly", since=since)
        point_id = connection.scalar(
            select(installations.c.point_id).where(
                installations.c.device_id == head.devices[0].device_id
            )
        )
        supply_id = connection.execute(
            insert(supplies)
            .values(account_id=account_id, point_id=point_id, since=since)
            .returning(supplies.c.supply_id)
        ).scalar_one()
        connection.execute(
            insert(supply_tariffs).values(
                supply_id=supply_id, since=since, tariff="home", set_by="test"
            )
        )
    return account_id, supply_id
