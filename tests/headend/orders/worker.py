"""A worker that carries one order out in a process of its own, to be killed at any step."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, event

import headend.tables_all
from headend.orders.job import handler
from headend.station import Station
from headend.talk.lines import Lines
from headend.work.inline import InlineWork
from headend.work.keys import new_key
from headend.work.port import Job, Urgency
from storage.engine import open_engine
from tests.headend.orders.scene import PASSWORDS, TestModule, TestTokens

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
        _kill_at(engine, die_at_commit)
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


def _kill_at(engine: Engine, step: float) -> None:
    commits = itertools.count(1)
    written = "meterhouse_write"

    def before(connection: Connection) -> None:
        if not connection.get_execution_options().get(written):
            return
        number = next(commits)
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if number + 0.5 == step:
            connection.info["dies"] = True

    def after(_dbapi: Any, _record: Any) -> None:
        if _record.info.pop("dies", False):
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "commit", before)
    event.listen(engine, "checkin", after)  # the commit has returned by then
