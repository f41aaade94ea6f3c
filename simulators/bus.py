"""A line with its meters, its faults and its speed; still without any I/O.

`Bus.connect` gives a `BusSession` to each connection; what it is fed comes out as `Reply`: which
bytes to send after how many milliseconds.  With a speed, an answer arrives when the last of its
characters would have crossed a real half-duplex line: the request's own time, the meter's response
delay, the answer's time; and one exchange after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from simulators.errors import SimulatorValueError
from simulators.faults import NO_FAULTS, Drawn, Fault, FaultPlan
from simulators.metering.smart_meter import SmartMeter
from simulators.wire import Asked, Wire, WireSession, WrongBytesError

BITS_PER_CHARACTER: Final = 11
"""Start, eight data, parity, stop."""
_GAP_MS: Final = 500
_CHUNK_MS: Final = 10


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of a line.

    Raises:
        SimulatorValueError: no speed that a line has.
    """

    baud: int
    delay_ms: int = 20
    """From a request's end to its answer's beginning (the standard: 20-500)."""
    bits_per_character: int = BITS_PER_CHARACTER

    def __post_init__(self) -> None:
        if self.baud < 1 or self.delay_ms < 0 or self.bits_per_character < 1:
            raise SimulatorValueError("A line has a speed in bit/s and a delay in ms.")

    def lasts_s(self, characters: int) -> float:
        """How long so many characters travel."""
        return characters * self.bits_per_character / self.baud


class Reply(NamedTuple):
    """Something to send."""

    after_s: float
    """From now on."""
    data: bytes
    disconnects: bool = False
    """Close the connection once it is sent."""


@dataclass(slots=True)
class Tally:
    """What a line was asked, and what became of it."""

    requests: int = 0
    """That reached the meters that they were for."""
    answers: int = 0
    """That left them, spoiled or not."""
    faults: Counter[Fault] = field(default_factory=Counter)


class Bus:
    """A line."""

    __slots__ = ("_counts", "_faults", "_plans", "busy_until", "name", "pace", "tally", "wire")

    def __init__(
        self,
        wire: Wire,
        *,
        name: str = "",
        pace: Pace | None = None,
        faults: FaultPlan | None = None,
        faults_of: dict[str, FaultPlan] | None = None,
    ) -> None:
        """A line.

        Args:
            wire: its meters and what they speak.
            name: for people.
            pace: answers take the time that they would take; at once unless given.
            faults: of all meters.
            faults_of: of single meters, by address; in the place of the line's.
        """
        self.wire = wire
        self.name = name
        self.pace = pace
        self._faults = faults
        self._plans = faults_of or {}
        self._counts: dict[int, int] = {}
        self.tally = Tally()
        self.busy_until = 0.0
        """When the line is free again, on the clock of `BusSession.receive`."""

    def connect(self) -> BusSession:
        """One more connection to the line."""
        return BusSession(self, self.wire.session())

    def set_faults(self, faults: FaultPlan | None, address: str | None = None) -> None:
        """Other faults from the next request on: of the line, or of one meter; counted anew."""
        self._counts.clear()
        if address is None:
            self._faults = faults
        elif faults is None:
            self._plans.pop(address, None)
        else:
            self._plans[address] = faults

    def drawn(self, meters: tuple[SmartMeter, ...]) -> Drawn:
        """What goes wrong with the next request to these meters (to the first of them)."""
        if (self._faults is None and not self._plans) or not meters:
            return NO_FAULTS
        meter = meters[0]
        plan = self._plans.get(meter.address, self._faults)
        if plan is None:
            return NO_FAULTS
        number = self._counts.get(meter.seed, 0)
        self._counts[meter.seed] = number + 1
        return plan.drawn(meter.seed, number)


class BusSession:
    """One connection to a line."""

    __slots__ = ("_bus", "_heard_at", "_session")

    def __init__(self, bus: Bus, session: WireSession) -> None:
        self._bus = bus
        self._session = session
        self._heard_at: float | None = None

    def receive(self, data: bytes, now: datetime, at: float) -> list[Reply]:
        """Take what arrived, and say what to send.

        Args:
            data: bytes.
            now: the meters' time.
            at: the time of the line in seconds, from any beginning; never goes back.
        """
        if self._heard_at is not None and at - self._heard_at > _GAP_MS / 1000:
            self._session.gap()
        self._heard_at = at
        replies: list[Reply] = []
        try:
            for asked in self._session.feed(data):
                replies += self._answer(asked, data, now, at)
        except WrongBytesError:
            replies.append(Reply(0, b"", disconnects=True))
        return replies

    def _answer(self, asked: Asked, request: bytes, now: datetime, at: float) -> Iterator[Reply]:
        drawn = self._bus.drawn(asked.meters)
        tally = self._bus.tally
        tally.requests += 1
        if drawn.faults:
            tally.faults.update(drawn.faults)
        if not drawn.is_heard:
            return
        answer = asked.carry_out(now)
        if not answer or not drawn.is_answered:
            return
        tally.answers += 1
        if drawn is NO_FAULTS:
            yield from self._paced(answer, len(request), 0, at, disconnects=False)
            return
        if Fault.DENIED in drawn.faults:
            answer = asked.denied(answer)
        if Fault.WRONG_ADDRESS in drawn.faults:
            answer = asked.readdressed(answer)
        spoiled = drawn.spoil(answer, request)
        late_s = spoiled.late_ms / 1000
        yield from self._paced(
            spoiled.data, len(request), late_s, at, disconnects=spoiled.disconnects
        )

    def _paced(
        self, data: bytes, asked_bytes: int, late_s: float, at: float, *, disconnects: bool
    ) -> Iterator[Reply]:
        pace = self._bus.pace
        if pace is None:
            yield Reply(late_s, data, disconnects)
            return
        start = max(at + pace.lasts_s(asked_bytes), self._bus.busy_until)
        start += pace.delay_ms / 1000 + late_s
        size = max(1, int(_CHUNK_MS / 1000 / pace.lasts_s(1)))
        for place in range(0, len(data), size):
            chunk = data[place : place + size]
            sent = start + pace.lasts_s(place + len(chunk))
            is_last = place + size >= len(data)
            yield Reply(sent - at, chunk, disconnects and is_last)
        self._bus.busy_until = start + pace.lasts_s(len(data))
