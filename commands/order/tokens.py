"""``meterhouse order token``: a receipt's tokens by wire, on a person's word."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.order.batch import Given, finish
from commands.station import open_station

if TYPE_CHECKING:
    from headend.orders.values import Order
    from headend.station import Station
    from headend.work.port import Work


def deliver(
    database: str,
    receipt: int,
    *,
    why: str | None,
    table: Path | None,
    area: str | None,
    batch: str | None,
    outside_window: str | None,
    dry_run: bool,
    now: bool,
    waits: bool,
    yes: bool,  # noqa: ARG001 - a token is nothing to be asked about again
    as_json: bool,
) -> None:
    """Order the delivery, and leave with the exit status.

    Raises:
        HeadEndError: there is nothing to deliver, or nobody to deliver it to.
        SystemExit: the outcome.
    """
    from commands.order.carrying import carry_out
    from headend.orders.desk import Orders
    from headend.work.inline import InlineWork

    if table is not None or area is not None or outside_window is not None or dry_run:
        raise click.UsageError("A token is delivered to one meter, at any time.")
    name = batch or f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    with open_station(database) as station:
        work = InlineWork() if now else None
        placed = _order(station, work, receipt, name, why or "delivered by hand")
        if work is not None:
            carry_out(station, work, as_json=as_json, total=len(placed))
            desk = Orders(station)
            placed = [desk.find(order.order_id) for order in placed]
        finish(station, Given(placed), now=now, waits=waits, as_json=as_json, batch=name)


def _order(station: Station, work: Work | None, receipt: int, name: str, why: str) -> list[Order]:
    from commands.order.wiring import meter_of, tokens_of
    from headend.orders.desk import Orders
    from headend.orders.faults import NotReachableError, OrderWaitingError
    from headend.orders.tokens import deliver_token, deliverable_device, deliveries_of
    from headend.orders.values import OrderState

    with station.writing() as connection:
        found = tokens_of(connection, receipt)
        number = meter_of(connection, receipt)
        device_id = None if number is None else deliverable_device(connection, number)
        if device_id is None:
            raise NotReachableError(
                f"The meter of receipt {receipt} is no keypad meter that can be reached by wire."
            )
        over = {OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED}
        there = {
            position
            for position, state, _ in deliveries_of(connection, receipt)
            if state not in over
        }
        missing = [token for token in found if token.position not in there]
        if not missing:
            raise OrderWaitingError(
                f"The tokens of receipt {receipt} are delivered, or on their way: "
                "meterhouse order list --kind token."
            )
        return deliver_token(
            Orders(station, work),
            connection,
            device_id,
            missing,
            client="command",
            message_id=f"{name}/{receipt}",
            why=why,
        )
