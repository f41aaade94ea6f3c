"""What happens to a supply, or to its readings, while it is settled."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from billing.accounts.supplying import end_supply
from billing.faults import OfficeRefusedError
from billing.office import Office
from billing.settlement.batch import settle
from billing.settlement.due import load, of_supplies
from billing.settlement.looking import settled_until
from billing.settlement.run import settle_supplies
from billing.settlement.spans import midnight
from tests.billing.settlement.made import HOME, home, judged, rate

FIRST = date(2026, 11, 1)
DAY = date(2026, 11, 20)
A_DAY = timedelta(days=1)


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
