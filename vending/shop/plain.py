"""Values of the shop as plain JSON values and back, read by their types.

For what is kept while a token is being made (`vending.shop.agreed`): dataclasses, enumerations,
tuples, moments, spans, numbers, texts, truth values, None.  A field that an older program did not
write gets its default, so that what was ordered before an upgrade can be finished after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, NewType, Union, get_args, get_origin, get_type_hints

_MICROSECOND: Final = timedelta(microseconds=1)


def to_plain(value: object) -> Any:
    """A value as JSON can write it.

    Raises:
        TypeError: of a kind that is not kept.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, tuple):
        return [to_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name))
            for field in fields(value)
            if field.init
        }
    raise TypeError(f"A {type(value).__name__} cannot be kept while a token is being made.")


def from_plain(kind: Any, plain: Any) -> Any:
    """The value of this type that `to_plain` wrote.

    Raises:
        TypeError, ValueError, KeyError, AttributeError: it is no such value.
    """
    return _reader(kind)(plain)


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What reads values of a type; found once for each."""
    if isinstance(kind, NewType):
        return _reader(kind.__supertype__)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _optional(get_args(kind))
    if origin is tuple:
        return _tuple(get_args(kind))
    if kind is datetime:
        return datetime.fromisoformat
    if kind is timedelta:
        return lambda plain: plain * _MICROSECOND
    if kind in (NoneType, None):
        return _as_is(NoneType)
    if kind in (bool, int, str):
        return _as_is(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Enum | int | str):
        return kind
    raise TypeError(f"A {kind} cannot be kept while a token is being made.")


def _as_is(kind: type) -> Callable[[Any], Any]:
    def read(plain: Any) -> Any:
        if type(plain) is not kind:
            raise TypeError(f"This is no {kind.__name__}.")
        return plain

    return read


def _optional(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    (inner,) = (kind for kind in kinds if kind is not NoneType)

    def read(plain: Any) -> Any:
        return None if plain is None else _reader(inner)(plain)

    return read


def _tuple(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return lambda plain: tuple(_reader(kinds[0])(each) for each in plain)
    return lambda plain: tuple(_reader(kind)(each) for kind, each in zip(kinds, plain, strict=True))


def _dataclass(kind: type) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind) if field.init]

    def read(plain: Any) -> Any:
        return kind(**{name: _reader(hints[name])(plain[name]) for name in names if name in plain})

    return read
