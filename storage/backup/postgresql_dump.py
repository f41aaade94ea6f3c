"""A dump of a PostgreSQL database by its own tools, in the snapshot of a transaction of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from sqlalchemy import URL, Connection, Engine
from sqlalchemy import text as sql

from storage.backup.faults import BackupToolError

TOOLS_VARIABLE: Final = "METERHOUSE_PG_BIN"
"""The folder of pg_dump and pg_restore, where they are not on the PATH."""
_PASSWORD: Final = "PGPASSWORD"
_SECRETS: Final = ("sslpassword", "oauth_client_secret")
"""What libpq takes in no other way than among the words of a command, where all could see it."""
_SAID_MAX: Final = 500


def tool(name: str, connection: Connection) -> str:
    """Where one of PostgreSQL's tools is, of the server's version or a newer one.

    Raises:
        BackupToolError: it is missing or too old.
    """
    folder = os.environ.get(TOOLS_VARIABLE)
    found = shutil.which(name, path=folder)
    server = int(str(connection.scalar(sql("SHOW server_version_num")))) // 10_000
    wanted = (
        f"Install PostgreSQL's client programs of version {server} or newer, or name their "
        f"folder with {TOOLS_VARIABLE}."
    )
    if found is None:
        raise BackupToolError(f"{name} is not there. {wanted}")
    said = subprocess.run(
        [found, "--version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    ).stdout
    version = re.search(r"(\d+)(\.\d+)*", said)
    if version is None or int(version[1]) < server:
        raise BackupToolError(
            f"{found} is of version {version[1] if version else 'unknown'}, the server of "
            f"{server}. {wanted}"
        )
    return found


@contextmanager
def dumping(engine: Engine, connection: Connection) -> Iterator[IO[bytes]]:
    """The dump of all that a transaction sees, to be read to its end.

    Args:
        engine: the database.
        connection: in a read transaction (REPEATABLE READ), which must stay open meanwhile.

    Raises:
        BackupToolError: pg_dump is missing, too old, or has failed.
    """
    snapshot = str(connection.scalar(sql("SELECT pg_export_snapshot()")))
    words = [
        tool("pg_dump", connection),
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--snapshot={snapshot}",
        f"--dbname={_libpq(engine.url)}",
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(engine.url),
        )
        try:
            assert process.stdout is not None
            yield process.stdout
            process.stdout.close()
            _require_done("pg_dump", process.wait(), said)
        finally:
            _end(process)


@contextmanager
def loading(engine: Engine, connection: Connection) -> Iterator[IO[bytes]]:
    """Where the pieces of a dump are written to; it is loaded wholly or not at all.

    Args:
        engine: an empty database.
        connection: in any transaction of that server, to ask for its version.

    Raises:
        BackupToolError: pg_restore is missing, too old, or has failed.
    """
    words = [
        tool("pg_restore", connection),
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        f"--dbname={_libpq(engine.url)}",
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stderr=said, env=_environment(engine.url)
        )
        try:
            assert process.stdin is not None
            try:
                yield process.stdin
                process.stdin.close()
            except BrokenPipeError:  # it says itself why it has ended
                pass
            _require_done("pg_restore", process.wait(), said)
        finally:
            _end(process)


def database_bytes(connection: Connection) -> int:
    """About how large the database is."""
    return int(connection.scalar(sql("SELECT pg_database_size(current_database())")) or 0)


def _libpq(url: URL) -> str:
    """The URL as libpq takes it, without the password, which others could see there.

    Raises:
        BackupToolError: it holds another secret.
    """
    secret = next((each for each in _SECRETS if each in url.query), None)
    if secret is not None:
        raise BackupToolError(
            f"The {secret} of the database's URL would be seen by everybody on this machine. Put "
            "it into a service file (PGSERVICEFILE) and name that: postgresql:///?service=NAME."
        )
    return URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    ).render_as_string(hide_password=False)


def _environment(url: URL) -> dict[str, str]:
    kept = dict(os.environ)
    if url.password:
        kept[_PASSWORD] = str(url.password)
    return kept


def _require_done(name: str, status: int, said: IO[bytes]) -> None:
    if status == 0:
        return
    said.seek(0)
    words = said.read(_SAID_MAX).decode(errors="replace").strip()
    first = words.splitlines()[0] if words else f"it ended with status {status}"
    raise BackupToolError(f"{name} has failed: {first}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None and not stream.closed:
            try:
                stream.close()
            except BrokenPipeError:
                continue
    if process.poll() is None:
        process.kill()
        process.wait()
