"""The tables read once, and looked up by identifier."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from protocols.dlt645.catalogue.items import FREEZE_BLOCK, LOAD_RECORDS, Decoded, Item, Layout
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import UnknownItemError
from protocols.dlt645.patterns import Pattern, Place, Range
from protocols.dlt645.payloads import PAYLOADS
from protocols.dlt645.values import RAW, Reading, Value, parse_element

_FILES: Final[Mapping[Edition, tuple[str, ...]]] = {
    Edition.Y2007: (
        "class00_energy.toml",
        "class01_demand.toml",
        "class02_variables.toml",
        "class03_events.toml",
        "class04_parameters.toml",
        "class05_freeze.toml",
        "class06_load.toml",
        "class07_security.toml",
    ),
    Edition.Y1997: ("edition_1997.toml",),
}
_PAYLOAD_NAMES: Final = PAYLOADS.keys() | {RAW, FREEZE_BLOCK, LOAD_RECORDS}
_BLOCK_CODE: Final = 0xFF
_FOUND_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a table: a pattern of identifiers and what they have in common."""

    pattern: Pattern
    edition: Edition
    name_en: str
    name_zh: str
    grade: str
    access: str
    layout: Layout
    others: tuple[Layout, ...]
    repeat: bool
    open: bool
    payload: str | None
    in_2007: str | None

    def item(self, di: int, places: tuple[Place, ...]) -> Item:
        """The item of an identifier that the pattern covers and that is no block."""
        return Item(
            di=di,
            edition=self.edition,
            name_en=_named(self.name_en, {place.range.name: place.en for place in places}),
            name_zh=_named(self.name_zh, {place.range.name: place.zh for place in places}),
            grade=self.grade,
            access=self.access,
            layout=self.layout,
            others=self.others,
            repeat=self.repeat,
            open=self.open,
            payload=None if self.payload == RAW else self.payload,
        )

    def block(self, di: int, places: tuple[Place, ...]) -> Item:
        """The block of an identifier with FF in the place of a range."""
        members = [
            self.item(member, self._places(member)) for member in self.pattern.members(places)
        ]
        return Item(
            di=di,
            edition=self.edition,
            name_en=_named(self.name_en, {place.range.name: place.en for place in places}),
            name_zh=_named(self.name_zh, {place.range.name: place.zh for place in places}),
            grade=self.grade,
            access="r",
            members=tuple(members),
            open_block=any(place.value is None and place.range.open for place in places),
        )

    def _places(self, di: int) -> tuple[Place, ...]:
        places = self.pattern.match(di)
        assert places is not None, "a pattern covers what it expands to"
        return places


def _named(template: str, words: Mapping[str, str]) -> str:
    name = template.format_map(words)
    return name[:1].upper() + name[1:]


@dataclass(frozen=True, slots=True)
class _Tables:
    lines: Mapping[Edition, tuple[_Line, ...]]
    by_first_byte: Mapping[tuple[Edition, int], tuple[_Line, ...]]


def _layout(specs: Sequence[str]) -> Layout:
    return tuple(element for spec in specs for element in parse_element(spec))


def _line(edition: Edition, table: Mapping[str, Any], ranges: Mapping[str, Range]) -> _Line:
    contents = table["as"]
    payload = contents if isinstance(contents, str) else None
    if payload is not None and payload not in _PAYLOAD_NAMES:
        raise ValueError(f"{table['di']}: no payload {payload!r}")
    return _Line(
        pattern=Pattern.parse(table["di"], ranges),
        edition=edition,
        name_en=table["en"],
        name_zh=table["zh"],
        grade=table["grade"],
        access=table.get("access", "r"),
        layout=() if payload else _layout(contents),
        others=tuple(map(_layout, table.get("or", ()))),
        repeat=table.get("repeat", False),
        open=table.get("open", False),
        payload=payload,
        in_2007=table.get("in_2007"),
    )


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    folder = files(__package__)

    def read(name: str) -> dict[str, Any]:
        return tomllib.loads((folder / name).read_text(encoding="utf-8"))

    ranges = {name: Range.from_table(name, table) for name, table in read("ranges.toml").items()}
    lines = {
        edition: tuple(
            _line(edition, table, ranges) for name in names for table in read(name)["item"]
        )
        for edition, names in _FILES.items()
    }
    by_first_byte: dict[tuple[Edition, int], list[_Line]] = {}
    for edition, some in lines.items():
        for line in some:
            shift = 4 * line.pattern.width - 8
            firsts = {di >> shift for di in line.pattern.expand()}
            for first in firsts:
                by_first_byte.setdefault((edition, first), []).append(line)
    return _Tables(lines, {key: tuple(some) for key, some in by_first_byte.items()})


