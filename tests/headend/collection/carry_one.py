"""A worker of its own process that carries out one job, until it is killed.

Arguments: database URL, the station's time, the job's key, its link, its round.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import headend.tables_all
from headend.collection.job import handler
from headend.station import Station
from headend.talk.lines import Lines
from headend.work.inline import InlineWork
from headend.work.port import Job, Urgency
from storage.engine import open_engine


async def carry(url: str, now: str, key: str, link: str, round_id: str) -> None:
    """The one job."""
    moment = datetime.fromisoformat(now)
    station = Station(open_engine(url), ZoneInfo("Asia/Shanghai"), lambda: moment)
    lines = Lines(station)
    job = Job(key, "round", int(link), Urgency.ROUTINE, {"round": int(round_id)})
    await handler(station, lines, InlineWork())(job)
    await lines.aclose()


if __name__ == "__main__":
    assert headend.tables_all.__doc__
    asyncio.run(carry(*sys.argv[1:]))
