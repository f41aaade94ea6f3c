"""Which sold tokens the sweep finds: those that can be delivered, however many cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select, update

import commands.order.wiring
from commands.order.wiring import LATE, NEW, deliver_new_tokens, tokens_of
from headend.orders.desk import Orders
from headend.orders.tables import orders
from headend.orders.tokens import TokenToDeliver, deliver_token
from headend.person import SERVICE
from headend.registry.tables import end_devices, links
from headend.station import Station
from tests.headend.registered import add_device, add_line
from tests.shop.conftest import Clock, new_number
from vending import KeyChangeRequest, NewMeter, Shop, VendRequest

__all__ = ["new_number"]


@pytest.fixture
def shop(database_url: str, clock: Clock) -> Iterator[Shop]:
    with Shop.open(database_url, now=clock, rnd=lambda: 5) as shop:
        yield shop


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.order.wiring, "_PAGE", 2)
    monkeypatch.setattr(commands.order.wiring, "_AT_ONCE", 2)


def sell(shop: Shop, number: str) -> int:
    shop.add_meter(NewMeter(number, customer="Anna Example"))
    asked = VendRequest("kiosk", f"sale {number}", number, 10_000)
    return shop.vend(asked).require_done().receipt_no


def refs(station: Station) -> list[str | None]:
    with station.reading() as connection:
        return list(connection.scalars(select(orders.c.token_ref).order_by(orders.c.order_id)))


@pytest.mark.parametrize("why", ["suspended line", "suspended meter", "profile", "credit meter"])
def test_what_cannot_be_delivered_holds_nothing_up(
    station: Station, shop: Shop, new_number: Callable[[], str], why: str
) -> None:
    line = add_line(station, "tcp://127.0.0.1:9")
    dead = add_line(station, "tcp://127.0.0.1:10", name="dead")
    for _ in range(5):
        number = new_number()
        if why == "profile":
            add_device(
                station, number, line, protocol="modbus", address=number[-2:], profile="abb-b23"
            )
        else:
            kind = "credit" if why == "credit meter" else "keypad"
            add_device(station, number, dead, kind=kind)
        sell(shop, number)
    with station.writing() as connection:
        if why == "suspended line":
            connection.execute(
                update(links).where(links.c.link_id == dead).values(state="suspended")
            )
        elif why == "suspended meter":
            connection.execute(update(end_devices).values(state="suspended"))
    number = new_number()
    add_device(station, number, line)
    receipt_no = sell(shop, number)
    for since in (NEW, LATE):
        deliver_new_tokens(station, None, since=since)
        assert refs(station) == [f"{receipt_no}/1"]


def test_a_sweep_counts_what_it_has_ordered(
    station: Station, shop: Shop, new_number: Callable[[], str]
) -> None:
    line = add_line(station, "tcp://127.0.0.1:9")
    for _ in range(3):
        number = new_number()
        add_device(station, number, line)
        sell(shop, number)
    assert [deliver_new_tokens(station, None) for _ in range(3)] == [2, 1, 0]


def test_a_later_part_that_was_never_ordered_is_found(
    station: Station, shop: Shop, new_number: Callable[[], str]
) -> None:
    number = new_number()
    device_id = add_device(station, number, add_line(station, "tcp://127.0.0.1:9"))
    shop.add_meter(NewMeter(number, customer="Anna Example"))
    request = KeyChangeRequest("kiosk", "k1", number, krn=2)
    receipt = shop.key_change(request).require_done()
    parts = tokens_to_deliver(station, receipt.receipt_no)
    with station.writing() as connection:
        deliver_token(Orders(replace(station, person=SERVICE)), connection, device_id, parts[:1])
    assert deliver_new_tokens(station, None) == 1
    assert refs(station) == [part.ref for part in parts]
    assert deliver_new_tokens(station, None) == 0


def tokens_to_deliver(station: Station, receipt_no: int) -> list[TokenToDeliver]:
    with station.reading() as connection:
        return tokens_of(connection, receipt_no)
