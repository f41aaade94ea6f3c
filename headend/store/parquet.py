"""Parquet files of the archive, by DuckDB (the extra ``archive``), which is imported when used.

The files explain themselves: names of quantities and sources are spelled out, times are UTC; any
tool that reads Parquet reads them.  Their columns, by kind:

=============  =====================================================================
``readings``   device_id, quantity, at, source, value, quality
``intervals``  device_id, quantity, start, interval_min, value, quality
``events``     device_id, kind, began_at, ended_at, variant, details, seen_at
=============  =====================================================================

Numbers of `quality` are those of `headend.values.Quality`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headend.store.faults import ArchiveExtraMissingError, ArchiveFileError
from headend.store.kept import SOURCES
from headend.store.months import Kind

Columns = Mapping[str, NDArray[Any]]
"""Numbers as they are kept; times in microseconds since 1970."""

KEYS: Final = {
    Kind.READINGS: ("device_id", "quantity_id", "at", "source"),
    Kind.INTERVALS: ("device_id", "quantity_id", "start", "interval_min"),
    Kind.EVENTS: ("device_id", "kind", "began_at", "variant"),
}
CONTENT: Final = {
    Kind.READINGS: ("value", "quality"),
    Kind.INTERVALS: ("value", "quality"),
    Kind.EVENTS: ("ended_at", "details", "seen_at"),
}
_NEVER: Final = -(2**63)
"""Stands for no time in columns of numbers."""
_TO_FILE: Final = {
    Kind.READINGS: 'device_id, quantities.name AS quantity, make_timestamp("at") AS "at", '
    "sources.name AS source, value, quality::UTINYINT AS quality",
    Kind.INTERVALS: "device_id, quantities.name AS quantity, make_timestamp(start) AS start, "
    "interval_min::UTINYINT AS interval_min, value, quality::UTINYINT AS quality",
    Kind.EVENTS: "device_id, kind, make_timestamp(began_at) AS began_at, CASE WHEN ended_at <> "
    f"{_NEVER} THEN make_timestamp(ended_at) END AS ended_at, variant, details, "
    "make_timestamp(seen_at) AS seen_at",
}
_FROM_FILE: Final = {
    Kind.READINGS: 'device_id, quantities.id AS quantity_id, epoch_us("at") AS "at", '
    "sources.id AS source, value, quality::SMALLINT AS quality",
    Kind.INTERVALS: "device_id, quantities.id AS quantity_id, epoch_us(start) AS start, "
    "interval_min::SMALLINT AS interval_min, value, quality::SMALLINT AS quality",
    Kind.EVENTS: "device_id, kind, epoch_us(began_at) AS began_at, "
    f"coalesce(epoch_us(ended_at), {_NEVER}) AS ended_at, variant, details, "
    "epoch_us(seen_at) AS seen_at",
}
_TIME: Final = {Kind.READINGS: "at", Kind.INTERVALS: "start", Kind.EVENTS: "began_at"}


def require_duckdb() -> Any:
    """The module.

    Raises:
        ArchiveExtraMissingError: it is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise ArchiveExtraMissingError from None
    return duckdb


def write(path: Path, kind: Kind, columns: Columns, quantities: Mapping[int, str]) -> None:
    """Write a file, whole and on the disk, or none.

    Args:
        path: of the file; its folder is made.
        kind: of what.
        columns: `KEYS` and `CONTENT` of the kind.
        quantities: number to name.

    Raises:
        ArchiveExtraMissingError: DuckDB is not installed.
        ArchiveFileError: it cannot be written.
    """
    duckdb = require_duckdb()
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _session() as session:
            session.register("given", dict(columns))
            order = ", ".join(f'given."{name}"' for name in KEYS[kind])
            session.execute(
                f"COPY (SELECT {_TO_FILE[kind]} FROM given "
                f"{_names(kind, 'given', 'id', quantities)} "
                f"ORDER BY {order}) TO '{_quoted(part)}' (FORMAT parquet, COMPRESSION zstd, "
                "PARQUET_VERSION V2, ROW_GROUP_SIZE 122880)"
            )
        _to_disk(part)
        part.rename(path)
        _to_disk(path.parent)
    except (OSError, duckdb.Error) as fault:
        raise ArchiveFileError(
            f"The archive's file {path} cannot be written: {_first_line(fault)} Nothing was "
            "dropped from the database."
        ) from None


def read(
    paths: Sequence[Path],
    kind: Kind,
    quantities: Mapping[int, str],
    *,
    device_id: int | None = None,
    quantity: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
) -> dict[str, NDArray[Any]]:
    """What files hold, ordered by the kind's key; the columns that `write` takes.

    Raises:
        ArchiveExtraMissingError: DuckDB is not installed.
        ArchiveFileError: a file is not there or cannot be read.
    """
    duckdb = require_duckdb()
    files = ", ".join(f"'{_quoted(path)}'" for path in paths)
    asked = {
        "files.device_id = ?": device_id,
        "files.quantity = ?": quantity,
        f'epoch_us(files."{_TIME[kind]}") >= ?': since_us,
        f'epoch_us(files."{_TIME[kind]}") < ?': until_us,
    }
    limits = {text: value for text, value in asked.items() if value is not None}
    where = f"WHERE {' AND '.join(limits)}" if limits else ""
    try:
        with _session() as session:
            found: dict[str, NDArray[Any]] = session.execute(
                f"SELECT {_FROM_FILE[kind]} FROM read_parquet([{files}]) AS files "
                f"{_names(kind, 'files', 'name', quantities)} {where} ORDER BY ALL",
                list(limits.values()),
            ).fetchnumpy()
    except (OSError, duckdb.Error) as fault:
        raise ArchiveFileError(
            f"The archive cannot be read: {_first_line(fault)} Bring its folder back (a backup "
            "of it), or name its new place with `meterhouse store archive --folder`."
        ) from None
    return {name: np.ma.getdata(column) for name, column in found.items()}


def is_same(kind: Kind, one: Columns, other: Columns) -> bool:
    """Whether two sets of columns, both in the order of the key, hold the same."""
    return all(np.array_equal(one[name], other[name]) for name in (*KEYS[kind], *CONTENT[kind]))


def in_order(kind: Kind, columns: Columns) -> dict[str, NDArray[Any]]:
    """Columns in the order of the kind's key."""
    order = np.lexsort([columns[name] for name in reversed(KEYS[kind])])
    return {name: columns[name][order] for name in (*KEYS[kind], *CONTENT[kind])}


def _session() -> Any:
    return require_duckdb().connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )


def _names(kind: Kind, of: str, key: str, quantities: Mapping[int, str]) -> str:
    """The joins between numbers and names."""
    if kind is Kind.EVENTS:
        return ""
    spelled = {"id": "quantity_id", "name": "quantity"}[key]
    joins = f"JOIN {_listed('quantities', quantities)} ON quantities.{key} = {of}.{spelled} "
    if kind is Kind.READINGS:
        sources = {number: source.value for source, number in SOURCES.items()}
        joins += f"JOIN {_listed('sources', sources)} ON sources.{key} = {of}.source"
    return joins


def _listed(table: str, names: Mapping[int, str]) -> str:
    rows = ", ".join(f"({number}::SMALLINT, '{_quoted(name)}')" for number, name in names.items())
    return f"(VALUES {rows}) AS {table} (id, name)"


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _quoted(text: Path | str) -> str:
    return str(text).replace("'", "''")


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0].rstrip(".") + "."
