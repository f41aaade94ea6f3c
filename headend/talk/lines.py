"""This process's open lines: at most one connection to each, closed again when nobody uses it.

A line that we open is opened by its URL in the registry; ``modbus+...`` URLs carry Modbus alone,
``tcp://`` both DL/T 645 and Modbus RTU.  A modem's line is whatever it called in with (`adopt`).
What a network may bear is asked of a `Gate` before each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import select

from headend.registry.tables import links
from headend.station import Station
from headend.talk.device import Device
from headend.talk.faults import NoLineError, NoModemError
from protocols.dlt645.controls import Edition
from protocols.dlt645.master import Master
from protocols.modbus import Framing, ModbusBus, ModbusMeter, Profile, load_profile, read_profile
from protocols.modbus.links import open_bus
from protocols.transport import Link, LinkOptions, Priority, open_link, take_link_options
from protocols.transport.address import LineSettings

IDLE_S: Final = 60.0
"""A line that nobody has used for so long is closed."""
_FACTORY_LINE: Final = LineSettings(baud=2400)
"""RS-485 of DL/T 645 where a URL gives no speed (spec section 1)."""


class Gate(Protocol):
    """Who allows connections; see `headend.collection.permits`."""

    async def connecting(self, link_id: int) -> None:
        """Wait until a connection may be made.

        Raises:
            LineBudgetError: not now.
        """

    async def closed(self, link_id: int) -> None:
        """The connection is not needed any more."""

    def is_scarce(self, link_id: int) -> bool:
        """Whether others may wait for what this link's connection takes."""

    async def aclose(self) -> None:
        """No connection is needed any more."""


class OpenGate:
    """Everything is allowed: a box under a desk."""

    async def connecting(self, link_id: int) -> None:
        """At once."""

    async def closed(self, link_id: int) -> None:
        """Nothing was taken."""

    def is_scarce(self, link_id: int) -> bool:
        """Nothing is."""
        return False

    async def aclose(self) -> None:
        """Nothing was taken."""


class OpenLine:
    """One line, and who is spoken to on it."""

    def __init__(self, link_id: int, link: Link, bus: ModbusBus | None, *, ours: bool) -> None:
        self.link_id = link_id
        self.link = link
        self.ours = ours
        """Whether we opened it; a modem's is its listener's."""
        self.used_at = 0.0
        """On the event loop's clock."""
        self.refused_blocks: set[tuple[str, int]] = set()
        """(address, identifier) of blocks that a meter does not have."""
        self._bus = bus
        self._is_modbus_only = bus is not None
        self._masters: dict[tuple[Edition, Priority], Master] = {}
        self._meters: dict[tuple[int, str, Priority], ModbusMeter] = {}

    def master(self, edition: Edition, priority: Priority = Priority.ROUTINE) -> Master:
        """A master for meters of DL/T 645.

        Raises:
            NoLineError: the line carries Modbus alone.
        """
        if self._is_modbus_only:
            raise NoLineError("This line's URL says Modbus; a DL/T 645 meter cannot be on it.")
        key = (edition, priority)
        if key not in self._masters:
            self._masters[key] = Master(self.link, edition, priority=priority)
        return self._masters[key]

    def meter(self, device: Device, priority: Priority = Priority.ROUTINE) -> ModbusMeter:
        """A Modbus meter.

        Raises:
            NoLineError: a serial line whose URL does not say Modbus.
            ProfileError: there is no such profile.
        """
        assert device.profile is not None, "a Modbus device has a profile"
        if self._bus is None:
            if self.link.name.startswith("serial:"):
                raise NoLineError(
                    "A Modbus meter needs pauses on a serial line: write its URL as "
                    "modbus+serial://..."
                )
            self._bus = ModbusBus(self.link, Framing.RTU)
        key = (int(device.address), device.profile, priority)
        if key not in self._meters:
            profile = find_profile(device.profile)
            self._meters[key] = ModbusMeter(self._bus, profile, key[0], priority=priority)
        return self._meters[key]


def find_profile(name: str) -> Profile:
    """A profile that comes with meterhouse, or one of a file."""
    if name.endswith(".toml") or "/" in name:
        return read_profile(Path(name))
    return load_profile(name)


@dataclass(frozen=True, slots=True)
class _Way:
    """How a link is reached."""

    name: str
    kind: str
    url: str | None
    state: str


