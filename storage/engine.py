"""Opening the database, writing in one transaction, reading one consistent state.

SQLite (the embedded default)
    Made with mode 0600: the file is its owner's alone, and so are the two beside it.
    Write-ahead log, ``synchronous=FULL`` (a commit that was answered survives a power cut),
    foreign keys on.  A write transaction begins with ``BEGIN IMMEDIATE``: it waits for its
    turn at the start, instead of failing halfway when a read wants to become a write.

PostgreSQL (the way up)
    psycopg 3.  Writes run READ COMMITTED with row locks, reads REPEATABLE READ and read-only.
    A connection that has gone stale is found out before anything is done with it, and replaced
    by a new one.  BEGIN leaves with the first statement, COMMIT with the last ones.

A wait for another process's lock ends after `LOCK_WAIT_S`.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    RootTransaction,
    Table,
    create_engine,
    event,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.errors import (
    CommitUnknownError,
    DatabaseMissingError,
    DatabaseUnavailableError,
    DatabaseUrlError,
    InvariantError,
    ValueRefusedError,
)
from storage.prepared import begin, command, end, forget, may_have_committed, settle

LOCK_WAIT_S: Final = 30
"""How long a transaction waits for another one before it gives up."""
_TURN_S: Final = (0.000_3, 0.001)
"""How long it waits before it asks again whether it is its turn (SQLite)."""
_PAGES_BETWEEN_CHECKPOINTS: Final = 8_000
"""Of the write-ahead log (32 MB): a sale writes 15, and whoever comes to the end of them brings
them into the database, in the time of his own sale."""
_CACHE_KIB: Final = 32_768
_CONNECT_TIMEOUT_S: Final = 10
_GONE_AFTER_S: Final = 10
CONNECTIONS_MAX: Final = 15
"""Of one process to PostgreSQL; made when they are needed."""
_WRITE: Final = "meterhouse_write"
_WAITS: Final = "meterhouse_sqlite_waits"
_AT_HAND: Final = "meterhouse_at_hand"
_NOTES: Final = "meterhouse_notes"
_PUT_OFF: Final = "put_off"
_TRANSACTION_REFUSED: Final = "25P02"
_Act = Callable[[Connection], None]
_BEGIN_SQLITE: Final = {None: "BEGIN", False: "BEGIN", True: "BEGIN IMMEDIATE"}
# What writes looks rows up by their keys, and its plans, those of triggers too, are kept for as
# long as a connection lives.  One that was made while a table was small would read all of it, ever
# after; one that depends on a value would be made anew for each row.
_SETTINGS_POSTGRESQL: Final = {
    "lock_timeout": f"{LOCK_WAIT_S}s",
    "timezone": "UTC",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}
_PLANS_FOR_MANY_ROWS: Final = (
    "SET LOCAL enable_seqscan = on",
    "SET LOCAL plan_cache_mode = auto",
)
_BEGIN_POSTGRESQL: Final = {
    None: ("BEGIN", *_PLANS_FOR_MANY_ROWS),
    False: ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", *_PLANS_FOR_MANY_ROWS),
    True: ("BEGIN ISOLATION LEVEL READ COMMITTED",),
}


def open_engine(url: str, *, create: bool = False) -> Engine:
    """Connect to a database (lazily: PostgreSQL is first called by the first transaction).

    Args:
        url: ``sqlite:///file.db`` (relative) or ``sqlite:////folder/file.db`` (absolute), or
            ``postgresql://user@host/database``.
        create: whether a SQLite file may be made.

    Raises:
        DatabaseUrlError: the URL is malformed, or names another kind of database.
        DatabaseMissingError: the SQLite file does not exist and ``create`` is not set.
        DatabaseUnavailableError: the SQLite file cannot be made.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, create=create)
    return _open_postgresql(parsed)


