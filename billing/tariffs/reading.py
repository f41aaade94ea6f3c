"""Reading a document's values: every fault is noted with its place, none ends the reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,8})?")
_CODE: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_TEXT_MAX: Final = 120
_LIST_MAX: Final = 64
_ZERO: Final = Decimal(0)
_Enum = TypeVar("_Enum", bound=StrEnum)
_Item = TypeVar("_Item")


class Place:
    """A table of a document: each word of it is taken once, and none may be left.

    Args:
        plain: the table.
        where: its place in the document, for messages; empty: the document itself.
        faults: of the whole document; what is wrong here is added to it.
    """

    def __init__(self, plain: object, where: str, faults: list[str]) -> None:
        self.where: Final = where
        self.faults: Final = faults
        self._left: dict[str, Any] = {}
        if isinstance(plain, Mapping):
            self._left = {str(key): value for key, value in plain.items() if value is not None}
        else:
            self.fault("", "must be a table of names and values")

    def at(self, name: str) -> str:
        """The place of a word, as messages have it."""
        return ".".join(part for part in (self.where, name) if part) or "document"

    def fault(self, name: str, what: str) -> None:
        """Note what is wrong and what to do."""
        self.faults.append(f"{self.at(name)}: {what}.")

    def has(self, name: str) -> bool:
        """Whether a word is there and was not taken."""
        return name in self._left

    def done(self) -> None:
        """Note the words that nobody has asked for."""
        for name in sorted(self._left):
            self.fault(name, "this word is not known here; correct it or take it out")
        self._left = {}

    def text(self, name: str, otherwise: str | None = None) -> str:
        """A text of one line."""
        value = self._left.pop(name, otherwise)
        if value is None:
            self.fault(name, "is missing; give a text")
        elif not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.fault(name, f"must be a text of one line, not {_shown(value)}")
        elif len(value) > _TEXT_MAX:
            self.fault(name, f"has {len(value)} characters; {_TEXT_MAX} are the most")
        else:
            return value.strip()
        return ""

    def code(self, name: str) -> str:
        """A short word for machines."""
        value = self._left.pop(name, None)
        if isinstance(value, str) and _CODE.fullmatch(value):
            return value
        if value is None:
            self.fault(name, "is missing; give a short word like 'vat'")
        else:
            self.fault(name, f"must be small letters, digits, '_' and '-', not {_shown(value)}")
        return ""

    def number(
        self,
        name: str,
        *,
        least: Decimal | None = _ZERO,
        most: Decimal | None = None,
        digits: int = 8,
    ) -> Decimal:
        """A decimal that has to be there."""
        if not self.has(name):
            self.fault(name, 'is missing; give a number, like "0.55"')
            return _ZERO
        found = self.maybe(name, least=least, most=most, digits=digits)
        return _ZERO if found is None else found

    def maybe(
        self,
        name: str,
        *,
        least: Decimal | None = _ZERO,
        most: Decimal | None = None,
        digits: int = 8,
    ) -> Decimal | None:
        """A decimal, or None when it is not there."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if not _DECIMAL.fullmatch(text):
            self.fault(name, f'must be a decimal like "0.55", not {_shown(value)}')
            return _ZERO
        number = Decimal(text)
        if len(text.partition(".")[2]) > digits:
            self.fault(name, f"has more than {digits} digits after the point")
        if least is not None and number < least:
            self.fault(name, f"must not be below {least}")
        elif most is not None and number > most:
            self.fault(name, f"must not be above {most}")
        return number

    def wh(self, name: str) -> int | None:
        """kWh with up to three digits, as Wh; None when it is not there."""
        found = self.maybe(name, digits=3)
        return None if found is None else int(found * 1000)

    def flag(self, name: str) -> bool:
        """true or false; false when it is not there."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            self.fault(name, "must be true or false")
            return False
        return value

    def word(self, name: str, kind: type[_Enum], otherwise: _Enum) -> _Enum:
        """One of a few words."""
        value = self._left.pop(name, otherwise.value)
        try:
            return kind(value)
        except ValueError:
            self.fault(name, f"must be one of {_choice(kind)}, not {_shown(value)}")
            return otherwise

    def words(self, name: str, *, needed: bool = False) -> tuple[str, ...]:
        """A list of texts, each once."""
        value = self._left.pop(name, None)
        if value is None:
            if needed:
                self.fault(name, "is missing; give a list of words")
            return ()
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.fault(name, "must be a list of words")
            return ()
        if len(set(value)) != len(value) or not value:
            self.fault(name, "must name each word once, and at least one")
        return tuple(value)

    def part(self, name: str, read: Callable[[Place], _Item]) -> _Item | None:
        """A table within, or None."""
        if not self.has(name):
            return None
        place = Place(self._left.pop(name), self.at(name), self.faults)
        item = read(place)
        place.done()
        return item

    def parts(self, name: str, read: Callable[[Place], _Item]) -> tuple[_Item, ...]:
        """A list of tables within."""
        value = self._left.pop(name, [])
        if not isinstance(value, list) or len(value) > _LIST_MAX:
            self.fault(name, f"must be a list of at most {_LIST_MAX} tables")
            return ()
        items = []
        for number, plain in enumerate(value, 1):
            place = Place(plain, f"{self.at(name)}[{number}]", self.faults)
            items.append(read(place))
            place.done()
        return tuple(items)

    def table(self, name: str) -> dict[str, Any]:
        """A table of free names within, for whoever reads it word by word."""
        value = self._left.pop(name, {})
        if not isinstance(value, Mapping):
            self.fault(name, "must be a table of names and values")
            return {}
        return dict(value)


def _choice(kind: Iterable[StrEnum]) -> str:
    return ", ".join(each.value for each in kind)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
