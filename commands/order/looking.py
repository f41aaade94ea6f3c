"""``meterhouse order list|show|wait|approve|cancel|settle|policy``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from commands.counter import database_option
from commands.order.showing import (
    event_object,
    exit_status,
    order_object,
    print_order,
    print_orders,
)
from commands.output import console, json_option, print_json
from commands.station import open_station
from headend.orders.values import OrderKind, OrderState

if TYPE_CHECKING:
    from headend.orders.desk import Orders
    from headend.orders.values import Order
    from headend.station import Station

_number = click.argument("order_id", type=click.IntRange(1), required=False, metavar="[ORDER]")
_batch = click.option("--batch", help="All orders of this batch.")


@click.command(name="list")
@click.option("--meter", help="Only those to this meter.")
@click.option("--state", "states", multiple=True, type=click.Choice([s.value for s in OrderState]))
@click.option("--kind", "kinds", multiple=True, type=click.Choice([k.value for k in OrderKind]))
@click.option("--receipt", type=click.IntRange(1), help="The deliveries of this receipt's tokens.")
@_batch
@click.option("--before", type=int, help="Only orders before this number, to page on.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@database_option
@json_option
def list_(
    meter: str | None,
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    receipt: int | None,
    batch: str | None,
    before: int | None,
    limit: int,
    database: str,
    as_json: bool,
) -> None:
    """Orders, the latest first."""
    from headend.orders.desk import Orders
    from headend.orders.tokens import refs_of

    with open_station(database) as station:
        found = Orders(station).list(
            device_id=None if meter is None else _device(station, meter),
            states=frozenset(map(OrderState, states)) or None,
            kinds=frozenset(map(OrderKind, kinds)) or None,
            token_refs=None if receipt is None else refs_of(receipt),
            batch=batch,
            before=before,
            limit=limit,
        )
        _print(station, found, as_json=as_json)


@click.command()
@click.argument("order_id", type=click.IntRange(1), metavar="ORDER")
@database_option
@json_option
def show(order_id: int, database: str, as_json: bool) -> None:
    """One order, with everything that happened to it."""
    with open_station(database) as station:
        _print_one(station, order_id, as_json=as_json)


@click.command()
@_number
@_batch
@click.option("--timeout", type=click.FloatRange(0), metavar="S", help="Wait no longer.")
@database_option
@json_option
def wait(
    order_id: int | None, batch: str | None, timeout: float | None, database: str, as_json: bool
) -> None:
    """Wait until an order, or a batch, has ended or waits for a time or a person.

    Exit status: 0 done, 3 not done, 6 nobody can tell.
    """
    from commands.order.carrying import wait_for
    from headend.orders.desk import Orders

    with open_station(database) as station:
        desk = Orders(station)
        if order_id is not None and batch is None:
            given = [desk.find(order_id)]
        elif batch is not None and order_id is None:
            given = _all_of(desk, batch)
        else:
            raise click.UsageError("Say which: ORDER, or --batch NAME.")
        found = wait_for(station, given, as_json=as_json, timeout_s=timeout)
        _print(station, found, as_json=as_json)
    raise SystemExit(exit_status(found))


@click.command()
@_number
@_batch
@database_option
@json_option
def approve(order_id: int | None, batch: str | None, database: str, as_json: bool) -> None:
    """Be the second person of an order, or of a batch, that takes two."""
    from headend.orders.desk import Orders

    with open_station(database) as station:
        desk = Orders(station)
        found = _of(order_id, batch, desk.approve, desk.approve_batch)
        _print(station, found, as_json=as_json)


@click.command()
@_number
@_batch
@click.option("--why", required=True, help="The reason.")
@database_option
@json_option
def cancel(order_id: int | None, batch: str | None, why: str, database: str, as_json: bool) -> None:
    """Take back an order, or what is left of a batch, that was not sent."""
    from headend.orders.desk import Orders

    with open_station(database) as station:
        desk = Orders(station)
        found = _of(
            order_id,
            batch,
            lambda number: desk.cancel(number, why=why),
            lambda name: desk.cancel_batch(name, why=why),
        )
        _print(station, found, as_json=as_json)


@click.command()
@click.argument("order_id", type=click.IntRange(1), metavar="ORDER")
@click.option("--now", is_flag=True, help="Read the meter in this command.")
@click.option(
    "--as",
    "decided",
    type=click.Choice(["done", "failed"]),
    help="What somebody saw at the meter, where it cannot tell it by wire.",
)
@click.option("--why", help="With --as: what was seen, and by whom.")
@database_option
@json_option
def settle(
    order_id: int, now: bool, decided: str | None, why: str | None, database: str, as_json: bool
) -> None:
    """Have the meter of an order of unknown outcome read again; nothing is sent.

    With --as a person settles it, by what was seen at the meter. A token that is settled as failed
    can be reversed at the till: be sure that the meter has not taken it.
    """
    from commands.order.carrying import carry_out
    from headend.orders.deciding import decide
    from headend.orders.desk import Orders
    from headend.orders.values import OrderState
    from headend.work.inline import InlineWork

    if decided is not None:
        if now:
            raise click.UsageError("--as settles it as it is seen; --now reads the meter.")
        with open_station(database) as station:
            order = decide(station, order_id, OrderState(decided), why=why or "")
            _print_one(station, order_id, as_json=as_json)
        raise SystemExit(exit_status([order]))
    if why is not None:
        raise click.UsageError("--why goes with --as.")
    with open_station(database) as station:
        work = InlineWork() if now else None
        desk = Orders(station, work)
        order = desk.look_again(order_id)
        if work is not None:
            carry_out(station, work, as_json=as_json, total=1)
            order = desk.find(order_id)
        _print_one(station, order_id, as_json=as_json)
    raise SystemExit(exit_status([order]))


@click.command()
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@database_option
@json_option
def policy(changes: tuple[str, ...], database: str, as_json: bool) -> None:
    """Show the rules' numbers, or change some: trips_at_once_max=50 close_credit=close."""
    from headend.orders.policy import load_policy, set_policy

    wanted = {}
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator:
            raise click.UsageError(f"{change!r} is no NAME=VALUE.")
        wanted[name] = _value(value)
    with open_station(database) as station:
        if wanted:
            held = set_policy(station, wanted)
        else:
            with station.reading() as connection:
                held = load_policy(connection)
    if as_json:
        print_json(asdict(held))
        return
    for name, value in asdict(held).items():
        console.print(f"{name} = {value}")


