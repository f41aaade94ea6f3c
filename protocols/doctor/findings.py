"""What the doctor says: steps and progress while it works, a diagnosis at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from protocols.dlt645.addresses import Address
from protocols.dlt645.controls import Edition
from protocols.transport.address import LineSettings


class Verdict(Enum):
    """How a step went."""

    GOOD = "good"
    NOTE = "note"
    """Nothing wrong, but worth knowing."""
    WARNING = "warning"
    """It works, and will give trouble."""
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step."""

    name: str
    """``listen``, ``settings``, ``meters``, ``search``, ``listen again``."""
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step is."""

    name: str
    text: str
    """What is being done now."""
    done: int
    total: int
    left_s: float
    """Until the end of all steps, at most; as it looks now."""


Tell = Callable[[Step | Progress], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """What was asked with."""

    line: LineSettings | None
    """None: behind a network, where the far end's own setting holds."""
    edition: Edition

    def __str__(self) -> str:
        where = "" if self.line is None else f" at {self.line}"
        return f"DL/T 645-{self.edition}{where}"


@dataclass(frozen=True, slots=True)
class FoundMeter:
    """A meter that answered."""

    address: Address
    edition: Edition
    delay_ms: int | None
    """From the end of the question to the begin of its answer."""


@dataclass(frozen=True, slots=True)
class OtherMaster:
    """What somebody else asked on this line."""

    address: str
    """Whom."""
    function: str
    """For what."""
    times: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """How the search by shortened addresses ended."""

    asked: int
    planned: int
    """More than ``asked``: the time was over before all were asked."""
    doubled: tuple[str, ...]
    """Numbers at which several meters answer still."""

    @property
    def is_complete(self) -> bool:
        return self.asked >= self.planned


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do."""

    code: str
    """Stable, for programs."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Everything that was found."""

    setting: Setting | None
    """What meters answer to; None: none did."""
    is_own_setting: bool
    """It is the one that the link's URL gives."""
    meters: tuple[FoundMeter, ...]
    several: bool
    """More than one meter answers to the wildcard address."""
    echo: bool
    """The converter hears what it sends."""
    stray_bytes: int
    """Came while nobody was asked, and are part of no frame."""
    stray_sample: bytes
    other_masters: tuple[OtherMaster, ...]
    overheard: tuple[str, ...]
    """Meters that answered somebody else."""
    garbled: tuple[Setting, ...]
    """Settings at which something came that could not be understood."""
    tried: int
    """How many settings were asked with."""
    search: SearchResult | None
    took_s: float
    out_of_time: bool
    advice: tuple[Advice, ...]

    @property
    def found(self) -> bool:
        """Whether any meter answered."""
        return bool(self.meters)
