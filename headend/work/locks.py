"""Locks that a process holds while it lives, and loses when it dies.

PostgreSQL
    Advisory locks of one session.  The server lets them go when the session ends: at once when
    the process is killed, after its own keep-alive's time when the machine or the network is.
SQLite
    A lock on a file beside the database: one process at a time serves it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from contextlib import suppress
from typing import Any, Final, Protocol
from urllib.parse import unquote

import psycopg
from sqlalchemy import Engine

from headend.faults import StoreUnavailableError

_WORKERS: Final = 0x6D68_0001
_SWEEPS: Final = 0x6D68_0002
_TIMEOUT_S: Final = 5
_IDLE_S: Final = 5
_PROBE_EVERY_S: Final = 2
_PROBES: Final = 3
_SERVERS_LIMITS: Final = {
    "statement_timeout": f"{_TIMEOUT_S}s",
    "tcp_keepalives_idle": _IDLE_S,
    "tcp_keepalives_interval": _PROBE_EVERY_S,
    "tcp_keepalives_count": _PROBES,
    "tcp_user_timeout": _TIMEOUT_S * 1000,
}
"""The server's own: it lets the locks go of a worker whose machine or network is gone without a
word after 11 s, where the kernel's own settings would take two hours."""


class Locks(Protocol):
    """What a worker holds."""

    def take(self, name: str) -> bool:
        """Take a worker's name; False: another process has it.

        Raises:
            StoreUnavailableError: the database gives no answer.
        """

    def release(self, name: str) -> None:
        """Give a name back."""

    def held(self, names: set[str]) -> set[str]:
        """Which of these names some process holds; proves too that our own are still held.

        Raises:
            StoreUnavailableError: the session is gone, and what it held with it.
        """

    def sweeps(self) -> bool:
        """Whether this process is the one that sweeps; asks for it if nobody is."""

    def close(self) -> None:
        """Give everything back."""


class PostgresqlLocks:
    """Advisory locks of a session of their own."""

    def __init__(self, engine: Engine) -> None:
        self._dialect_arguments = engine.dialect.create_connect_args(engine.url)
        self._session: psycopg.Connection[Any] | None = None
        self._sweeping = False
        self._one_at_a_time = threading.RLock()

    def take(self, name: str) -> bool:
        """Take a worker's name."""
        return bool(self._ask("SELECT pg_try_advisory_lock(%s, %s)", _WORKERS, _number(name)))

    def release(self, name: str) -> None:
        """Give a name back."""
        with suppress(StoreUnavailableError):
            self._ask("SELECT pg_advisory_unlock(%s, %s)", _WORKERS, _number(name))

    def held(self, names: set[str]) -> set[str]:
        """Which of these names some process holds."""
        numbers = self._ask(
            "SELECT array_agg(objid::bigint) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND classid::bigint = %s AND objsubid = 2",
            _WORKERS,
        )
        taken = set(numbers or ())
        return {name for name in names if _number(name) % 2**32 in taken}

    def sweeps(self) -> bool:
        """Whether this process is the one that sweeps."""
        if not self._sweeping:
            self._sweeping = bool(self._ask("SELECT pg_try_advisory_lock(%s, 0)", _SWEEPS))
        return self._sweeping

    def close(self) -> None:
        """Give everything back."""
        session, self._session = self._session, None
        self._sweeping = False
        if session is not None:
            session.close()

    def _ask(self, query: str, *values: int) -> Any:
        try:
            with self._one_at_a_time:
                if self._session is None:
                    self._session = self._opened()
                row = self._session.execute(query.encode(), values).fetchone()
        except psycopg.Error as fault:
            self.close()
            raise StoreUnavailableError(
                f"The database does not answer: {str(fault).partition(chr(10))[0]}"
            ) from None
        return row[0] if row else None

    def _opened(self) -> psycopg.Connection[Any]:
        arguments, named = self._dialect_arguments
        return psycopg.connect(
            *arguments,
            **{
                **named,
                "autocommit": True,
                "connect_timeout": _TIMEOUT_S,
                "tcp_user_timeout": _TIMEOUT_S * 1000,
                "keepalives_idle": _IDLE_S,
                "keepalives_interval": _PROBE_EVERY_S,
                "keepalives_count": _PROBES,
                "options": " ".join(f"-c {name}={each}" for name, each in _SERVERS_LIMITS.items()),
                "application_name": "meterhouse lock",
            },
        )


class FileLocks:
    """One process serves a SQLite file."""

    def __init__(self, engine: Engine) -> None:
        self.path: Final = unquote((engine.url.database or "").removeprefix("file:")) + "-serve"
        self._file: int | None = None
        self._name = ""

    def take(self, name: str) -> bool:
        """Take the file; further names are those of processes that have gone."""
        if self._file is not None:
            return True
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise StoreUnavailableError(
                f"The file {self.path} cannot be made: {fault.strerror}."
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._file = file
        self._name = name
        return True

    def release(self, name: str) -> None:
        """Give the file back with the first name."""
        if name == self._name:
            self.close()

    def held(self, names: set[str]) -> set[str]:
        """Nobody but we works here."""
        return names & {self._name}

    def sweeps(self) -> bool:
        """The only one there is."""
        return True

    def close(self) -> None:
        """Give the file back."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def locks_of(engine: Engine) -> PostgresqlLocks | FileLocks:
    """The kind of locks that this database has."""
    return FileLocks(engine) if engine.dialect.name == "sqlite" else PostgresqlLocks(engine)


def _number(name: str) -> int:
    """A name as PostgreSQL numbers its locks: 32 bits, signed."""
    value = zlib.crc32(name.encode())
    return value - 2**32 if value >= 2**31 else value