def shown(url: str) -> str:
    """A database's URL for messages: without its password."""
    return _parsed(url).render_as_string(hide_password=True)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is no number
        raise DatabaseUrlError(
            "The database URL cannot be read; it looks like sqlite:///meterhouse.db or "
            "postgresql://user@host/database."
        ) from None
    backend = parsed.drivername.partition("+")[0]
    if backend in ("postgresql", "postgres"):
        return _password_in_its_place(parsed.set(drivername="postgresql+psycopg"))
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    raise DatabaseUrlError(f"Databases of kind {backend} are not used; use sqlite or postgresql.")


def _password_in_its_place(url: URL) -> URL:
    """The password where it is known to be one: libpq takes it as ``?password=`` too."""
    given = url.query.get("password")
    if given is None:
        return url
    password = given if isinstance(given, str) else given[-1]
    return url.difference_update_query(["password"]).set(password=password)


def _open_sqlite(url: URL, *, create: bool) -> Engine:
    if not url.database or url.database == ":memory:" or "\0" in url.database:
        raise DatabaseUrlError("Sales need a database file: use sqlite:///meterhouse.db.")
    path = Path(url.database)
    if not create and not path.is_file():
        raise DatabaseMissingError(
            f"There is no database at {path}. Make one with `meterhouse init`, or name "
            "another with --database."
        )
    if create:
        _make_file(path)
    # Read-write, but never made by accident: a mistyped name must not begin an empty shop.
    exact = URL.create(
        "sqlite",
        database=f"file:{quote(bytes(path.absolute()))}",
        query={"mode": "rw", "uri": "true"},
    )
    engine = create_engine(
        exact,
        hide_parameters=True,
        connect_args={"timeout": LOCK_WAIT_S},
        execution_options={_AT_HAND: []},
    )
    event.listen(engine, "engine_disposed", _let_go)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(path: Path) -> None:
    """An empty database, unless it is there.  SQLite gives -wal and -shm the file's mode."""
    if not path.absolute().parent.is_dir():
        raise DatabaseUrlError(f"There is no folder {path.absolute().parent} to make it in.")
    try:
        path.touch(mode=0o600)
    except OSError as fault:
        raise DatabaseUnavailableError(
            f"The database file {path} cannot be made: {fault.strerror}."
        ) from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, nowhere else
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"wal_autocheckpoint={_PAGES_BETWEEN_CHECKPOINTS}",
        f"cache_size=-{_CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE)
    _let_sqlite_wait(connection, not write)
    if write:
        _wait_for_turn(connection)
    else:
        command(connection, _BEGIN_SQLITE[write])


def _let_sqlite_wait(connection: Connection, waits: bool) -> None:
    """Whether SQLite itself waits for locks.

    It stays as it is until a transaction wants it otherwise: one sale after another sets
    nothing.  A write transaction has its lock, and waits for no other.
    """
    info = connection.info
    if info.get(_WAITS, True) is not waits:
        command(connection, f"PRAGMA busy_timeout={LOCK_WAIT_S * 1_000 if waits else 0}")
        info[_WAITS] = waits


def _wait_for_turn(connection: Connection) -> None:
    """Ask for the write lock often: it is held for milliseconds.

    SQLite itself asks again after 1, 2, 5, 10 ... 100 ms: who has met two others waits for much
    longer than they take.
    """
    end = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            command(connection, _BEGIN_SQLITE[True])
        except OperationalError as fault:
            if not _is_busy(fault) or time.monotonic() > end:
                raise
            time.sleep(random.uniform(*_TURN_S))
        else:
            return


