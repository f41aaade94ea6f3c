"""One call of a modem: first it registers, then it carries a link."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from protocols.transport.channel import Channel
from protocols.transport.link import Link
from protocols.transport.registration import (
    HeartBeat,
    HeartBeatFilter,
    Registration,
    RemoteIdentity,
)
from protocols.transport.tcp import keep_alive

_KEEPALIVE_S: Final = 60
_NOT_REGISTERED: Final = "did not register in time"


class Switchboard(Protocol):
    """What a call needs of its listener."""

    registration: Registration | RemoteIdentity
    heart_beat: HeartBeat | None
    register_s: float
    idle_s: float

    def called(self, channel: ModemChannel) -> str | None:
        """A call came; the reason to refuse it, or None."""

    def registered(self, channel: ModemChannel, name: str) -> Link | None:
        """It said its name: the link that it carries from now on, or None: not welcome."""

    def refused(self, channel: ModemChannel, reason: str) -> None:
        """It did not register as it should and is sent away."""

    def beat(self, beats: int) -> None:
        """Heart-beats came."""

    def ended(self, channel: ModemChannel, reason: str) -> None:
        """The connection is gone."""


class ModemChannel(Channel):
    """The connection of a modem that called in."""

    def __init__(self, board: Switchboard) -> None:
        super().__init__(_ignore, _ignore_loss)
        self._board = board
        self._loop = asyncio.get_running_loop()
        self._filter = HeartBeatFilter(board.heart_beat) if board.heart_beat else None
        self._early = b""
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._owes_answer = False
        self._leaving = ""
        self.name = ""
        """The id that it registered with; empty: not registered."""
        self.link: Link | None = None
        """What it carries; None: not registered."""
        self.host = ""
        self.remote = ""
        """``host:port`` of the other side."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the call, or refuse it."""
        super().connection_made(transport)
        keep_alive(transport, _KEEPALIVE_S)
        peer = transport.get_extra_info("peername") or ("?", 0)
        self.host = str(peer[0])
        self.remote = f"[{self.host}]:{peer[1]}" if ":" in self.host else f"{self.host}:{peer[1]}"
        board = self._board
        if board.called(self) is not None:
            self.abort()
            return
        if board.registration is RemoteIdentity.ADDRESS:
            self._join(self.host)
        elif board.registration is RemoteIdentity.ADDRESS_AND_PORT:
            self._join(self.remote)
        else:
            self._timer = self._loop.call_later(board.register_s, self._refuse, _NOT_REGISTERED)

    def data_received(self, data: bytes) -> None:
        """Registration first, then frames and heart-beats."""
        if self._lost is None:
            return
        self._heard_at = self._loop.time()
        if self.link is None:
            self._register(data)
        else:
            self._carry(self.link, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link, then the listener."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        self._board.ended(self, self._leaving or str(exc or "closed by the modem"))

    def _register(self, data: bytes) -> None:
        registration = self._board.registration
        assert isinstance(registration, Registration)
        try:
            taken = registration.take(self._early + data)
        except ValueError as error:
            self._refuse(str(error))
            return
        if taken is None:
            self._early += data  # `take` bounds it
            return
        self._early = b""
        name, rest = taken
        if self._join(name) and registration.answer:
            self.write(registration.answer)
        if rest and self.link is not None:
            self._carry(self.link, rest)

    def _join(self, name: str) -> bool:
        link = self._board.registered(self, name)
        if link is None:
            self._refuse(f"{name} is not welcome")
            return False
        if self._timer is not None:
            self._timer.cancel()
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_later(self._board.idle_s, self._check_idle)
        self.name = name
        self.link = link
        self._received = link.bytes_received
        self._lost = link.channel_lost
        link.adopt(self)
        return True

    def _carry(self, link: Link, data: bytes) -> None:
        if self._filter is not None:
            filtered = self._filter.while_waiting if link.awaiting else self._filter.while_idle
            data, beats = filtered(data)
            if beats:
                self._board.beat(beats)
                self._owes_answer = True
        if data:
            self._received(data)
        # An answer on its way must not be crossed by ours: it could end up on the meters' bus.
        if self._owes_answer and not link.awaiting and self._lost is not None:
            self._owes_answer = False
            assert self._board.heart_beat is not None
            if self._board.heart_beat.answer:
                self.write(self._board.heart_beat.answer)

    def _check_idle(self) -> None:
        idle_s = self._loop.time() - self._heard_at
        if idle_s < self._board.idle_s:
            self._timer = self._loop.call_later(self._board.idle_s - idle_s, self._check_idle)
            return
        self._leaving = f"nothing heard for {idle_s:.0f} s"
        self._report(self._leaving)
        self.abort()

    def _refuse(self, reason: str) -> None:
        self._leaving = reason
        self._board.refused(self, reason)
        self.abort()


def _ignore(data: bytes) -> None:
    """Nobody listens yet."""


def _ignore_loss(channel: Channel, reason: str) -> None:
    """Nobody listens yet."""
