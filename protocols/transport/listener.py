"""A port that modems call: each registers, and is a link under its name from then on.

A modem's `Link` outlives its calls: learned delays and counts stay, and callers who wait in its
queue are served by the next call.  The same name calling again replaces the connection, since
a modem that lost its network does not know that its old connection still stands here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from protocols.transport.address import LineSettings
from protocols.transport.call_rate import CallRate
from protocols.transport.errors import LinkBusy, LinkClosed, LinkDown, UnknownModemError
from protocols.transport.link import Link
from protocols.transport.listener_options import (
    ListenerOptions,
    ListenerStatistics,
    ModemEvent,
    ModemEventKind,
)
from protocols.transport.modem_channel import ModemChannel
from protocols.transport.options import LinkOptions, Reach
from protocols.transport.registration import HeartBeat, Registration, RemoteIdentity

_BACKLOG = 256


class ModemListener:
    """Takes calls from modems, knows them by id, and gives their links out."""

    def __init__(
        self,
        registration: Registration | RemoteIdentity,
        *,
        heart_beat: HeartBeat | None = None,
        options: ListenerOptions | None = None,
        link_options: Callable[[str], LinkOptions] | None = None,
        line: LineSettings | None = None,
        on_event: Callable[[ModemEvent], None] | None = None,
    ) -> None:
        """Make a listener; `listen` opens its port.

        Args:
            registration: how a modem says who it is.
            heart_beat: what to take out of the stream; None: nothing.
            options: limits and times.
            link_options: gives the options of the link with this id; None: defaults.
            line: speed of the serial line behind the modems, if known.
            on_event: told of each arrival and departure; must be quick and must not fail.
        """
        self.registration = registration
        self.heart_beat = heart_beat
        self._options = options or ListenerOptions()
        self.register_s = self._options.register_s
        self.idle_s = self._options.idle_s
        self._link_options = link_options
        self._line = line
        self._on_event = on_event
        self._servers: list[asyncio.Server] = []
        self._rate = CallRate(
            calls_max=self._options.calls_per_minute_max,
            addresses_max=self._options.addresses_max,
        )
        self._unregistered: set[ModemChannel] = set()
        self._current: dict[str, ModemChannel] = {}
        self._links: dict[str, Link] = {}
        """In the order in which they last came or went, so the first is gone longest."""
        self._waiting: dict[str, list[asyncio.Future[Link]]] = {}
        self._waiting_count = 0
        self._closed = False
        self._calls = 0
        self._refused_rate = 0
        self._refused_unregistered = 0
        self._refused_registration = 0
        self._joined = 0
        self._replaced = 0
        self._left = 0
        self._heart_beats = 0

    async def listen(self, host: str, port: int) -> int:
        """Open a port (several may be opened) and give its number; 0 chooses a free one.

        Raises:
            LinkDown: the port cannot be opened.
        """
        if self._closed:
            raise LinkClosed("The listener was closed.")
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: ModemChannel(self), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise LinkDown(f"Port {port} of {host} cannot be opened: {error}.") from error
        self._servers.append(server)
        number: int = server.sockets[0].getsockname()[1]
        return number

    @property
    def links(self) -> Mapping[str, Link]:
        """The modems that are connected now, by id."""
        return {name: self._links[name] for name in self._current}

    @property
    def statistics(self) -> ListenerStatistics:
        """Counts so far."""
        return ListenerStatistics(
            calls=self._calls,
            refused_rate=self._refused_rate,
            refused_unregistered=self._refused_unregistered,
            refused_registration=self._refused_registration,
            joined=self._joined,
            replaced=self._replaced,
            left=self._left,
            heart_beats=self._heart_beats,
            connected=len(self._current),
            unregistered=len(self._unregistered),
        )

    async def link(self, name: str, timeout_s: float = 0) -> Link:
        """The link of a modem, once it is connected.

        Raises:
            UnknownModemError: it is not connected, and did not call in ``timeout_s`` seconds.
            LinkBusy: too many callers wait.
            LinkClosed: the listener was closed.
        """
        if self._closed:
            raise LinkClosed("The listener was closed.")
        if name in self._current:
            return self._links[name]
        if timeout_s <= 0:
            raise UnknownModemError(f"Modem {name} is not connected; it has to call in.")
        if self._waiting_count >= self._options.waiting_max:
            raise LinkBusy(f"{self._waiting_count} callers already wait for modems.")
        future: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(future)
        self._waiting_count += 1
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise UnknownModemError(f"Modem {name} did not call in {timeout_s:g} s.") from None
        finally:
            self._waiting_count -= 1
            waiting = self._waiting.get(name, [])
            with contextlib.suppress(ValueError):
                waiting.remove(future)
            if not waiting:
                self._waiting.pop(name, None)

    async def aclose(self) -> None:
        """Close the port and every modem's link."""
        self._closed = True
        for server in self._servers:
            server.close()
        channels = [*self._unregistered, *self._current.values()]
        for channel in channels:
            channel.abort()
        for link in self._links.values():
            link.close()
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(LinkClosed("The listener was closed."))
        for channel in channels:
            await channel.wait_closed()
        for server in self._servers:
            await server.wait_closed()

    # What the calls say (`modem_channel.Switchboard`).

    def called(self, channel: ModemChannel) -> str | None:
        """A call came; the reason to refuse it, or None."""
        self._calls += 1
        now = asyncio.get_running_loop().time()
        reason = None
        if self._closed:
            reason = "the listener was closed"
        elif not self._rate.allows(channel.host, now):
            self._refused_rate += 1
            reason = "too many calls from this address"
        elif len(self._unregistered) >= self._options.unregistered_max:
            self._refused_unregistered += 1
            reason = "too many callers have not registered"
        if reason is not None:
            self._tell(ModemEventKind.REFUSED, "", channel, reason)
            return reason
        self._unregistered.add(channel)
        return None

    def registered(self, channel: ModemChannel, name: str) -> Link | None:
        """It said its name: the link that it carries from now on, or None: not welcome."""
        accept = self._options.accept
        if accept is not None and not accept(name):
            return None
        link = self._links.pop(name, None)
        if link is None or link.closed:
            if not self._make_room():
                return None
            options = self._link_options(name) if self._link_options else LinkOptions()
            link = Link(
                f"modem:{name}",
                connect=None,
                options=options,
                line=self._line,
                reach=Reach.MODEM,
            )
        self._links[name] = link
        self._unregistered.discard(channel)
        if name in self._current:
            self._replaced += 1
            kind = ModemEventKind.REPLACED
        else:
            self._joined += 1
            kind = ModemEventKind.JOINED
        self._current[name] = channel
        # The link has its channel when this call returns; all who are woken run after that.
        for future in self._waiting.get(name, []):
            if not future.done():
                future.set_result(link)
        self._tell(kind, name, channel, "")
        return link

    def refused(self, channel: ModemChannel, reason: str) -> None:
        """It did not register as it should and is sent away."""
        self._refused_registration += 1
        self._unregistered.discard(channel)
        self._tell(ModemEventKind.REFUSED, "", channel, reason)

    def beat(self, beats: int) -> None:
        """Heart-beats came."""
        self._heart_beats += beats

    def ended(self, channel: ModemChannel, reason: str) -> None:
        """The connection is gone."""
        self._unregistered.discard(channel)
        name = channel.name
        if self._current.get(name) is not channel:
            return
        del self._current[name]
        link = self._links.pop(name)
        if not link.closed:
            self._links[name] = link
        self._left += 1
        self._tell(ModemEventKind.LEFT, name, channel, reason)

    def _make_room(self) -> bool:
        """Forget the modem that has been gone longest, if the registry is full."""
        if len(self._links) < self._options.links_max:
            return True
        for name, link in self._links.items():
            if name not in self._current:
                link.close()
                del self._links[name]
                return True
        return False

    def _tell(self, kind: ModemEventKind, name: str, channel: ModemChannel, reason: str) -> None:
        if self._on_event is not None:
            self._on_event(ModemEvent(kind=kind, id=name, remote=channel.remote, reason=reason))
