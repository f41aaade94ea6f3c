"""A sweep in a process of its own, to be killed at any commit."""

from __future__ import annotations

import itertools
import os
import signal
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, event

import billing.tables_all
from billing.collecting.sweeping import sweep
from billing.collecting.watcher import CollectionWatcher
from billing.office import Office
from billing.privacy.seal import Seal
from headend.station import Station
from storage.engine import open_engine
from vending import Currency

assert billing.tables_all.__doc__


def sweep_in_a_process(url: str, now: datetime, die_at_commit: float | None = None) -> int:
    """Begin a sweep in another process; gives its id.

    Args:
        url: of the database.
        now: its time, which stands still.
        die_at_commit: n: before the n-th commit; n and a half: right after it.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        _sweep(url, now, die_at_commit)
        status = 0
    finally:
        os._exit(status)  # nothing of the process that this one was forked from is to run here


def outcome(child: int) -> int:
    """Wait for it: 0: done; below zero: killed by a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _sweep(url: str, now: datetime, die_at_commit: float | None) -> None:
    engine = open_engine(url)
    if die_at_commit is not None:
        _kill_at(engine, die_at_commit)
    zone = ZoneInfo("Asia/Shanghai")

    def clock() -> datetime:
        return now.astimezone(UTC)

    office = Office(
        engine=engine,
        zone=zone,
        currency=Currency.named("CNY"),
        clock=clock,
        seal=Seal(bytes(range(32))),
        station=Station(engine, zone, clock),
        watchers=(CollectionWatcher(),),
    )
    sweep(office)


def _kill_at(engine: Engine, step: float) -> None:
    commits = itertools.count(1)

    def before(connection: Connection) -> None:
        if not connection.get_execution_options().get("meterhouse_write"):
            return
        number = next(commits)
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if number + 0.5 == step:
            connection.info["dies"] = True

    def after(_dbapi: Any, record: Any) -> None:
        if record.info.pop("dies", False):
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "commit", before)
    event.listen(engine, "checkin", after)  # the commit has returned by then