def _value(text: str) -> Any:
    if text in ("yes", "no", "true", "false"):
        return text in ("yes", "true")
    return int(text) if text.isdecimal() else text


def _of(order_id: int | None, batch: str | None, one: Any, all_of: Any) -> list[Order]:
    if (order_id is None) == (batch is None):
        raise click.UsageError("Say which: ORDER, or --batch NAME.")
    found: list[Order] = [one(order_id)] if order_id is not None else all_of(batch)
    return found


def _device(station: Station, number: str) -> int:
    from headend.orders.choosing import device_ids

    found = device_ids(station, [number])
    if not found:
        raise click.UsageError("Say the number of a meter after --meter.")
    return next(iter(found.values()))


def _all_of(desk: Orders, batch: str) -> list[Order]:
    """All orders of a batch, page by page."""
    from headend.orders.desk import LIST_MAX

    found: list[Order] = []
    while True:
        before = found[-1].order_id if found else None
        page = desk.list(batch=batch, before=before, limit=LIST_MAX)
        found += page
        if len(page) < LIST_MAX:
            return found


def _print(station: Station, found: list[Order], *, as_json: bool) -> None:
    from headend.orders.choosing import numbers_of

    numbers = numbers_of(station, (order.device_id for order in found))
    if as_json:
        print_json([order_object(order, numbers[order.device_id]) for order in found])
    else:
        print_orders(station, found, numbers)


def _print_one(station: Station, order_id: int, *, as_json: bool) -> None:
    from headend.orders.choosing import numbers_of
    from headend.orders.desk import Orders

    desk = Orders(station)
    order, events = desk.find(order_id), desk.history(order_id)
    number = numbers_of(station, [order.device_id])[order.device_id]
    if as_json:
        history = [event_object(event) for event in events]
        print_json(order_object(order, number) | {"history": history})
    else:
        print_order(station, order, number, events)
