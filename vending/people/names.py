"""Names that can be told apart by people who read receipts and the audit trail.  Pure.

A simple rule, not a complete one: the letters of a name are of one script, and no name is one of
another person with letters of another script that are drawn alike (Cyrillic and Greek letters
that look Latin).
"""

from __future__ import annotations

import unicodedata
from typing import Final

from vending.people.faults import OperatorNameError

_JAPANESE: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"})
_BETWEEN: Final = " .-'_@\u2019\u00b7"
"""Beside letters, their marks and digits, what may stand in a name."""
_DRAWN_ALIKE: Final = str.maketrans(
    {
        **dict(
            zip("\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458", "aeopcyxij", strict=True)
        ),
        **dict(zip("\u0455\u0501\u051b\u051d\u04bb\u04cf\u04ab", "sdqwhlc", strict=True)),
        **dict(zip("\u043a\u043c\u0442\u0432\u043d\u04af", "kmtbhy", strict=True)),
        **dict(
            zip("\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u03c7", "aopviktux", strict=True)
        ),
        **dict(zip("\u03b2\u03b5\u03b6\u03b7\u03bc\u03f2", "bezhmc", strict=True)),
    }
)


def require_one_script(name: str) -> None:
    """Refuse a name that mixes scripts, or holds what is neither letter nor digit.

    Raises:
        OperatorNameError: says what is not allowed.
    """
    scripts = set()
    for letter in name:
        kind = unicodedata.category(letter)
        if kind[0] == "L":
            scripts.add(_script(letter))
        elif kind[0] != "M" and kind != "Nd" and letter not in _BETWEEN:
            raise _refused()
    if len(scripts) > 1 and not scripts <= _JAPANESE:
        raise _refused()


def looks(folded: str) -> str:
    """How a name without case is drawn: two names with the same looks cannot be told apart."""
    return folded.translate(_DRAWN_ALIKE)


def _script(letter: str) -> str:
    """The first word of a character's name, which is its script; full and half width aside."""
    words = unicodedata.name(letter, "UNKNOWN").split()
    plain = [word for word in words if word not in {"FULLWIDTH", "HALFWIDTH", "MODIFIER"}]
    return plain[0] if plain else "UNKNOWN"


def _refused() -> OperatorNameError:
    return OperatorNameError(
        "An operator's name has letters of one script, digits, spaces, dots, dashes, apostrophes, "
        "underscores and @ only, so that it cannot be taken for another."
    )
