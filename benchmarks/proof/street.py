"""The street, a process of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from benchmarks.proof.asked import Asked, LinkPlan
from benchmarks.proof.witness import Notes, WitnessedWire
from simulators.faults import DEAD
from simulators.load import ConstantLoad
from simulators.ports import Modem
from simulators.street import Street, build_street
from simulators.street_plan import BusPlan, StreetPlan

_CREDIT_KWH: Final = 90_000
_BEFORE: Final = timedelta(days=1)
"""How long the meters have counted when the proof begins: their registers are far apart by then."""
_READY_S: Final = 180
_ASKED_S: Final = 120


@dataclass(frozen=True, slots=True)
class Truth:
    """What the street knows in the end."""

    told: dict[str, list[tuple[int, int]]]
    obeyed: dict[str, list[str]]
    accepted: dict[str, int]
    """Tokens that each meter took, by address."""
    credited_wh: dict[str, int]
    """Credit that they brought."""
    requests: int
    faults: dict[str, int]
    cpu_s: float


class _Clock:
    """Stands still while the street is built, then shows the true time."""

    def __init__(self, begin: datetime) -> None:
        self._held: datetime | None = begin

    def now(self) -> datetime:
        """See `StreetClock`."""
        return self._held or datetime.now(UTC)

    def go(self) -> None:
        """Show the true time from now on."""
        self._held = None


class RunningStreet:
    """The process, seen from outside."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        if not pipe.poll(_READY_S):
            raise RuntimeError("The street did not open.")
        self.doors: dict[str, str] = pipe.recv()
        """URLs by name of link; what a modem calls is not among them."""
        self.addresses: dict[int, str] = pipe.recv()
        """By serial number."""

    def truth(self) -> Truth:
        """What it knows now."""
        self._pipe.send("truth")
        if not self._pipe.poll(_ASKED_S):
            raise RuntimeError("The street does not answer.")
        answer: Truth = self._pipe.recv()
        return answer


@contextmanager
def running(asked: Asked, modem_ports: list[int]) -> Iterator[RunningStreet]:
    """A street for the length of a proof; modems call these ports, each one of them."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(asked, modem_ports, theirs), daemon=True)
    process.start()
    try:
        yield RunningStreet(ours)
    finally:
        if process.is_alive():
            ours.send("stop")
        process.join(10)
        process.kill()


def _run(asked: Asked, modem_ports: list[int], pipe: Connection) -> None:
    begin = datetime.now(UTC) - _BEFORE
    clock, notes = _Clock(begin), Notes()
    buses = tuple(_bus(asked, link, modem_ports, n) for n, link in enumerate(asked.streets))
    street = build_street(StreetPlan(buses=buses, seed=asked.seed), clock)
    addresses: dict[int, str] = {}
    for link, bus in zip(asked.streets, street.buses, strict=True):
        for number, meter in zip(link.numbers, bus.wire.meters, strict=True):
            addresses[number] = meter.address
            meter.set_load(ConstantLoad(asked.watts[number - 1]), begin)
            meter.advance(begin + _BEFORE)
            if number in asked.dead:
                bus.set_faults(DEAD, meter.address)
        bus.wire = WitnessedWire(bus.wire, notes)
    clock.go()
    asyncio.run(_serve(street, addresses, notes, pipe))


def _bus(asked: Asked, link: LinkPlan, modem_ports: list[int], place: int) -> BusPlan:
    plan = BusPlan(
        name=link.name,
        protocol=link.protocol,
        meters=link.meters,
        first=link.first,
        credit_kwh=_CREDIT_KWH,
        faults=asked.faults(link),
    )
    if link.kind != "modem":
        return replace(plan, listen="127.0.0.1:0")
    port = modem_ports[place % len(modem_ports)]
    modem = Modem(registration=f"{link.name}\n".encode())
    return replace(plan, dial=f"127.0.0.1:{port}", modem=modem)


async def _serve(street: Street, addresses: dict[int, str], notes: Notes, pipe: Connection) -> None:
    accepted_ws = {m.address: m.flow.supply.registers.accepted_ws for m in street.meters.values()}
    cpu = time.process_time()
    async with street:
        pipe.send({n.name: n.url for n in street.ports})
        pipe.send(addresses)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, pipe.recv) == "truth":
            pipe.send(_truth(street, notes, accepted_ws, time.process_time() - cpu))


def _truth(street: Street, notes: Notes, before: dict[str, int], cpu_s: float) -> Truth:
    faults: dict[str, int] = {}
    for bus in street.buses:
        for fault, count in bus.tally.faults.items():
            faults[fault.value] = faults.get(fault.value, 0) + count
    meters: list[Any] = list(street.meters.values())
    return Truth(
        dict(notes.told),
        dict(notes.obeyed),
        {m.address: m.tokens_accepted for m in meters},
        {
            m.address: (m.flow.supply.registers.accepted_ws - before[m.address]) // 3600
            for m in meters
        },
        sum(bus.tally.requests for bus in street.buses),
        faults,
        cpu_s,
    )
