"""Walking the audit chain: is every line what it was, in its place, and is the end still there?

Lines are read as the bytes that are stored (on SQLite past the column types, which would read
two spellings of one time as the same), in batches, in one read transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, Table, Text, cast, func, select, type_coerce

from storage.audit import audit_lines
from storage.audit_chain import GENESIS, line_sha256, text_bytes, time_bytes

_BATCH: Final = 1_000
_HASHED: Final = ("at", "actor", "action", "subject", "detail", "reason", "from_where")
_PLACES_MAX: Final = 1_000_000
"""How many places a line that stands in the wrong one is tried at."""


class BreakKind(StrEnum):
    """What has happened to the trail."""

    CHANGED = "changed"
    """A field of the line is not what it was, or the line was replaced by another."""
    MISSING = "missing"
    """The line is not there."""
    REORDERED = "reordered"
    """The line stands in another line's place."""
    CUT = "cut"
    """Lines are missing at the end: the head that was written down is not there."""
    SALES = "sales"
    """The line is whole, and what it sealed is not: receipts, tokens, answers or the ledger."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which the trail is not what it was."""

    number: int
    """Of the line."""
    kind: BreakKind
    message: str


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line as the bytes that are stored."""

    number: int
    fields: tuple[bytes, ...]
    previous: bytes
    sha256: bytes

    @property
    def action(self) -> bytes:
        """What was done."""
        return self.fields[_HASHED.index("action")]

    @property
    def detail(self) -> bytes:
        """What exactly."""
        return self.fields[_HASHED.index("detail")]

    def is_itself(self, number: int | None = None) -> bool:
        """Whether its hash is that of its fields, at its place or at another one."""
        at = self.number if number is None else number
        return line_sha256(at, self.fields, self.previous) == self.sha256


def count_lines(connection: Connection) -> int:
    """How many lines there are."""
    return connection.scalar(select(func.count()).select_from(audit_lines)) or 0


def stored_lines(connection: Connection, after: int | None = None) -> Iterator[StoredLine]:
    """All lines by number, beginning behind one."""
    fields = raw_columns(connection, audit_lines, (*_HASHED, "previous_sha256", "line_sha256"))
    number = audit_lines.c.audit_id
    while True:
        wanted = select(number, *fields).order_by(number).limit(_BATCH)
        batch = connection.execute(wanted if after is None else wanted.where(number > after)).all()
        for row in batch:
            *hashed, previous, sha256 = (raw_bytes(value) for value in row[1:])
            yield StoredLine(row[0], tuple(hashed), previous, sha256)
        if len(batch) < _BATCH:
            return
        after = batch[-1][0]


def break_at(connection: Connection, line: StoredLine, before: StoredLine | None) -> Break | None:
    """What is wrong with a line, seen from the line before it; None when nothing is."""
    place = 1 if before is None else before.number + 1
    if line.number > place:
        return Break(place, BreakKind.MISSING, f"Line {place} is not there.")
    if line.number < place:  # a number below 1
        return Break(line.number, BreakKind.CHANGED, f"Line {line.number} has no place here.")
    if not line.is_itself():
        return _misplaced(connection, line) or Break(
            place, BreakKind.CHANGED, f"Line {place} is not what was written."
        )
    if line.previous == (GENESIS if before is None else before.sha256):
        return None
    replaced = max(1, place - 1)
    return Break(
        replaced,
        BreakKind.CHANGED,
        f"Line {replaced} is not the one that line {place} was written after: it was replaced.",
    )


def raw_columns(connection: Connection, of: Table, names: tuple[str, ...]) -> list[Any]:
    """Columns as they are stored, past what their types would make of them."""
    if connection.dialect.name == "postgresql":
        return [of.c[name] for name in names]
    return [_raw(of.c[name]) for name in names]


def raw_bytes(value: object) -> bytes:
    """One stored value as it is hashed; NULL and empty are told apart by `tagged`."""
    if isinstance(value, datetime):
        return time_bytes(value)
    if isinstance(value, str):
        return text_bytes(value)
    if isinstance(value, int):
        return str(value).encode()
    assert isinstance(value, bytes | memoryview)
    return bytes(value)


def _raw(column: Any) -> Any:
    is_text = not isinstance(column.type, LargeBinary) and column.type.python_type is not int
    return cast(type_coerce(column, Text), LargeBinary) if is_text else column


def _misplaced(connection: Connection, line: StoredLine) -> Break | None:
    """Whether a line is whole, but belongs to another place."""
    places = range(1, min(count_lines(connection) + 2, _PLACES_MAX))
    home = next((place for place in places if line.is_itself(place)), None)
    if home is None:
        return None
    followed = audit_lines.c.line_sha256 == line.previous
    if home == 1 or connection.execute(select(audit_lines.c.audit_id).where(followed)).first():
        return Break(
            line.number,
            BreakKind.REORDERED,
            f"Line {line.number} was written as line {home}: lines have changed places.",
        )
    return Break(
        line.number,
        BreakKind.MISSING,
        f"Line {line.number} was written as line {home}: lines before it were taken out.",
    )
