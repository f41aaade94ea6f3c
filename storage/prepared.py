"""Statements of the hot paths: compiled once, run on the driver's own cursor.

A statement is written in SQLAlchemy Core as everywhere else.  Executing one through Core costs
more than the database takes for it (docs/decisions, 9); so here it is compiled once for each
dialect, and running it is a look-up, the columns' own conversions of values, and one call of
the driver.  What is not kept: Core's events, its result objects, several statements' cache.

Faults are SQLAlchemy's own classes, as `storage.engine` translates them; a broken connection
is let go of.

`together` runs several statements in one round trip where the driver can (`storage.flight`).
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, Table, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.sql.selectable import CompoundSelect, Select
from sqlalchemy.types import TypeEngine

from storage.errors import ValueRefusedError
from storage.types import UtcTimestamp, WholeNumber, moment_text, text_moment, whole_number

Values = Mapping[str, object]
_Convert = Callable[[Any], Any]
_NO_VALUES: Final[Values] = {}
_WHOLE_OR_NONE: Final = frozenset((int, type(None)))
_WRITTEN_OUT: Final = re.compile(r"__\[POSTCOMPILE_(\w+)\]")
_PLACE: Final = re.compile(r"%\((?P<name>\w+)\)s|%%")
_PUT_OFF: Final = "meterhouse_put_off"
_ASKED_AHEAD: Final = "meterhouse_asked_ahead"
_GROUND: Final = "meterhouse_ground"
_NOT_BEGUN: Final = "meterhouse_not_begun"
COMMIT: Final = "COMMIT"
_FLIGHT: Final = "flight"


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one dialect's driver takes it."""

    sql: str
    to_sent: Callable[[Any], Any] | None
    """Makes a value as a flight takes it (PostgreSQL); None: the driver takes values."""
    constants: dict[str, Any]
    """Values that are part of the statement."""
    to_driver: tuple[tuple[int, _Convert], ...]
    """Conversions of values, by place."""
    pick: Callable[[Values], tuple[Any, ...]]
    """The values in the order of their places."""
    pick_whole: Callable[[Values], tuple[Any, ...]]
    """The values of columns of whole numbers."""
    whole: tuple[int, ...]
    """Their places."""
    row: Callable[[Sequence[Any]], Any] | None
    """Makes a row; None when the statement gives none."""
    from_driver: tuple[tuple[int, _Convert], ...]

    def parameters(self, values: Values) -> Any:
        """As the driver takes them.

        Raises:
            ValueRefusedError: a value fits no column.
        """
        given = {**self.constants, **values} if self.constants else values
        sent: Any = self.pick(given)
        are_whole = _WHOLE_OR_NONE.issuperset(map(type, self.pick_whole(given)))
        if are_whole and not self.to_driver and self.to_sent is None:
            return sent
        sent = list(sent)
        try:
            if not are_whole:
                for place in self.whole:
                    sent[place] = whole_number(sent[place])
            for place, convert in self.to_driver:
                sent[place] = convert(sent[place])
            if self.to_sent is not None:
                return [self.to_sent(each) for each in sent]
        except (TypeError, ValueError, OverflowError):
            raise ValueRefusedError from None
        return sent

    def rows(self, fetched: list[Any]) -> list[Any]:
        """What came back, as rows."""
        row = self.row
        assert row is not None
        if not self.from_driver:
            return list(map(row, fetched))
        rows = []
        for each in fetched:
            cells = list(each)
            for position, convert in self.from_driver:
                cells[position] = convert(cells[position])
            rows.append(row(cells))
        return rows


