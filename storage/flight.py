"""Statements to PostgreSQL in one flight: sent together, answered together.

psycopg's own pipeline makes a cursor for each statement and sends each by itself, so that the
server wakes up for each: of what a sale took on both sides together that was more than half
(docs/decisions, 13).  Here statements of a flight leave in one packet, through psycopg's wrapper
of libpq (`psycopg.pq`); the server works through them and answers at the end.

Each statement is prepared by its first flight, under a name of ours, for as long as the
connection lives.  Values go as text, as the columns' types are given in the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from select import POLLIN, poll
from typing import Any, Final

from psycopg import OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import InFailedSqlTransaction, error_from_result
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format, PipelineStatus
from psycopg.waiting import Ready, Wait

_REFUSED: Final = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)
COMMIT: Final = "COMMIT"
_NOT_COMMITTED: Final = "the transaction had been refused before its commit"
_Sent = tuple[str, Sequence[Any]]
"""A statement, with ``$1`` ... for its values, and these as `to_text` made them."""


@dataclass(slots=True)
class Landed:
    """What a statement of a flight gave."""

    rowcount: int
    """How many rows it gave or touched."""
    _rows: list[tuple[Any, ...]]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Its rows."""
        return self._rows


@dataclass(slots=True)
class Ground:
    """What is kept for a connection from flight to flight."""

    driver: Any
    """psycopg's connection, in autocommit: transactions are begun by hand."""
    reader: Any
    """Makes values of what the server answers (psycopg's `Transformer`)."""
    names: dict[str, bytes] = field(default_factory=dict)
    """The statements that the server has prepared."""
    given_out: int = 0

    @classmethod
    def of(cls, driver: Any) -> Ground:
        """For a connection that has not flown yet."""
        return cls(driver, Transformer(driver))


class FlightRefusedError(Exception):
    """The server refused a statement of a flight, and all that were to come after it.

    Those before it were carried out: a commit that was to come has not been.
    """

    def __init__(self, sql: str, fault: Exception) -> None:
        super().__init__(sql)
        self.sql: Final = sql
        self.fault: Final = fault


def fly(ground: Ground, statements: Sequence[_Sent]) -> list[Landed]:
    """Run statements in order, in one round trip.

    Args:
        ground: of the connection.
        statements: none of them needs what an earlier one gives.

    Raises:
        FlightRefusedError: of the first statement that was refused.
        psycopg.Error: the connection broke.
    """
    driver = ground.driver
    pgconn = driver.pgconn
    answers: list[Any] = []
    with driver.lock:
        pgconn.enter_pipeline_mode()
        try:
            sent = _send(pgconn, ground, statements)
            try:
                driver.wait(_answers(pgconn, answers))
            except OperationalError:
                if not _says_where(answers):
                    raise
        finally:
            _leave(driver)
        return _landed(ground, sent, answers)


def has_news(driver: Any) -> bool:
    """Whether the server has sent something that nobody asked for: that it leaves, mostly."""
    socket = poll()
    socket.register(driver.fileno(), POLLIN)
    return bool(socket.poll(0))


def is_lost(driver: Any) -> bool:
    """Whether the server has closed the connection, as far as has become known here."""
    with suppress(OperationalError):
        while has_news(driver):
            driver.pgconn.consume_input()
    return bool(driver.pgconn.status != ConnStatus.OK)


def _send(pgconn: Any, ground: Ground, statements: Sequence[_Sent]) -> list[tuple[str, bytes]]:
    """All of them; gives (statement, name to keep or nothing) for each answer to come."""
    sent: list[tuple[str, bytes]] = []
    fresh: dict[str, bytes] = {}
    for sql, values in statements:
        name = ground.names.get(sql) or fresh.get(sql)
        if name is None:
            ground.given_out += 1
            name = fresh[sql] = b"meterhouse_%d" % ground.given_out
            pgconn.send_prepare(name, sql.encode())
            sent.append((sql, name))
        checked_in(pgconn, sql, name, values)
        sent.append((sql, b""))
    pgconn.pipeline_sync()
    return sent


