"""A worker whose network is cut without a word: it notices in time, and so does the server."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import make_url

from headend.station import Station
from headend.work.durable import DurableWork
from headend.work.locks import PostgresqlLocks, locks_of
from headend.work.presence import Presence
from storage.engine import open_engine
from tests.shop.databases import PostgresqlDatabases

DEAD_AFTER_S = 4.0


class Cable:
    """A network between a worker and the server that can be cut: nobody is told."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._whole = threading.Event()
        self._whole.set()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """What is sent from now on arrives nowhere, until it is mended."""
        self._whole.clear()

    def mend(self) -> None:
        """It arrives after all."""
        self._whole.set()

    def close(self) -> None:
        """Take it away."""
        self._whole.set()
        for each in (self._listener, *self._ends):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._server)
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, this: socket.socket, that: socket.socket) -> None:
        with suppress(OSError):
            while data := this.recv(65_536):
                self._whole.wait()
                that.sendall(data)
        for each in (this, that):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def url(postgresql_databases: PostgresqlDatabases) -> Iterator[str]:
    """A database."""
    url = postgresql_databases.shop()
    yield url
    postgresql_databases.discard(url)


@pytest.fixture
def cable(url: str) -> Iterator[Cable]:
    """To its server."""
    parsed = make_url(url)
    cable = Cable(f"{parsed.query['host']}/.s.PGSQL.{parsed.port or 5432}")
    yield cable
    cable.close()


@pytest.fixture
def north(url: str, cable: Cable) -> Iterator[Presence]:
    """A worker at the end of the cable."""
    over = make_url(url).set(host="127.0.0.1", port=cable.port, query={})
    engine = open_engine(over.render_as_string(hide_password=False))
    station = Station(engine, ZoneInfo("UTC"), lambda: datetime.now(UTC))
    presence = Presence(station, DurableWork(engine), beat_s=0.1, dead_after_s=DEAD_AFTER_S)
    presence.enter("north")
    yield presence
    engine.dispose()


def test_a_worker_that_hears_nothing_breaks_off_before_others_take_over(
    north: Presence, cable: Cable
) -> None:
    async def keep() -> tuple[float, bool, bool]:
        broken_off = asyncio.Event()
        keeping = asyncio.create_task(north.keep(broken_off.set))
        await asyncio.sleep(0.5)
        assert north.sweeps
        cable.cut()
        cut_at = time.monotonic()
        async with asyncio.timeout(DEAD_AFTER_S * 2):
            await broken_off.wait()
        took_s, lost = time.monotonic() - cut_at, north.lost_since is not None
        swept = north.sweeps
        cable.mend()
        async with asyncio.timeout(20):
            while north.lost_since is not None:
                await asyncio.sleep(0.05)
        keeping.cancel()
        await north.leave()
        return took_s, lost, swept

    took_s, lost, swept = asyncio.run(keep())
    assert took_s < DEAD_AFTER_S * 0.75
    assert lost
    assert not swept


def test_the_server_is_told_to_notice_a_worker_that_is_gone_without_a_word(url: str) -> None:
    engine = open_engine(url)
    locks = locks_of(engine)
    assert isinstance(locks, PostgresqlLocks)

    def told(name: str) -> str:
        # what holds on TCP: over a socket of Unix it is not in force
        return str(locks._ask(f"SELECT reset_val FROM pg_settings WHERE name = '{name}'"))

    limits = ["keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout"]
    assert [told(f"tcp_{each}") for each in limits] == ["5", "2", "3", "5000"]
    locks.close()
    engine.dispose()
