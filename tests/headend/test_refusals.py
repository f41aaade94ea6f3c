"""Refusals that no room's own tests come by, each given for real."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from commands.order.wiring import ShopTokens
from headend.collection.desk import Collection
from headend.collection.faults import NoPlanError
from headend.faults import StoreUnavailableError
from headend.orders.calendar import CalendarDesk
from headend.orders.desk import Orders
from headend.orders.emergency import EmergencyDesk
from headend.orders.faults import (
    NotReachableError,
    OrderStateError,
    TokenGoneError,
    UnknownOrderError,
    UnknownProtectionError,
)
from headend.orders.protection import ProtectionDesk
from headend.orders.values import OrderKind, OrderRequest
from headend.publishing.faults import PublishingMissingError
from headend.publishing.publisher import require_mqtt
from headend.registry.tables import links
from headend.station import Station
from headend.talk.amounts import of_modbus
from headend.talk.faults import NoModemError, NotAValueError
from headend.talk.lines import Lines
from headend.work.durable import DurableWork
from headend.work.inline import InlineWork
from headend.work.presence import AlreadyServedError, Presence, WorkerNameError
from storage.engine import open_engine
from tests.headend.registered import add_device


def test_a_plan_that_is_not_there(station: Station) -> None:
    with pytest.raises(NoPlanError, match="No plan 'hourly'"):
        Collection(station).plan("hourly")


def test_orders_that_cannot_be(station: Station) -> None:
    desk = Orders(station, InlineWork())
    device_id = add_device(station, "01000000017", None)
    with pytest.raises(UnknownOrderError):
        desk.find(7)
    with pytest.raises(OrderStateError):
        desk.approve_batch("none")
    with pytest.raises(NotReachableError, match="on no line"):
        desk.place(
            OrderRequest(
                client="test",
                message_id="1",
                device_id=device_id,
                kind=OrderKind.RELAY_CLOSE,
                why="try",
            )
        )


def test_protections_that_are_not_there(station: Station) -> None:
    with pytest.raises(UnknownProtectionError):
        ProtectionDesk(station).end(7, why="over")
    with pytest.raises(UnknownProtectionError):
        EmergencyDesk(station).resume(7)
    with pytest.raises(UnknownProtectionError):
        CalendarDesk(station).remove_holiday(datetime(2026, 1, 1, tzinfo=UTC).date())


def test_a_token_of_no_receipt(station: Station) -> None:
    with station.reading() as connection:
        for reference in ("7/1", "seven"):
            with pytest.raises(TokenGoneError):
                ShopTokens().digits(connection, reference)


def test_a_modem_that_has_not_called(station: Station) -> None:
    with station.writing() as connection:
        connection.execute(
            insert(links).values(
                name="hill", kind="modem", caller="MH1", state="active", added_at=station.now()
            )
        )

    async def ask() -> None:
        lines = Lines(station)
        try:
            await lines.line(1)
        finally:
            await lines.aclose()

    with pytest.raises(NoModemError, match="has not called in"):
        asyncio.run(ask())


def test_words_that_stand_for_no_number() -> None:
    with pytest.raises(NotAValueError):
        of_modbus("ajar", "contact_state", 1)


def test_workers_names(station: Station) -> None:
    presence = Presence(station, DurableWork(station.engine))
    with pytest.raises(WorkerNameError):
        presence.enter("n" * 500)
    presence.enter("north")
    again = Presence(station, DurableWork(station.engine))
    is_file = station.engine.dialect.name == "sqlite"
    try:
        with pytest.raises((AlreadyServedError, WorkerNameError)) as refused:
            again.enter("north")
        assert refused.value.code == ("already_served" if is_file else "worker_name")
    finally:
        presence._locks.close()
        again._locks.close()


def test_a_database_without_an_answer(station: Station) -> None:
    gone = replace(station, engine=open_engine("postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(StoreUnavailableError), gone.reading():
        pass
    gone.engine.dispose()


def test_mqtt_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    with pytest.raises(PublishingMissingError, match=r"meterhouse\[mqtt\]"):
        require_mqtt()
