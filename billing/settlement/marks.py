"""How far something has come that settlement works through or stands behind: a row each.

``reading_corrections``  the last correction of a reading that was followed
``reported``             the moment whose state the last monthly report shows

Rows are there from the beginning (migration), so that whoever moves one, or waits for it, finds
one to lock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select, update

from billing.office import Office
from billing.settlement.tables import settlement_marks

CORRECTIONS: Final = "reading_corrections"
_REPORTED: Final = "reported"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_A_MOMENT: Final = timedelta(microseconds=1)


def mark(connection: Connection, name: str) -> int:
    """Where a mark stands."""
    value: int = connection.execute(
        select(settlement_marks.c.value).where(settlement_marks.c.name == name)
    ).scalar_one()
    return value


def move(connection: Connection, name: str, value: int) -> None:
    """Move a mark on; never back: another process may have come further."""
    connection.execute(
        update(settlement_marks)
        .where(settlement_marks.c.name == name, settlement_marks.c.value < value)
        .values(value=value)
    )


def written_at(connection: Connection, office: Office) -> datetime:
    """When settlements that are written now are settled: now, and behind the last report's state.

    A report that is begun waits for the end of this transaction, so that each settlement is in
    its state or behind it, whatever the clocks of several machines say.

    Args:
        connection: in the write transaction that writes them.
        office: has the clock.
    """
    value = connection.execute(
        select(settlement_marks.c.value)
        .where(settlement_marks.c.name == _REPORTED)
        .with_for_update(read=True)
    ).scalar_one()
    return max(office.now(), _moment(value) + _A_MOMENT)


def report_at(connection: Connection, office: Office) -> datetime:
    """Fix the moment whose state a report shows; whoever writes settlements is waited for.

    Args:
        connection: in a write transaction; until it ends nobody else writes settlements, so that
            the state can be taken hold of in another one (`Office.reading`).
        office: has the clock.
    """
    value = connection.execute(
        select(settlement_marks.c.value)
        .where(settlement_marks.c.name == _REPORTED)
        .with_for_update()
    ).scalar_one()
    at = max(office.now(), _moment(value) + _A_MOMENT)
    move(connection, _REPORTED, (at - _EPOCH) // _A_MOMENT)
    return at


def _moment(value: int) -> datetime:
    return _EPOCH + value * _A_MOMENT
