"""A process of the office that dies at a commit, without a word."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from multiprocessing import get_context
from signal import SIGKILL
from zoneinfo import ZoneInfo

from billing.ledger.entry import Entry
from billing.ledger.posting import post
from billing.office import Office
from billing.prepaid.sweep import sweep
from billing.prepaid.watcher import PrepaidWatcher
from billing.privacy.seal import Seal
from headend.station import Station
from storage.engine import open_engine
from tests.billing.conftest import PERSONAL_KEY, ZONE
from tests.killed import kill_at
from vending import Currency

_FORKS = get_context("fork")


def sweep_and_die(url: str, now: datetime, commit: float | None) -> bool:
    """One sweep in a process of its own; tells whether it was killed."""
    return _in_a_process(url, now, commit, lambda office: sweep(office))


def post_and_die(url: str, now: datetime, commit: float | None, entry: Entry) -> bool:
    """Post an entry in a process of its own; tells whether it was killed."""

    def act(office: Office) -> None:
        with office.writing() as connection:
            post(connection, office, [entry])

    return _in_a_process(url, now, commit, act)


def _in_a_process(
    url: str, now: datetime, commit: float | None, act: Callable[[Office], object]
) -> bool:
    process = _FORKS.Process(target=_run, args=(url, now, commit, act))
    process.start()
    process.join()
    assert process.exitcode in (0, -SIGKILL), process.exitcode
    return process.exitcode == -SIGKILL


def _run(url: str, now: datetime, commit: float | None, act: Callable[[Office], object]) -> None:
    engine = open_engine(url)
    if commit is not None:
        kill_at(engine, commit)
    office = Office(
        engine=engine,
        zone=ZONE,
        currency=Currency.named("CNY"),
        clock=lambda: now,
        seal=Seal(PERSONAL_KEY),
        station=Station(engine, ZoneInfo("Asia/Shanghai"), lambda: now),
    )
    act(replace(office, watchers=(PrepaidWatcher(),)))
    engine.dispose()
    os._exit(0)  # nothing of the street that this process was forked from is to run here
