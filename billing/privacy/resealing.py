"""Seal all personal fields anew under the newest key, a few hundred rows in a transaction.

It may be interrupted at any time and run again: what is sealed under the newest key already is
left alone.  Digests are made anew with their fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select, tuple_, update

from billing.office import Office
from billing.person import Right
from billing.privacy.fields import SealedColumn, sealed_columns
from billing.privacy.seal import Seal
from storage import audit

_AT_ONCE: Final = 200
Progress = Callable[[int, int], None]
"""Is told how many fields are done, of how many."""


def not_newest(connection: Connection, seal: Seal) -> int:
    """How many fields are sealed under an older key."""
    return sum(
        connection.scalar(select(func.count()).select_from(each.table).where(_is_old(each, seal)))
        or 0
        for each in sealed_columns()
    )


def reseal(office: Office, progress: Progress | None = None) -> int:
    """Seal everything under the newest key; how many fields were sealed anew.

    Raises:
        RightMissingError: it takes the right to configure.
        SealBrokenError: a field cannot be opened; those before it are done.
        OfficeRefusedError: a table does not let its fields be sealed anew.
    """
    office.require(Right.CONFIGURE)
    with office.reading() as connection:
        total = not_newest(connection, office.seal)
    done = 0
    for each in sealed_columns():
        after: tuple[Any, ...] | None = None
        while True:
            with office.writing() as connection:
                rows = _next(connection, office.seal, each, after)
                for row in rows:
                    _reseal_row(connection, office.seal, each, row)
            done += len(rows)
            if progress is not None:
                progress(done, total)
            if len(rows) < _AT_ONCE:
                break
            after = tuple(rows[-1])[:-1]
    if done:
        with office.writing() as connection:
            audit.record(
                connection,
                office.now(),
                actor=office.person.name,
                action="personal.reseal",
                subject="personal",
                detail=f"{done} fields",
            )
    return done


def _next(
    connection: Connection, seal: Seal, each: SealedColumn, after: tuple[Any, ...] | None
) -> Sequence[Any]:
    query = select(*each.key, each.column).where(_is_old(each, seal))
    if after is not None:
        query = query.where(tuple_(*each.key) > tuple_(*after))
    return connection.execute(query.order_by(*each.key).limit(_AT_ONCE).with_for_update()).all()


def _reseal_row(connection: Connection, seal: Seal, each: SealedColumn, row: Any) -> None:
    *key, sealed = tuple(row)
    text = seal.open(each.field, bytes(sealed))
    values = {each.column: seal.seal(each.field, text)}
    if each.digest is not None:
        values[each.digest] = seal.digest(each.field, text)
    same = [column == value for column, value in zip(each.key, key, strict=True)]
    connection.execute(update(each.table).where(*same).values(values))


def _is_old(each: SealedColumn, seal: Seal) -> Any:
    head = seal.newest_head
    return func.substr(each.column, 1, len(head)) != head