@lru_cache(maxsize=_FOUND_KEPT)
def find(di: int, edition: Edition = Edition.Y2007) -> Item | None:
    """What an identifier means, or None where the catalogue does not know it.

    Args:
        di: as it is printed, 0x00010000 (2007) or 0x9010 (1997).
    """
    first = di >> (24 if edition is Edition.Y2007 else 8)
    block = None
    for line in _tables().by_first_byte.get((edition, first), ()):
        places = line.pattern.match(di)
        if places is None:
            continue
        if all(place.value is not None for place in places):
            return line.item(di, places)
        block = block or line.block(di, places)
    if block is None and di & 0xFF == _BLOCK_CODE:
        return _block_of_neighbours(di, edition)
    return block


def _block_of_neighbours(di: int, edition: Edition) -> Item | None:
    """A block whose members are lines of their own, such as 040005FF and 90FF.

    The last byte is counted through; in 1997 F in its low half is a block in turn.
    """
    found = (find(di & ~_BLOCK_CODE | place, edition) for place in range(_BLOCK_CODE))
    members = tuple(
        item
        for item in found
        if item is not None and item.layout and not item.repeat and not item.members
    )
    if not members:
        return None
    return Item(
        di=di,
        edition=edition,
        name_en=f"Block: {members[0].name_en} and following",
        name_zh=f"数据块：{members[0].name_zh}等",
        grade=max(member.grade for member in members),
        access="r",
        members=members,
    )


def items(edition: Edition = Edition.Y2007) -> Iterator[Item]:
    """Every item of an edition, blocks left out; some twenty thousand in 2007."""
    for line in _tables().lines[edition]:
        for di in line.pattern.expand():
            places = line.pattern.match(di)
            assert places is not None, "a pattern covers what it expands to"
            yield line.item(di, places)


def decode(di: int, data: bytes, edition: Edition = Edition.Y2007) -> Decoded:
    """The readings of an answer, identifier removed, wire order; never raises.

    An item that the catalogue does not know gives its bytes.
    """
    item = find(di, edition)
    if item is not None:
        return item.decode(data)
    if not data:
        return Decoded(())
    reading = Reading(data, "", "", data, f"{RAW} {data.hex()}")
    return Decoded((reading,), ("the catalogue does not know this item",))


def encode(di: int, values: Sequence[Value | None], edition: Edition = Edition.Y2007) -> bytes:
    """The bytes of an item's values, for a write or for a meter's answer; None is FF.

    Raises:
        UnknownItemError: the catalogue does not know the item.
        ValueFormatError: a value does not fit.
    """
    return _known(di, edition).encode(values)


def parse_values(
    di: int, texts: Sequence[str | None], edition: Edition = Edition.Y2007
) -> tuple[Value | None, ...]:
    """An item's values from text, as readings have it: ``220.1``, ``2016-01-11 w1``.

    Raises:
        UnknownItemError: the catalogue does not know the item.
        ValueFormatError: a text is not of the item's format.
    """
    return _known(di, edition).parse_values(texts)


def _known(di: int, edition: Edition) -> Item:
    item = find(di, edition)
    if item is None:
        digits = 8 if edition is Edition.Y2007 else 4
        raise UnknownItemError(
            f"Data item {di:0{digits}X} is not in the catalogue; give its bytes instead of values."
        )
    return item


def in_2007(di: int) -> int | None:
    """The 2007 identifier of a 1997 one (blocks too), or None where there is none."""
    for line in _tables().by_first_byte.get((Edition.Y1997, di >> 8), ()):
        places = line.pattern.match(di)
        if places is None or line.in_2007 is None:
            continue
        codes = {
            place.range.name: f"{_BLOCK_CODE if place.value is None else place.value:02X}"
            for place in places
        }
        return int(line.in_2007.format_map(codes), 16)
    return None


@lru_cache(maxsize=1)
def _from_2007() -> Mapping[int, int]:
    pairs: dict[int, int] = {}
    for line in _tables().lines[Edition.Y1997]:
        for di in line.pattern.expand():
            later = in_2007(di)
            if later is not None:
                pairs.setdefault(later, di)
    return pairs


def in_1997(di: int) -> int | None:
    """The 1997 identifier of a 2007 one, or None; a demand without its time comes first."""
    return _from_2007().get(di)
