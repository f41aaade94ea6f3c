"""What is asked.  It follows from the seed alone, as far as chance can be had from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from protocols.dlt645.controls import Edition
from simulators.faults import Fault, FaultPlan

_PROTOCOLS: Final = (
    ("dlt645-2007", 8),
    ("dlt645-1997", 2),
    ("modbus-rtu", 4),
    ("modbus-tcp", 3),
    ("modem", 3),
)
"""Kinds of links and how often each comes; a modem has meters of DL/T 645-2007."""
_ORDERED: Final = ("dlt645-2007", "modbus-rtu", "modbus-tcp", "modem")
"""The links whose meters take orders and tokens by wire."""
FAULTS: Final = {
    Fault.SILENCE: 8,
    Fault.LATE: 3,
    Fault.BIT_ERROR: 5,
    Fault.CUT: 3,
    Fault.NOISE: 3,
    Fault.LOST_ANSWER: 4,
    Fault.WRONG_ADDRESS: 1,
    Fault.DISCONNECT: 1,
}
"""In 1/1000 of the requests."""
_NOT_IN_TCP: Final = frozenset({Fault.BIT_ERROR, Fault.CUT, Fault.NOISE})
"""Modbus TCP has no sum of its own: TCP's keeps bytes as they were, and a gateway looks at the
CRC of the line behind it."""
_FIRST_WATTS: Final = 200
_TRIPS_IN: Final = 60
"""One meter in so many is tripped, and closed again; in so many others a token is sold."""
_READS_IN: Final = 50
_DEAD_TRIPS: Final = 3


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One link, and the numbers of its meters."""

    name: str
    kind: str
    first: int
    meters: int

    @property
    def protocol(self) -> str:
        """As streets name it."""
        return "dlt645-2007" if self.kind == "modem" else self.kind

    @property
    def numbers(self) -> range:
        """Serial numbers."""
        return range(self.first, self.first + self.meters)

    @property
    def edition(self) -> Edition:
        """Of DL/T 645."""
        return Edition.Y1997 if self.kind == "dlt645-1997" else Edition.Y2007


@dataclass(frozen=True, slots=True, order=True)
class Happening:
    """Something that is due."""

    at_s: float
    """Since the first hour began."""
    what: str
    """``trip``, ``sell``, ``read``, ``kill``, ``begin``, ``database``, ``hour``."""
    which: int
    """A meter's serial number, a worker, an hour."""


@dataclass(frozen=True)
class Asked:
    """What is asked."""

    seed: int
    meters: int
    links: int
    workers: int
    hours: int
    hour_s: int
    kills: int
    database_away_s: float

    @cached_property
    def streets(self) -> tuple[LinkPlan, ...]:
        """The links; their meters are numbered through, from 1."""
        kinds = [kind for kind, times in _PROTOCOLS for _ in range(times)]
        chance = self._chance("links")
        plans: list[LinkPlan] = []
        first = 1
        for place in range(self.links):
            if place % len(kinds) == 0:
                chance.shuffle(kinds)
            count = self.meters // self.links + (place < self.meters % self.links)
            kind = kinds[place % len(kinds)]
            plans.append(LinkPlan(f"link-{place + 1}", kind, first, count))
            first += count
        return tuple(plans)

    @cached_property
    def dead(self) -> frozenset[int]:
        """Meters that never answer: one in a hundred."""
        count = max(1, self.meters // 100)
        return frozenset(self._chance("dead").sample(range(1, self.meters + 1), count))

    @cached_property
    def watts(self) -> tuple[int, ...]:
        """What each home draws: each something else, so that no two registers are alike."""
        found = list(range(_FIRST_WATTS, _FIRST_WATTS + self.meters))
        self._chance("watts").shuffle(found)
        return tuple(found)

    def faults(self, link: LinkPlan) -> FaultPlan:
        """What goes wrong on a line."""
        rates = FAULTS
        if link.kind == "modbus-tcp":
            rates = {fault: rate for fault, rate in FAULTS.items() if fault not in _NOT_IN_TCP}
        return FaultPlan(rates, late_ms=(300, 4_000), seed=self.seed)

    @property
    def lasts_s(self) -> int:
        """All hours."""
        return self.hours * self.hour_s

    @cached_property
    def happenings(self) -> tuple[Happening, ...]:
        """Everything that is due, in its order."""
        return tuple(sorted([*self._orders(), *self._deaths(), *self._hours()]))

    def _hours(self) -> Iterator[Happening]:
        for hour in range(self.hours):
            yield Happening(hour * self.hour_s, "hour", hour)
        if self.database_away_s:
            yield Happening(self.lasts_s * 0.5, "database", 0)

    def _orders(self) -> Iterator[Happening]:
        chance = self._chance("orders")
        able = [n for link in self.streets if link.kind in _ORDERED for n in link.numbers]
        living = [number for number in able if number not in self.dead]
        dead = [number for number in able if number in self.dead]
        chance.shuffle(living)
        share = max(4, self.meters // _TRIPS_IN)
        trips, sales = living[:share], living[share : 2 * share]
        reads = chance.sample(living, max(4, self.meters // _READS_IN))
        latest = self.lasts_s * 0.9
        for what, numbers in (("trip", trips), ("sell", sales), ("read", reads)):
            for number in numbers:
                yield Happening(chance.uniform(0, latest), what, number)
        for number in dead[:_DEAD_TRIPS]:
            yield Happening(chance.uniform(0, latest / 2), "trip", number)

    def _deaths(self) -> Iterator[Happening]:
        """Every other of the killed is begun anew at once; the others are taken over first."""
        chance = self._chance("deaths")
        for number in range(self.kills):
            share = (number + chance.uniform(0.2, 0.8)) / self.kills
            at_s = share * self.lasts_s * 0.9
            worker = chance.randrange(self.workers)
            away_s = chance.uniform(0, 2)
            if self.workers > 1 and number % 2:
                away_s = chance.uniform(11, 20)
            yield Happening(at_s, "kill", worker)
            yield Happening(at_s + away_s, "begin", worker)

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{self.seed} {what}")
