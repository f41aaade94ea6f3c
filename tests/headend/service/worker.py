"""A worker in a process of its own, for tests that kill it.

Called with one JSON object: url, name, and what to change of the limits.  It prints a line of
JSON when it works.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

import headend.tables_all
from headend.service.service import Limits, Ports, Rooms, Service
from headend.service.until_signal import run
from headend.station import Station
from headend.talk.lines import Lines
from headend.work.durable import DurableWork
from headend.work.keys import new_key
from headend.work.port import Handler, Job
from protocols.transport import Link, Registration
from storage.engine import open_engine
from tests.headend.work.working import marking

assert headend.tables_all.__doc__


def asking(lines: Lines, mark: Handler) -> Handler:
    """A handler that needs the line's modem, and then does what `marking` does."""

    async def handle(job: Job) -> None:
        line = await lines.line(job.line)
        assert isinstance(line.link, Link)
        await mark(job)

    return handle


def chaining(station: Station, work: DurableWork, mark: Handler) -> Handler:
    """A handler that queues the next job of its kind, as a round does that gives way."""

    def follow(job: Job) -> None:
        left = int(job.payload["left"])
        if left:
            key = new_key(datetime.now(UTC))
            following = Job(key, job.kind, job.line, job.urgency, {"left": left - 1})
            with station.writing() as connection:
                work.enqueue(connection, following)

    async def handle(job: Job) -> None:
        await mark(job)
        await asyncio.to_thread(follow, job)

    return handle


def main(asked: dict[str, Any]) -> None:
    """Work until told to stop."""
    # its words are not read: they must not fill the pipe that its first line comes by
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    engine = open_engine(asked["url"])
    station = Station(engine, ZoneInfo("UTC"), lambda: datetime.now(UTC))
    lines = Lines(station)
    mark = marking(station, asked["name"])
    limits = Limits(
        **{"poll_s": 0.1, "beat_s": 0.2, "dead_after_s": 1.0, "stop_s": 10}
        | asked.get("limits", {})
    )
    work = DurableWork(engine)
    service = Service(
        station,
        work,
        lines,
        Rooms(
            handlers={
                "round": mark,
                "order": mark,
                "modem": asking(lines, mark),
                "chain": chaining(station, work, mark),
            }
        ),
        name=asked["name"],
        ports=Ports(
            modems=("127.0.0.1", 0),
            registration=Registration(pattern=re.compile(rb"(?P<id>[!-~]+)"), delimiter=b"\n"),
            figures=("127.0.0.1", 0),
            calls_per_minute_max=1000,
        )
        if asked.get("ports")
        else Ports(),
        limits=limits,
    )

    def started() -> None:
        ports = {"modems": service.modem_port, "figures": service.figures_port}
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()

    asyncio.run(run(service, started, stop_s=limits.stop_s))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
