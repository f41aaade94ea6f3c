"""A worker of which a part fails while a thread hangs: called with the database's URL."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

import headend.tables_all
from headend.service import until_signal
from headend.service.service import Limits, Rooms, Service
from headend.station import Station
from headend.talk.lines import Lines
from headend.work.durable import DurableWork
from storage.engine import open_engine

assert headend.tables_all.__doc__
STATUS = 5


async def fail(_worker: str) -> None:
    """A part that ends as it must not."""
    await asyncio.sleep(0.2)
    raise RuntimeError("a part has failed")


def main(url: str) -> None:
    """Work until it fails."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    station = Station(open_engine(url), ZoneInfo("UTC"), lambda: datetime.now(UTC))
    limits = Limits(stop_s=3)
    service = Service(
        station,
        DurableWork(station.engine),
        Lines(station),
        Rooms(handlers={}, parts={"broken": fail}),
        name="north",
        limits=limits,
    )
    threading.Thread(target=time.sleep, args=(600,)).start()
    asyncio.run(
        until_signal.run(service, lambda: None, stop_s=limits.stop_s, status_of=lambda _: STATUS)
    )


if __name__ == "__main__":
    main(sys.argv[1])
