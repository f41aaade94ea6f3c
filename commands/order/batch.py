"""One order, or the same one to many meters: weighed, given, carried out or waited for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from rich.table import Table

from commands.order.showing import exit_status, order_object, print_order, print_orders
from commands.output import (
    EXIT_REFUSED,
    Fault,
    console,
    counting,
    error_console,
    fault_object,
    print_json,
)
from commands.station import open_station
from commands.wire.options import confirm
from headend.orders.values import OrderKind, OrderRequest

if TYPE_CHECKING:
    from headend.orders.values import Order
    from headend.station import Station

_Command = TypeVar("_Command", bound=Callable[..., Any])
_IN_ONE_TRANSACTION: Final = 50
_CLIENT: Final = "command"
_CONSEQUENCES: Final = {
    OrderKind.RELAY_TRIP: "This switches customers' supply OFF.",
    OrderKind.RELAY_CLOSE: "This switches supply ON: somebody may work on it.",
    OrderKind.KEEP_POWER_OFF: "The meter may then switch the supply OFF.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is ordered, whoever is meant."""

    kind: OrderKind
    says: Mapping[str, Any] = field(default_factory=dict)
    reconnect: bool = False
    """Closing in the way that the policy names for the meter's kind."""


@dataclass(slots=True)
class Given:
    """What came of giving orders."""

    placed: list[Order] = field(default_factory=list)
    refused: list[tuple[str, Fault]] = field(default_factory=list)