def _is_busy(fault: OperationalError) -> bool:
    code: int = getattr(fault.orig, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _open_postgresql(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        execution_options={_AT_HAND: []},
        # What goes beyond a pool's size is connected anew each time, which a busy worker does.
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            # a server that is gone without a word; one that works or waits for a lock answers
            "tcp_user_timeout": _GONE_AFTER_S * 1_000,
            "keepalives_idle": _GONE_AFTER_S // 2,
            "keepalives_interval": 1,
            "keepalives_count": _GONE_AFTER_S // 2,
            "options": " ".join(f"-c {name}={to}" for name, to in _SETTINGS_POSTGRESQL.items()),
            # psycopg would drop our prepared statements with its own (`storage.flight`).
            "prepare_threshold": None,
        },
    )
    event.listen(engine, "engine_disposed", _let_go)
    event.listen(engine, "connect", _prepare_postgresql)
    event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "before_cursor_execute", _keep_order)
    event.listen(engine, "commit", end)
    event.listen(engine, "rollback", forget)
    return engine


def _keep_order(connection: Connection, *_: object) -> None:
    """What was put off goes before what is executed now."""
    settle(connection)


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.autocommit = True  # transactions begin in _begin_postgresql, nowhere else


def _let_go(engine: Engine) -> None:
    kept = _at_hand(engine)
    while kept:
        connection = kept.pop()
        connection.detach()
        connection.close()


def _begin_postgresql(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE)
    if write is None:  # whoever does not come through here may use the driver by hand
        for sql in _BEGIN_POSTGRESQL[write]:
            command(connection, sql)
    else:
        begin(connection, _BEGIN_POSTGRESQL[write])


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: everything in the block is committed together, or nothing is.

    Raises:
        DatabaseUnavailableError: no answer, or the wait for a lock was too long; nothing
            was written.
        InvariantError: a constraint or trigger refused, though the block may have swallowed
            it; nothing was written.
        ValueRefusedError: a value fits no column; nothing was written.
        CommitUnknownError: the connection broke after the commit had been sent.
    """
    with _translated(), _begun(engine, write=True) as (connection, transaction):
        try:
            yield connection
            for act in notes(connection)[_PUT_OFF]:
                act(connection)
            _require_begun(connection)
        except BaseException:
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except IntegrityError:
            raise
        except DBAPIError as fault:
            if _is_refused(connection, fault):
                raise
            raise CommitUnknownError(
                "The database did not confirm the commit: it may have happened or not."
            ) from fault


def _require_begun(connection: Connection) -> None:
    """SQLite undoes a whole transaction when the disk is full, whoever swallows the fault.

    To commit nothing would succeed.

    Raises:
        DatabaseUnavailableError: it has been undone.
    """
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite" and not driver.in_transaction:
        raise DatabaseUnavailableError(
            "The database has undone this by itself, as it does when the disk is full; nothing "
            "was written. Make room."
        )


def _is_refused(connection: Connection, fault: DBAPIError) -> bool:
    """Whether everything has been undone: so the server answered, or was asked for no commit."""
    return connection.dialect.name == "postgresql" and not may_have_committed(fault)


def plan_for_many_rows(connection: Connection) -> None:
    """Have the rest of this write transaction planned as reports are.

    For what goes through a month or a whole table: the plans of `writing` look rows up one by one.
    """
    if connection.dialect.name == "postgresql":
        for sql in _PLANS_FOR_MANY_ROWS:
            connection.execute(text(sql))


def at_the_end(connection: Connection, act: _Act) -> None:
    """Do something as the last thing of a write transaction, in the order of asking.

    For what takes a lock that everybody wants: taken last, it is held for the shortest time
    and is part of no deadlock.  In a transaction that is not `writing`'s it is done at once.
    """
    put_off: list[_Act] | None = notes(connection).get(_PUT_OFF)
    if put_off is None:
        act(connection)
    else:
        put_off.append(act)


def notes(connection: Connection) -> dict[str, Any]:
    """What is noted for the transaction, and ends with it."""
    noted: dict[str, Any] | None = connection.get_execution_options().get(_NOTES)
    if noted is None:  # begun by somebody else
        noted = {}
        connection.execution_options(**{_NOTES: noted})
    return noted


@contextmanager
def attempt(connection: Connection) -> Iterator[None]:
    """Undo what the block has done when it raises; the transaction goes on (a savepoint)."""
    put_off: list[_Act] = notes(connection).get(_PUT_OFF, [])
    before = len(put_off)
    savepoint = connection.begin_nested()
    try:
        yield
        settle(connection)
    except BaseException:
        forget(connection)
        del put_off[before:]
        savepoint.rollback()
        raise
    savepoint.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: all queries in the block see the same state.

    Raises:
        DatabaseUnavailableError: no answer.
        ValueRefusedError: a value fits no column.
    """
    with _translated(), _begun(engine, write=False) as (connection, transaction), transaction:
        yield connection


