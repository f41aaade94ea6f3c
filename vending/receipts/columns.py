"""Text in fixed columns, as a till roll and a clerk's terminal have them.

48 columns on 80 mm paper, 32 on 58 mm.  Wide characters (Chinese, Japanese, Korean) take two
columns, combining ones none.  No function gives a line that is wider than asked.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

COLUMNS: Final = 48
"""On 80 mm paper."""
NARROW_COLUMNS: Final = 32
"""On 58 mm paper."""
COLUMNS_MIN: Final = 24
"""A token's five groups of four, on one line."""
_GAP: Final = 2
_CLOSING: Final = "，。；：！？、）"
"""Marks that begin no line."""


class Roll:
    """Lines being written one below the other.

    Args:
        columns: how wide the paper is; at least 24.
    """

    def __init__(self, columns: int = COLUMNS) -> None:
        if columns < COLUMNS_MIN:
            raise ValueError(f"A roll has at least {COLUMNS_MIN} columns, not {columns}.")
        self.columns: Final = columns
        self.lines: Final[list[str]] = []

    def centred(self, text: str) -> None:
        """Text in the middle, on as many lines as it takes."""
        self.lines.extend(centred(text, self.columns))

    def wrapped(self, text: str) -> None:
        """Text from the left, on as many lines as it takes."""
        self.lines.extend(wrapped(text, self.columns))

    def pair(self, label: str, value: str) -> None:
        """A label on the left and a value on the right."""
        self.lines.extend(pair(label, value, self.columns))

    def row(self, cells: Sequence[str]) -> None:
        """Several values: the first from the left, the others right-aligned."""
        self.lines.extend(row(cells, self.columns))

    def rule(self) -> None:
        """A line across the paper."""
        self.lines.append(rule(self.columns))

    def blank(self) -> None:
        """An empty line."""
        self.lines.append("")

    def text(self) -> str:
        """All lines, each ended."""
        return "".join(f"{line}\n" for line in self.lines)


def width(text: str) -> int:
    """How many columns a till's fixed-width font takes."""
    return sum(_character_width(character) for character in text)


def rule(columns: int = COLUMNS) -> str:
    """A line across the paper."""
    return "-" * columns


def pair(label: str, value: str, columns: int = COLUMNS) -> Iterator[str]:
    """A label on the left, a value on the right; on two lines when one is too narrow."""
    gap = columns - width(label) - width(value)
    if gap >= _GAP or (not value and gap >= 0):
        yield (label + " " * gap + value).rstrip()
        return
    yield from wrapped(label, columns)
    for line in wrapped(value, columns):
        yield " " * (columns - width(line)) + line


def centred(text: str, columns: int = COLUMNS) -> Iterator[str]:
    """Text in the middle, on as many lines as it takes."""
    for line in wrapped(text, columns):
        yield " " * ((columns - width(line)) // 2) + line


def row(cells: Sequence[str], columns: int = COLUMNS) -> Iterator[str]:
    """Cells of a table: the first from the left, the others right-aligned in equal columns.

    The first gets the room that the others leave; when it, or any other, finds too little, it
    stands on a line of its own above.
    """
    first, others = cells[0], cells[1:]
    if not others:
        yield from wrapped(first, columns)
        return
    each = columns // (len(others) + 1)
    room = columns - each * len(others)
    if any(width(cell) > each - 1 for cell in others):
        yield from wrapped(first, columns)
        for cell in others:
            yield from pair("", cell, columns)
        return
    if width(first) > room:
        yield from wrapped(first, columns)
        first = ""
    cells_text = "".join(" " * (each - width(cell)) + cell for cell in others)
    yield first + " " * (room - width(first)) + cells_text


def wrapped(text: str, columns: int = COLUMNS) -> Iterator[str]:
    """Lines of at most so many columns, broken at spaces where there are any."""
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if width(joined) <= columns:
            line = joined
            continue
        if line and not _is_wide(word[0]):
            yield line
            line = ""
        # Chinese has no spaces: its words fill the line that is begun.
        word = f"{line} {word}" if line else word
        while width(word) > columns:
            head = _head_of(word, columns)
            yield head
            word = word[len(head) :].lstrip()
        line = word
    if line:
        yield line


def _head_of(word: str, columns: int) -> str:
    """As much of a word as fits; Chinese breaks between its characters, not inside a number."""
    fits = 0
    while fits < len(word) and width(word[: fits + 1]) <= columns:
        fits += 1
    end = next((end for end in range(fits, 0, -1) if _may_break(word, end)), fits)
    return word[:end].rstrip()


def _may_break(word: str, end: int) -> bool:
    before, behind = word[end - 1], word[end : end + 1]
    if not behind or before == " " or behind == " ":
        return True
    return behind not in _CLOSING and (_is_wide(before) or _is_wide(behind))


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if _is_wide(character) else 1


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
