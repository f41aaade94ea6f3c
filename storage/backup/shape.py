"""What holds the rules in a database: columns, constraints, indexes, triggers.

A backup may have lost some of them, or somebody has taken them out: its rows are the same then,
and from the next sale on nobody refuses what must not be.  So what was brought back is held
against tables that were made by the same migrations as its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy import text as sql

from storage.backup.faults import BackupBrokenError, BackupFileError
from storage.engine import writing
from storage.migrate import upgrade_schema

Shape = Mapping[tuple[str, str], str]
"""What each thing is, by its kind and name."""
_NAMED_MAX: Final = 5
_ACTING: Final = ("trigger", "trigger that is switched off", "rule", "policy")
"""What must not be there besides: it acts on rows by itself.  Another index only helps."""
_CONSTRAINT: Final = re.compile(r"CONSTRAINT\s+[\"`]?(\w+)")
_SPELLING: Final = re.compile(r"[\s\"`]+")
_HERE: Final = "n.nspname = current_schema()"
_OF_POSTGRESQL: Final = f"""
SELECT 'table', c.relname, concat_ws(' ', c.relkind, c.relpersistence, c.relrowsecurity)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'column', c.relname || '.' || a.attname,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE {_HERE} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', c.relname || '.' || o.conname,
    concat_ws(' ', pg_get_constraintdef(o.oid), o.convalidated)
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND o.contype NOT IN ('n', 't')
UNION ALL
SELECT 'index', i.relname, concat_ws(' ', pg_get_indexdef(i.oid), x.indisvalid)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE {_HERE}
UNION ALL
SELECT 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND NOT t.tgisinternal
UNION ALL
SELECT 'trigger that is switched off', n.nspname || '.' || c.relname || '.' || t.tgname, ''
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgenabled <> 'O'
UNION ALL
SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    pg_get_functiondef(p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {_HERE} AND p.prokind = 'f'
UNION ALL
SELECT 'rule', c.relname || '.' || r.rulename, pg_get_ruledef(r.oid)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE} AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'policy', c.relname || '.' || y.polname, ''
FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_HERE}
"""

_SAID_AGAIN: Final = """
DO $$ DECLARE each record; BEGIN
    FOR each IN SELECT conrelid::regclass AS place, conname, pg_get_constraintdef(oid) AS rule
        FROM pg_constraint
        WHERE contype = 'c' AND conrelid <> 0 AND connamespace = current_schema()::regnamespace
    LOOP
        EXECUTE 'ALTER TABLE ' || each.place || ' DROP CONSTRAINT ' || quote_ident(each.conname)
            || ', ADD CONSTRAINT ' || quote_ident(each.conname) || ' ' || each.rule;
    END LOOP;
END $$
"""
"""Makes each CHECK once more from what PostgreSQL says of it, as a dump does: its parentheses are
others then."""


class _Seen(Exception):  # noqa: N818 - no fault: what was made to be looked at is undone
    """The tables have been looked at."""


def shape_of(connection: Connection) -> Shape:
    """What holds the rules in a database."""
    if connection.dialect.name == "sqlite":
        return _of_sqlite(connection)
    rows = connection.exec_driver_sql(_OF_POSTGRESQL)
    return {(kind, name): words for kind, name, words in rows}


def fresh_shape(engine: Engine, version: str) -> Shape:
    """As the migrations up to a version make it.

    Args:
        engine: of an empty PostgreSQL database, in which it is made and undone again; of any of
            SQLite, which is left alone.
        version: of the schema.

    Raises:
        BackupFileError: there is no such version.
        DatabaseUnavailableError: no answer.
    """
    if engine.dialect.name == "sqlite":
        with create_engine("sqlite://").connect() as memory:
            _make(memory, version)
            return shape_of(memory)
    shape: Shape = {}
    with suppress(_Seen), writing(engine) as connection:
        _make(connection, version)
        connection.exec_driver_sql(_SAID_AGAIN)
        shape = shape_of(connection)
        raise _Seen
    return shape


def _make(connection: Connection, version: str) -> None:
    from alembic.util import CommandError

    try:
        upgrade_schema(connection, version)
    except CommandError:
        raise BackupFileError(f"This program knows no schema {version}.") from None


def require_shape(wanted: Shape, found: Shape) -> None:
    """Refuse a database that does not hold the rules that it should.

    Raises:
        BackupBrokenError: says what is missing, is another, or must not be there.
    """
    missing = [each for each in wanted if each not in found]
    others = [each for each in wanted if each in found and found[each] != wanted[each]]
    besides = [each for each in found if each not in wanted and each[0] in _ACTING]
    said = [
        f"{words} {_named(things)}"
        for words, things in (
            ("it lacks", missing),
            ("not as it should be:", others),
            ("it must not have", besides),
        )
        if things
    ]
    if said:
        raise BackupBrokenError(
            f"What was brought back does not hold its rules: {'; '.join(said)}. Somebody has "
            "changed it, or not all of it is there. Do not work with it; take another backup."
        )


def _of_sqlite(connection: Connection) -> Shape:
    """From the statements that have made it; how they are spaced and quoted means nothing."""
    rows = connection.execute(
        sql("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    )
    shape: dict[tuple[str, str], str] = {}
    for kind, name, table, statement in rows:
        if name.startswith("sqlite_"):
            continue  # SQLite's own: statistics, counters
        full = f"{table}.{name}" if kind == "trigger" else name
        shape[kind, full] = _SPELLING.sub("", statement)
        if kind == "table":
            for constraint in _CONSTRAINT.findall(statement):
                shape["constraint", f"{table}.{constraint}"] = ""
    return shape


def _named(things: Iterable[tuple[str, str]]) -> str:
    """The first ones, the narrowest before the table that they are of."""
    words = [f"the {kind} {name}" for kind, name in sorted(things)]
    rest = len(words) - _NAMED_MAX
    return ", ".join(words[:_NAMED_MAX]) + (f" and {rest} more" if rest > 0 else "")
