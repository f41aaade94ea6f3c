"""A sweep in a process of its own, to be killed at any commit."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import billing.tables_all
from billing.collecting.sweeping import sweep
from billing.collecting.watcher import CollectionWatcher
from billing.office import Office
from billing.privacy.seal import Seal
from headend.station import Station
from storage.engine import open_engine
from tests.killed import kill_at
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
        kill_at(engine, die_at_commit)
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
