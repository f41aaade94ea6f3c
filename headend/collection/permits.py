"""Budgets of networks: new connections per second, open links at most, shared by all workers.

A link's permit is a row with an end.  Its holder prolongs it while the line is open; a worker that
died does not, and the permit is free again after `PERMIT_S`.  Counting and taking happen under the
network's row lock (SQLite: within the one write transaction), so that two workers cannot take
the last permit both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection, delete, func, select, update

from headend.collection.contacts import add_up
from headend.collection.tables import link_permits, network_seconds
from headend.faults import HeadEndError
from headend.registry.tables import links, networks
from headend.station import Station
from headend.talk.faults import LineBudgetError
from storage.engine import insert_if_new

PERMIT_S: Final = 90
_PROLONGED_EVERY_S: Final = PERMIT_S / 3
_WAIT_S: Final = 10.0
_LOOK_S: Final = 0.2
_SECONDS_KEPT: Final = 60
_log: Final = structlog.get_logger(__name__)


class Permits:
    """The permits of one process; the gate of its lines."""

    def __init__(
        self,
        station: Station,
        holder: str,
        *,
        clock: Callable[[], datetime] | None = None,
        wait_s: float = _WAIT_S,
    ) -> None:
        """Hold nothing yet.

        Args:
            station: whose database.
            holder: this process, as no other is called.
            clock: an aware time; None: the station's.
            wait_s: how long a connection may wait for its network's budget.
        """
        self._station = station
        self._holder = holder
        self._clock = clock or station.now
        self._wait_s = wait_s
        self._held: set[int] = set()
        self._prolonging: asyncio.Task[None] | None = None

    async def connecting(self, link_id: int) -> None:
        """Wait until the link's network allows a connection.

        Raises:
            LineBudgetError: it does not, for as long as one waits.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + self._wait_s
        while True:
            refusal = await asyncio.to_thread(self._take, link_id)
            if refusal is None:
                break
            if clock() >= end:
                raise LineBudgetError(refusal)
            await asyncio.sleep(_LOOK_S)
        if link_id in self._held and self._prolonging is None:
            self._prolonging = asyncio.create_task(self._prolong())

    async def closed(self, link_id: int) -> None:
        """Give a link's permit back."""
        if link_id in self._held:
            self._held.discard(link_id)
            await asyncio.to_thread(self._give, [link_id])

    def is_scarce(self, link_id: int) -> bool:
        """Whether the link holds a permit of its network."""
        return link_id in self._held

    async def aclose(self) -> None:
        """Give everything back."""
        if self._prolonging is not None:
            self._prolonging.cancel()
            self._prolonging = None
        held, self._held = sorted(self._held), set()
        if held:
            await asyncio.to_thread(self._give, held)

    # In a thread

    def _take(self, link_id: int) -> str | None:
        """Take a connection and, if it is not held, a permit; why not, or None."""
        now = self._clock()
        with self._station.writing() as connection:
            network = self._network(connection, link_id)
            if network is None:
                return None
            others = self._others(connection, network.network_id, link_id, now)
            if others >= network.open_links_max:
                return (
                    f"Network {network.name} has {others} open links, which is all that it may "
                    "have; the meter is asked later."
                )
            second = int(now.timestamp())
            if self._made(connection, network.network_id, second) >= network.connects_per_s_max:
                return (
                    f"Network {network.name} makes {network.connects_per_s_max} connections a "
                    "second, which is all that it may; the meter is asked later."
                )
            key = {"network_id": network.network_id, "second": second}
            add_up(connection, network_seconds, key, {"connects": 1})
            connection.execute(
                delete(network_seconds).where(
                    network_seconds.c.network_id == network.network_id,
                    network_seconds.c.second < second - _SECONDS_KEPT,
                )
            )
            self._hold(connection, link_id, network.network_id, now)
        self._held.add(link_id)
        return None

    def _network(self, connection: Connection, link_id: int) -> Any:
        query = (
            select(networks)
            .join(links, links.c.network_id == networks.c.network_id)
            .where(links.c.link_id == link_id)
            .with_for_update(of=networks)
        )
        return connection.execute(query).first()

    def _others(self, connection: Connection, network_id: int, link_id: int, now: datetime) -> int:
        query = select(func.count()).where(
            link_permits.c.network_id == network_id,
            link_permits.c.link_id != link_id,
            link_permits.c.expires_at > now,
        )
        return connection.execute(query).scalar_one()

    def _made(self, connection: Connection, network_id: int, second: int) -> int:
        query = select(network_seconds.c.connects).where(
            network_seconds.c.network_id == network_id, network_seconds.c.second == second
        )
        return connection.execute(query).scalar() or 0

    def _hold(self, connection: Connection, link_id: int, network_id: int, now: datetime) -> None:
        row = {
            "link_id": link_id,
            "network_id": network_id,
            "holder": self._holder,
            "expires_at": now + timedelta(seconds=PERMIT_S),
        }
        if not insert_if_new(connection, link_permits, row):
            connection.execute(
                update(link_permits).where(link_permits.c.link_id == link_id).values(**row)
            )

    def _give(self, link_ids: list[int]) -> None:
        with self._station.writing() as connection:
            connection.execute(
                delete(link_permits).where(
                    link_permits.c.link_id.in_(link_ids), link_permits.c.holder == self._holder
                )
            )

    async def _prolong(self) -> None:
        while True:
            await asyncio.sleep(_PROLONGED_EVERY_S)
            try:
                await asyncio.to_thread(self._prolong_once)
            except HeadEndError as fault:  # the database is away: tried again, until it is back
                _log.warning("permits_not_prolonged", code=fault.code)

    def _prolong_once(self) -> None:
        with self._station.writing() as connection:
            connection.execute(
                update(link_permits)
                .where(
                    link_permits.c.holder == self._holder,
                    link_permits.c.link_id.in_(sorted(self._held)),
                )
                .values(expires_at=self._clock() + timedelta(seconds=PERMIT_S))
            )
