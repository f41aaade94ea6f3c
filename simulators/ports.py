"""Where a bus can be reached: TCP port, pseudo-terminal, or a modem that calls out.

asyncio protocols and timers only; no task belongs to a meter or to a connection (a modem has one
while it dials).  A peer that does not read what it is sent loses answers, not our memory.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
import tty
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from simulators.bus import Bus, BusSession, Reply
from simulators.errors import SimulatorValueError
from simulators.street_clock import StreetClock

UNSENT_MAX: Final = 64 * 1024
_READ_BYTES: Final = 4096
_TIMERS_MAX: Final = 1024


class Port(Protocol):
    """One way to a bus."""

    @property
    def url(self) -> str:
        """Where it is: a link URL."""

    async def start(self) -> None:
        """Be reachable when this returns."""

    async def stop(self) -> None:
        """Not be any more; nothing of it is left."""


class _Talk:
    """One connection's half of the work: what is heard, what is to be sent, and when."""

    __slots__ = ("_clock", "_close", "_loop", "_pending", "_send", "_session")

    def __init__(
        self,
        session: BusSession,
        clock: StreetClock,
        send: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> None:
        self._session = session
        self._clock = clock
        self._send = send
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._pending: set[asyncio.TimerHandle] = set()

    def heard(self, data: bytes) -> None:
        for reply in self._session.receive(data, self._clock.now(), self._loop.time()):
            if reply.after_s <= 0 and not self._pending:
                self._deliver(reply)
            elif len(self._pending) < _TIMERS_MAX:
                self._later(reply)

    def _later(self, reply: Reply) -> None:
        def deliver() -> None:
            self._pending.discard(handle)
            self._deliver(reply)

        handle = self._loop.call_later(reply.after_s, deliver)
        self._pending.add(handle)

    def _deliver(self, reply: Reply) -> None:
        if reply.data:
            self._send(reply.data)
        if reply.disconnects:
            self._close()

    def end(self) -> None:
        for handle in self._pending:
            handle.cancel()
        self._pending.clear()


class _SocketTalk(asyncio.Protocol):
    """A connection over TCP, in whichever direction it was made."""

    def __init__(
        self,
        bus: Bus,
        clock: StreetClock,
        opened: Callable[[_SocketTalk], None],
        closed: Callable[[_SocketTalk], None],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._opened = opened
        self._closed = closed
        self._talk: _Talk | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._talk = _Talk(self._bus.connect(), self._clock, self.send, self._transport.close)
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        assert self._talk is not None
        self._talk.heard(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._talk is not None:
            self._talk.end()
        self._closed(self)

    def send(self, data: bytes) -> None:
        """Send, unless the peer has stopped to read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() <= UNSENT_MAX:
            transport.write(data)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()


class TcpPort:
    """A TCP port, any number of connections."""

    def __init__(
        self,
        bus: Bus,
        clock: StreetClock,
        host: str = "127.0.0.1",
        port: int = 0,
        scheme: str = "tcp",
    ) -> None:
        """A port.

        Args:
            bus: the line behind it.
            clock: the meters' clock.
            host: the local address.
            port: 0 takes a free one, known after `start`.
            scheme: of `url`: ``tcp``, ``modbus+tcp``, ``modbus+rtu+tcp``.
        """
        self.bus = bus
        self.host, self.port = host, port
        self._clock = clock
        self._scheme = scheme
        self._server: asyncio.Server | None = None
        self._talks: set[_SocketTalk] = set()

    @property
    def url(self) -> str:
        """See `Port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}"

    async def start(self) -> None:
        """See `Port`.

        Raises:
            OSError: the port is taken, or not ours to take.
        """
        self._server = await asyncio.get_running_loop().create_server(
            self._make, self.host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _make(self) -> _SocketTalk:
        return _SocketTalk(self.bus, self._clock, self._talks.add, self._talks.discard)

    async def stop(self) -> None:
        """See `Port`."""
        if self._server is None:
            return
        self._server.close()
        for talk in tuple(self._talks):
            talk.abort()
        await self._server.wait_closed()
        self._server = None


class PtyPort:
    """A pseudo-terminal: for whoever wants a serial port."""

    def __init__(self, bus: Bus, clock: StreetClock, parameters: str = "") -> None:
        """A port.

        Args:
            bus: the line behind it.
            clock: the meters' clock.
            parameters: what stands behind the ``?`` of `url`: ``baud=2400&parity=E``.
        """
        self.bus = bus
        self.path = ""
        """The device to open, known after `start`."""
        self._clock = clock
        self._parameters = parameters
        self._master = self._slave = -1
        self._talk: _Talk | None = None
        self._unsent = bytearray()

    @property
    def url(self) -> str:
        """See `Port`."""
        return f"serial://{self.path}" + (f"?{self._parameters}" if self._parameters else "")

    async def start(self) -> None:
        """See `Port`.

        Raises:
            OSError: the system has no pseudo-terminal left.
        """
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        fcntl.fcntl(self._master, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        self.path = os.ttyname(self._slave)
        self._talk = _Talk(self.bus.connect(), self._clock, self._send, self._hang_up)
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def _readable(self) -> None:
        assert self._talk is not None
        try:
            data = os.read(self._master, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # EIO: nobody has it open; our own end of it keeps that from happening
            return
        if data:
            self._talk.heard(data)

    def _send(self, data: bytes) -> None:
        if len(self._unsent) > UNSENT_MAX:
            return
        was_empty = not self._unsent
        self._unsent += data
        if was_empty:
            self._writable()

    def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            del self._unsent[: os.write(self._master, self._unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._unsent.clear()
        if self._unsent:
            loop.add_writer(self._master, self._writable)
        else:
            loop.remove_writer(self._master)

    def _hang_up(self) -> None:
        """What a broken line does to a serial port: what was under way is lost."""
        self._unsent.clear()
        termios.tcflush(self._slave, termios.TCIOFLUSH)

    async def stop(self) -> None:
        """See `Port`."""
        if self._talk is None:
            return
        self._talk.end()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._talk = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Modem:
    """How a modem calls.

    Raises:
        SimulatorValueError: intervals that are none.
    """

    registration: bytes = b""
    """Sent first."""
    heart_beat: bytes = b""
    heart_beat_s: float = 60
    """Sent so often; with an empty heart-beat never."""
    redial_s: float = 1
    """Pause before calling again after the connection was lost or refused."""

    def __post_init__(self) -> None:
        if self.heart_beat_s <= 0 or self.redial_s <= 0:
            raise SimulatorValueError("Heart-beat and redialling need intervals above 0 s.")


class ModemPort:
    """A modem with meters behind it: calls a head-end, registers, and calls again when cut off."""

    def __init__(self, bus: Bus, clock: StreetClock, host: str, port: int, modem: Modem) -> None:
        """A modem.

        Args:
            bus: the line behind it.
            clock: the meters' clock.
            host: the head-end's address.
            port: its port.
            modem: how it calls.
        """
        self.bus = bus
        self.calls = 0
        """Connections made so far."""
        self._clock = clock
        self._to = (host, port)
        self._modem = modem
        self._talk: _SocketTalk | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._is_running = False

    @property
    def url(self) -> str:
        """Whom it calls."""
        return f"tcp://{self._to[0]}:{self._to[1]}"

    async def start(self) -> None:
        """Begin to call; whether anybody answers is not waited for."""
        self._is_running = True
        self._dial()

    def hang_up(self) -> None:
        """Cut the call; it calls again after its pause."""
        if self._talk is not None:
            self._talk.abort()

    def _dial(self) -> None:
        self._timer = None
        self._dialling = asyncio.get_running_loop().create_task(self._call())

    async def _call(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(self._make, *self._to)
        except OSError:
            self._redial()

    def _make(self) -> _SocketTalk:
        return _SocketTalk(self.bus, self._clock, self._opened, self._closed)

    def _opened(self, talk: _SocketTalk) -> None:
        self._talk = talk
        self.calls += 1
        if self._modem.registration:
            talk.send(self._modem.registration)
        self._beat_later()

    def _beat_later(self) -> None:
        if self._modem.heart_beat:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._modem.heart_beat_s, self._beat)

    def _beat(self) -> None:
        if self._talk is not None:
            self._talk.send(self._modem.heart_beat)
            self._beat_later()

    def _closed(self, talk: _SocketTalk) -> None:
        if talk is self._talk:
            self._talk = None
            self._redial()

    def _redial(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_running:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._modem.redial_s, self._dial)

    async def stop(self) -> None:
        """See `Port`."""
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.gather(self._dialling, return_exceptions=True)
        if self._talk is not None:
            talk, self._talk = self._talk, None
            talk.abort()
