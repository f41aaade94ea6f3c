"""Orders carried out by the command itself (``--now``), or waited for while the service does it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from commands.output import counting, error_console

if TYPE_CHECKING:
    from headend.orders.credentials import Credentials
    from headend.orders.values import Order
    from headend.station import Station
    from headend.work.inline import InlineWork

_POLL_S: Final = 0.5


def credentials() -> Credentials:
    """The operator's file of meter passwords; none at all where none is named.

    Raises:
        CredentialsError: it cannot be used.
    """
    from headend.orders.credentials import CREDENTIALS_VARIABLE, Credentials

    path = os.environ.get(CREDENTIALS_VARIABLE)
    return Credentials() if path is None else Credentials.read(Path(path))


def carry_out(station: Station, work: InlineWork, *, as_json: bool, total: int) -> None:
    """Carry out what is queued in this process; what cannot be is left to the service."""
    from commands.order.purchases import purchase_module
    from headend.faults import HeadEndError
    from headend.orders.job import handler
    from headend.orders.queueing import leave_to_the_sweep
    from headend.talk.lines import Lines
    from headend.work.port import Job

    secrets = credentials()
    purchases = purchase_module()

    async def run() -> None:
        from commands.order.wiring import ShopTokens

        lines = Lines(station)
        carry = handler(station, lines, work, secrets, tokens=ShopTokens(), purchases=purchases)
        done = 0
        left: list[Job] = []
        with counting("Orders", as_json=as_json, total=total) as tell:

            async def told(job: Job) -> None:
                nonlocal done
                try:
                    await carry(job)
                except HeadEndError as fault:  # of this line: the others are nothing to it
                    left.append(job)
                    error_console.print(f"Left to the service: {fault}", soft_wrap=True)
                done += 1
                tell(done)

            try:
                await work.run({"order": told})
            finally:
                await lines.aclose()
                left += work.waiting
                if left:
                    with station.writing() as connection:
                        leave_to_the_sweep(connection, left)

    asyncio.run(run())


def wait_for(
    station: Station, given: Sequence[Order], *, as_json: bool, timeout_s: float | None = None
) -> list[Order]:
    """Wait until each of these has ended, or waits for a time or for a person; gives them."""
    from headend.orders.desk import Orders

    desk = Orders(station)
    found = {order.order_id: order for order in given}
    open_ = list(found)
    began = time.monotonic()
    with counting("Orders", as_json=as_json, total=len(found)) as tell:
        while True:
            now = station.now()
            for order_id in open_:
                found[order_id] = desk.find(order_id)
            open_ = [number for number in open_ if _is_under_way(found[number], now)]
            tell(len(found) - len(open_))
            if not open_ or (timeout_s is not None and time.monotonic() - began > timeout_s):
                return list(found.values())
            time.sleep(_POLL_S)


def _is_under_way(order: Order, now: datetime) -> bool:
    """Whether something comes of it soon: it waits for no person and for no later time."""
    from headend.orders.values import SETTLED, OrderState

    if order.state in SETTLED or order.state is OrderState.WAITING_APPROVAL:
        return False
    return order.sending_at is not None or order.due_at is None or order.due_at <= now