def checked_in(pgconn: Any, _sql: str, name: bytes, values: Sequence[Any]) -> None:
    """One statement, ready to leave with the others."""
    formats = None
    if any(type(each) is _Raw for each in values):
        formats = [Format.BINARY if type(each) is _Raw else Format.TEXT for each in values]
    pgconn.send_query_prepared(name, values, formats)


def _says_where(answers: list[Any]) -> bool:
    """Whether a server that left has said at which statement: those after it were not begun."""
    refusal = next((each for each in answers if each.status in _REFUSED), None)
    # libpq makes up an answer when a connection breaks; only the server's own have a state
    return refusal is not None and refusal.error_field(DiagnosticField.SQLSTATE) is not None


def _answers(pgconn: Any, answers: list[Any]) -> Generator[Wait, Ready, None]:
    """Wait for all answers, up to the one for the end of the flight."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
    ended = False
    while True:
        while pgconn.is_busy():
            if (yield Wait.R):
                pgconn.consume_input()
        answer = pgconn.get_result()
        if answer is None:  # the end of one statement's
            if ended and pgconn.status != ConnStatus.OK:
                raise OperationalError(pgconn.get_error_message())
            ended = True
            continue
        ended = False
        if answer.status == ExecStatus.PIPELINE_SYNC:
            return
        answers.append(answer)


def _leave(driver: Any) -> None:
    """Back to one statement at a time; a connection with answers still to come is no use."""
    pgconn = driver.pgconn
    if pgconn.status != ConnStatus.OK or pgconn.pipeline_status == PipelineStatus.OFF:
        return
    try:
        pgconn.exit_pipeline_mode()
    except OperationalError:
        driver.close()


def _landed(ground: Ground, sent: list[tuple[str, bytes]], answers: list[Any]) -> list[Landed]:
    landed = []
    for (sql, name), answer in zip(sent, answers, strict=False):
        if answer.status in _REFUSED:
            raise FlightRefusedError(sql, error_from_result(answer))
        if name:
            ground.names[sql] = name
            continue
        if sql == COMMIT and answer.command_status != b"COMMIT":
            # An earlier refusal had been swallowed: the server has rolled back, and says only so.
            raise FlightRefusedError(sql, InFailedSqlTransaction(_NOT_COMMITTED))
        rows: list[tuple[Any, ...]] = []
        if answer.nfields:
            ground.reader.set_pgresult(answer)
            rows = ground.reader.load_rows(0, answer.ntuples, tuple)
        landed.append(Landed(answer.command_tuples or 0, rows))
    return landed


# --- values ---------------------------------------------------------------------------------


class _Raw(bytes):
    """Bytes that go as they are."""


def _of_text(value: Any) -> bytes:
    text: bytes = value.encode()
    if b"\0" in text:
        raise ValueError("PostgreSQL keeps no NUL in texts")
    return text


def _of_number(value: Any) -> bytes:
    return str(int(value)).encode()


def _of_time(value: Any) -> bytes:
    text: str = value.isoformat()
    return text.encode()


_TO_TEXT: Final[dict[type, Callable[[Any], bytes]]] = {
    str: _of_text,
    int: _of_number,
    bool: lambda value: b"t" if value else b"f",
    bytes: _Raw,
    datetime: _of_time,
    date: _of_time,
    Decimal: lambda value: str(value).encode(),
}


def to_text(value: Any) -> bytes | None:
    """A value as it is sent.

    Raises:
        TypeError, ValueError: it is of no kind that a column takes.
    """
    if value is None:
        return None
    convert = _TO_TEXT.get(type(value))
    if convert is None:
        known = next((kind for kind in _TO_TEXT if isinstance(value, kind)), None)
        if known is None:
            raise TypeError(f"no column takes {type(value).__name__}")
        convert = _TO_TEXT[known]
    return convert(value)
