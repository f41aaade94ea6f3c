"""What goes wrong with one account stops no other, is told, and is tried again (21)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection

from billing.collecting.sweeping import light_again
from billing.faults import BadEntryError
from billing.notices.outbox import queue_notices
from billing.notices.port import Notice
from billing.office import Office
from billing.prepaid.cuts import CutState
from billing.prepaid.disconnecting import ask_disconnect, ask_reconnect
from tests.billing.collecting.debtors import make_customer
from tests.billing.prepaid.town import strict, town_of
from tests.headend.orders.scene import MONDAY_MORNING
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock


def test_req21_one_fault_keeps_nobody_else_from_being_followed(
    office: Office,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong: set[int] = set()

    def telling(connection: Connection, office: Office, told: Sequence[Notice]) -> Any:
        if any(each.account_id in wrong for each in told):
            raise BadEntryError("A contact of it cannot be read.")
        return queue_notices(connection, office, told)

    @on_a_loop
    async def go() -> None:
        async with town_of(office, clock, 2) as town:
            strict(town.office)
            first, second = town.accounts
            await town.do(town.use, second, 60_00)
            await town.until_cut(first, 60_00)
            monkeypatch.setattr("billing.prepaid.following.queue_notices", telling)
            wrong.add(first)
            for account in town.accounts:
                await town.do(town.pay, account, 90_00)
            with structlog.testing.capture_logs() as events:
                for _ in range(3):
                    await town.all()
            assert town.cuts(second)[0].state is CutState.LIT
            (cut,) = town.cuts(first)
            assert cut.state is CutState.RECONNECTING
            assert "A contact of it cannot be read." in cut.words
            assert town.history(cut).count("reconnecting") == 2, "told once, however often tried"
            logged = [each for each in events if each["event"] == "prepaid_follow_failed"]
            assert {(each["account_id"], each["code"]) for each in logged} == {(first, "bad_entry")}
            wrong.clear()
            await town.all()
            assert town.cuts(first)[0].state is CutState.LIT

    go()


def test_req21_one_fault_keeps_nobody_else_in_the_dark(
    office: Office, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = MONDAY_MORNING
    first, second = make_customer(office), make_customer(office)
    wrong = {first}

    def asking(connection: Connection, office: Office, account_id: int, why: str) -> Any:
        if account_id in wrong:
            raise BadEntryError("Something of it cannot be read.")
        return ask_reconnect(connection, office, account_id, why)

    with office.writing() as connection:
        for each in (first, second):
            ask_disconnect(connection, office, each, "arrears", f"c {each}", asker="collecting")
    monkeypatch.setattr("billing.collecting.sweeping.ask_reconnect", asking)
    assert light_again(office) == 1
    assert light_again(office) == 0
    wrong.clear()
    assert light_again(office) == 1
