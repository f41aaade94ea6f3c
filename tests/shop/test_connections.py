"""The connection that stays at hand between transactions (both databases)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from storage.engine import at_the_end, attempt, notes, open_engine, reading, writing


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def _backend(connection: Connection) -> int:
    return id(connection.connection.driver_connection)


def test_one_transaction_after_another_has_the_same_connection(engine: Engine) -> None:
    seen = set()
    for begin in (writing, reading, writing):
        with begin(engine) as connection:
            seen.add(_backend(connection))
    assert len(seen) == 1


def test_two_transactions_at_a_time_have_two(engine: Engine) -> None:
    with reading(engine) as one, reading(engine) as other:
        assert _backend(one) != _backend(other)
        assert one.scalar(text("SELECT 1")) == other.scalar(text("SELECT 1"))


def test_notes_end_with_their_transaction(engine: Engine) -> None:
    with writing(engine) as connection:
        notes(connection)["lines"] = {1, 2}
        assert notes(connection)["lines"] == {1, 2}
    with writing(engine) as connection:
        assert "lines" not in notes(connection)


def test_what_was_to_be_done_at_the_end_of_a_failed_transaction_is_not_done_by_the_next(
    engine: Engine,
) -> None:
    done: list[str] = []

    def fail(connection: Connection, name: str) -> None:
        at_the_end(connection, lambda _: done.append(name))
        raise KeyError

    with pytest.raises(KeyError), writing(engine) as connection:
        fail(connection, "failed")
    with writing(engine) as connection:
        with pytest.raises(KeyError), attempt(connection):
            fail(connection, "undone")
        at_the_end(connection, lambda _: done.append("kept"))
        assert done == []
    with reading(engine) as connection:
        at_the_end(connection, lambda _: done.append("at once"))
    assert done == ["kept", "at once"]


def test_a_transaction_that_failed_leaves_nothing_to_the_next(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE things (name TEXT)"))

    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO things VALUES ('lost')"))
        raise KeyError

    with pytest.raises(KeyError), writing(engine) as connection:
        fail(connection)
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM things")) == 0
        assert not connection.in_nested_transaction()


def test_an_engine_that_is_let_go_of_holds_no_connection(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE things (name TEXT)"))
    before = _open_files()
    engine.dispose()
    assert _open_files() < before
    with writing(engine) as connection:  # it may be used again
        connection.execute(text("INSERT INTO things VALUES ('new')"))


def test_threads_that_take_turns_lose_nothing(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE things (name TEXT)"))

    def write(name: str) -> None:
        for _ in range(20):
            with writing(engine) as connection:
                connection.execute(text("INSERT INTO things VALUES (:name)"), {"name": name})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM things")) == 80


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
