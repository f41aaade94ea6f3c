"""What may be set on a modem listener, what it counts, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from protocols.transport.errors import LinkUrlError


class ModemEventKind(Enum):
    """What happened to a modem's link."""

    JOINED = "joined"
    """Registered, and was not connected before."""
    REPLACED = "replaced"
    """Registered again while its old connection still stood; the old one was given up."""
    LEFT = "left"
    """Its connection ended."""
    REFUSED = "refused"
    """A caller was sent away; `id` is empty unless it had said one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemEvent:
    """One thing that happened at the listener."""

    kind: ModemEventKind
    id: str
    remote: str
    """Address and port that the call came from."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """Limits of a modem listener; times in seconds.

    An id is a name, not a proof: whoever knows a modem's id can take its place.  Listen where
    only modems can call (private APN, VPN), and name them with `accept`.
    """

    register_s: float = 15
    """A caller must have registered by then."""
    idle_s: float = 300
    """A modem that sends nothing at all for so long is gone; two or three heart-beats."""
    unregistered_max: int = 64
    """Callers at a time that have not registered yet."""
    links_max: int = 10_000
    """Modems known by name.  When full, the one that has been gone longest is forgotten."""
    calls_per_minute_max: int = 60
    """Calls from one address; raise it where a network hides its modems behind one address."""
    addresses_max: int = 4096
    """Addresses whose calls are counted at a time."""
    waiting_max: int = 10_000
    """Callers of `ModemListener.link` that may wait."""
    accept: Callable[[str], bool] | None = None
    """Which ids are welcome; None: all."""

    def __post_init__(self) -> None:
        if self.register_s <= 0 or self.idle_s <= 0:
            raise LinkUrlError("Times of a modem listener must be positive.")
        limits = (self.unregistered_max, self.links_max, self.calls_per_minute_max)
        if min(*limits, self.addresses_max, self.waiting_max) < 1:
            raise LinkUrlError("Limits of a modem listener must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerStatistics:
    """Counts of a listener since it was made."""

    calls: int
    refused_rate: int
    """Too many calls from one address."""
    refused_unregistered: int
    """Too many callers that had not registered."""
    refused_registration: int
    """What they sent was no registration, in time or at all, or the id is not welcome."""
    joined: int
    replaced: int
    left: int
    heart_beats: int
    connected: int
    """Now."""
    unregistered: int
    """Now."""
