"""Modems that call in: this worker owns their lines while they are connected.

What the listener tells is not done at once but noted as "look at this modem": the owner in the
database then follows what is true, in batches, also after the database was away.  A modem that
has called another worker since is let go here.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from headend.faults import StoreUnavailableError
from headend.service.callers import Calls, known_callers, note
from headend.station import Station
from headend.work.durable import DurableWork
from headend.work.tables import line_owners
from protocols.transport import (
    Link,
    ListenerOptions,
    ModemEvent,
    ModemEventKind,
    ModemListener,
    Registration,
    RemoteIdentity,
)

log = structlog.get_logger("headend.service")

_LOOK_EVERY_S: Final = 2.0
_BATCH: Final = 200
_UNKNOWN_MAX: Final = 1000


class Adopting(Protocol):
    """This process's lines, as far as modems matter; see `headend.talk.lines.Lines`."""

    def adopt(self, link_id: int, link: Link) -> object:
        """A modem has called."""

    def dropped(self, link_id: int) -> None:
        """It is gone."""


class Modems:
    """The modems of one worker."""

    def __init__(
        self,
        station: Station,
        work: DurableWork,
        lines: Adopting,
        worker: str,
        registration: Registration | RemoteIdentity,
        *,
        look_every_s: float = _LOOK_EVERY_S,
        calls_per_minute_max: int = 60,
    ) -> None:
        self._station = station
        self._work = work
        self._lines = lines
        self._worker = worker
        self._look_every_s = look_every_s
        self._known: dict[str, int] = {}
        self._owned: dict[int, str] = {}
        """Lines that are ours in the database, as we last wrote it, and their modems."""
        self._to_look_at: set[str] = set()
        self._woken = asyncio.Event()
        self._unknown: dict[str, Calls] = {}
        self._last_unknown = ""
        self.unknown_calls = 0
        """Since the start."""
        self.listener: Final = ModemListener(
            registration,
            options=ListenerOptions(
                accept=self._is_known, calls_per_minute_max=calls_per_minute_max
            ),
            on_event=self._told,
        )

    async def open(self, host: str, port: int) -> int:
        """Open the port and give its number.

        Raises:
            LinkDown: the port cannot be opened.
            StoreUnavailableError: the database gives no answer.
        """
        self._known = await asyncio.to_thread(self._read_known)
        return await self.listener.listen(host, port)

    async def keep(self) -> None:
        """Have the database follow the modems, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._look_every_s):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                await self._look()
            except StoreUnavailableError as fault:
                log.warning("modems.database_away", fault=str(fault))
                self._to_look_at.update(self._owned.values(), self.listener.links)
                await asyncio.sleep(self._look_every_s)

    async def aclose(self) -> None:
        """Close the port; modems may call another worker."""
        await self.listener.aclose()

    async def _look(self) -> None:
        self._known = await asyncio.to_thread(self._read_known)
        await self._note_unknown()
        self._close_strangers()
        await self._let_moved_go()
        while self._to_look_at:
            names = sorted(self._to_look_at)[:_BATCH]
            self._to_look_at.difference_update(names)
            try:
                await self._settle(names)
            except StoreUnavailableError:
                self._to_look_at.update(names)
                raise

    async def _settle(self, names: list[str]) -> None:
        """Write down which of these are ours now."""
        connected = self.listener.links
        here = {
            self._known[name]: name for name in names if name in connected and name in self._known
        }
        gone = {
            link_id: name
            for link_id, name in self._owned.items()
            if name in names and link_id not in here
        }
        await asyncio.to_thread(self._write, here, gone)
        for link_id, name in here.items():
            self._owned[link_id] = name
            log.info("modem.here", caller=name, link_id=link_id, worker=self._worker)
        for link_id, name in gone.items():
            del self._owned[link_id]
            log.info("modem.gone", caller=name, link_id=link_id, worker=self._worker)

    def _write(self, here: dict[int, str], gone: dict[int, str]) -> None:
        now = self._station.now()
        with self._station.writing() as connection:
            if gone:
                connection.execute(
                    delete(line_owners).where(
                        line_owners.c.link_id.in_(gone), line_owners.c.worker == self._worker
                    )
                )
            for link_id in sorted(here):
                _own(connection, link_id, self._worker, now)
                self._work.hand_out_at_the_end(connection, link_id)

    async def _note_unknown(self) -> None:
        calls, self._unknown = self._unknown, {}
        if calls:
            await asyncio.to_thread(self._write_unknown, calls)

    def _write_unknown(self, calls: dict[str, Calls]) -> None:
        with self._station.writing() as connection:
            note(connection, calls, self._station.now())

    def _close_strangers(self) -> None:
        """A line that was suspended, or taken out, is let go though its modem is connected."""
        for name, link in self.listener.links.items():
            if name not in self._known:
                link.close()
                self._to_look_at.add(name)

    async def _let_moved_go(self) -> None:
        """A modem that has called another worker since has only left a dead connection here."""
        owners = await asyncio.to_thread(self._read_owners, list(self._owned))
        for link_id, name in list(self._owned.items()):
            owner = owners.get(link_id)
            if owner == self._worker or name in self._to_look_at:
                continue
            self._to_look_at.add(name)
            link = self.listener.links.get(name)
            if owner is not None and link is not None:
                log.info("modem.moved", caller=name, link_id=link_id, worker=owner)
                link.close()

    def _read_owners(self, owned: list[int]) -> dict[int, str]:
        if not owned:
            return {}
        with self._station.reading() as connection:
            rows = connection.execute(
                select(line_owners.c.link_id, line_owners.c.worker).where(
                    line_owners.c.link_id.in_(owned)
                )
            )
            return {row.link_id: row.worker for row in rows}

    def _is_known(self, name: str) -> bool:
        if name in self._known:
            return True
        self.unknown_calls += 1
        self._last_unknown = name
        if name in self._unknown:
            self._unknown[name].count += 1
        elif len(self._unknown) < _UNKNOWN_MAX:
            self._unknown[name] = Calls(1, "")
        return False

    def _told(self, event: ModemEvent) -> None:
        """What the listener tells, on the loop, at once."""
        if event.kind is ModemEventKind.REFUSED:
            # The refusal follows the question about its name without a pause.
            name, self._last_unknown = self._last_unknown, ""
            if name in self._unknown:
                self._unknown[name].remote = event.remote
            log.info("modem.refused", caller=name, remote=event.remote, reason=event.reason)
            return
        link_id = self._known.get(event.id)
        if link_id is not None and event.kind is ModemEventKind.LEFT:
            self._lines.dropped(link_id)
        elif link_id is not None:
            self._lines.adopt(link_id, self.listener.links[event.id])
        self._to_look_at.add(event.id)
        self._woken.set()

    def _read_known(self) -> dict[str, int]:
        with self._station.reading() as connection:
            return known_callers(connection)


def _own(connection: Connection, link_id: int, worker: str, now: datetime) -> None:
    """The modem is here, whoever had it before."""
    changed = connection.execute(
        update(line_owners).where(line_owners.c.link_id == link_id).values(worker=worker, since=now)
    )
    if changed.rowcount:
        return
    values = {"link_id": link_id, "worker": worker, "since": now}
    if connection.dialect.name == "sqlite":
        connection.execute(insert(line_owners).values(values))
        return
    new = postgresql_insert(line_owners).values(values)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[line_owners.c.link_id],
            set_={"worker": new.excluded.worker, "since": new.excluded.since},
        )
    )
