"""Figures for managers (requirement 28), against months that were counted by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, select, update

from billing.accounts.tables import supplies
from billing.faults import BadEntryError, RightMissingError
from billing.figures.mix import channel_mix
from billing.figures.months import month_figures
from billing.ledger.books import LATE_FEES, REVENUE
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from billing.payments.door import take
from billing.payments.payment import Payment
from billing.person import Person, Right
from billing.settlement.tables import settlements
from headend.collection.tables import contact_hours
from headend.registry.tables import installations, places, service_points
from headend.watching.calendar import number_of
from headend.watching.tables import loss_days
from tests.billing.made import make_account, make_supply
from tests.shop.conftest import Clock


def _at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 4, tzinfo=UTC)  # noon in Shanghai


def _bill(office: Office, account_id: int, amount_minor: int, due_at: datetime) -> None:
    with office.writing() as connection:
        entry = Entry(
            account_id, EntryKind.ENERGY, -amount_minor, REVENUE, "settlement 1", "energy",
            due_at=due_at,
        )  # fmt: skip
        post(connection, office, [entry])


def _pay(office: Office, account_id: int, amount_minor: int, channel: str = "counter") -> None:
    with office.writing() as connection:
        reference = f"{channel} {office.now():%m%d} {account_id}"
        take(connection, office, Payment(channel, reference, amount_minor, account_id))


def _settle(
    connection: Connection,
    town: dict[str, int],
    seq: int,
    since: datetime,
    *,
    reverses: int | None = None,
) -> None:
    """A day's settlement, some hours after its end; a reversal twenty days later."""
    sign = 1 if reverses is None else -1
    until = since + timedelta(days=1)
    late = timedelta(hours=seq) if reverses is None else timedelta(days=20)
    connection.execute(
        insert(settlements).values(
            supply_id=town["near supply"],
            seq=seq,
            account_id=town["near"],
            since=since,
            until=until,
            sign=sign,
            reverses_seq=reverses,
            energy_wh=sign * 5_000,
            amount_minor=sign * 2_50,
            tax_minor=0,
            lines="[]",
            readings="{}",
            carried="0",
            settled_at=until + late,
            settled_by="test",
            reason=None if reverses is None else "wrong reading",
        )
    )


@pytest.fixture
def town(office: Office, clock: Clock) -> dict[str, int]:
    """Two accounts in two areas of one feeder, three months of bills, and who paid when."""
    clock.now = _at(8, 20)
    with office.writing() as connection:
        ids = {"near": make_account(connection, office), "far": make_account(connection, office)}
        feeder = connection.execute(
            insert(places).values(kind="substation", name="S").returning(places.c.place_id)
        ).scalar_one()
        for name, account_id in list(ids.items()):
            area = connection.execute(
                insert(places)
                .values(kind="area", name=name, parent_id=feeder)
                .returning(places.c.place_id)
            ).scalar_one()
            supply_id, _ = make_supply(connection, office, account_id)
            connection.execute(
                update(service_points)
                .where(
                    service_points.c.point_id.in_(
                        select(supplies.c.point_id).where(supplies.c.supply_id == supply_id)
                    )
                )
                .values(place_id=area)
            )
            ids[f"{name} supply"], ids[f"{name} place"] = supply_id, area
    clock.now = _at(9, 10)
    _bill(office, ids["near"], 100_00, _at(9, 24))
    _bill(office, ids["far"], 50_00, _at(9, 24))
    clock.now = _at(9, 20)
    _pay(office, ids["near"], 100_00)
    clock.now = _at(10, 10)
    _bill(office, ids["near"], 80_00, _at(10, 24))
    _bill(office, ids["far"], 60_00, _at(10, 24))
    clock.now = _at(10, 20)
    _pay(office, ids["far"], 20_00, "alipay")
    clock.now = _at(11, 15)
    with office.writing() as connection:
        late = Entry(ids["far"], EntryKind.LATE_FEE, -1_00, LATE_FEES, "late 1", "late fee")
        post(connection, office, [late])
    clock.now = _at(11, 16)
    return ids


