"""A station beside a simulated street, with its work in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from headend.collection.desk import Collection
from headend.collection.job import handler
from headend.collection.sweep import sweep
from headend.station import Station
from headend.store.tables import readings
from headend.talk.device import Device
from headend.talk.lines import Lines
from headend.work.inline import InlineWork
from headend.work.port import Handler
from protocols.transport import LinkOptions
from simulators.street import Street
from simulators.street_clock import HeldClock
from simulators.street_plan import BusPlan
from tests.headend.talk.streets import LISTEN, register, street_beside
from tests.shop.conftest import Clock

ENERGY = {"what": {"quantities": ["energy_import_total"], "clock": False}}
HOURLY = {**ENERGY, "when": {"every_min": 60}}
QUICK = LinkOptions(delay_ms_first=300, delay_ms_max=500, margin_ms=50, retries=1)


@dataclass(slots=True)
class Head:
    """What a test needs of a head-end."""

    station: Station
    clock: Clock
    street: Street
    street_clock: HeldClock
    devices: list[Device]
    work: InlineWork
    lines: Lines
    collection: Collection
    handlers: dict[str, Handler]

    def wait(self, **span: int) -> None:
        """Let time pass for the station and for its meters."""
        self.clock.advance(**span)
        self.street_clock.wait(**span)

    async def swept(self) -> int:
        """Sweep, and carry out whatever is queued."""
        await asyncio.to_thread(sweep, self.station, self.work)
        return await self.work.run(self.handlers)

    def stored(self) -> int:
        """How many readings are kept."""
        with self.station.reading() as connection:
            return connection.execute(select(func.count()).select_from(readings)).scalar_one()

    def counts(self, round_id: int) -> dict[str, int]:
        """Meters of a round by state."""
        return dict(self.collection.round(round_id).counts)


@asynccontextmanager
async def head_end(
    station: Station, clock: Clock, *buses: BusPlan, days: int = 3
) -> AsyncIterator[Head]:
    """A reachable street and a station that knows all its meters."""
    buses = buses or (BusPlan(listen=LISTEN, meters=4),)
    street, street_clock = street_beside(station, *buses, days=days)
    async with street:
        devices = await asyncio.to_thread(register, station, street)
        work = InlineWork()
        lines = Lines(station, options=lambda: QUICK)
        try:
            yield Head(
                station, clock, street, street_clock, devices, work, lines, Collection(station),
                {"round": handler(station, lines, work)},
            )  # fmt: skip
        finally:
            await lines.aclose()


def plan_of(base: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A plan's document with some more in it."""
    return {**base, **more}
