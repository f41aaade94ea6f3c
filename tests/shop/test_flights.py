"""Statements that leave together (PostgreSQL): values, refusals, what is left of a connection."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    Column,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from storage.engine import open_engine, reading, writing
from storage.errors import (
    CommitUnknownError,
    DatabaseUnavailableError,
    InvariantError,
    ValueRefusedError,
)
from storage.prepared import InsertIfNew, KeyTakenError, Prepared
from storage.types import UtcTimestamp, WholeNumber
from tests.shop.databases import PostgresqlDatabases

_THINGS = Table(
    "things",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("count", WholeNumber),
    Column("content", LargeBinary),
    Column("at", UtcTimestamp),
)
_INSERT = Prepared(insert(_THINGS))
_IF_NEW = InsertIfNew(_THINGS, list(_THINGS.c.keys()))
_BY_NAME = select(_THINGS).where(_THINGS.c.name == bindparam("wanted"))
_FIND = Prepared(_BY_NAME)
_LOCK = Prepared(_BY_NAME.with_for_update())
_ROW: dict[str, Any] = {
    "name": "50 % of $1, %(name)s 'é'",
    "count": -(2**63),
    "content": b"\0\\x\xff",
    "at": datetime(900, 1, 2, 3, 4, 5, 6, UTC),
}


@pytest.fixture
def url(postgresql_databases: PostgresqlDatabases) -> Iterator[str]:
    url = postgresql_databases.shop()
    yield url
    postgresql_databases.discard(url)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    with writing(engine) as connection:
        _THINGS.create(connection)
    with writing(engine) as connection:
        _INSERT.run(connection, _ROW)
    yield engine
    engine.dispose()


def _found(engine: Engine, name: str) -> Any:
    with reading(engine) as connection:
        return _FIND.first(connection, {"wanted": name})


def test_values_come_back_as_they_went(engine: Engine) -> None:
    assert _found(engine, _ROW["name"]) == tuple(_ROW.values())


@pytest.mark.parametrize("wrong", [{"name": "a\0b"}, {"name": "\ud800"}, {"count": 2**63}])
def test_values_that_fit_no_column_are_refused(engine: Engine, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueRefusedError), writing(engine) as connection:
        _INSERT.run(connection, {**_ROW, "name": "other", **wrong})
    assert _found(engine, "other") is None


def test_a_refusal_that_comes_with_the_commit_undoes_all_and_frees_the_connection(
    engine: Engine,
) -> None:
    def write(*rows: dict[str, Any]) -> None:
        with writing(engine) as connection:
            for row in rows:
                _INSERT.run_by_the_end(connection, row)

    undone: list[object] = []
    event.listen(engine, "rollback", undone.append)
    with pytest.raises(InvariantError):
        write({**_ROW, "name": "other"}, _ROW)
    assert len(undone) == 1  # for those who wait for the end of a transaction
    with writing(engine) as connection:
        assert _FIND.first(connection, {"wanted": "other"}) is None


def test_a_key_that_is_taken_is_told_before_anything_is_committed(engine: Engine) -> None:
    with writing(engine) as connection:
        _IF_NEW.run_soon(connection, _ROW)
        with pytest.raises(KeyTakenError):
            _FIND.first(connection, {"wanted": "other"})
        assert _FIND.first(connection, {"wanted": _ROW["name"]}).count == _ROW["count"]

    def write_all() -> None:
        with writing(engine) as connection:
            _IF_NEW.run_soon(connection, _ROW)
            _INSERT.run_by_the_end(connection, {**_ROW, "name": "other"})

    with pytest.raises(KeyTakenError):
        write_all()
    assert _found(engine, "other") is None


def test_nothing_is_sent_when_nothing_is_asked(engine: Engine) -> None:
    with writing(engine):
        pass
    with reading(engine):
        pass
    assert _found(engine, _ROW["name"]) is not None


def test_a_connection_that_the_server_closed_is_replaced(engine: Engine, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with writing(engine) as connection:
        assert _FIND.first(connection, {"wanted": _ROW["name"]}) is not None


def test_ctrl_c_while_a_lock_is_waited_for_leaves_a_connection_that_works(
    engine: Engine, url: str
) -> None:
    wanted = {"wanted": _ROW["name"]}
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM things FOR UPDATE")
        threading.Thread(target=_interrupt_soon).start()
        with pytest.raises(KeyboardInterrupt), writing(engine) as connection:
            _LOCK.first(connection, wanted)
        other.rollback()
    with writing(engine) as connection:
        assert _LOCK.first(connection, wanted) is not None


def _interrupt_soon() -> None:
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)


def _end_all_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("by_the_end", [False, True])
def test_what_was_refused_and_the_refusal_swallowed_is_not_told_as_committed(
    engine: Engine, by_the_end: bool
) -> None:
    def write() -> None:
        with writing(engine) as connection:
            _INSERT.run(connection, {**_ROW, "name": "other"})
            with suppress(DBAPIError):
                _INSERT.run(connection, _ROW)
            if by_the_end:
                _INSERT.run_by_the_end(connection, {**_ROW, "name": "more"})

    undone: list[object] = []
    event.listen(engine, "rollback", undone.append)
    with pytest.raises(InvariantError, match="nothing was written"):
        write()
    assert len(undone) == 1
    assert _found(engine, "other") is None
    with writing(engine) as connection:
        _INSERT.run(connection, {**_ROW, "name": "next"})
    assert _found(engine, "next") is not None


@pytest.mark.parametrize("by_the_end", [False, True])
def test_a_connection_that_is_lost_before_the_commit_is_sent_has_written_nothing(
    engine: Engine, url: str, by_the_end: bool
) -> None:
    def write() -> None:
        with writing(engine) as connection:
            _INSERT.run(connection, {**_ROW, "name": "other"})
            _end_all_sessions(url)
            if by_the_end:
                _INSERT.run_by_the_end(connection, {**_ROW, "name": "more"})

    with pytest.raises(DatabaseUnavailableError, match="nothing was written"):
        write()
    assert _found(engine, "other") is None


def test_a_connection_that_is_lost_with_a_write_before_the_commit_has_written_nothing(
    engine: Engine, url: str
) -> None:
    """The server says which statement it was at: the commit comes after it."""
    with writing(engine) as connection:
        connection.execute(
            text(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER slow AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION slow()")
        )

    def write() -> None:
        with writing(engine) as connection:
            _INSERT.run_by_the_end(connection, {**_ROW, "name": "other"})

    soon = threading.Timer(0.5, _end_all_sessions, [url])
    soon.start()
    with pytest.raises(DatabaseUnavailableError, match="nothing was written"):
        write()
    soon.join()
    assert _found(engine, "other") is None


def test_a_connection_that_is_lost_while_the_commit_is_at_work_leaves_it_unknown(
    engine: Engine, url: str
) -> None:
    with writing(engine) as connection:
        connection.execute(
            text(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$"
            )
        )
        connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON things "
                "DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION slow()"
            )
        )

    def write() -> None:
        with writing(engine) as connection:
            _INSERT.run_by_the_end(connection, {**_ROW, "name": "other"})

    soon = threading.Timer(0.5, _end_all_sessions, [url])
    soon.start()
    with pytest.raises(CommitUnknownError):
        write()
    soon.join()


def test_what_writes_is_planned_by_keys_and_what_reads_is_not(engine: Engine) -> None:
    for begin, scans, plans in (
        (writing, "off", "force_generic_plan"),
        (reading, "on", "auto"),
        (writing, "off", "force_generic_plan"),
    ):
        with begin(engine) as connection:
            assert connection.scalar(text("SHOW enable_seqscan")) == scans
            assert connection.scalar(text("SHOW plan_cache_mode")) == plans