def give_options(command: _Command) -> _Command:
    """How orders are given."""
    options = (
        click.option("--why", help="The reason; it stands with the order."),
        click.option("--csv", "table", type=click.Path(path_type=Path, exists=True),
                     help="The meters in the first column of a CSV file, or its column meter."),
        click.option("--area", help="All customers' meters of this place and below."),
        click.option("--batch", help="A name: the same command with it gives no order twice."),
        click.option("--outside-window", type=click.Choice(["wait", "refuse"]),
                     help="Of disconnects: what else. [default: the policy's]"),
        click.option("--dry-run", is_flag=True, help="Only say what would happen to whom."),
        click.option("--now", is_flag=True,
                     help="Carry it out in this command, without `meterhouse serve`. Meter "
                     "passwords: METERHOUSE_CREDENTIALS names the file."),
        click.option("--wait", "waits", is_flag=True, help="Wait until it has ended."),
        click.option("--yes", is_flag=True, help="Do not ask before it is given."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def give(
    database: str,
    meters: Sequence[str],
    wanted: Wanted,
    *,
    why: str | None,
    table: Path | None,
    area: str | None,
    batch: str | None,
    outside_window: str | None,
    dry_run: bool,
    now: bool,
    waits: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Give an order to all meters that are meant, and leave with the exit status.

    Raises:
        click.UsageError: nobody is meant, or nothing is said why.
        HeadEndError: the one meter that is meant is refused it.
        SystemExit: the outcome.
    """
    reason = _reason(wanted.kind, why)
    with open_station(database) as station:
        chosen = _chosen(station, meters, table, area)
        name = batch or f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        kinds = _kinds(station, chosen, wanted)
        requests = [
            (
                number,
                OrderRequest(
                    client=_CLIENT,
                    message_id=f"{name}/{number}",
                    kind=kinds[device_id],
                    device_id=device_id,
                    says=wanted.says,
                    why=reason,
                    outside_window=outside_window,
                    batch=name,
                    at_once=len(chosen),
                ),
            )
            # of two batches with the same meters the second waits; in one order, neither for both
            for number, device_id in sorted(chosen.items(), key=lambda each: each[1])
        ]
        if dry_run:
            raise SystemExit(_weigh(station, requests, as_json=as_json))
        ask = _what_it_does(set(kinds.values()))
        if ask:
            whom = next(iter(chosen)) if len(chosen) == 1 else f"{len(chosen)} meters"
            what = " and ".join(sorted(set(kinds.values())))
            confirm(f"{ask} Order {what} for {whom}?", yes=yes)
        given = place_all(station, requests, now=now, as_json=as_json)
        finish(station, given, now=now, waits=waits, as_json=as_json, batch=name)


def place_all(
    station: Station,
    requests: Sequence[tuple[str, OrderRequest]],
    *,
    now: bool,
    as_json: bool,
) -> Given:
    """Order, some at a time, each by itself; with ``now`` also carry them out."""
    from headend.faults import HeadEndError
    from headend.orders.desk import Orders
    from headend.orders.rules import Rules
    from headend.work.inline import InlineWork
    from storage.engine import attempt

    work = InlineWork() if now else None
    desk = Orders(station, work)
    given = Given()
    with counting("Ordering", as_json=as_json, total=len(requests)) as tell:
        for start in range(0, len(requests), _IN_ONE_TRANSACTION):
            with station.writing() as connection:
                rules = Rules(station, connection)
                for number, request in requests[start : start + _IN_ONE_TRANSACTION]:
                    try:
                        with attempt(connection):
                            given.placed.append(desk.place_in(connection, request, rules=rules))
                    except HeadEndError as fault:
                        given.refused.append((number, fault))
            tell(min(start + _IN_ONE_TRANSACTION, len(requests)))
    if work is not None:
        from commands.order.carrying import carry_out

        carry_out(station, work, as_json=as_json, total=len(given.placed))
        given.placed = [desk.find(order.order_id) for order in given.placed]
    return given


def finish(
    station: Station, given: Given, *, now: bool, waits: bool, as_json: bool, batch: str
) -> None:
    """Say what came of it.

    Raises:
        HeadEndError: the only order was refused.
        SystemExit: the outcome.
    """
    from headend.orders.choosing import numbers_of
    from headend.orders.desk import Orders

    if not given.placed and len(given.refused) == 1:
        fault = given.refused[0][1]
        assert isinstance(fault, Exception)
        raise fault
    if waits and not now:
        from commands.order.carrying import wait_for

        given.placed = wait_for(station, given.placed, as_json=as_json)
    numbers = numbers_of(station, (order.device_id for order in given.placed))
    if as_json:
        found = [order_object(order, numbers[order.device_id]) for order in given.placed]
        refused = [{"meter": number, **fault_object(fault)} for number, fault in given.refused]
        print_json({"batch": batch, "orders": found, "refused": refused})
    elif len(given.placed) == 1 and not given.refused:
        (order,) = given.placed
        print_order(
            station, order, numbers[order.device_id], Orders(station).history(order.order_id)
        )
        _print_next(order)
    else:
        print_orders(station, given.placed, numbers)
        for number, fault in given.refused:
            error_console.print(f"{number}: {fault}", soft_wrap=True)
        console.print(f"Batch {batch}: {len(given.placed)} ordered, {len(given.refused)} refused.")
    status = exit_status(given.placed)
    raise SystemExit(EXIT_REFUSED if given.refused else status)


def _print_next(order: Order) -> None:
    """What can be done about an order that has not ended."""
    if order.state.value == "waiting_approval":
        console.print(f"Somebody else: meterhouse order approve {order.order_id}")
    elif order.state.value == "queued":
        console.print(f"It is sent by `meterhouse serve`: meterhouse order wait {order.order_id}")


def _reason(kind: OrderKind, why: str | None) -> str:
    if why is None and kind is OrderKind.BALANCE:
        return "a look"
    if why is None or not why.strip():
        raise click.UsageError("Say --why: an order stands in the database with its reason.")
    return why


def _chosen(
    station: Station, meters: Sequence[str], table: Path | None, area: str | None
) -> dict[str, int]:
    from headend.orders.choosing import device_ids, devices_of_place

    if bool(meters) + (table is not None) + (area is not None) != 1:
        raise click.UsageError("Say which: METER..., --csv FILE, or --area PLACE.")
    if area is not None:
        chosen = devices_of_place(station, area)
    else:
        chosen = device_ids(station, meters if table is None else _numbers_in(table))
    if not chosen:
        raise click.UsageError("There is no meter among them.")
    return chosen


def _numbers_in(path: Path) -> list[str]:
    rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    if not rows:
        return []
    heading = [cell.strip().lower() for cell in rows[0]]
    column = next((heading.index(name) for name in ("meter", "number") if name in heading), None)
    if column is None:
        return [row[0] for row in rows if row]
    return [row[column] for row in rows[1:] if len(row) > column]


def _kinds(station: Station, chosen: Mapping[str, int], wanted: Wanted) -> dict[int, OrderKind]:
    """What each device is ordered: a reconnect goes the way of the meter's kind."""
    if not wanted.reconnect:
        return dict.fromkeys(chosen.values(), wanted.kind)
    from headend.orders.policy import load_policy
    from headend.talk.device import load_devices

    with station.reading() as connection:
        policy = load_policy(connection)
        found = load_devices(connection, chosen.values())
    return {device_id: policy.way_to_close(device.kind) for device_id, device in found.items()}


def _what_it_does(kinds: set[OrderKind]) -> str:
    """What is confirmed on a terminal before it is ordered; empty: nothing."""
    return " ".join(words for kind, words in _CONSEQUENCES.items() if kind in kinds)


def _weigh(station: Station, requests: Sequence[tuple[str, OrderRequest]], *, as_json: bool) -> int:
    """Say what would happen to whom, and why not."""
    from headend.faults import HeadEndError
    from headend.orders.desk import Orders
    from headend.orders.rules import Rules

    desk = Orders(station)
    rows: list[dict[str, Any]] = []
    with (
        station.reading() as connection,
        counting("Weighing", as_json=as_json, total=len(requests)) as tell,
    ):
        rules = Rules(station, connection)
        for number, request in requests:
            row: dict[str, Any] = {"meter": number, "kind": request.kind.value}
            try:
                verdict = desk.weigh(connection, request, rules)
            except HeadEndError as fault:
                row |= {"would": "be refused", **fault_object(fault)}
            else:
                row["would"] = "wait" if verdict.waits_for else "be sent now"
                if verdict.waits_for:
                    row |= {"for": verdict.waits_for, "due_at": verdict.due_at.isoformat()}
                if verdict.two_because:
                    row |= {"would": "wait", "second_person_because": verdict.two_because}
            rows.append(row)
            tell(len(rows))
    if as_json:
        print_json({"dry_run": True, "orders": rows})
    else:
        shown = Table("meter", "kind", "would", "because")
        for row in rows:
            reasons = (
                row.get("second_person_because"),
                row.get("for"),
                row.get("error", {}).get("message"),
            )
            because = "; ".join(filter(None, reasons))
            shown.add_row(row["meter"], row["kind"], row["would"], because)
        console.print(shown)
    return EXIT_REFUSED if any("error" in row for row in rows) else 0
