"""Registering many meters from a table: every bad line is told of, and nothing is half done.

CSV with a line of headings (`COLUMNS`); only ``number`` must be there.  Links are registered
before; places are made by ``place`` as areas that are there.  All lines are tried in one
transaction, each in a savepoint; when one is bad and bad ones must not be left out, all of it is
undone.  A meter that is registered already with the same values is counted and left alone, so
that the same file may be imported again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from headend.faults import AlreadyRegisteredError, EntryError, HeadEndError
from headend.registry.checks import device_address
from headend.registry.devices import find_device, insert_device
from headend.registry.entries import DeviceKind, NewDevice, PointRole
from storage.engine import attempt

COLUMNS: Final = (
    "number",
    "protocol",
    "address",
    "profile",
    "link",
    "kind",
    "credential",
    "ratio",
    "point",
    "place",
    "parent_point",
    "role",
)
"""All headings.  An empty field is the default of `NewDevice`."""
_LINE_MAX: Final = 10_000
_BYTE_ORDER_MARK: Final = "\ufeff"
_TELL_EVERY: Final = 100


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be imported."""

    line: int
    """In the file, from 1; the headings are line 1."""
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended."""

    lines: int
    """With a meter on them."""
    added: int
    there: int
    """Registered before, with the same values."""
    bad: tuple[BadLine, ...]


def import_devices(
    connection: Connection,
    text: Iterable[str],
    now: datetime,
    *,
    by: str,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Register the meters of a table in the caller's transaction; bad lines leave no trace.

    Args:
        connection: a write transaction; undo it when there are bad lines that must not be.
        text: the lines of a CSV file, decoded.
        now: when.
        by: who.
        progress: called with the number of lines that were tried, now and then.

    Raises:
        EntryError: no table, unknown headings, or no ``number`` among them.
    """
    lines = added = there = 0
    bad: list[BadLine] = []
    for line, record in _records(text):
        lines += 1
        try:
            with attempt(connection):
                new = _new_device(record)
                if _is_there(connection, new):
                    there += 1
                else:
                    insert_device(connection, new, now, reason="imported", by=by)
                    added += 1
        except HeadEndError as fault:
            bad.append(BadLine(line, fault.code, str(fault)))
        if progress is not None and not lines % _TELL_EVERY:
            progress(lines)
    return Imported(lines, added, there, tuple(bad))


def _is_there(connection: Connection, new: NewDevice) -> bool:
    """Whether it is registered with these values.

    Raises:
        AlreadyRegisteredError: with other ones.
    """
    try:
        known = find_device(connection, new.number.strip())
    except HeadEndError:
        return False
    same = (
        known.protocol == new.protocol
        and known.address == device_address(new)
        and known.profile == new.profile
        and known.link == new.link
        and known.kind == new.kind
        and known.ratio == new.ratio
        and known.point == (new.point or new.number.strip())
        and known.place == new.place
    )
    if not same:
        raise AlreadyRegisteredError(
            f"Meter {known.number} is registered already, with other values; nothing is changed "
            "by an import."
        )
    return True


def _records(text: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    rows = csv.reader(_without_mark(text), strict=True)
    try:
        headings = [heading.strip().lower() for heading in next(rows, [])]
        _require_headings(headings)
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != len(headings):
                said = f"It has {len(cells)} fields, the headings are {len(headings)}."
                yield rows.line_num, {"": said}
            else:
                yield rows.line_num, dict(zip(headings, cells, strict=True))
    except csv.Error as fault:
        raise EntryError(f"Line {rows.line_num} is no CSV: {fault}.") from None


def _require_headings(headings: list[str]) -> None:
    unknown = [heading for heading in headings if heading not in COLUMNS]
    if unknown or "number" not in headings or len(set(headings)) != len(headings):
        raise EntryError(
            f"The first line must name the columns, among them number; there are: "
            f"{', '.join(COLUMNS)}."
            + (f" Not known: {', '.join(unknown)[:80]}." if unknown else "")
        )


def _new_device(record: Mapping[str, str]) -> NewDevice:
    if "" in record:
        raise EntryError(record[""])
    values: dict[str, Any] = {name: cell for name, cell in record.items() if cell}
    if "ratio" in values:
        if not (values["ratio"].isascii() and values["ratio"].isdigit()):
            raise EntryError(f"ratio must be a whole number, not {values['ratio'][:20]!r}.")
        values["ratio"] = int(values["ratio"][:18])
    for name, kind in (("kind", DeviceKind), ("role", PointRole)):
        if name in values:
            allowed = [str(member.value) for member in kind]
            if values[name] not in allowed:
                raise EntryError(f"{name} is {', '.join(allowed)}, not {values[name][:20]!r}.")
            values[name] = kind(values[name])
    return NewDevice(**({"number": ""} | values))


def _without_mark(text: Iterable[str]) -> Iterator[str]:
    """Spreadsheets begin their files with a byte order mark."""
    for place, line in enumerate(text):
        if len(line) > _LINE_MAX:
            raise EntryError(f"Line {place + 1} is longer than {_LINE_MAX} characters.")
        yield line.removeprefix(_BYTE_ORDER_MARK) if not place else line
