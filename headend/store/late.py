"""Values that came for a month after it was archived: what of them the archive holds already."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import select

from headend.station import Station
from headend.store import parquet
from headend.store.differing import Differing
from headend.store.held import Columns
from headend.store.kept import SOURCES
from headend.store.months import Kind, Month
from headend.store.packed import EPOCH
from headend.store.tables import archive_files
from headend.values import Source

_MICROSECOND: Final = timedelta(microseconds=1)


def without_archived(
    station: Station,
    folder: Path,
    kind: Kind,
    month: Month,
    columns: Columns,
    quantities: dict[int, str],
) -> tuple[Columns, list[Differing]]:
    """What the archive does not hold yet, and what contradicts it.

    Of events, only one that is the same in all is left out.
    """
    devices = columns["device_id"]
    with station.reading() as connection:
        names = (
            connection.execute(
                select(archive_files.c.name).where(
                    archive_files.c.kind == kind.value,
                    archive_files.c.month == str(month),
                    archive_files.c.state == "in_use",
                    archive_files.c.first_device <= int(devices.max()),
                    archive_files.c.last_device >= int(devices.min()),
                )
            )
            .scalars()
            .all()
        )
    if not names:
        return columns, []
    old = parquet.read([folder / name for name in names], kind, quantities)
    among = np.isin(old["device_id"], np.unique(devices))
    archived = _rows(kind, {name: column[among] for name, column in old.items()})
    fresh = np.ones(len(devices), bool)
    apart = []
    for place, (key, content) in enumerate(_listed(kind, columns)):
        if key in archived:
            fresh[place] = False
            if archived[key] != content and kind is not Kind.EVENTS:
                apart.append(_differing(kind, key, content, archived[key]))
    return {name: column[fresh] for name, column in columns.items()}, apart


def _rows(kind: Kind, columns: Columns) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return dict(_listed(kind, columns))


def _listed(kind: Kind, columns: Columns) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    keys: tuple[str, ...] = parquet.KEYS[kind]
    contents: tuple[str, ...] = parquet.CONTENT[kind]
    if kind is Kind.EVENTS:
        keys, contents = ("device_id", "kind", "began_at", "ended_at", "details"), ()
    of_key = zip(*(columns[name].tolist() for name in keys), strict=True)
    if not contents:
        return [(key, ()) for key in of_key]
    of_content = zip(*(columns[name].tolist() for name in contents), strict=True)
    return list(zip(of_key, of_content, strict=True))


def _differing(
    kind: Kind, key: tuple[Any, ...], mine: tuple[Any, ...], archived: tuple[Any, ...]
) -> Differing:
    device_id, quantity_id, at, last = key
    is_interval = kind is Kind.INTERVALS
    return Differing(
        device_id,
        quantity_id,
        EPOCH + at * _MICROSECOND,
        SOURCES[Source.PROFILE] if is_interval else last,
        last if is_interval else 0,
        *mine,
        *archived,
    )
