"""Triggers that hold the invariants, one text for each database.

For migrations only, and as fixed as they are: what a function here makes has been made in
databases out there; another rule is another function.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alembic import op


def immutable(table: str, *unique_keys: Sequence[str]) -> None:
    """Refuse every UPDATE and DELETE (and TRUNCATE) of a table.

    Args:
        table: which.
        unique_keys: all of its unique keys, the primary one too.  SQLite deletes a row
            without asking any trigger when ``INSERT OR REPLACE`` meets one of them, so there
            an insert whose key is taken is refused beforehand.
    """
    _refuse(table, "update", f"{table} are never changed")
    no_delete(table, *unique_keys)


def no_delete(table: str, *unique_keys: Sequence[str]) -> None:
    """Refuse every DELETE (and TRUNCATE, and what replaces a row); see `immutable`."""
    message = f"{table} are never deleted"
    _refuse(table, "delete", message)
    if _is_postgresql():
        _postgresql_trigger(table, "truncate", f"RAISE {_error(message)};", each="STATEMENT")
        return
    for number, key in enumerate(unique_keys, 1):
        same = " AND ".join(f"{column} = NEW.{column}" for column in key)
        op.execute(
            f"CREATE TRIGGER {table}_replace_{number} BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
            f"BEGIN SELECT RAISE(ABORT, '{table}: this key is taken'); END"
        )


def frozen(table: str, columns: Iterable[str], *, after: str | None = None) -> None:
    """Refuse to change some columns of a table.

    Args:
        table: which.
        columns: what stays as it was inserted.
        after: an SQL condition on OLD; when it holds, nothing of the row changes any more.
    """
    different = "IS DISTINCT FROM" if _is_postgresql() else "IS NOT"
    changed = " OR ".join(f"OLD.{column} {different} NEW.{column}" for column in columns)
    condition = f"({after}) OR {changed}" if after else changed
    _refuse(table, "update", f"{table}: this is never changed", condition)


def set_once(table: str, columns: Iterable[str]) -> None:
    """Refuse to change columns once they have a value."""
    different = "IS DISTINCT FROM" if _is_postgresql() else "IS NOT"
    changed = " OR ".join(
        f"(OLD.{column} IS NOT NULL AND OLD.{column} {different} NEW.{column})"
        for column in columns
    )
    _refuse(table, "update", f"{table}: this is never changed", changed, name=f"{table}_set_once")


def never_back(table: str, column: str, first: str) -> None:
    """Refuse to bring a state back to its first value; the others may alternate."""
    _refuse(
        table,
        "update",
        f"{table}: a state never goes back",
        f"NEW.{column} = '{first}' AND OLD.{column} <> '{first}'",
        name=f"{table}_{column}_forward",
    )


def inserted_only_if(table: str, condition: str, message: str, *, name: str | None = None) -> None:
    """Refuse an INSERT unless an SQL condition on NEW holds; a second rule needs a name."""
    name = name or f"{table}_insert"
    _refuse(table, "insert", f"{table}: {message}", f"NOT ({condition})", name=name)


def refused_insert(table: str, name: str, condition: str, message: str) -> None:
    """Refuse an INSERT when an SQL condition on NEW holds; one rule of several."""
    _refuse(table, "insert", f"{table}: {message}", condition, name=f"{table}_{name}")


def updated_only_if(table: str, condition: str, message: str) -> None:
    """Refuse an UPDATE unless an SQL condition on OLD and NEW holds."""
    _refuse(table, "update", f"{table}: {message}", f"NOT ({condition})", name=f"{table}_fits")


def answered_only_if(condition: str, message: str, *, name: str) -> None:
    """Refuse to answer a request unless an SQL condition on NEW holds; one of several."""
    _refuse("requests", "update", f"requests: {message}", f"NOT ({condition})", name=name)


def forward_only(table: str, column: str, states: Sequence[str]) -> None:
    """Let a state go forward in the given order only."""
    rank = (
        "CASE {row}."
        + column
        + "".join(f" WHEN '{state}' THEN {number}" for number, state in enumerate(states))
    )
    new, old = (rank.format(row=row) + " END" for row in ("NEW", "OLD"))
    _refuse(
        table,
        "update",
        f"{table}: a state never goes back",
        f"{new} < {old}",
        name=f"{table}_{column}_forward",
    )


def guarded(
    table: str,
    event: str,
    condition: str,
    message: str,
    *,
    name: str,
    only: str = "",
    lock: str = "",
) -> None:
    """Refuse an INSERT or UPDATE unless an SQL condition holds, after waiting for a row's lock.

    Args:
        table: which.
        event: ``insert`` or ``update``.
        condition: on NEW (and OLD).
        message: what the rule is.
        name: the trigger's.
        only: on which rows it looks at all; others pass.
        lock: a SELECT ... FOR SHARE that the condition depends on.  Only on PostgreSQL: on
            SQLite a write transaction is alone.
    """
    if _is_postgresql():
        waits = f"PERFORM {lock.removeprefix('SELECT ')}; " if lock else ""
        refuses = f"IF ({condition}) THEN ELSE RAISE {_error(f'{table}: {message}')}; END IF;"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN {waits}{refuses} RETURN NEW; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event.upper()} ON {table} FOR EACH ROW "
            f"{f'WHEN ({only}) ' if only else ''}EXECUTE FUNCTION {name}()"
        )
        return
    looked_at = f"({only}) AND " if only else ""
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {event.upper()} ON {table} "
        f"WHEN {looked_at}NOT coalesce({condition}, 0) "
        f"BEGIN SELECT RAISE(ABORT, '{table}: {message}'); END"
    )


def drop(table: str, name: str) -> None:
    """Take a trigger away, for another rule in its place.

    Args:
        table: whose.
        name: the trigger's; on PostgreSQL its function has the same.
    """
    if _is_postgresql():
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"DROP FUNCTION {name}()")
        return
    op.execute(f"DROP TRIGGER {name}")


def growing_tid() -> None:
    """Refuse a TID that is not greater than the last of the same meter and base date.

    On PostgreSQL the meter's row is locked first, so that of two transactions the second
    sees what the first has written.
    """
    last = "SELECT max(tid) FROM tokens WHERE meter_id = NEW.meter_id AND base_year = NEW.base_year"
    message = "tokens: a TID must be greater than the last of its meter"
    if _is_postgresql():
        _postgresql_trigger(
            "tokens",
            "insert",
            "PERFORM 1 FROM meters WHERE meter_id = NEW.meter_id FOR NO KEY UPDATE; "
            f"IF NEW.tid <= ({last}) THEN RAISE {_error(message)}; END IF; RETURN NEW;",
            name="tokens_growing_tid",
        )
        return
    op.execute(
        "CREATE TRIGGER tokens_growing_tid BEFORE INSERT ON tokens "
        f"WHEN NEW.tid <= ({last}) BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _refuse(
    table: str, event: str, message: str, condition: str = "", *, name: str | None = None
) -> None:
    name = name or f"{table}_{event}"
    if _is_postgresql():
        body = f"RAISE {_error(message)};"
        if condition:
            # in parentheses: plpgsql ends the condition at the first THEN outside of them
            body = f"IF ({condition}) THEN {body} END IF; RETURN NEW;"
        _postgresql_trigger(table, event, body, name=name)
        return
    when = f"WHEN {condition} " if condition else ""
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {event.upper()} ON {table} {when}"
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _postgresql_trigger(
    table: str, event: str, body: str, *, name: str | None = None, each: str = "ROW"
) -> None:
    name = name or f"{table}_{event}"
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {event.upper()} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION {name}()"
    )


def _error(message: str) -> str:
    return f"EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'"


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
