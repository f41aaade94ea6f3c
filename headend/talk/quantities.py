"""Which item of a DL/T 645 meter holds which quantity, and the fewest reads for a set of them.

The data is in ``quantities.toml``; names are those of `protocols.modbus.VOCABULARY` and a few of
our own (money that a meter counts).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from headend.talk.faults import UnknownQuantityError
from protocols.dlt645.catalogue import in_1997
from protocols.dlt645.controls import Edition
from protocols.modbus.vocabulary import VOCABULARY, Kind, Quantity

_FILE: Final = Path(__file__).with_name("quantities.toml")
_BLOCK_FROM: Final = 2
"""A block is read for so many of its quantities; one alone is a shorter answer by itself."""
_MULTIPLIED: Final = ("energy_", "reactive_energy_", "apparent_energy_", "power_active_",
                      "power_reactive_", "power_apparent_")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """One read, and which quantity stands where in its answer."""

    di: int
    holds: Mapping[int, str]
    """Place in the answer → quantity; only what is wanted."""

    @property
    def is_block(self) -> bool:
        """Whether a meter without this block may still have its items."""
        return len(self.holds) > 1


@dataclass(frozen=True, slots=True)
class EventSource:
    """Where a DL/T 645-2007 meter tells of one kind of event."""

    kind: str
    count: int
    """Identifier of how often it happened."""
    record: int
    """Identifier of the records; the n-th last is this plus n."""
    end: int | None = None
    """Identifier of the ends, where they stand by themselves."""
    phase: int | None = None

    @property
    def name(self) -> str:
        """Unique among the sources: the kind, with the phase where there is one."""
        return self.kind if self.phase is None else f"{self.kind}_l{self.phase}"


@dataclass(frozen=True, slots=True)
class _Tables:
    items: Mapping[str, int]
    blocks: Mapping[Edition, tuple[tuple[int, tuple[str, ...]], ...]]
    own: Mapping[str, str]
    states: Mapping[str, Mapping[str, int]]
    load: Mapping[int, tuple[str, ...]]
    freezes: Mapping[str, int]
    events: tuple[EventSource, ...]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    table: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))
    blocks: dict[Edition, list[tuple[int, tuple[str, ...]]]] = {each: [] for each in Edition}
    for block in table["blocks"]:
        edition = Edition(str(block["edition"]))
        blocks[edition].append((block["di"], tuple(block["holds"])))
    return _Tables(
        items=table["items"],
        blocks={edition: tuple(held) for edition, held in blocks.items()},
        own=table["own"],
        states=table["states"],
        load={int(number): tuple(names) for number, names in table["load"].items()},
        freezes=table["freezes"],
        events=tuple(EventSource(**source) for source in table["events"]),
    )


def unit_of(quantity: str) -> str:
    """The unit of the vocabulary; ``minor`` for money.

    Raises:
        UnknownQuantityError: no such quantity.
    """
    own = _tables().own.get(quantity)
    if own is not None:
        return own
    return _known(quantity).unit


def is_energy(quantity: str) -> bool:
    """Whether it is counted in Wh, varh or VAh."""
    return quantity in VOCABULARY and VOCABULARY[quantity].kind is Kind.ENERGY


def is_count(quantity: str) -> bool:
    """Whether it is a whole number as it is."""
    return quantity in VOCABULARY and VOCABULARY[quantity].kind is Kind.NUMBER


def is_multiplied(quantity: str) -> bool:
    """Whether the ratio of transformers multiplies it: energies and powers do, credit does not."""
    return quantity.startswith(_MULTIPLIED)


def states_of(quantity: str) -> Mapping[str, int]:
    """The words of a quantity as numbers; empty where it has none."""
    return _tables().states.get(quantity, {})


def require_known(quantities: Iterable[str]) -> None:
    """Refuse what cannot be kept as a number.

    Raises:
        UnknownQuantityError: no such quantity, or one of words that have no numbers.
    """
    for quantity in quantities:
        if quantity in _tables().own or states_of(quantity):
            continue
        if _known(quantity).kind in (Kind.TEXT, Kind.FLAGS):
            raise UnknownQuantityError(f"{quantity} is no number; it cannot be kept as a reading.")


def asks(edition: Edition, quantities: Iterable[str]) -> tuple[tuple[Ask, ...], tuple[str, ...]]:
    """The fewest reads for some quantities, and those that no item of the edition holds.

    A block goes before its items where it saves a round trip.
    """
    left = dict.fromkeys(quantities)
    found: list[Ask] = []
    for di, names in _tables().blocks[edition]:
        wanted = {place: name for place, name in enumerate(names) if name in left}
        if len(wanted) >= _BLOCK_FROM:
            found.append(Ask(di, wanted))
            for name in wanted.values():
                del left[name]
    missing: list[str] = []
    for name in left:
        single = ask_one(edition, name)
        if single is None:
            missing.append(name)
        else:
            found.append(single)
    return tuple(found), tuple(missing)


def ask_one(edition: Edition, quantity: str) -> Ask | None:
    """The read of one quantity alone; None where the edition has no item for it."""
    di = _tables().items.get(quantity)
    if di is not None and edition is Edition.Y1997:
        di = in_1997(di)
    return None if di is None else Ask(di, {0: quantity})


def load_classes(quantities: Iterable[str]) -> dict[int, dict[int, str]]:
    """Class of the load profile → place → quantity; what no class records is left out."""
    wanted = set(quantities)
    found: dict[int, dict[int, str]] = {}
    for number, names in _tables().load.items():
        held = {place: name for place, name in enumerate(names) if name in wanted}
        if held:
            found[number] = held
            wanted.difference_update(held.values())
    return found


def freeze_parts(quantities: Iterable[str]) -> dict[int, dict[int, str]]:
    """Part of a freeze (DI1) → place (0: total, n: tariff n) → quantity."""
    found: dict[int, dict[int, str]] = {}
    for name in quantities:
        stem, _, last = name.rpartition("_")
        part = _tables().freezes.get(stem)
        if part is None or not (last == "total" or last[:1] == "t"):
            continue
        found.setdefault(part, {})[0 if last == "total" else int(last[1:])] = name
    return found


def event_sources() -> tuple[EventSource, ...]:
    """Where meters tell of events."""
    return _tables().events


def _known(quantity: str) -> Quantity:
    found = VOCABULARY.get(quantity)
    if found is None:
        raise UnknownQuantityError(
            f"There is no quantity {quantity!r}; for example energy_import_total, voltage_l1, "
            "credit."
        )
    return found
