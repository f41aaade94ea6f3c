"""Which requests read a set of items: as few as there can be.

A request reads one stretch of one table.  It may hold at most ``registers_max`` registers, and
never tears an item apart.  Registers between two wanted items are read along when the profile
knows them; of unknown ones at most ``gap_max`` in one stretch, since some meters refuse a
request that touches a register which they do not have.

Going from the lowest item upwards and letting each request reach as far as it may is optimal:
whatever request covers the lowest item can begin at that item, and a part of an allowed
stretch is allowed, so no other choice leaves less to the following requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.modbus.items import Item, Table
from protocols.modbus.profile import Profile


@dataclass(frozen=True, slots=True)
class Span:
    """One request: a stretch of registers (or bits), and the items in it."""

    table: Table
    register: int
    count: int
    items: tuple[Item, ...]


def plan(profile: Profile, names: Iterable[str] | None = None) -> tuple[Span, ...]:
    """The fewest requests that read these items, by table and register.

    Args:
        profile: the meter's.
        names: what to read; None: all items.

    Raises:
        ModbusValueError: the profile has no such item.
    """
    wanted = {name: profile.item(name) for name in (profile.items if names is None else names)}
    spans: list[Span] = []
    for table in Table:
        items = [item for item in wanted.values() if item.table is table]
        items.sort(key=lambda item: (item.register, item.end))
        stretches = _stretches(profile, table)
        while items:
            span = _reach(items, stretches, profile.registers_max)
            spans.append(span)
            taken = {item.name for item in span.items}
            items = [item for item in items if item.name not in taken]
    return tuple(spans)


def _reach(items: list[Item], stretches: list[tuple[int, int]], registers_max: int) -> Span:
    """The longest request that begins at the first of these items."""
    start = items[0].register
    limit = min(start + registers_max, next(e for s, e in stretches if s <= start < e))
    inside = tuple(item for item in items if item.end <= limit)
    end = max(item.end for item in inside)
    return Span(items[0].table, start, end - start, inside)


def _stretches(profile: Profile, table: Table) -> list[tuple[int, int]]:
    """Where a request may lie: known registers, joined over gaps that may be read along."""
    known = sorted((i.register, i.end) for i in profile.items.values() if i.table is table)
    stretches: list[tuple[int, int]] = []
    for start, end in known:
        if stretches and start - stretches[-1][1] <= profile.gap_max:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], end))
        else:
            stretches.append((start, end))
    return stretches
