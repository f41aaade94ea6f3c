"""Who is not cut, when nobody is cut, and who is waited for (requirement 22)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from billing.office import Office
from billing.prepaid.cuts import CutState
from billing.prepaid.due import look_at_due
from billing.prepaid.leniency import grace_of
from billing.prepaid.policy import PrepaidPolicy, load_policy, set_policy
from billing.prepaid.standing import Level
from headend.orders.calendar import CalendarDesk
from headend.orders.credentials import Credential, Credentials
from headend.orders.emergency import EmergencyDesk
from headend.orders.protection import ProtectionDesk
from headend.orders.values import OrderKind, OrderState
from headend.talk.ordering import OrderOutcome, Talk
from headend.watching.tables import alarms
from protocols.dlt645.fields import Password
from tests.billing.prepaid.town import Town, in_town, strict, town_of
from tests.headend.orders.scene import ANNA
from tests.headend.orders.tap import tapped
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

TRIP = "relay_trip"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 4, 0, tzinfo=UTC),  # noon of a Monday in Shanghai
        datetime(2026, 11, 23, 11, 0, tzinfo=UTC),  # evening
        datetime(2026, 11, 23, 18, 0, tzinfo=UTC),  # night
        datetime(2026, 11, 27, 3, 0, tzinfo=UTC),  # Friday, towards the weekend
        datetime(2026, 11, 28, 2, 0, tzinfo=UTC),  # Saturday
    ],
)
def test_req22_the_announced_time_is_in_a_window(
    office: Office, clock: Clock, moment: datetime
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, at=moment) as town:
            strict(town.office)
            (account,) = town.accounts
            await town.do(town.use, account, 60_00)
            await town.sweep()
            at = await town.do(town.disconnect_at, account)
            calendar = CalendarDesk(town.scene.as_(ANNA)).calendar()
            assert at is not None
            assert calendar.is_open(at)
            assert at.astimezone(office.zone).isoweekday() <= 5
            assert at >= moment + timedelta(hours=24)

    go()


def test_req22_nobody_is_cut_on_a_holiday(office: Office, clock: Clock) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            desk = CalendarDesk(town.scene.as_(ANNA))
            await town.do(desk.add_holidays, {date(2026, 11, 24): "a day off"})
            (account,) = town.accounts
            await town.do(town.use, account, 60_00)
            await town.sweep()
            at = await town.do(town.disconnect_at, account)
            assert at is not None
            assert at.astimezone(office.zone).date() == date(2026, 11, 25)

    go()


def test_req22_the_protected_are_not_even_told(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.do(_protect, town, 3)
        await town.do(town.use, account, 60_00)
        await town.all()
        assert "keep-power" in town.words(account)
        assert town.told(account) == ["low_balance"]
        await town.scene.wait(days=3, minutes=1)
        await town.all()
        assert town.told(account)[-1] == "disconnect_notice", "the protection has ended"
        assert town.cuts(account) == []

    go()


def test_req22_who_is_protected_after_the_notice_is_not_cut(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.do(town.use, account, 60_00)
        await town.sweep()
        at = town.disconnect_at(account)
        assert at is not None
        await town.do(_protect, town, 30)
        await town.scene.at(at)
        await town.all()
        assert town.scene.lit()
        assert town.cuts(account) == []
        assert town.disconnect_at(account) is None, "it is announced anew"

    go()


def test_req22_keep_power_beats_an_order_that_waits(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.do(town.use, account, 60_00)
        await town.sweep()
        at = town.disconnect_at(account)
        assert at is not None
        await town.scene.at(at)
        await town.sweep()
        assert town.cuts(account)[0].state is CutState.ORDERED
        await town.do(_protect, town, 30)
        await town.all()
        await town.sweep()
        assert town.scene.lit()
        assert town.sent(TRIP) == 0
        assert town.cuts(account)[0].state is CutState.DROPPED
        assert town.level(account) is Level.DISCONNECT_DUE

    go()


def test_req26_an_emergency_stop_suspends_disconnects(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.do(town.use, account, 60_00)
        await town.sweep()
        stop = await town.do(partial(EmergencyDesk(town.scene.as_(ANNA)).stop, reason="flood"))
        for _ in range(4):
            await town.scene.wait(hours=13)
            await town.all()
        assert town.scene.lit()
        assert town.orders() == []
        await town.do(EmergencyDesk(town.scene.as_(ANNA)).resume, stop.stop_id)
        told = len(town.told(account))
        await town.scene.wait(hours=1)
        await town.all()
        assert town.scene.lit(), "not at once, but announced anew"
        assert town.told(account)[told:] == ["disconnect_notice"]

    go()


def test_req22_leniency_is_data(office: Office, clock: Clock) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, 2) as town:
            strict(town.office, first_grace_h=96)
            first, good = town.accounts
            began = clock.now
            await town.until_cut(first, 60_00)
            assert clock.now - began >= timedelta(hours=96)
            assert "first time" in town.history_words(first)
            await town.do(town.pay, first, 90_00)
            await town.all()
            assert town.scene.lit()
            began = clock.now
            await town.until_cut(first, 90_00)
            assert clock.now - began < timedelta(hours=96), "the second time"
            set_policy(town.office, {"first_grace_h": 0, "good_grace_h": 200})
            began = clock.now
            await town.do(town.use, good, 60_00)
            await town.do(look_at_due, town.office, lambda _c, _o, number: number == good)
            at = town.disconnect_at(good)
            assert at is not None
            assert at - began >= timedelta(hours=200)
            assert "pays well" in town.words(good)

    go()


def test_req22_the_longest_grace_counts(office: Office) -> None:
    with office.reading() as connection:
        policy = load_policy(connection)
    assert isinstance(policy, PrepaidPolicy)
    both = grace_of(policy, short_minor=policy.small_minor, is_first=True, is_good=False)
    assert (both.hours, both.why) == (72, "the sum is small")
    none = grace_of(policy, short_minor=policy.small_minor + 1, is_first=False, is_good=False)
    assert none.hours == 0


def test_req22_money_takes_back_what_was_not_sent(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.do(town.use, account, 60_00)
        await town.sweep()
        at = town.disconnect_at(account)
        assert at is not None
        await town.scene.at(at)
        await town.sweep()
        await town.do(town.pay, account, 40_00)
        (cut,) = town.cuts(account)
        assert cut.state is CutState.DROPPED
        assert [order.state for order in town.orders()] == [OrderState.CANCELLED]
        await town.all()
        assert town.scene.lit()
        assert town.sent(TRIP) == 0

    go()


@pytest.mark.parametrize("when", ["before", "after"])
def test_req22_money_that_comes_while_it_is_sent_brings_light(
    office: Office, clock: Clock, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Talk.send

    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:

        async def paying(talk: Talk, evidence: Mapping[str, Any]) -> OrderOutcome:
            if talk.command.kind is not OrderKind.RELAY_TRIP:
                return await send(talk, evidence)
            if when == "before":
                await town.do(town.pay, account, 40_00)
            outcome = await send(talk, evidence)
            if when == "after":
                await town.do(town.pay, account, 40_00)
            return outcome

        monkeypatch.setattr(Talk, "send", paying)
        await town.until_cut(account, 60_00)
        assert town.sent(TRIP) == 1
        for _ in range(3):
            await town.all()
        assert town.scene.lit()
        (cut,) = town.cuts(account)
        assert cut.state is CutState.LIT

    go()


def test_req22_a_little_money_is_not_enough(office: Office, clock: Clock) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office, reconnect_above_minor=5_00)
            (account,) = town.accounts
            await town.until_cut(account, 60_00)
            await town.do(town.pay, account, 14_99)
            await town.all()
            assert not town.scene.lit()
            await town.do(town.pay, account, 1)
            await town.all()
            assert town.scene.lit()

    go()


def test_a_disconnect_that_failed_waits_for_a_person(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        town.scene.credentials = _wrong_passwords()
        await town.until_cut(account, 60_00)
        await town.sweep()
        assert town.scene.lit()
        (cut,) = town.cuts(account)
        assert cut.state is CutState.FAILED, cut.words
        assert town.level(account) is Level.HELD
        assert await town.do(_open_alarms, town) == ["disconnect_failed"]
        for _ in range(3):
            await town.scene.wait(days=1)
            await town.all()
        assert town.sent(TRIP) == 1, "it is not tried again and again"

    go()


def test_a_reconnect_that_comes_to_nothing_is_asked_again_and_then_a_persons(
    office: Office, clock: Clock
) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.until_cut(account, 60_00)
        passwords = town.scene.credentials
        town.scene.credentials = _wrong_passwords()
        await town.do(town.pay, account, 90_00)
        for _ in range(8):
            await town.all()
            await town.scene.wait(hours=7)
        assert town.sent("relay_close") == 4
        assert await town.do(_open_alarms, town) == ["not_reconnected"]
        (cut,) = town.cuts(account)
        assert (cut.state, cut.look_at) == (CutState.RECONNECTING, None)
        town.scene.credentials = passwords
        await town.do(town.see_to, account)
        await town.all()
        assert town.scene.lit()
        assert town.cuts(account)[0].state is CutState.LIT
        assert await town.do(_open_alarms, town) == []

    go()


def test_light_comes_back_though_the_meter_is_suspended_when_money_comes(
    office: Office, clock: Clock
) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.until_cut(account, 60_00)
        await town.do(partial(town.scene.set_device, 0, state="suspended"))
        await town.do(town.pay, account, 90_00)
        assert town.balance(account) == 80_00, "the payment is there"
        assert await town.do(_open_alarms, town) == ["not_reconnected"]
        await town.scene.wait(hours=1)
        await town.all()
        await town.do(partial(town.scene.set_device, 0, state="active"))
        await town.scene.wait(hours=1)
        await town.all()
        assert town.scene.lit()
        assert await town.do(_open_alarms, town) == []

    go()


def test_light_comes_though_the_payment_knew_nothing_of_the_loop(
    office: Office, clock: Clock
) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        await town.until_cut(account, 60_00)
        blind = Town(office, town.scene)
        await town.do(blind.pay, account, 90_00)
        await town.all()
        assert town.scene.lit()

    go()


def test_a_meter_that_is_silent_is_cut_once_it_answers(office: Office, clock: Clock) -> None:
    @in_town(office, clock)
    async def go(town: Town, account: int) -> None:
        tap = await tapped(town.scene)
        tap.mute_after = "relay"
        await town.until_cut(account, 60_00)
        assert not town.scene.lit()
        assert town.orders()[0].state is OrderState.UNKNOWN
        assert town.cuts(account)[0].state is CutState.ORDERED, "nobody knows yet"
        await town.do(town.pay, account, 90_00)
        tap.is_mute, tap.mute_after = False, None
        await town.scene.wait(minutes=5)
        await town.all()
        await town.all()
        assert town.scene.lit()
        assert town.cuts(account)[0].state is CutState.LIT
        assert tap.changes == ["relay", "relay"]
        await tap.stop()

    go()


def _protect(town: Town, days: int) -> None:
    ProtectionDesk(town.scene.as_(ANNA)).add(
        point=town.scene.devices[0].number,
        owner="clinic",
        reason="life support",
        until=town.office.now() + timedelta(days=days),
    )


def _open_alarms(town: Town) -> list[str]:
    with town.office.reading() as connection:
        return list(connection.scalars(select(alarms.c.kind).where(alarms.c.closed_at.is_(None))))


def _wrong_passwords() -> Credentials:
    return Credentials({"default": Credential(Password(2, "999999"))})