@pytest.mark.usefixtures("town")
def test_req28_rates_of_collection_and_arrears_by_month(office: Office) -> None:
    september, october, november = month_figures(office, date(2026, 9, 1), date(2026, 11, 30))
    assert (september.billed_minor, september.paid_minor) == (150_00, 100_00)
    assert september.collection_bp == 6666
    assert (september.owed_minor, sum(september.overdue_minor)) == (50_00, 50_00)
    assert (october.billed_minor, october.paid_minor) == (140_00, 20_00)
    assert october.owed_minor == 170_00
    # of far's September bill 30.00 are left, 37 days after the 24th of September
    assert october.overdue_minor == (140_00, 30_00, 0, 0, 0)
    assert october.arrears_bp == 170_00 * 10_000 // 290_00
    # August, September and October have 92 days
    assert october.days_to_collect == 170_00 * 92 // 290_00
    assert (november.billed_minor, november.paid_minor, november.owed_minor) == (1_00, 0, 171_00)
    assert november.collection_bp == 0


@pytest.mark.usefixtures("town")
def test_req28_by_area_and_by_mode(office: Office) -> None:
    for area, billed, paid in (("near", 80_00, 0), ("far", 60_00, 20_00), ("S", 140_00, 20_00)):
        (october,) = month_figures(office, date(2026, 10, 1), date(2026, 10, 1), area=area)
        assert (october.billed_minor, october.paid_minor) == (billed, paid)
    (prepaid,) = month_figures(office, date(2026, 10, 1), date(2026, 10, 1), mode="prepaid")
    assert (prepaid.billed_minor, prepaid.owed_minor, prepaid.collection_bp) == (0, 0, None)


def test_req28_errors_reads_and_losses(office: Office, town: dict[str, int]) -> None:
    since = _at(9, 1)
    with office.writing() as connection:
        begin = connection.execute(
            select(supplies.c.since).where(supplies.c.supply_id == town["near supply"])
        ).scalar_one()
        for seq in (1, 2, 3):
            _settle(connection, town, seq, begin + timedelta(days=seq - 1))
        _settle(connection, town, 4, begin, reverses=1)
        device_id = connection.scalar(select(installations.c.device_id).limit(1))
        connection.execute(
            insert(contact_hours),
            [
                {"device_id": device_id, "hour": since + timedelta(hours=n), "asked": 10,
                 "answered": 9 + n} for n in range(2)
            ],
        )  # fmt: skip
        connection.execute(
            insert(loss_days),
            [
                {"place_id": town["near place"], "day": number_of(date(2026, 9, 2)) + n,
                 "supplied_wh": 1_000, "sold_wh": 950, "estimated_wh": 0, "meters": 1, "known": 1,
                 "state": state, "loss_bp": loss}
                for n, (state, loss) in enumerate((("good", 500), ("uncovered", None)))
            ],
        )  # fmt: skip
    august, september = month_figures(office, date(2026, 8, 1), date(2026, 9, 1))
    assert (august.settlements, august.corrected) == (3, 0)
    assert august.settled_after_h == 2
    assert august.settled_wh == 15_000
    assert (september.corrected, september.settled_wh) == (1, -5_000)
    assert (september.asked, september.answered, september.read_success_bp) == (20, 19, 9500)
    assert (september.supplied_wh, september.sold_wh, september.loss_bp) == (1_000, 950, 500)


@pytest.mark.usefixtures("town")
def test_req28_by_which_channels_people_pay(office: Office) -> None:
    mix = channel_mix(office, date(2026, 9, 1), date(2026, 10, 31))
    assert [(each.channel, each.amount_minor, each.share_bp) for each in mix] == [
        ("counter", 100_00, 8333),
        ("alipay", 20_00, 1666),
    ]
    (only,) = channel_mix(office, date(2026, 9, 1), date(2026, 10, 31), area="far")
    assert (only.channel, only.payments, only.share_bp) == ("alipay", 1, 10_000)


def test_figures_are_for_those_who_may_see_them(office: Office) -> None:
    clerk = office.acting(Person("clerk", frozenset({Right.LOOK, Right.SERVE})))
    with pytest.raises(RightMissingError, match="'report'"):
        month_figures(clerk, date(2026, 9, 1), date(2026, 9, 1))
    with pytest.raises(RightMissingError):
        channel_mix(clerk, date(2026, 9, 1), date(2026, 9, 1))


@pytest.mark.parametrize(
    ("first", "last", "area"),
    [
        (date(2026, 9, 1), date(2026, 8, 1), None),
        (date(2020, 1, 1), date(2026, 8, 1), None),
        (date(2026, 8, 1), date(2026, 8, 1), "nowhere"),
    ],
)
def test_what_cannot_be_told_is_refused(
    office: Office, first: date, last: date, area: str | None
) -> None:
    with pytest.raises(BadEntryError):
        month_figures(office, first, last, area=area)
