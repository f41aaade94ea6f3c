"""A street of meters read once: ten thousand behind three hundred links, and what the dead cost."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks.line import Line, Scale, Target
from protocols.dlt645.master import Master
from protocols.transport import Link, LinkOptions, NoAnswer, open_link
from simulators.street import Street, build_street
from simulators.street_plan import BusPlan, StreetPlan

_LINKS: Final = 300
_METERS_PER_LINK: Final = 34
_ITEMS: Final = (0x00010000,)

_SLOW_GROUPS: Final = 10
"""Of a hundred meters behind ten links each."""
_SLOW_METERS: Final = 10
_DEAD_EVERY: Final = 100
_BAUD: Final = 2400
_SLOW_ITEMS: Final = (0x00010000, 0x00020000, 0x02010100, 0x02020100, 0x02030000, 0x04000503)

_PERCENT: Final = 100
_MICRO: Final = 1_000_000
_BYTES_PER_KB: Final = 1_000
_READY_S: Final = 120


@dataclass(frozen=True, slots=True)
class Door:
    """A link's way in, and the meters behind it."""

    url: str
    meters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Round:
    """One reading of all meters."""

    wall_s: float
    cpu_s: float
    """Of the reader."""
    line_s: float
    """Time that links were busy, added up."""
    silent_s: float
    """The part of it that went to silent meters."""
    read: int
    silent: int


def lines(scale: Scale) -> Iterator[Line]:
    """Measure everything."""
    yield from _large(scale)
    yield from _dead(scale)


def _large(scale: Scale) -> Iterator[Line]:
    plan = BusPlan(meters=_METERS_PER_LINK, repeat=scale(_LINKS), listen="127.0.0.1:0")
    with street_process(StreetPlan(buses=(plan,), seed=7)) as (doors, figures):
        done = asyncio.run(read_all(doors, _ITEMS, LinkOptions()))
        street = figures()
    meters = sum(len(door.meters) for door in doors)
    name = f"{meters:,} meters behind {len(doors)} links, one item each"
    assert done.read == meters, f"{done.read} of {meters} answered"
    yield Line(
        f"{name}: {done.wall_s:.1f} s",
        meters / done.wall_s,
        "meters/s",
        "reader and street share the machine's cores",
    )
    yield Line(
        f"{name}: CPU of the reader",
        done.cpu_s / meters * _MICRO,
        "us/meter",
        "the event loop, then the codec",
    )
    yield Line(
        f"{name}: CPU of the street", street.cpu_s / meters * _MICRO, "us/meter", "the codec"
    )
    yield Line(
        f"{name}: memory of the street",
        street.memory_bytes / meters / _BYTES_PER_KB,
        "kB/meter",
        "registers, events and history of each meter",
    )


def _dead(scale: Scale) -> Iterator[Line]:
    alive = BusPlan(
        name="alive", meters=_SLOW_METERS, listen="127.0.0.1:0", baud=_BAUD,
        repeat=_DEAD_EVERY // _SLOW_METERS * scale(_SLOW_GROUPS),
    )  # fmt: skip
    # One link in ten has one dead meter among its ten: one meter in a hundred.
    share = alive.repeat * _SLOW_METERS // _DEAD_EVERY
    buses = (
        replace(alive, repeat=alive.repeat - share),
        replace(alive, name="dead", repeat=share, dead_every=_SLOW_METERS),
    )
    # A round asks a silent meter once.
    options = LinkOptions(retries=0, delay_ms_first=500)
    with street_process(StreetPlan(buses=buses, seed=7)) as (doors, _):
        done = asyncio.run(read_all(doors, _SLOW_ITEMS, options))
    assert done.silent == share, f"{done.silent} of {share} were silent"
    yield Line(
        f"{done.read + done.silent:,} meters at {_BAUD} baud, {len(_SLOW_ITEMS)} items each: "
        "line time per living meter",
        (done.line_s - done.silent_s) / done.read * 1_000,
        "ms/meter",
        "the speed of the line",
    )
    yield Line(
        f"{done.silent} of them dead: line time that goes to them",
        _PERCENT * done.silent_s / done.line_s,
        "% of the round",
        "one time-out for each dead meter",
        Target(2, at_most=True),
    )


# Reading


async def read_all(doors: Sequence[Door], items: Sequence[int], options: LinkOptions) -> _Round:
    links = [await open_link(door.url, options=options) for door in doors]
    wall, cpu = time.perf_counter(), time.process_time()
    shares = await asyncio.gather(
        *(_read_link(link, door, items) for link, door in zip(links, doors, strict=True))
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for link in links:
        await link.aclose()
    busy, lost, read, silent = (sum(column) for column in zip(*shares, strict=True))
    return _Round(wall, cpu, busy, lost, int(read), int(silent))


async def _read_link(link: Link, door: Door, items: Sequence[int]) -> tuple[float, float, int, int]:
    """Busy seconds, seconds lost to silent meters, meters read, meters silent."""
    master, start, lost_s, silent = Master(link), time.perf_counter(), 0.0, 0
    for meter in door.meters:
        began = time.perf_counter()
        answers = await master.read_many(meter, items)
        if any(isinstance(fault, NoAnswer) for fault in answers.faults.values()):
            silent += 1
            lost_s += time.perf_counter() - began
    return time.perf_counter() - start, lost_s, len(door.meters) - silent, silent


# The street, a process of its own


@dataclass(frozen=True, slots=True)
class _StreetFigures:
    cpu_s: float
    memory_bytes: int


@contextmanager
def street_process(plan: StreetPlan) -> Iterator[tuple[list[Door], Callable[[], _StreetFigures]]]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_street, args=(plan, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(_READY_S):
            raise RuntimeError("the street did not open")
        doors: list[Door] = ours.recv()

        def figures() -> _StreetFigures:
            ours.send("figures")
            answer = ours.recv()
            assert isinstance(answer, _StreetFigures)
            return answer

        yield doors, figures
    finally:
        ours.send("stop")
        process.join(10)
        process.kill()


def _run_street(plan: StreetPlan, pipe: Connection) -> None:
    before = _memory_bytes()
    street = build_street(plan)
    memory = _memory_bytes() - before
    asyncio.run(_serve(street, memory, pipe))


async def _serve(street: Street, memory_bytes: int, pipe: Connection) -> None:
    async with street:
        doors = [
            Door(named.url, tuple(meter.address for meter in bus.wire.meters))
            for named, bus in zip(street.ports, street.buses, strict=True)
        ]
        pipe.send(doors)
        cpu = time.process_time()
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, pipe.recv) == "figures":
            pipe.send(_StreetFigures(time.process_time() - cpu, memory_bytes))


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
