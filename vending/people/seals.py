"""Seals: what was sold, held fast by the audit chain.

A sale leaves no audit line of its own: its request is the record, and tills must not wait for
each other at one chain.  Instead a line now and then holds digests over everything that was
written since the seal before: receipts, the requests that they answer, tokens, ledger
transactions and their transfers, every column of every row.  Any later change of them is found
by `meterhouse audit verify`.  Refused requests are not sealed: nothing was sold.

A seal covers ranges of numbers (receipts, ledger transactions).  Numbers are given out before
their rows are committed, so the upper ends are chosen such that nothing below them can come any
more: on SQLite in a write transaction, which is alone; on PostgreSQL by waiting for those
transactions, and no others, that were writing to the two tables at that moment.  Nobody waits
for a seal.

Digest of a table: SHA-256 over "meterhouse seal 1" NUL, then for each row by its key, for each
column in the order that the seal names: a byte that says NULL (0) or a value (1), and for a
value its length (4 bytes, big-endian) and its bytes, written as in `storage.audit_chain`.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, Table, and_, func, select
from sqlalchemy import text as sql

from storage.audit import audit_lines
from storage.audit_verify import raw_bytes, raw_columns
from storage.engine import LOCK_WAIT_S, reading, writing
from storage.errors import DatabaseUnavailableError
from storage.ledger import ledger_transactions, transfers
from vending.shop.tables import receipts, requests, tokens

SEALED: Final = "sales.sealed"
"""The action of an audit line that holds a seal."""
_DOMAIN: Final = b"meterhouse seal 1\0"
_LENGTH: Final = struct.Struct(">I")
_FETCH: Final = 1_000
_POLL_S: Final = 0.01
_BY_RECEIPT: Final = "receipt_no"
_BY_TRANSACTION: Final = "transaction_id"
_TABLES: Final[dict[str, tuple[Table, str]]] = {
    "receipts": (receipts, _BY_RECEIPT),
    "requests": (requests, _BY_RECEIPT),
    "tokens": (tokens, _BY_RECEIPT),
    "ledger_transactions": (ledger_transactions, _BY_TRANSACTION),
    "transfers": (transfers, _BY_TRANSACTION),
}


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers above ``after`` up to ``to``."""

    after: int
    to: int


@dataclass(frozen=True, slots=True)
class TableSeal:
    """A table's part of a seal."""

    columns: tuple[str, ...]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Seal:
    """Digests over what was written between two seals."""

    ranges: dict[str, Range]
    """Of receipts and of ledger transactions."""
    tables: dict[str, TableSeal]

    def to_json(self) -> str:
        """As the audit line holds it."""
        ranges = {name: [span.after, span.to] for name, span in self.ranges.items()}
        tables = {
            name: {"columns": list(part.columns), "rows": part.rows, "sha256": part.sha256}
            for name, part in self.tables.items()
        }
        whole = {"version": 1, "ranges": ranges, "tables": tables}
        return json.dumps(whole, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: bytes | str) -> Seal:
        """Read a seal back; ValueError, KeyError or TypeError when it is none."""
        whole = json.loads(text)
        return cls(
            {name: Range(*span) for name, span in whole["ranges"].items()},
            {
                name: TableSeal(tuple(part["columns"]), part["rows"], part["sha256"])
                for name, part in whole["tables"].items()
            },
        )


def last_seal(connection: Connection) -> Seal | None:
    """The latest seal; None when nothing was sealed yet."""
    detail = connection.scalar(
        select(audit_lines.c.detail)
        .where(audit_lines.c.action == SEALED)
        .order_by(audit_lines.c.audit_id.desc())
        .limit(1)
    )
    return None if detail is None else Seal.from_json(detail)


def settled_ends(engine: Engine) -> dict[str, int]:
    """The greatest numbers below which no row can come any more.

    Raises:
        DatabaseUnavailableError: a transaction did not end in time.
    """
    if engine.dialect.name == "postgresql":
        return _settled_on_postgresql(engine)
    with writing(engine) as connection:  # alone
        return {
            column: connection.scalar(select(func.max(owner.c[column]))) or 0
            for column, owner in _numbered().items()
        }


