"""What the ways of ordering share: the command, who is called, what came of it.  No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar, Protocol

from headend.orders.credentials import Credential
from headend.orders.values import OrderKind
from headend.talk.device import Device
from headend.talk.faults import TalkError
from headend.talk.lines import OpenLine
from protocols.dlt645.master import Master, PurchaseModule
from protocols.modbus import ModbusMeter
from protocols.outcomes import Outcome
from protocols.transport.exchange import Priority


class NotReachedError(TalkError):
    """The meter could not be asked before anything was sent; it may be tried again."""

    code: ClassVar[str] = "not_reached"


class NotNowError(TalkError):
    """It must not be sent at this moment; it may be tried again."""

    code: ClassVar[str] = "not_now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a meter is ordered."""

    kind: OrderKind
    says: Mapping[str, Any] = field(default_factory=dict)
    """See `headend.orders.says`."""
    digits: str | None = field(default=None, repr=False)
    """Of a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOutcome:
    """What came of an order."""

    outcome: Outcome
    words: str
    """For a person: what happened, and what to do."""
    was_sent: bool
    """False: no meter has seen it (of a look: nobody can say that one has)."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """For a program; no secrets."""


@dataclass(frozen=True, slots=True)
class Ready:
    """It may be sent, and by this a lost answer can be settled later."""

    evidence: Mapping[str, Any]
    """Small, no secrets: kept with the order before it is sent."""


@dataclass(frozen=True, slots=True)
class Call:
    """Who is ordered what, by which means."""

    line: OpenLine
    device: Device
    command: Command
    credential: Credential | None
    """None: a meter that asks for no password."""
    module: PurchaseModule | None
    now: Callable[[], datetime]
    zone: tzinfo
    """The zone of meters' clocks."""

    @property
    def master(self) -> Master:
        """Of a DL/T 645 meter."""
        return self.line.master(self.device.edition, Priority.ON_DEMAND)

    @property
    def meter(self) -> ModbusMeter:
        """Of a Modbus meter."""
        return self.line.meter(self.device, Priority.ON_DEMAND)

    @property
    def key(self) -> Credential:
        """The password; whoever made the call has seen to it that there is one."""
        assert self.credential is not None, "DL/T 645 orders have a credential"
        return self.credential

    def local_now(self) -> datetime:
        """The true time in the zone of meters' clocks."""
        return self.now().astimezone(self.zone)

    def utc_now(self) -> datetime:
        """The true time, UTC."""
        return self.now().astimezone(UTC)


class Way(Protocol):
    """How one kind of order is given over one protocol."""

    async def prepare(self) -> Ready | OrderOutcome:
        """Read what is so before; an outcome when there is nothing to send.

        Raises:
            LinkError, RemoteProtocolError: the meter cannot be asked.
            LocalProtocolError: it cannot be given to this meter.
            NotNowError: not at this moment.
        """

    async def send(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """Send it, once, and read what came of it.

        Raises:
            LocalProtocolError: nothing was sent.
        """

    async def look(self, evidence: Mapping[str, Any]) -> OrderOutcome:
        """Read what came of it, or of what a crash has left; sends nothing.

        Raises:
            LinkError, RemoteProtocolError: the meter cannot be asked.
        """


def failed(words: str, **details: Any) -> OrderOutcome:
    """It was not done, and nothing was sent."""
    return OrderOutcome(outcome=Outcome.FAILED, words=words, was_sent=False, details=details)


def done(words: str, *, was_sent: bool = True, **details: Any) -> OrderOutcome:
    """The meter's own state shows it."""
    return OrderOutcome(outcome=Outcome.DONE, words=words, was_sent=was_sent, details=details)


def unknown(words: str, **details: Any) -> OrderOutcome:
    """Nobody can tell."""
    return OrderOutcome(outcome=Outcome.UNKNOWN, words=words, was_sent=True, details=details)


def not_done(words: str, **details: Any) -> OrderOutcome:
    """It was, or may have been, sent, and the meter's state shows that it was not done."""
    return OrderOutcome(outcome=Outcome.FAILED, words=words, was_sent=True, details=details)
