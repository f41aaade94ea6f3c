"""Workers in processes of their own, on both databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from headend.station import Station
from headend.work.durable import DurableWork
from storage.engine import open_engine
from tests.headend.conftest import (
    clock,
    database_url,
    databases,
    postgresql_databases,
    sqlite_files,
)
from tests.headend.work.working import make_effects, rows

__all__ = ["clock", "database_url", "databases", "postgresql_databases", "sqlite_files"]
WORKER = Path(__file__).parent / "worker.py"
PATIENCE_S = 60.0


class Worker:
    """One process."""

    def __init__(self, url: str, name: str, *, ports: bool = False, **limits: float) -> None:
        asked = {"url": url, "name": name, "ports": ports, "limits": limits}
        # its words are shown with METERHOUSE_TEST_LOUD set
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(asked)],
            stdout=subprocess.PIPE,
            stderr=None if "METERHOUSE_TEST_LOUD" in os.environ else subprocess.DEVNULL,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.ports: dict[str, Any] = {}

    def started(self) -> Worker:
        """Wait until it works."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"{"):
                self.ports = json.loads(line)
                break
        else:
            pytest.fail("the worker did not start")
        # from now on nobody reads it: it must not wait for us
        os.set_blocking(self.process.stdout.fileno(), False)
        return self

    def kill(self) -> None:
        """As the kernel does."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 30) -> int:
        """As an operator does; the exit status."""
        self.process.terminate()
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def station(database_url: str) -> Iterator[Station]:
    """A head-end with the true time, and the test's own tables."""
    engine = open_engine(database_url)
    station = Station(engine, ZoneInfo("UTC"), lambda: datetime.now(UTC))
    make_effects(station)
    yield station
    engine.dispose()


@pytest.fixture
def work(station: Station) -> DurableWork:
    """The queue as the business sees it."""
    return DurableWork(station.engine)


@pytest.fixture
def start(database_url: str) -> Iterator[Callable[..., Worker]]:
    """Starts workers; those that are left are ended."""
    started: list[Worker] = []

    def make(name: str, **asked: Any) -> Worker:
        started.append(Worker(database_url, name, **asked))
        return started[-1]

    yield make
    for worker in started:
        worker.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not in time: {what}")
        time.sleep(0.05)


def count(station: Station, query: str) -> int:
    """The number that a query gives."""
    ((number,),) = rows(station, query)
    assert isinstance(number, int)
    return number


def all_ended(station: Station) -> bool:
    """Whether no job waits or runs."""
    return not count(station, "SELECT count(*) FROM jobs WHERE ended_at IS NULL")
