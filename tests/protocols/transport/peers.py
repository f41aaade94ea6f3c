"""A small protocol of lines, for links only: ``?meter:question`` and ``!meter:question=x``."""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec

from protocols.errors import RemoteProtocolError
from protocols.transport import LinkOptions

P = ParamSpec("P")

IMPATIENT = LinkOptions(
    delay_ms_first=300, delay_ms_max=600, margin_ms=50, retries=0, backoff_ms_first=20
)
"""Silence is cheap in tests, yet long enough for a machine that is busy."""


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@dataclass
class Ask:
    """An exchange of this protocol."""

    meter: str
    question: str = "q"
    repeatable: bool = True
    answer_expected: bool = True
    answer_bytes_max: int = 32
    seen: list[bytes] = field(default_factory=list)
    _buffer: bytes = b""

    @property
    def request(self) -> bytes:
        return f"?{self.meter}:{self.question}\n".encode()

    def receive(self, data: bytes) -> str | None:
        self.seen.append(data)
        if not data:
            self._buffer = b""
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            head, _, value = line.partition(b"=")
            if head == f"!{self.meter}:{self.question}".encode():
                if value == b"broken":
                    raise RemoteProtocolError("a broken answer")
                return value.decode()
        return None


def answer_to(question: bytes, value: str = "1") -> bytes:
    """The right answer to a request line (without its end)."""
    return b"!" + question.removeprefix(b"?") + b"=" + value.encode() + b"\n"


class Caller:
    """A gateway's view of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def question(self) -> bytes:
        """The next request line, without its end; raises at the end of the stream."""
        return (await self.reader.readuntil(b"\n"))[:-1]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection the hard way (RST)."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Gateway:
    """A TCP server that does what a test says; counts connections."""

    def __init__(self, serve: Callable[[Caller], Awaitable[None]]) -> None:
        self._serve = serve
        self.connections = 0
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(Caller(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def gateway(serve: Callable[[Caller], Awaitable[None]]) -> Any:
    """A gateway for the length of a block."""
    behaviour = Gateway(serve)
    server = await asyncio.start_server(behaviour.handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    behaviour.url = f"tcp://{host}:{port}"
    try:
        yield behaviour
    finally:
        server.close()


async def answer_all(caller: Caller) -> None:
    """Every meter answers at once."""
    while True:
        await caller.send(answer_to(await caller.question()))
