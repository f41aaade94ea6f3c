"""Who is off and is billed from now on, or paid ahead, or leaves: who lights, who cuts (21, 22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select, update

from billing.accounts.closing import CloseRequest, ask
from billing.accounts.looking import agreement_at
from billing.accounts.rows import insert_agreement
from billing.accounts.tables import customer_accounts
from billing.accounts.values import Terms
from billing.collecting.cases import Debt, change, open_case, step_once
from billing.collecting.stepping import ASKER
from billing.collecting.sweeping import sweep as collect
from billing.collecting.tables import collection_cases
from billing.collecting.watcher import CollectionWatcher
from billing.office import Office
from billing.prepaid.cuts import CutState
from billing.prepaid.disconnecting import ask_disconnect
from billing.prepaid.standing import Level
from tests.billing.prepaid.town import Town, strict, town_of
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock


def test_req21_who_is_billed_from_now_on_has_light_and_is_collected_by_steps(
    office: Office, clock: Clock
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            (account,) = town.accounts
            await town.until_cut(account, 60_00)
            await town.do(_change, town, "postpaid")
            for _ in range(2):
                await town.all()
            assert town.scene.lit()
            for _ in range(5):
                await town.scene.wait(days=1)
                await town.do(collect, town.office)
                await town.all()
            assert town.scene.lit(), "no prepaid disconnect follows"
            assert town.level(account) is Level.OK
            with town.office.reading() as connection:
                assert connection.scalar(select(collection_cases.c.account_id)) == account

    go()


def test_req21_who_pays_ahead_from_now_on_has_light_when_the_debt_is_paid(
    office: Office, clock: Clock
) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            town.office = replace(
                town.office, watchers=(*town.office.watchers, CollectionWatcher())
            )
            (account,) = town.accounts
            await town.do(_change, town, "postpaid")
            await town.do(town.use, account, 150_00)
            await town.do(_have_cut, town, account)
            await town.all()
            assert (town.cuts(account)[0].asker, town.scene.lit()) == ("collecting", False)
            await town.do(_change, town, "prepaid")
            for _ in range(2):
                await town.scene.wait(days=1)
                await town.do(collect, town.office)
                await town.all()
            assert not town.scene.lit(), "the debt is as it was"
            await town.do(town.pay, account, 120_00)
            await town.all()
            assert town.scene.lit()
            await town.until_cut(account, 60_00)
            cut, _ = town.cuts(account)
            assert (cut.asker, cut.state) == ("prepaid", CutState.DARK)

    go()


def test_req21_who_leaves_has_no_light_before_he_has_paid(office: Office, clock: Clock) -> None:
    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock) as town:
            strict(town.office)
            (account,) = town.accounts
            await town.until_cut(account, 60_00)
            await town.do(_close, town, account)
            for _ in range(3):
                await town.all()
            assert not town.scene.lit()
            await town.do(town.pay, account, 90_00)
            for _ in range(2):
                await town.all()
            assert town.scene.lit()
            await town.until_cut(account, 100_00)
            assert not town.scene.lit(), "the day on which he leaves has not come"

    go()


def _have_cut(town: Town, account_id: int) -> None:
    """As the last of the steps does."""
    now = town.office.now()
    with town.office.writing() as connection:
        case_id = open_case(
            connection,
            town.office,
            account_id,
            due_since=now,
            debt_class="light",
            debt=Debt(100_00, 50),
            next_at=now,
        )
        once = step_once(case_id, 1)
        ask_disconnect(connection, town.office, account_id, "arrears", once, asker=ASKER)
        done = {"steps_done": 1, "last_step": "disconnect", "last_step_at": now}
        change(connection, case_id, disconnect_asked_at=now, **done)


def _close(town: Town, account_id: int) -> None:
    with town.office.writing() as connection:
        day = town.office.today() + timedelta(days=90)
        ask(connection, town.office, account_id, CloseRequest("moves away", day))


def _change(town: Town, mode: str) -> None:
    """As an approved change of mode does."""
    office = town.office
    (account_id,) = town.accounts
    with office.writing() as connection:
        last = agreement_at(connection, account_id, office.now())
        terms = Terms(**{name: getattr(last, name) for name in Terms.__dataclass_fields__})
        insert_agreement(
            connection,
            office,
            account_id,
            terms,
            mode=mode,
            since=office.now(),
            version=last.version + 1,
        )
        connection.execute(
            update(customer_accounts)
            .where(customer_accounts.c.account_id == account_id)
            .values(mode=mode)
        )
