"""Who pays what a notice has named has light; each fall below the floor is told of (14, 16, 26)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from billing.notices.tables import notices
from billing.office import Office
from billing.person import Person
from billing.prepaid.emergency import EmergencyCreditDesk
from billing.prepaid.recovering import _left_of, _payment
from billing.prepaid.standing import Level
from tests.billing.prepaid.town import Town, in_town, strict, town_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

ANNA, BORIS = Person("anna"), Person("boris")
FRIDAY_MORNING = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)


def test_req26_what_a_notice_names_is_enough_though_a_share_of_it_pays_credit_back(
    office: Office, clock: Clock
) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.do(_emergency, town)
        await town.until_cut(account, 120_00)
        named = await town.do(_named, town, account)
        assert named[-2:] == [("disconnect_notice", 53_33), ("disconnected", 53_33)]
        await town.do(town.pay, account, 53_33, "payment 5")
        assert town.balance(account) == 0, "a quarter of it has paid credit back"
        await town.all()
        assert town.scene.lit()

    go()


def test_req16_the_warning_names_what_is_enough_too(office: Office, clock: Clock) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            (account,) = town.accounts
            await town.do(_emergency, town)
            await town.do(town.use, account, 75_00)
            event, pay = (await town.do(_named, town, account))[-1]
            assert event == "low_balance"
            assert pay is not None
            assert pay > 15_00
            await town.do(town.pay, account, pay, "payment 5")
            assert town.balance(account) == 20_00
            assert town.level(account) is Level.OK

    go()


def test_req16_who_falls_short_again_is_told_again_of_the_same_window(
    office: Office, clock: Clock
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, at=FRIDAY_MORNING) as town:
            strict(town.office)
            (account,) = town.accounts
            await town.do(town.use, account, 60_00)
            await town.sweep()
            monday = town.disconnect_at(account)
            await town.scene.wait(hours=10)
            await town.do(town.pay, account, 40_00)
            await town.scene.wait(hours=10)
            await town.do(town.use, account, 90_00)
            await town.sweep()
            assert town.disconnect_at(account) == monday
            assert await town.do(_named, town, account) == [
                ("low_balance", 30_00),
                ("disconnect_notice", 10_00),
                ("low_balance", 80_00),
                ("disconnect_notice", 60_00),
            ]

    go()


@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 10_000)), max_size=3),
)
def test_req26_the_payment_is_enough_and_no_more(short: int, owed: list[tuple[int, int]]) -> None:
    found = [
        SimpleNamespace(amount_minor=amount, recovered_minor=0, share_bp=share)
        for amount, share in owed
    ]
    payment = _payment(short, found)
    assert _left_of(payment, found) >= short
    assert payment == 0 or len(found) > 1 or _left_of(payment - 1, found) < short


def _emergency(town: Town) -> None:
    desk = EmergencyCreditDesk(town.office.acting(ANNA))
    made = desk.ask(place=None, each_minor=30_00, share_bp=2_500, reason="flood")
    EmergencyCreditDesk(town.office.acting(BORIS)).approve(made.emergency_id)
    desk.give(made.emergency_id)
    desk.recover(made.emergency_id)


def _named(town: Town, account_id: int) -> list[tuple[str, int | None]]:
    """What each notice said was to be paid."""
    with town.office.reading() as connection:
        rows = connection.execute(
            select(notices.c.event, notices.c.about)
            .where(notices.c.account_id == account_id)
            .order_by(notices.c.notice_id)
        )
        return [(row.event, json.loads(row.about).get("pay_minor")) for row in rows]