def next_ranges(before: Seal | None, ends: dict[str, int]) -> dict[str, Range]:
    """What a new seal would cover."""
    return {
        column: Range(begin := before.ranges[column].to if before else 0, max(begin, end))
        for column, end in ends.items()
    }


def make_seal(connection: Connection, ranges: dict[str, Range]) -> Seal:
    """Digests over ranges of numbers."""
    return Seal(
        ranges,
        {
            name: _table_seal(connection, name, ranges[column], tuple(owner.c.keys()))
            for name, (owner, column) in _TABLES.items()
        },
    )


def first_difference(connection: Connection, seal: Seal) -> str | None:
    """What of the sealed is not what it was; None when all is.

    Raises:
        ValueError: the seal speaks of tables or columns that this version does not know.
    """
    for name, sealed in seal.tables.items():
        owner, column = _TABLES[name]
        if not set(sealed.columns) <= set(owner.c.keys()):
            raise ValueError(name)
        found = _table_seal(connection, name, seal.ranges[column], sealed.columns)
        if found != sealed:
            span = seal.ranges[column]
            return (
                f"{name} with {column} {span.after + 1} to {span.to}: {sealed.rows} rows were "
                f"sealed, {found.rows} are there, "
                + ("and they are not the same." if found.rows != sealed.rows else "changed.")
            )
    return None


def _numbered() -> dict[str, Table]:
    return {_BY_RECEIPT: receipts, _BY_TRANSACTION: ledger_transactions}


def _table_seal(
    connection: Connection, name: str, span: Range, columns: tuple[str, ...]
) -> TableSeal:
    digest = hashlib.sha256(_DOMAIN)
    rows = 0
    for row in _rows(connection, name, span, columns):
        rows += 1
        for value in row:
            if value is None:
                digest.update(b"\0")
                continue
            written = raw_bytes(value)
            digest.update(b"\1" + _LENGTH.pack(len(written)) + written)
    return TableSeal(columns, rows, digest.hexdigest())


def _rows(
    connection: Connection, name: str, span: Range, columns: tuple[str, ...]
) -> Iterator[Any]:
    owner, column = _TABLES[name]
    wanted: Select[Any] = select(*raw_columns(connection, owner, columns))
    by = owner.c.get(column)
    if by is None:  # requests have no number: they are sealed in the order of their receipts
        answered = and_(
            requests.c.client == receipts.c.client, requests.c.message_id == receipts.c.message_id
        )
        by = receipts.c[column]
        wanted = wanted.select_from(receipts.join(requests, answered))
    order = [by, *(key for key in owner.primary_key.columns if key.name != column)]
    wanted = wanted.where(by > span.after, by <= span.to).order_by(*order)
    result = connection.execute(wanted.execution_options(yield_per=_FETCH))
    yield from result


def _settled_on_postgresql(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        ends = {
            column: _last_number(connection, owner.name, column)
            for column, owner in _numbered().items()
        }
    # A number is taken under a lock: who has one up to these ends is either done or among those
    # who hold such a lock now.
    with reading(engine) as connection:
        writers = _writers(connection)
    deadline = time.monotonic() + LOCK_WAIT_S
    while writers:
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(
                "A sale has been going on for too long to be sealed; nothing was written."
            )
        time.sleep(_POLL_S)
        with reading(engine) as connection:
            writers &= _writers(connection)
    return ends


def _last_number(connection: Connection, name: str, column: str) -> int:
    sequence = connection.scalar(sql(f"SELECT pg_get_serial_sequence('{name}', '{column}')"))
    row = connection.execute(sql(f"SELECT last_value, is_called FROM {sequence}")).one()
    return int(row.last_value) if row.is_called else 0


def _writers(connection: Connection) -> set[str]:
    """The transactions that have written to the two tables, or have taken a number for them,
    and have not ended yet: ``nextval`` locks the sequence, too, before it gives a number."""
    return set(
        connection.scalars(
            sql(
                "SELECT virtualtransaction FROM pg_locks "
                "WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                "AND relation IN ('receipts'::regclass, 'receipts_receipt_no_seq'::regclass, "
                "'ledger_transactions'::regclass, "
                "'ledger_transactions_transaction_id_seq'::regclass)"
            )
        )
    )
