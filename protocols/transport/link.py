"""One discipline over every line: one request in flight, and its answer or its end.

* Callers take turns (`turns`); the line is quiet for the gap before a request.
* The time-out is computed from the line's speed, the lengths and the meter's learned delay
  (`delay`); each byte that comes allows the longest pause that a frame may have.
* One timer per link is moved on rather than set anew for each request, and no request needs a
  task of its own: that keeps the cost of a round trip near the bare socket's.
* A silent meter costs its own attempts (`NoAnswer`), never the line.  A broken line is another
  fault (`LinkDown`): it is opened again for the next request, and while its back-off lasts
  requests fail at once.
* A request that was sent keeps the line until it is answered or its time is over, even if its
  caller has been cancelled: the answer will come, and must not meet the next request.
* What arrives while nobody waits is counted and traced, never handed to the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

from protocols.errors import RemoteProtocolError
from protocols.transport.address import LineSettings
from protocols.transport.backoff import BackOff
from protocols.transport.channel import Channel, Lost, Received
from protocols.transport.errors import LinkClosed, LinkDown, NoAnswer
from protocols.transport.exchange import Exchange, Priority
from protocols.transport.flight import NEVER, Flight
from protocols.transport.meters import Meter, Meters
from protocols.transport.options import LinkOptions, Reach
from protocols.transport.statistics import LinkStatistics
from protocols.transport.turns import Turns

T = TypeVar("T")

Connect = Callable[[Received, Lost], Awaitable[Channel]]
"""Opens one connection; raises `LinkDown`."""

_NOISE_BYTES_MAX: Final = 2048
_SETTLE_ROUNDS_MAX: Final = 100
_SETTLE_CHARACTERS: Final = 3.5


class Link:
    """A line and its meters.  Made by `open_link` or by a `ModemListener`."""

    # More attributes than a dictionary shares with its like: without slots each would be sought.
    __slots__ = (
        "_answers_in_one",
        "_back_off",
        "_byte_gap_s",
        "_channel",
        "_character_s",
        "_closed",
        "_connect",
        "_connect_failures",
        "_connected_at",
        "_connects",
        "_disconnects",
        "_down_reason",
        "_flight",
        "_free_at",
        "_gap_s",
        "_last_byte_at",
        "_loop",
        "_margin_s",
        "_meters",
        "_missed",
        "_options",
        "_retries",
        "_silent_at",
        "_silent_in_a_row",
        "_silent_max",
        "_stale_bytes",
        "_stale_chunks",
        "_stretch_s",
        "_time",
        "_timer",
        "_timer_at",
        "_trace",
        "_turns",
        "_unsettled",
        "name",
    )

    def __init__(
        self,
        name: str,
        *,
        connect: Connect | None,
        options: LinkOptions,
        line: LineSettings | None,
        reach: Reach,
    ) -> None:
        """Make a link that is not connected yet.

        Args:
            name: for messages and traces.
            connect: opens a connection; None: channels come by `adopt`.
            options: see `LinkOptions`.
            line: the serial line's speed; None: unknown, bytes are taken to need no time.
            reach: what lies between, which decides the delays.
        """
        self.name = name
        self._connect = connect
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._trace = options.trace
        self._retries = options.retries
        self._character_s = line.duration_s(1) if line else 0.0
        self._gap_s = options.gap_ms / 1000
        self._byte_gap_s = options.byte_gap_ms / 1000
        self._stretch_s = options.stretch_ms_max / 1000
        self._margin_s = options.margin_ms / 1000
        self._answers_in_one = reach is not Reach.SERIAL
        """Gateways hold an answer back until it is whole; a cable brings its bytes as they come,
        so there a silent meter is known as soon as its delay is over."""
        redials = reach is Reach.NETWORK and connect is not None
        self._silent_max = options.silent_max if redials else None

        self._turns = Turns(options.waiting_max)
        self._meters = Meters(
            meters_max=options.meters_max,
            delay_s_first=options.first_ms(reach) / 1000,
            delay_s_min=options.delay_ms_min / 1000,
            delay_s_max=options.most_ms(reach) / 1000,
        )
        self._flight: Flight | None = None
        self._missed: Flight | None = None
        """The last request, if it had no answer in time."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        """When the timer wakes us; `NEVER`: there is none."""
        self._free_at = 0.0
        """When the line may be used again; 0: now."""
        self._last_byte_at = 0.0
        """0: this connection has not brought any."""
        self._unsettled = False
        """Bytes of an earlier request may still come: settle before the next one."""

        self._channel: Channel | None = None
        self._closed = False
        self._down_reason = "not connected yet"
        self._back_off = BackOff(
            first_s=options.backoff_ms_first / 1000,
            max_s=options.backoff_ms_max / 1000,
            jitter=options.jitter,
        )
        self._connected_at = 0.0
        self._silent_in_a_row = 0
        """Time-outs without a byte between them, up to the one at `_silent_at`."""
        self._silent_at = 0.0

        self._stale_bytes = 0
        self._stale_chunks = 0
        self._connects = 0
        self._connect_failures = 0
        self._disconnects = 0

    def __repr__(self) -> str:
        return f"<Link {self.name} {'up' if self.connected else 'down'}>"

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._channel is not None

    @property
    def closed(self) -> bool:
        """Whether its owner has closed it for good."""
        return self._closed

    @property
    def awaiting(self) -> bool:
        """Whether a request is out and its answer may come."""
        return self._flight is not None

    @property
    def statistics(self) -> LinkStatistics:
        """Counts so far, per meter and in total."""
        return LinkStatistics(
            total=self._meters.total(),
            meters=self._meters.each(),
            stale_bytes=self._stale_bytes,
            stale_chunks=self._stale_chunks,
            connects=self._connects,
            connect_failures=self._connect_failures,
            disconnects=self._disconnects,
            waiting=self._turns.waiting,
        )

    async def run(self, exchange: Exchange[T], *, priority: Priority = Priority.ROUTINE) -> T:
        """Carry out one exchange, in turn; a broadcast gives None once it is out.

        Raises:
            NoAnswer: the meter was silent in every attempt.
            LinkDown: the line is or went broken; what the meter did is not known.
            LinkClosed: the link was closed.
            LinkBusy: too many callers wait.
            RemoteProtocolError: the exchange found the answer broken, in every attempt.
        """
        turns = self._turns
        if turns.taken:
            await turns.wait(priority)
        turns.taken = True
        try:
            meter = self._meters.get(exchange.meter) or self._meters.remember(exchange.meter)
            if not exchange.answer_expected:
                await self._broadcast(exchange, meter)
                return cast("T", None)
            channel = self._channel
            if channel is None or self._unsettled or channel.poll(0) or self._free_at:
                channel = await self._make_ready()
            flight = self._launch(channel, exchange, meter)
            try:
                answer: T = await flight.future
            except (NoAnswer, RemoteProtocolError):
                if flight.retries_left == 0:
                    raise
                answer = await self._repeat(exchange, meter, flight)
            return answer
        finally:
            if self._flight is None:
                turns.give()
            else:
                self._flight.abandoned = True

    async def connect(self) -> None:
        """Make sure that the line is open, in turn with the requests.

        Raises:
            LinkDown: it cannot be opened, or its back-off lasts.
        """
        if self._turns.taken:
            await self._turns.wait(Priority.ON_DEMAND)
        self._turns.taken = True
        try:
            if self._channel is None:
                await self._open()
        finally:
            self._turns.give()

    def adopt(self, channel: Channel) -> None:
        """Go on with a connection that the other side made; replaces the one in use."""
        if self._channel is not None:
            self._drop("the modem called in anew")
        self._use(channel)

    async def aclose(self) -> None:
        """`close`, and wait until the socket or port is free again."""
        channel = self._channel
        self.close()
        if channel is not None:
            await channel.wait_closed()

    def close(self) -> None:
        """Close for good: the request in flight and all who wait fail with `LinkClosed`."""
        self._closed = True
        error = LinkClosed(f"{self.name} was closed.")
        self._turns.fail_all(error)
        self._drop("closed by us", error)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = NEVER

    # What the channel calls.

    def bytes_received(self, data: bytes) -> None:
        """Take what arrived on the channel in use."""
        now = self._last_byte_at = self._time()
        flight = self._flight
        if flight is None:
            self._stale(data)
            return
        if self._trace is not None:
            self._trace.received(data)
        flight.heard(data)
        if self._offer(flight, data, now):
            return
        if flight.bytes_received > 2 * flight.answer_bytes_max + _NOISE_BYTES_MAX:
            self._time_out(flight)
            return
        flight.silence_at = now + self._byte_gap_s
        if flight.deadline_max is None:
            answer_s = 0.0 if self._answers_in_one else flight.answer_bytes_max * self._character_s
            flight.deadline_max = flight.deadline + answer_s + self._stretch_s
        flight.deadline = max(flight.deadline, min(flight.silence_at, flight.deadline_max))
        self._alarm(flight.silence_at)

    def channel_lost(self, channel: Channel, reason: str) -> None:
        """The connection broke."""
        if channel is self._channel:
            self._disconnects += 1
            self._drop(reason)

    # One attempt.

    def _launch(self, channel: Channel, exchange: Exchange[Any], meter: Meter) -> Flight:
        assert self._flight is None
        request = exchange.request
        answer_bytes_max = exchange.answer_bytes_max
        delay = meter.delay
        delay_s = delay.allowance_s
        flight = Flight(exchange, request, meter, self._loop.create_future())
        if not exchange.repeatable:
            # Waited for as long as the standard lets any meter think.
            delay_s = max(delay_s, delay.first_s)
        elif not meter.silent:
            flight.retries_left = self._retries
        sent_at = self._time() + len(request) * self._character_s
        deadline = sent_at + delay_s + self._margin_s
        if self._answers_in_one:
            deadline += answer_bytes_max * self._character_s
        flight.sent_at = flight.first_sent_at = sent_at
        flight.deadline = deadline
        flight.answer_bytes_max = answer_bytes_max
        tally = meter.tally
        tally.requests += 1
        tally.bytes_sent += len(request)
        self._missed = None
        if self._trace is not None:
            self._trace.sent(request)
        if self._timer_at > deadline:
            self._alarm(deadline)
        self._flight = flight
        channel.write(request)
        return flight

    async def _repeat(self, exchange: Exchange[T], meter: Meter, first: Flight) -> T:
        """Ask again, as often as the first attempt allows."""
        for retries_left in range(first.retries_left - 1, -1, -1):
            meter.tally.retries += 1
            with contextlib.suppress(RemoteProtocolError):
                exchange.receive(b"")
            flight = self._launch(await self._make_ready(), exchange, meter)
            flight.first_sent_at = first.sent_at
            try:
                answer: T = await flight.future
            except (NoAnswer, RemoteProtocolError):
                if retries_left == 0:
                    raise
            else:
                return answer
        raise AssertionError("an attempt without an answer raises")

    def _offer(self, flight: Flight, data: bytes, now: float) -> bool:
        """Give bytes, or the news of silence, to the exchange; True: the flight has ended."""
        try:
            answer = flight.exchange.receive(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            if isinstance(error, RemoteProtocolError):
                flight.meter.tally.bad_frames += 1
            self._unsettled = True
            self._land(flight)
            flight.fail(error)
            return True
        if answer is None:
            return False
        meter = flight.meter
        meter.silent = False
        answer_bytes = flight.bytes_received - flight.echo_bytes
        delay_s = now - flight.sent_at - answer_bytes * self._character_s
        if delay_s < 0:
            delay_s = 0.0
        meter.tally.answered(delay_s)
        if flight.first_sent_at != flight.sent_at:
            meter.delay.late(now - flight.first_sent_at)
            self._unsettled = True  # the answer to the other attempt may still come
        elif delay_s > meter.delay.calm_s:
            meter.delay.learn(delay_s)
        if self._gap_s:
            self._free_at = now + self._gap_s
        self._land(flight)
        if not flight.future.done():
            flight.future.set_result(answer)
        return True

    def _time_out(self, flight: Flight) -> None:
        meter = flight.meter
        meter.tally.timeouts += 1
        heard = flight.bytes_received > flight.echo_bytes
        if heard:
            meter.tally.bad_frames += 1
        elif flight.bytes_received == 0:
            now = self._time()
            nothing_since = self._last_byte_at < self._silent_at
            self._silent_in_a_row = self._silent_in_a_row + 1 if nothing_since else 1
            self._silent_at = now
        meter.delay.missed(heard=heard)
        meter.silent = True
        self._missed = flight
        self._unsettled = True
        self._land(flight)
        flight.fail(
            NoAnswer(
                f"Meter {flight.exchange.meter} on {self.name} did not answer in "
                f"{self._time() - flight.sent_at:.2f} s: {flight.heard_in_words()}."
            )
        )

    def _land(self, flight: Flight) -> None:
        """The line carries nothing any more."""
        self._flight = None
        tally = flight.meter.tally
        tally.bytes_received += flight.bytes_received
        tally.echo_bytes += flight.echo_bytes
        if self._trace is not None:
            self._trace.settled()
        if flight.abandoned:
            self._turns.give()

    async def _broadcast(self, exchange: Exchange[Any], meter: Meter) -> None:
        channel = self._channel
        if channel is None or self._unsettled or channel.poll(0) or self._free_at:
            channel = await self._make_ready()
        request = exchange.request
        meter.tally.requests += 1
        meter.tally.bytes_sent += len(request)
        if self._trace is not None:
            self._trace.sent(request)
        channel.write(request)
        duration_s = len(request) * self._character_s
        self._free_at = self._time() + duration_s + self._gap_s
        if duration_s:
            await asyncio.sleep(duration_s)

    # Time.

    def _alarm(self, when: float) -> None:
        """Be woken at ``when`` or before; a timer that is due earlier moves itself on."""
        if self._timer_at <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_alarm)
        self._timer_at = when

    def _on_alarm(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        flight = self._flight
        if flight is None:
            return
        now = self._time()
        if now >= flight.silence_at:
            flight.silence_at = NEVER
            if self._offer(flight, b"", now):
                return
        if now >= flight.deadline:
            self._time_out(flight)
        else:
            self._alarm(min(flight.deadline, flight.silence_at))

    # Between requests.

    async def _make_ready(self) -> Channel:
        """An open line, quiet for the gap, with nothing left over from before."""
        if (
            self._silent_max is not None
            and self._silent_in_a_row >= self._silent_max
            and self._last_byte_at < self._silent_at
        ):
            self._drop(f"{self._silent_in_a_row} requests without a byte in return")
            self._back_off.forget()
        channel = self._channel or await self._open()
        if self._unsettled or channel.poll(0):
            self._unsettled = False
            await self._settle(channel)
        pause_s = self._free_at - self._time()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        self._free_at = 0.0
        return self._channel or await self._open()  # it may have broken while we waited

    async def _settle(self, channel: Channel) -> None:
        """Read what is left and wait, for a bounded time, until nothing comes any more."""
        delay_s_min = self._options.delay_ms_min / 1000
        quiet_s = max(self._gap_s, delay_s_min, _SETTLE_CHARACTERS * self._character_s)
        for _ in range(_SETTLE_ROUNDS_MAX):
            # Two rounds of the loop: the second one has read what the socket held.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            pause_s = self._last_byte_at + quiet_s - self._time()
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            elif channel is not self._channel or not channel.poll(0):
                return

    def _stale(self, data: bytes) -> None:
        self._stale_bytes += len(data)
        self._stale_chunks += 1
        self._unsettled = True
        if self._missed is not None:  # nothing was sent since: this is its answer, too late
            self._missed.meter.delay.late(self._last_byte_at - self._missed.sent_at)
            self._missed = None
        if self._trace is not None:
            self._trace.stray(data)

    # The connection.

    async def _open(self) -> Channel:
        if self.closed:
            raise LinkClosed(f"{self.name} was closed.")
        if self._connect is None:
            raise LinkDown(f"{self.name} is not connected ({self._down_reason}).")
        pause_s = self._back_off.pause_s(self._time())
        if pause_s > 0:
            raise LinkDown(
                f"{self.name} is down ({self._down_reason}); next attempt in {pause_s:.1f} s."
            )
        try:
            channel = await self._connect(self.bytes_received, self.channel_lost)
        except LinkDown as error:
            self._connect_failures += 1
            self._down_reason = str(error).rstrip(".")
            self._back_off.failed(self._time())
            raise
        if self._closed:
            channel.abort()
            raise LinkClosed(f"{self.name} was closed.")
        self._use(channel)
        if channel.lost_reason is not None:
            self.channel_lost(channel, channel.lost_reason)
            raise LinkDown(f"{self.name} broke at once: {self._down_reason}.")
        return channel

    def _use(self, channel: Channel) -> None:
        self._channel = channel
        self._connects += 1
        self._connected_at = self._time()
        self._last_byte_at = 0.0
        self._silent_in_a_row = 0
        self._unsettled = True  # a gateway may hold bytes for us from before

    def _drop(self, reason: str, error: LinkDown | None = None) -> None:
        """Give up the connection; the request in flight fails."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.abort()
            self._down_reason = reason
            now = self._time()
            if (
                self._last_byte_at
                or (now - self._connected_at) * 1000 >= self._options.backoff_ms_max
            ):
                self._back_off.forget()
            else:
                self._back_off.failed(now)  # accepted and thrown out again: do not hammer
        flight = self._flight
        if flight is not None:
            self._land(flight)
            flight.fail(
                error
                or LinkDown(
                    f"{self.name} broke while meter {flight.exchange.meter} was asked: {reason}. "
                    "Whether the meter got the request is not known."
                )
            )
