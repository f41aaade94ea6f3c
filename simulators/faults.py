"""Faults on demand: what goes wrong on a simulated line, and when; the same seed, the same faults.

================  ==============================================================================
fault             what the master sees
================  ==============================================================================
silence           the meter did not hear the request: nothing was done, nothing is answered
late              the answer comes, but late
bit error         one bit of the answer is wrong
noise             bytes of nothing before the answer
echo              its own request, before the answer
cut               only the beginning of the answer
wrong address     the answer of another meter, by its address
lost answer       the request was carried out, the answer is lost
denied            the request was carried out and the answer is a refusal
FE storm          hundreds of FE (DL/T 645's preamble) before the answer
disconnect        half an answer, and the connection is gone
================  ==============================================================================

A `FaultPlan` gives each fault a probability in 1/1000 of requests, or says by number which request
of a meter goes wrong how.  Nothing here is chance: the n-th request of a meter always meets the
same faults, whatever happens on the line meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from simulators.errors import SimulatorValueError
from simulators.load import mixed

PER_MILLE: Final = 1000


class Fault(Enum):
    """What can go wrong; the value is its name in descriptions."""

    SILENCE = "silence"
    LATE = "late"
    BIT_ERROR = "bit_error"
    NOISE = "noise"
    ECHO = "echo"
    CUT = "cut"
    WRONG_ADDRESS = "wrong_address"
    LOST_ANSWER = "lost_answer"
    DENIED = "denied"
    FE_STORM = "fe_storm"
    DISCONNECT = "disconnect"


_PLACES: Final = {fault: place for place, fault in enumerate(Fault)}
_NOISE_MAX: Final = 24
_STORM_MIN: Final = 100
_STORM_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Which faults, how often.  Share one among any number of meters.

    Raises:
        SimulatorValueError: a probability or a delay that is none.
    """

    per_mille: Mapping[Fault, int] = field(default_factory=dict)
    """Of the requests that reach a meter."""
    script: Mapping[int, tuple[Fault, ...]] = field(default_factory=dict)
    """By number of the meter's request, from 0; where one is listed, chance is left out."""
    late_ms: tuple[int, int] = (1_500, 4_000)
    """From, to."""
    seed: int = 0

    def __post_init__(self) -> None:
        if any(not 0 <= share <= PER_MILLE for share in self.per_mille.values()):
            raise SimulatorValueError("A fault's probability is 0-1000 per mille.")
        if not 0 <= self.late_ms[0] <= self.late_ms[1]:
            raise SimulatorValueError("A late answer comes after 0 ms or more: from, to.")

    @classmethod
    def from_table(cls, table: Mapping[str, Any], seed: int = 0) -> FaultPlan:
        """A plan as descriptions write it: ``{silence = 10, late = 5, late_ms = [1500, 3000]}``.

        Raises:
            SimulatorValueError: an unknown fault, or no number.
        """
        rates: dict[Fault, int] = {}
        late_ms = (1_500, 4_000)
        for name, value in table.items():
            if name == "late_ms":
                late_ms = _pair(value)
            elif name == "seed":
                seed = _whole(name, value)
            elif name in _NAMES:
                rates[_NAMES[name]] = _whole(name, value)
            else:
                known = ", ".join(_NAMES)
                raise SimulatorValueError(f"There is no fault {name!r}; known are {known}.")
        return cls(rates, late_ms=late_ms, seed=seed)

    def drawn(self, meter: int, number: int) -> Drawn:
        """What happens to a meter's request.

        Args:
            meter: its own number, any whole one.
            number: which of its requests, from 0.
        """
        chance = mixed(mixed(self.seed, meter), number)
        if number in self.script:
            return Drawn(frozenset(self.script[number]), chance, self.late_ms)
        faults = frozenset(
            fault
            for fault, share in self.per_mille.items()
            if share and mixed(chance, _PLACES[fault]) % PER_MILLE < share
        )
        return Drawn(faults, chance, self.late_ms)


_NAMES: Final = {fault.value: fault for fault in Fault}
DEAD: Final = FaultPlan({Fault.SILENCE: PER_MILLE})
"""A meter that never answers."""


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise SimulatorValueError(f"The fault {name!r} needs a whole number.")
    return value


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or [type(each) for each in value] != [int, int]:
        raise SimulatorValueError("late_ms needs two whole numbers: from, to.")
    return (value[0], value[1])


class Spoiled(NamedTuple):
    """What of an answer travels."""

    data: bytes
    late_ms: int = 0
    disconnects: bool = False


class Drawn(NamedTuple):
    """The faults of one request, and the chance that shapes them."""

    faults: frozenset[Fault]
    chance: int
    late_ms: tuple[int, int]

    @property
    def is_heard(self) -> bool:
        """Whether the request reaches the meter."""
        return Fault.SILENCE not in self.faults

    @property
    def is_answered(self) -> bool:
        """Whether anything comes back."""
        return Fault.LOST_ANSWER not in self.faults

    def spoil(self, answer: bytes, request: bytes) -> Spoiled:
        """The answer as the line delivers it.

        Args:
            answer: the meter's own bytes.
            request: what had arrived, for an echo.
        """
        data = answer
        if Fault.BIT_ERROR in self.faults and data:
            place, bit = self._draw(1) % len(data), self._draw(2) % 8
            data = data[:place] + bytes((data[place] ^ 1 << bit,)) + data[place + 1 :]
        if Fault.CUT in self.faults and data:
            data = data[: self._draw(3) % len(data)]
        if Fault.FE_STORM in self.faults:
            storm = _STORM_MIN + self._draw(4) % (_STORM_MAX - _STORM_MIN)
            data = b"\xfe" * storm + data
        if Fault.NOISE in self.faults:
            data = self._noise() + data
        if Fault.ECHO in self.faults:
            data = request + data
        late = 0
        if Fault.LATE in self.faults:
            start, end = self.late_ms
            late = start + self._draw(5) % (end - start + 1)
        if Fault.DISCONNECT in self.faults:
            return Spoiled(data[: len(data) // 2], late, disconnects=True)
        return Spoiled(data, late)

    def _noise(self) -> bytes:
        length = 1 + self._draw(6) % _NOISE_MAX
        return bytes(mixed(self.chance, 100 + place) & 0xFF for place in range(length))

    def _draw(self, place: int) -> int:
        return mixed(self.chance, -place)


NO_FAULTS: Final = Drawn(frozenset(), 0, (0, 0))