class Prepared:
    """A statement, ready to be run again and again.

    Args:
        statement: with all of its values as bind parameters or constants; a constant
            of a module, so that it is compiled once.
        columns: for an INSERT or UPDATE without ``values()``: the columns that are given.
    """

    def __init__(
        self,
        statement: Select[Any] | CompoundSelect[Any] | Insert | Update,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.statement: Final = statement
        self._columns: Final = columns
        self._forms: Final[dict[str, _Form]] = {}

    def form(self, dialect: Dialect) -> _Form:
        """For one dialect; compiled at its first use."""
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _compiled(self.statement, self._columns, dialect)
        return form

    def run(self, connection: Connection, values: Values = _NO_VALUES) -> int:
        """Run it; gives the number of rows that it touched."""
        form = self.form(connection.dialect)
        return int(_execute(connection, form, values).rowcount)

    def run_by_the_end(self, connection: Connection, values: Values = _NO_VALUES) -> None:
        """Run it, in its order, by the end of the transaction; nothing is expected from it.

        On PostgreSQL it goes out with the next statement that something is expected from, or
        with the commit (`settle`): a round trip less.  A refusal comes then.
        """
        form = self.form(connection.dialect)
        if form.to_sent is None:
            _driver_execute(connection, form.sql, form.parameters(values))
        else:
            _put_off(connection, form.sql, form.parameters(values))

    def rows(self, connection: Connection, values: Values = _NO_VALUES) -> list[Any]:
        """All rows, as named tuples."""
        form = self.form(connection.dialect)
        if form.to_sent is None:
            gave = _driver_execute(connection, form.sql, form.parameters(values)).fetchall()
            return form.rows(gave) if gave else gave
        asked: dict[Any, list[Any]] | None = connection.info.get(_ASKED_AHEAD)
        if asked:
            rows = asked.pop(_question(self, values), None)
            if rows is not None:
                return rows
        return form.rows(_flown(connection, [(form, form.parameters(values))])[0].fetchall())

    def first(self, connection: Connection, values: Values = _NO_VALUES) -> Any:
        """The first row as a named tuple; None when there is none."""
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    def scalar(self, connection: Connection, values: Values = _NO_VALUES) -> Any:
        """The first column of the first row; None when there is none."""
        rows = self.rows(connection, values)
        return rows[0][0] if rows else None


class InsertRows:
    """An INSERT of some rows at once; compiled once for each number of rows."""

    def __init__(self, into: Table) -> None:
        self._into: Final = into
        self._of: Final[dict[int, Prepared]] = {}

    def run_by_the_end(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Insert them; see `Prepared.run_by_the_end`.  All rows have the same columns."""
        if not rows:
            return
        statement = self._of.get(len(rows))
        if statement is None:
            statement = self._of[len(rows)] = self._made(list(rows[0]), len(rows))
        statement.run_by_the_end(
            connection,
            {f"{name}_{place}": row[name] for place, row in enumerate(rows) for name in row},
        )

    def _made(self, columns: list[str], count: int) -> Prepared:
        return Prepared(
            insert(self._into).values(
                [
                    {
                        name: bindparam(f"{name}_{place}", type_=self._into.c[name].type)
                        for name in columns
                    }
                    for place in range(count)
                ]
            )
        )


class NextId:
    """The identifier that a row will get, where it can be known before (PostgreSQL).

    A row that names it can then go out in the same round trip.  A transaction that is undone
    leaves a gap, as it does anyway.
    """

    def __init__(self, table: str, column: str) -> None:
        self.statement: Final = Prepared(select(func.nextval(f"{table}_{column}_seq").label("id")))

    def ahead(self) -> tuple[Prepared, Values]:
        """For `ask_ahead`."""
        return self.statement, _NO_VALUES

    def take(self, connection: Connection) -> int | None:
        """The next one; None on SQLite, which gives it out with the row."""
        if connection.dialect.name == "sqlite":
            return None
        number: int = self.statement.scalar(connection)
        return number


class KeyTakenError(Exception):
    """What `InsertIfNew.run_soon` was to insert is there already."""


class InsertIfNew:
    """An INSERT that gives way to a row of the same primary key.

    On PostgreSQL a transaction that is inserting the same key is waited for.  On SQLite the
    write transaction is alone, and the refusal of a taken key undoes the statement only.
    """

    def __init__(self, into: Table, columns: Sequence[str]) -> None:
        self._into: Final = into
        self._plain: Final = Prepared(insert(into), columns)
        self._giving_way: Final = Prepared(
            postgresql_insert(into).on_conflict_do_nothing(), columns
        )
        key = into.primary_key.columns
        self._taken: Final = Prepared(
            select(*key).where(*(column == bindparam(column.name) for column in key))
        )
        self._key: Final = [column.name for column in key]

    def run(self, connection: Connection, values: Values) -> bool:
        """Insert a row unless its key is taken; tells whether it was inserted."""
        if connection.dialect.name != "sqlite":
            return self._giving_way.run(connection, values) == 1
        try:
            self._plain.run(connection, values)
        except IntegrityError:
            key = {name: values[name] for name in self._key}
            if self._taken.first(connection, key) is None:
                raise
            return False
        return True

    def run_soon(self, connection: Connection, values: Values) -> None:
        """Insert a row before anything else is asked; on PostgreSQL in the same round trip.

        Raises:
            KeyTakenError: its key is taken.  On PostgreSQL it comes from what is asked next, or
                from `settle`; the transaction can go on.
        """
        form = self._giving_way.form(connection.dialect)
        if form.to_sent is not None:
            _put_off(connection, form.sql, form.parameters(values), must_touch=True)
        elif not self.run(connection, values):
            raise KeyTakenError


def together(
    connection: Connection, steps: Sequence[tuple[Prepared, Values]]
) -> list[list[Any] | None]:
    """Run statements in order; in one round trip where the driver can.

    None of them may need what an earlier one gave.  For each, its rows; None when it gives none.
    """
    given = []
    for step, values in steps:
        form = step.form(connection.dialect)
        given.append((form, form.parameters(values)))
    if given[0][0].to_sent is not None:
        gave = _flown(connection, given)
    else:
        gave = [_driver_execute(connection, form.sql, parameters) for form, parameters in given]
    return [
        None if form.row is None else form.rows(each.fetchall())
        for (form, _), each in zip(given, gave, strict=True)
    ]


def ask_ahead(connection: Connection, steps: Sequence[tuple[Prepared, Values]]) -> None:
    """Ask for rows that will be wanted in this transaction, in one round trip (PostgreSQL).

    `Prepared.rows` with the same values finds them, once.  Where a question costs no round trip
    it is asked when its rows are wanted.
    """
    if connection.dialect.name == "sqlite":
        return
    asked = connection.info.setdefault(_ASKED_AHEAD, {})
    new = [step for step in steps if _question(*step) not in asked]
    if new:
        for step, rows in zip(new, together(connection, new), strict=True):
            asked[_question(*step)] = rows or []


def _question(statement: Prepared, values: Values) -> tuple[int, frozenset[tuple[str, object]]]:
    return id(statement), frozenset(values.items())


def settle(connection: Connection) -> None:
    """Run what was put off (`Prepared.run_by_the_end`) and see whether it was refused."""
    if connection.info.get(_PUT_OFF):
        _flown(connection, [])


def begin(connection: Connection, commands: Sequence[str]) -> None:
    """Begin a transaction with its first statement (PostgreSQL): a round trip less.

    BEGIN by itself finds out whether the server has closed the connection meanwhile; here a
    look at the socket does: a server that leaves says so.
    """
    driver: Any = connection.connection.dbapi_connection
    if _flight().has_news(driver):
        for sql in commands:
            command(connection, sql)
    else:
        connection.info[_PUT_OFF] = [(sql, (), False) for sql in commands]
        connection.info[_NOT_BEGUN] = len(commands)


def end(connection: Connection) -> None:
    """Commit (PostgreSQL): with what was put off, in one round trip.

    Nothing is sent when nothing was asked since `begin`.
    """
    info = connection.info
    info.pop(_ASKED_AHEAD, None)
    if info.pop(_NOT_BEGUN, 0) == len(info.get(_PUT_OFF, (None,))):
        info.pop(_PUT_OFF)
        return
    try:
        if any(must_touch for _, _, must_touch in info.get(_PUT_OFF, ())):
            settle(connection)  # what is refused here must not be committed
        _require_connected(connection)
        _put_off(connection, COMMIT, ())
        _flown(connection, [])
    except BaseException:
        # SQLAlchemy takes the transaction for ended: neither does it roll back nor tell of it.
        connection.dispatch.rollback(connection)
        if not connection.invalidated:
            driver: Any = connection.connection.dbapi_connection
            if not driver.closed:
                driver.rollback()
        raise


def may_have_committed(fault: DBAPIError) -> bool:
    """Whether a commit was under way when the connection broke (PostgreSQL)."""
    return fault.connection_invalidated and fault.statement == COMMIT


def _require_connected(connection: Connection) -> None:
    """A connection that is lost before COMMIT is sent has written nothing, and can say so."""
    flight = _flight()
    driver: Any = connection.connection.driver_connection
    if flight.is_lost(driver):
        fault = connection.dialect.loaded_dbapi.OperationalError("the connection was lost")
        raise _fault(connection, driver, _FLIGHT, fault)


def forget(connection: Connection) -> None:
    """Never run what was put off: the transaction is rolled back."""
    if not connection.invalidated:
        for kept in (_PUT_OFF, _ASKED_AHEAD, _NOT_BEGUN):
            connection.info.pop(kept, None)


def command(connection: Connection, sql: str) -> None:
    """Run a command that takes no values and gives no rows, BEGIN for instance."""
    _driver_execute(connection, sql, ())


def _execute(connection: Connection, form: _Form, values: Values) -> Any:
    if form.to_sent is not None:
        return _flown(connection, [(form, form.parameters(values))])[0]
    return _driver_execute(connection, form.sql, form.parameters(values))


def _put_off(
    connection: Connection, sql: str, values: Sequence[Any], *, must_touch: bool = False
) -> None:
    """Let a statement leave with the next flight; ``must_touch``: see `KeyTakenError`."""
    connection.info.setdefault(_PUT_OFF, []).append((sql, values, must_touch))


def _flown(connection: Connection, given: list[tuple[_Form, Any]]) -> list[Any]:
    """What was put off, then these, in one round trip; what these gave."""
    flight, info = _flight(), connection.info
    put_off = info.pop(_PUT_OFF, [])
    info.pop(_NOT_BEGUN, None)
    driver: Any = connection.connection.dbapi_connection
    ground = info.get(_GROUND)
    if ground is None or ground.driver is not driver:
        ground = info[_GROUND] = flight.Ground.of(driver)
    sent = [(sql, values) for sql, values, _ in put_off]
    sent += [(form.sql, values) for form, values in given]
    try:
        landed: list[Any] = flight.fly(ground, sent)
    except flight.FlightRefusedError as refused:
        raise _fault(connection, driver, refused.sql, refused.fault) from refused.fault
    except connection.dialect.loaded_dbapi.Error as fault:
        name = COMMIT if any(sql == COMMIT for sql, _ in sent) else _FLIGHT
        raise _fault(connection, driver, name, fault) from fault
    for (_, _, must_touch), each in zip(put_off, landed, strict=False):
        if must_touch and not each.rowcount:
            raise KeyTakenError
    return landed[len(put_off) :]


def _flight() -> Any:
    from storage import flight  # here: it takes psycopg with it, which SQLite alone does not need

    return flight


def _driver_execute(connection: Connection, sql: str, parameters: Any) -> Any:
    driver: Any = connection.connection.dbapi_connection
    try:
        return driver.execute(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as fault:
        raise _fault(connection, driver, sql, fault) from fault


def _fault(connection: Connection, driver: Any, sql: str, fault: Exception) -> Exception:
    """The driver's exception as SQLAlchemy's, without the values."""
    dialect = connection.dialect
    is_gone = dialect.is_disconnect(fault, driver, None)  # type: ignore[arg-type]
    if is_gone:
        connection.invalidate(fault)
    return DBAPIError.instance(
        sql,
        None,
        fault,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_gone,
        dialect=dialect,
    )


def _compiled(
    statement: Select[Any] | CompoundSelect[Any] | Insert | Update,
    columns: Sequence[str] | None,
    dialect: Dialect,
) -> _Form:
    # A constant is written out: SQLite plans a statement anew each time it is run when the
    # choice of a partial index depends on a bound value.
    marked: Any = visitors.cloned_traverse(statement, {}, {"bindparam": _write_out})
    compiled: Any = marked.compile(
        dialect=dialect, column_keys=list(columns) if columns is not None else None
    )
    constants = {
        name: _literal(parameter, dialect)
        for name, parameter in compiled.binds.items()
        if parameter.literal_execute
    }
    to_sent = None if compiled.positional else _flight().to_text
    results = [(str(column.key), column.type) for column in statement.exported_columns]
    sql = str(compiled)
    names = [name for name in compiled.positiontup or () if name not in constants]
    if to_sent is not None:
        sql, names = _numbered(sql)
    to_driver: list[tuple[int, _Convert]] = []
    whole: list[int] = []
    for place, name in enumerate(names):
        kind = compiled.binds[name].type
        if type(kind) is WholeNumber:
            whole.append(place)
            continue
        if to_sent is not None and isinstance(kind, LargeBinary):
            continue  # the driver's wrapper for bytes says nothing to a flight
        convert = _to_driver(kind, dialect)
        if convert is not None:
            to_driver.append((place, convert))
    return _Form(
        sql=_WRITTEN_OUT.sub(lambda found: constants[found[1]], sql),
        to_sent=to_sent,
        constants={
            name: parameter.value
            for name, parameter in compiled.binds.items()
            if not parameter.required and name not in constants
        },
        to_driver=tuple(to_driver),
        pick=_picker(names),
        pick_whole=_picker([names[place] for place in whole]),
        whole=tuple(whole),
        row=_row_maker([name for name, _ in results]) if results else None,
        from_driver=tuple(_from_driver([kind for _, kind in results], dialect)),
    )


def _picker(names: Sequence[str]) -> Callable[[Values], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    if names:
        (name,) = names
        return lambda values: (values[name],)
    return lambda _: ()


def _numbered(sql: str) -> tuple[str, list[str]]:
    """A statement with ``$1`` ... where its values go, and which value each is."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _PLACE.sub(place, sql), names


def _write_out(parameter: Any) -> None:
    if not parameter.required and isinstance(parameter.value, str | int):
        parameter.literal_execute = True


def _literal(parameter: Any, dialect: Dialect) -> str:
    write = parameter.type.dialect_impl(dialect).literal_processor(dialect)
    return str(write(parameter.value))


def _to_driver(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    if type(kind) is UtcTimestamp and dialect.name == "sqlite":
        return moment_text  # as its processor does, in one call instead of four
    convert: _Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _row_maker(names: list[str]) -> Callable[[Sequence[Any]], Any]:
    row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
    make: Callable[[Sequence[Any]], Any] = row._make
    return make


def _from_driver(kinds: list[TypeEngine[Any]], dialect: Dialect) -> list[tuple[int, _Convert]]:
    found: list[tuple[int, _Convert]] = []
    for position, kind in enumerate(kinds):
        convert: _Convert | None = kind.dialect_impl(dialect).result_processor(dialect, None)
        if type(kind) is UtcTimestamp and dialect.name == "sqlite":
            convert = text_moment
        if convert is not None:
            found.append((position, convert))
    return found
