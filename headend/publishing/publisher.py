"""The connection to a broker: kept as long as the worker, made again whenever it breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import CancelledError as NotSent
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from headend.collection.visit import Visit
from headend.publishing.alarms import begin, note_published, unpublished
from headend.publishing.broker import Broker
from headend.publishing.buffer import Buffer
from headend.publishing.faults import PublishingMissingError
from headend.publishing.messages import (
    OFFLINE,
    ONLINE,
    Message,
    alarm_messages,
    availability_topic,
    discovery,
    is_published,
    state,
)
from headend.station import Station

if TYPE_CHECKING:
    from aiomqtt import Client

log = structlog.get_logger("headend.publishing")

_TOGETHER: Final = 50
"""Messages on their way to the broker at a time."""
_ANSWER_S: Final = 10.0
_AGAIN_S: Final = (1.0, 60.0)
_GOODBYE_S: Final = 2.0


def require_mqtt() -> None:
    """Find out at the start whether MQTT can be spoken here.

    Raises:
        PublishingMissingError: says how to install it.
    """
    try:
        import aiomqtt
    except ImportError:
        raise PublishingMissingError(
            "Publishing over MQTT is an extra that is not installed: "
            "pip install 'meterhouse[mqtt]'."
        ) from None
    assert aiomqtt.__name__


class Publisher:
    """Publishes what a worker reads, and alarms; never keeps anybody waiting for the broker."""

    def __init__(self, broker: Broker, buffer: Buffer | None = None) -> None:
        self._broker = broker
        self._buffer = buffer or Buffer()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._something = asyncio.Event()
        self._worker = ""
        self._announced: set[tuple[str, str]] = set()
        self._client: Client | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the broker has taken us."""
        return self._client is not None

    @property
    def waiting(self) -> int:
        """Messages that wait for the broker."""
        return len(self._buffer)

    @property
    def dropped(self) -> int:
        """Messages that gave way because too many waited."""
        return self._buffer.dropped

    def kept(self, visits: Sequence[Visit]) -> None:
        """Visits whose values are committed; from any thread, at once."""
        messages = [
            state(self._broker.prefix, visit.device.number, reading)
            for visit in visits
            for reading in filter(is_published, visit.told.values)
        ]
        self._buffer.put(messages)
        loop = self._loop
        if messages and loop is not None:
            with suppress(RuntimeError):  # the loop has ended: so does the worker
                loop.call_soon_threadsafe(self._something.set)

    def sweep_alarms(self, station: Station) -> int:
        """Publish lines of alarms' histories that wait; how many.  For a thread, one at a time.

        Nothing is noted of what the broker did not confirm: it is published again.
        """
        channel = self._broker.channel
        with station.writing() as connection:
            begin(connection, channel, station.now())
        done = 0
        while self.is_connected:
            with station.reading() as connection:
                entries = unpublished(connection, channel)
            taken = self._published(entries)
            if taken:
                with station.writing() as connection:
                    note_published(connection, channel, taken, station.now())
            done += len(taken)
            if not entries or len(taken) < len(entries):
                break
        return done

    async def run(self, worker: str) -> None:
        """Keep the connection until cancelled; then say goodbye.

        Args:
            worker: the name of this one.
        """
        self._loop = asyncio.get_running_loop()
        self._worker = worker
        wait_s = _AGAIN_S[0]
        while True:
            began = self._loop.time()
            try:
                await self._connected()
            except asyncio.CancelledError:
                raise
            except Exception as fault:  # noqa: BLE001 - whatever the broker does, the service goes on
                words = str(fault) or type(fault).__name__
                log.warning("mqtt.away", broker=self._where, fault=words, waiting=self.waiting,
                            dropped=self.dropped)  # fmt: skip
            if self._loop.time() - began > _AGAIN_S[1]:
                wait_s = _AGAIN_S[0]
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, _AGAIN_S[1])

    # --- on the loop -----------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"{self._broker.host}:{self._broker.port}"

    async def _connected(self) -> None:
        """One connection, until it breaks (raises) or this is cancelled."""
        import aiomqtt

        broker = self._broker
        topic = availability_topic(broker.prefix, self._worker)
        async with aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            tls_context=broker.tls,
            timeout=_ANSWER_S,
            keepalive=30,
            max_queued_outgoing_messages=2 * _TOGETHER + 100,
            will=aiomqtt.Will(topic, OFFLINE, qos=1, retain=True),
        ) as client:
            self._announced.clear()  # a broker that forgot everything learns it anew
            await client.publish(topic, ONLINE, qos=1, retain=True)
            log.info("mqtt.connected", broker=self._where, waiting=self.waiting)
            self._client = client
            try:
                await self._send_on(client)
            except asyncio.CancelledError:
                with suppress(Exception):
                    async with asyncio.timeout(_GOODBYE_S):
                        await client.publish(topic, OFFLINE, qos=1, retain=True)
                raise
            finally:
                self._client = None

    async def _send_on(self, client: Client) -> None:
        watching = asyncio.create_task(_until_broken(client))
        try:
            while True:
                self._something.clear()
                messages = self._buffer.take(_TOGETHER)
                if messages:
                    await self._send(client, messages)
                    continue
                waiting = asyncio.create_task(self._something.wait())
                await asyncio.wait({watching, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if watching.done():
                    await watching
        finally:
            watching.cancel()

    async def _send(self, client: Client, messages: Sequence[Message]) -> None:
        """Send some at a time; what the broker did not confirm waits again, and it raises."""
        try:
            await asyncio.gather(*(_publish(client, each) for each in self._news(messages)))
        except Exception:
            self._buffer.put_back(messages)
            raise
        sent = await asyncio.gather(
            *(_publish(client, each) for each in messages), return_exceptions=True
        )
        faults = [
            (message, fault)
            for message, fault in zip(messages, sent, strict=True)
            if isinstance(fault, BaseException)
        ]
        if faults:
            self._buffer.put_back([message for message, _ in faults])
            raise faults[0][1]

    def _news(self, messages: Sequence[Message]) -> list[Message]:
        """What Home Assistant is told before these, once for each connection."""
        base = self._broker.discovery
        if base is None:
            return []
        new = {each.of for each in messages if each.of is not None} - self._announced
        self._announced |= new
        prefix, worker = self._broker.prefix, self._worker
        return [discovery(base, prefix, worker, *each) for each in sorted(new)]

    # --- from a sweep's thread -------------------------------------------------------------

    def _published(self, entries: Sequence[Any]) -> list[int]:
        """Publish in order; the lines that the broker has confirmed."""
        taken: list[int] = []
        for entry in entries:
            client, loop = self._client, self._loop
            if client is None or loop is None:
                break
            try:
                for message in alarm_messages(self._broker.prefix, entry):
                    sending = asyncio.run_coroutine_threadsafe(_publish(client, message), loop)
                    sending.result(_ANSWER_S + 1)
            except (Exception, NotSent, NotInTime) as fault:  # noqa: BLE001 - it waits, and is said
                log.warning("mqtt.alarm_waits", entry=entry.entry_id,
                            fault=str(fault) or type(fault).__name__)  # fmt: skip
                break
            taken.append(entry.entry_id)
        return taken


async def _publish(client: Client, message: Message) -> None:
    """Returns when the broker has confirmed it."""
    await client.publish(message.topic, message.payload, qos=1, retain=message.retain)


async def _until_broken(client: Client) -> None:
    """Nothing is subscribed to: this ends only by the fault that the connection ends with."""
    async for _ in client.messages:
        pass
