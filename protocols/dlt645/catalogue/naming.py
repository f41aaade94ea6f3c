"""Items as people call them: by identifier, or by words of their English or Chinese name."""

from __future__ import annotations

import re
from typing import Final

from protocols.dlt645.catalogue.items import Item
from protocols.dlt645.catalogue.lookup import items
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import UnknownItemError

_WORD: Final = re.compile(r"\w+")
_SHOWN_MAX: Final = 8
_IDENTIFIER: Final = {
    Edition.Y2007: re.compile("[0-9A-Fa-f]{8}"),
    Edition.Y1997: re.compile("[0-9A-Fa-f]{4}|[0-9A-Fa-f]{8}"),
}


def named(text: str, edition: Edition = Edition.Y2007) -> tuple[Item, ...]:
    """The items that words mean: those of exactly this name, or all that have each word in it.

    Args:
        text: ``voltage, phase A``; case and punctuation do not matter.
    """
    asked = _words(text)
    if not asked:
        return ()
    found = [
        item
        for item in items(edition)
        if all(word in item.name_en.lower() or word in item.name_zh.lower() for word in asked)
    ]
    exact = [item for item in found if asked in (_words(item.name_en), _words(item.name_zh))]
    return tuple(exact or found)


def parse_item(text: str, edition: Edition = Edition.Y2007) -> int:
    """An identifier from its digits or its name.

    Args:
        text: ``00010000`` (1997: ``9010``, and those of 2007 too), or a name.

    Raises:
        UnknownItemError: no item, or several, have such a name.
    """
    compact = text.strip().replace(" ", "")
    if _IDENTIFIER[edition].fullmatch(compact):
        return int(compact, 16)
    found = named(text, edition)
    if len(found) == 1:
        return found[0].di
    if not found:
        raise UnknownItemError(
            f"No item is called {text!r}. Give an identifier such as 00010000, or look the name "
            "up: meterhouse items WORD…"
        )
    digits = 8 if edition is Edition.Y2007 else 4
    shown = "; ".join(f"{item.di:0{digits}X} {item.name_en}" for item in found[:_SHOWN_MAX])
    more = f"; and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
    raise UnknownItemError(f"{text!r} may mean {len(found)} items: {shown}{more}.")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
