"""Compact identifiers: one line of a table for every tariff, phase and settlement day.

A pattern is a row of hexadecimal digits and named ranges, most significant first::

    00 01 tariff settlement         0001 with tariff 00-3F, settlement day 00-0C
    00 15+14*phase_index 00 00      15, 29, 3D: a range with base and stride
    90+04*month_97 1 tariff_97      1997 counts in half bytes

FF (F in half bytes) in the place of a range is the block of all its values, in order
(spec section 4), where the range has words for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_COUNTED: Final = re.compile(r"(?:([0-9A-F]+)\+([0-9A-F]+)\*)?([a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Range:
    """What a group of digits counts through (``catalogue/ranges.toml``)."""

    name: str
    width: int
    """Hexadecimal digits."""
    first: int
    last: int
    words_en: tuple[str, ...]
    """One for each value, in order."""
    words_zh: tuple[str, ...]
    all_en: str | None
    """Words for the block of all values; None where there is no such block."""
    all_zh: str | None
    open: bool
    """A block holds as many of them as the meter has."""

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> Range:
        """A range of the data file."""
        values = range(table["first"], table["last"] + 1)
        return cls(
            name=name,
            width=table["width"],
            first=table["first"],
            last=table["last"],
            words_en=_words(table, "en", values),
            words_zh=_words(table, "zh", values),
            all_en=table.get("en_all"),
            all_zh=table.get("zh_all"),
            open=table.get("open", False),
        )

    @property
    def block_code(self) -> int:
        """FF or F."""
        return (1 << 4 * self.width) - 1


def _words(table: Mapping[str, Any], language: str, values: range) -> tuple[str, ...]:
    words = table[language]
    if isinstance(words, list):
        if len(words) != len(values):
            raise ValueError(f"{len(words)} words for {len(values)} values")
        return tuple(words)
    zero = table.get(f"{language}_0", words)
    return tuple((words if value else zero).replace("{n}", str(value)) for value in values)


@dataclass(frozen=True, slots=True)
class Place:
    """What one range says in one identifier: a value, or the block of all."""

    range: Range
    value: int | None
    """None: the block."""

    @property
    def en(self) -> str:
        if self.value is None:
            return self.range.all_en or ""
        return self.range.words_en[self.value - self.range.first]

    @property
    def zh(self) -> str:
        if self.value is None:
            return self.range.all_zh or ""
        return self.range.words_zh[self.value - self.range.first]


@dataclass(frozen=True, slots=True)
class _Group:
    """One token of a pattern: fixed digits, or a range with base and stride."""

    width: int
    base: int
    stride: int = 0
    range: Range | None = None

    def code(self, value: int) -> int:
        return self.base + self.stride * value

    def read(self, code: int) -> Place | None:
        """What the digits say; None where they are none of the range."""
        assert self.range is not None
        counted = self.range
        if code == (1 << 4 * self.width) - 1 and counted.all_en is not None:
            return Place(counted, None)
        value, rest = divmod(code - self.base, self.stride)
        if rest or not counted.first <= value <= counted.last:
            return None
        return Place(counted, value)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern."""

    text: str
    groups: tuple[_Group, ...]

    @classmethod
    def parse(cls, text: str, ranges: Mapping[str, Range]) -> Pattern:
        """The pattern of a table's line.

        Raises:
            ValueError: a token is neither digits nor a known range.
        """
        return cls(text, tuple(_parse_token(token, ranges) for token in text.split()))

    @property
    def width(self) -> int:
        """Hexadecimal digits of the identifier: 8 in 2007, 4 in 1997."""
        return sum(group.width for group in self.groups)

    def match(self, di: int) -> tuple[Place, ...] | None:
        """What each range says in an identifier; None where the pattern does not cover it."""
        places = []
        shift = 4 * self.width
        for group in self.groups:
            shift -= 4 * group.width
            code = di >> shift & ((1 << 4 * group.width) - 1)
            if group.range is None:
                if code != group.base:
                    return None
                continue
            place = group.read(code)
            if place is None:
                return None
            places.append(place)
        return tuple(places)

    def expand(self) -> Iterator[int]:
        """Every identifier that is covered, blocks left out, in ascending order."""
        codes = [0]
        for group in self.groups:
            counted = group.range
            values = (0,) if counted is None else range(counted.first, counted.last + 1)
            codes = [
                code << 4 * group.width | group.code(value) for code in codes for value in values
            ]
        return iter(codes)

    def members(self, places: tuple[Place, ...]) -> Iterator[int]:
        """The identifiers that a block stands for: its ranges counted through, the last fastest."""
        codes = [0]
        ranged = iter(places)
        for group in self.groups:
            values: range | tuple[int, ...] = (0,)
            if group.range is not None:
                place = next(ranged)
                every = range(group.range.first, group.range.last + 1)
                values = every if place.value is None else (place.value,)
            codes = [
                code << 4 * group.width | group.code(value) for code in codes for value in values
            ]
        return iter(codes)


def _parse_token(token: str, ranges: Mapping[str, Range]) -> _Group:
    match = _COUNTED.fullmatch(token)
    if match is None:
        return _Group(len(token), int(token, 16))
    base, stride, name = match.groups()
    if name not in ranges:
        raise ValueError(f"no range {name!r}")
    counted = ranges[name]
    if base is None:
        return _Group(counted.width, 0, 1, counted)
    return _Group(len(base), int(base, 16), int(stride, 16), counted)
