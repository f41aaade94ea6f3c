"""A real broker on a free port of the loopback, and somebody who listens to it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
from amqtt.broker import Broker as RealBroker  # type: ignore[import-untyped]


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def broker(port: int) -> AsyncIterator[RealBroker]:
    """A broker that forgets everything when it ends."""
    real = RealBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
        }
    )
    await real.start()
    try:
        yield real
    finally:
        await real.shutdown()


class Heard:
    """What a subscriber has been given, retained or new."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, bool]] = []

    def of(self, topic: str) -> list[str]:
        """Payloads of a topic, in the order of their coming."""
        return [payload for each, payload, _ in self.all if each == topic]

    def document(self, topic: str) -> dict[str, Any]:
        """The last payload of a topic."""
        found: dict[str, Any] = json.loads(self.of(topic)[-1])
        return found

    async def until(self, topic: str, count: int = 1) -> list[str]:
        """Wait for so many of a topic."""
        async with asyncio.timeout(20):
            while len(self.of(topic)) < count:
                await asyncio.sleep(0.02)
        return self.of(topic)


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Heard]:
    """Somebody who hears everything."""
    heard = Heard()

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            heard.all.append((str(message.topic), message.payload.decode(), bool(message.retain)))

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("#", qos=1)
        task = asyncio.create_task(listen(client))
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
