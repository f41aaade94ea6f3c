"""Column types that refuse what would cost money later.

On SQLite every table is ``STRICT``, which knows only INTEGER, TEXT, BLOB (and REAL, which we
never use); on PostgreSQL the same columns are ``bigint``, ``text``, ``bytea`` and
``timestamptz``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import TIMESTAMP, BigInteger, Integer, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcTimestamp(TypeDecorator[datetime]):
    """A moment, kept to the microsecond in UTC and given back in UTC.

    On SQLite it is text of one width, so that it sorts as time does.  A time without a zone
    is refused: nobody could say later which moment it was.
    """

    impl = TIMESTAMP
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(TIMESTAMP(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return moment_text(value)
        return None if value is None else _in_utc(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if dialect.name == "sqlite":
            return text_moment(value)
        if value is None:
            return None
        moment: datetime = value.astimezone(UTC)
        return moment


@lru_cache(maxsize=64)
def moment_text(moment: datetime | None) -> str | None:
    """A moment as SQLite keeps it; a sale writes the same one several times.

    Raises:
        TypeError: it has no zone.
    """
    if moment is None:
        return None
    # not strftime, which writes the year 900 with three digits
    return _in_utc(moment).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def text_moment(text: str | None) -> datetime | None:
    """A moment as SQLite kept it."""
    return None if text is None else datetime.fromisoformat(text)  # "Z" is UTC


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise TypeError(f"A stored time needs a zone; {moment!r} has none.")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


class WholeNumber(TypeDecorator[int]):
    """A 64-bit integer: money in minor units, energy, counts.  A float or bool is refused."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return whole_number(value)


def whole_number(value: int | None) -> int | None:
    """A value as a column of whole numbers takes it.

    Raises:
        TypeError: no whole number.
    """
    if type(value) is int or value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"This column takes whole numbers, not {value!r}.")
    return int(value)


Identifier: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database gives out: a primary key, or a reference to one."""
