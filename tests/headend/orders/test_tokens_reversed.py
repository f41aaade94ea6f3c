"""A sale is undone or its token is given to the meter, whichever comes first, and never both."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, text, update

from commands.order.wiring import ShopTokens, deliver_new_tokens
from headend.faults import StoreRefusedError
from headend.orders.credentials import Credentials
from headend.orders.job import Carrier
from headend.orders.moves import find_order
from headend.orders.tables import orders
from headend.orders.values import Order, OrderState
from headend.person import SERVICE
from headend.station import Station
from headend.talk.device import load_device
from headend.talk.lines import Lines
from headend.talk.ordering import Ready
from tests.headend.registered import add_device, add_line
from tests.shop.conftest import Clock
from vending import NewMeter, Outcome, ReversalRequest, Shop, VendRequest, VendResult

NUMBER = "01000000016"
READY = Ready({"sequence": 1, "sequence_before": 0, "fingerprint_before": 0})


@pytest.fixture
def shop(database_url: str, clock: Clock) -> Iterator[Shop]:
    with Shop.open(database_url, now=clock, rnd=lambda: 5) as shop:
        yield shop


def sell(station: Station, shop: Shop) -> None:
    add_device(station, NUMBER, add_line(station, "tcp://127.0.0.1:9"), kind="keypad")
    shop.add_meter(NewMeter(NUMBER, customer="Anna Example"))
    shop.vend(VendRequest("kiosk", "m1", NUMBER, 10_000)).require_done()


def ordered(station: Station) -> int:
    assert deliver_new_tokens(station, None) == 1
    with station.reading() as connection:
        return int(connection.scalars(select(orders.c.order_id)).one())


def reverse(shop: Shop) -> VendResult:
    return shop.advice.reverse(ReversalRequest("kiosk", "undo", "m1", reason="no paper"))


def mark(station: Station, order_id: int) -> Order | None:
    acting = replace(station, person=SERVICE)
    carrier = Carrier(acting, Lines(acting), Credentials(), ShopTokens(), None)
    with acting.writing() as connection:
        return _marked(connection, carrier, order_id)


def _marked(connection: Connection, carrier: Carrier, order_id: int) -> Order | None:
    order = find_order(connection, order_id)
    return carrier._mark(connection, order, load_device(connection, order.device_id), READY)


def state_of(station: Station, order_id: int) -> OrderState:
    with station.reading() as connection:
        return find_order(connection, order_id).state


def wait_for_waiting(station: Station, many: int) -> None:
    """Until so many backends of this database wait for a lock."""
    waiting = text(
        "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
        "WHERE NOT l.granted AND a.datname = current_database()"
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with station.reading() as connection:
            if connection.scalar(waiting) == many:
                return
        time.sleep(0.05)
    raise AssertionError(f"There were never {many} waiting.")


def test_the_database_gives_no_token_of_a_reversed_sale_to_a_meter(
    station: Station, shop: Shop, clock: Clock
) -> None:
    sell(station, shop)
    order_id = ordered(station)
    assert reverse(shop).outcome is Outcome.DONE
    with pytest.raises(StoreRefusedError, match="sale was reversed"), station.writing() as given:
        given.execute(update(orders).values(state="sending", sending_at=clock.now))
    assert mark(station, order_id) is None
    assert state_of(station, order_id) is OrderState.CANCELLED


def test_who_marks_a_token_waits_for_a_reversal_that_has_begun(
    station: Station, shop: Shop
) -> None:
    if station.engine.dialect.name == "sqlite":
        pytest.skip("a write transaction is alone there")
    sell(station, shop)
    undone: list[VendResult] = []
    marked: list[Order | None] = []
    with station.engine.begin() as holding:
        holding.execute(text("LOCK TABLE audit_lines IN SHARE MODE"))  # a reversal's last row waits
        reversing = threading.Thread(target=lambda: undone.append(reverse(shop)))
        reversing.start()
        wait_for_waiting(station, 1)
        order_id = ordered(station)
        marking = threading.Thread(target=lambda: marked.append(mark(station, order_id)))
        marking.start()
        wait_for_waiting(station, 2)
    reversing.join()
    marking.join()
    assert undone[0].outcome is Outcome.DONE
    assert marked == [None]
    assert state_of(station, order_id) is OrderState.CANCELLED


def test_who_reverses_waits_for_a_token_that_is_being_marked(station: Station, shop: Shop) -> None:
    if station.engine.dialect.name == "sqlite":
        pytest.skip("a write transaction is alone there")
    sell(station, shop)
    order_id = ordered(station)
    undone: list[VendResult] = []
    acting = replace(station, person=SERVICE)
    carrier = Carrier(acting, Lines(acting), Credentials(), ShopTokens(), None)
    with acting.writing() as connection:
        assert _marked(connection, carrier, order_id) is not None
        reversing = threading.Thread(target=lambda: undone.append(reverse(shop)))
        reversing.start()
        wait_for_waiting(station, 1)
    reversing.join()
    assert undone[0].outcome is Outcome.FAILED
    assert undone[0].fault is not None
    assert undone[0].fault.code == "delivered_by_wire"
    assert state_of(station, order_id) is OrderState.SENDING
