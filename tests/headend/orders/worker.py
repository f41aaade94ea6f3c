"""A worker that carries one order out in a process of its own, to be killed at any step."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import headend.tables_all
from headend.orders.job import handler
from headend.station import Station
from headend.talk.lines import Lines
from headend.work.inline import InlineWork
from headend.work.keys import new_key
from headend.work.port import Job, Urgency
from storage.engine import open_engine
from tests.headend.orders.scene import PASSWORDS, TestModule, TestTokens
from tests.killed import kill_at

assert headend.tables_all.__doc__


def carry(
    url: str, order_id: int, now: datetime, tokens: dict[str, str], die_at_commit: float | None
) -> None:
    """Carry the order out.

    Args:
        url: of the database.
        order_id: which.
        now: the time of the station, which stands still.
        tokens: digits by reference.
        die_at_commit: n: before the n-th commit; n and a half: right after it.
    """
    engine = open_engine(url)
    if die_at_commit is not None:
        kill_at(engine, die_at_commit)
    station = Station(engine, ZoneInfo("Asia/Shanghai"), lambda: now.astimezone(UTC))
    work = InlineWork()
    job = Job(new_key(now), "order", 1, Urgency.ORDER, {"order_id": order_id})

    async def run() -> None:
        lines = Lines(station)
        act = handler(
            station, lines, work, PASSWORDS, tokens=TestTokens(tokens), purchases=TestModule()
        )
        await act(job)
        await lines.aclose()

    asyncio.run(run())
    os._exit(0)  # nothing of the server that this process was forked from is to run here