@contextmanager
def _begun(engine: Engine, *, write: bool) -> Iterator[tuple[Connection, RootTransaction]]:
    """A connection in a transaction.

    To begin finds out whether the server has closed the connection meanwhile (restarted, for
    instance).  Nothing has been asked of it by then, so that another one may be taken.
    """
    try:
        connection, transaction = _begin(engine, write=write)
    except DBAPIError as fault:
        if not fault.connection_invalidated:
            raise
        connection, transaction = _begin(engine, write=write)
    try:
        yield connection, transaction
    except BaseException:
        connection.close()
        raise
    _keep(engine, connection)


def _begin(engine: Engine, *, write: bool) -> tuple[Connection, RootTransaction]:
    try:
        connection = _at_hand(engine).pop()
    except IndexError:
        connection = engine.connect()
    connection.execution_options(**{_WRITE: write, _NOTES: {_PUT_OFF: []} if write else {}})
    try:
        return connection, connection.begin()
    except BaseException:
        connection.close()
        raise


def _at_hand(engine: Engine) -> list[Connection]:
    kept: list[Connection] = engine.get_execution_options()[_AT_HAND]
    return kept


def _keep(engine: Engine, connection: Connection) -> None:
    """Keep one at hand: to give it to the pool and take it again costs a tenth of a sale."""
    kept = _at_hand(engine)
    if kept or connection.invalidated or connection.in_transaction():
        connection.close()
    else:
        kept.append(connection)


def insert_if_new(connection: Connection, into: Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless its primary key is taken; tells whether it was inserted.

    On PostgreSQL a transaction that is inserting the same key is waited for.  On SQLite the
    write transaction is alone: a look-up settles it, where an insert that gives way to a
    conflict would meet the triggers that refuse to replace a row.
    """
    key = into.primary_key.columns
    if connection.dialect.name == "sqlite":
        same = [column == values[column.name] for column in key]
        if connection.execute(select(*key).where(*same)).first() is not None:
            return False
        connection.execute(insert(into), values)
        return True
    statement = postgresql_insert(into).on_conflict_do_nothing().returning(*key)
    return connection.execute(statement, values).first() is not None


@contextmanager
def _translated() -> Iterator[None]:
    """The driver's exceptions as ours.

    Only the server's first line is kept: the detail of a refusal quotes the whole row, and a
    row may hold a token.  What says of a value that it fits no column may quote it, so nothing
    of that is kept.
    """
    try:
        yield
    except IntegrityError as fault:
        raise InvariantError(
            f"The database refused to break a rule, nothing was written: {_first_line(fault)}"
        ) from None
    except DataError:
        raise ValueRefusedError from None
    except PoolTimeoutError:
        raise DatabaseUnavailableError(
            "All connections to the database are busy; nothing was written."
        ) from None
    except DBAPIError as fault:
        if getattr(fault.orig, "sqlstate", None) == _TRANSACTION_REFUSED:
            raise InvariantError(
                "The database had refused an earlier part of this, nothing was written: "
                f"{_first_line(fault)}"
            ) from None
        raise DatabaseUnavailableError(
            f"The database could not be used, nothing was written: {_first_line(fault)}"
        ) from None
    except (StatementError, OverflowError, UnicodeEncodeError):  # before the driver was asked
        raise ValueRefusedError from None


def _first_line(fault: DBAPIError) -> str:
    return str(fault.orig).partition("\n")[0]