class Lines:
    """The open lines of one process, on one event loop."""

    def __init__(
        self,
        station: Station,
        gate: Gate | None = None,
        *,
        idle_s: float = IDLE_S,
        options: Callable[[], LinkOptions] = LinkOptions,
    ) -> None:
        """No line is open yet.

        Args:
            station: whose registry.
            gate: asked before each connection; None: everything is allowed.
            idle_s: see `IDLE_S`.
            options: the settings of a line whose URL gives none.
        """
        self.station = station
        self._gate = gate or OpenGate()
        self._idle_s = idle_s
        self._options = options
        self._open: dict[int, OpenLine] = {}
        self._locks: dict[int, asyncio.Lock] = {}
        self._tidying: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def open(self) -> tuple[int, ...]:
        """The links that are open now."""
        return tuple(self._open)

    async def line(self, link_id: int) -> OpenLine:
        """A link's line; opened, if it is not.  The connection is made by the first request.

        Raises:
            NoLineError: no such link, it is suspended, or its URL is none.
            NoModemError: its modem has not called in.
        """
        async with self._locks.setdefault(link_id, asyncio.Lock()):
            line = self._open.get(link_id)
            if line is None or line.link.closed:
                line = self._open[link_id] = await self._opened(link_id)
        line.used_at = asyncio.get_running_loop().time()
        if self._tidying is None and line.ours:
            self._tidying = asyncio.create_task(self._tidy())
        return line

    async def leave(self, link_id: int) -> None:
        """A job is done with a line: closed at once where its network's links are few."""
        line = self._open.get(link_id)
        if line is not None and not line.link.awaiting and self._gate.is_scarce(link_id):
            await self._close(link_id)

    def adopt(self, link_id: int, link: Link) -> OpenLine:
        """Go on with the line of a modem that has called in."""
        line = self._open.get(link_id)
        if line is None or line.link is not link:
            line = self._open[link_id] = OpenLine(link_id, link, None, ours=False)
        return line

    def dropped(self, link_id: int) -> None:
        """The modem is gone."""
        line = self._open.get(link_id)
        if line is not None and not line.ours:
            del self._open[link_id]

    async def aclose(self) -> None:
        """Close every line that we opened."""
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        for link_id in tuple(self._open):
            await self._close(link_id)
        await self._gate.aclose()

    async def _opened(self, link_id: int) -> OpenLine:
        if self._closed:
            raise NoLineError("The lines of this process are closed.")
        way = await asyncio.to_thread(self._way, link_id)
        if way.state != "active":
            raise NoLineError(f"Line {way.name} is suspended.")
        if way.url is None:
            raise NoModemError(f"The modem of line {way.name} has not called in.")

        async def allowed() -> None:
            await self._gate.connecting(link_id)

        if way.url.startswith("modbus+"):
            bus = await open_bus(way.url, connect=False, before_connect=allowed)
            assert isinstance(bus.link, Link)
            return OpenLine(link_id, bus.link, bus, ours=True)
        plain, options = take_link_options(way.url, self._options())
        link = await open_link(
            plain, line=_line_of(plain), options=options, connect=False, before_connect=allowed
        )
        return OpenLine(link_id, link, None, ours=True)

    def _way(self, link_id: int) -> _Way:
        columns = (links.c.name, links.c.kind, links.c.url, links.c.state)
        with self.station.reading() as connection:
            row = connection.execute(select(*columns).where(links.c.link_id == link_id)).first()
        if row is None:
            raise NoLineError(f"There is no link with the id {link_id}.")
        return _Way(*row)

    async def _tidy(self) -> None:
        """Close what has been idle, until nothing of ours is open."""
        clock = asyncio.get_running_loop().time
        while any(line.ours for line in self._open.values()):
            await asyncio.sleep(self._idle_s / 2)
            for link_id, line in tuple(self._open.items()):
                idle = clock() - line.used_at >= self._idle_s
                if line.ours and idle and not line.link.awaiting:
                    await self._close(link_id)
        self._tidying = None

    async def _close(self, link_id: int) -> None:
        line = self._open.pop(link_id, None)
        if line is None or not line.ours:
            return
        await line.link.aclose()
        await self._gate.closed(link_id)


def _line_of(url: str) -> LineSettings | None:
    """Behind a gateway the speed stays unknown unless the URL gives it."""
    return _FACTORY_LINE if url.startswith("serial:") else None
