"""A few lines of HTTP for providers' messages: ``POST /<channel>``, one a connection; ``GET
/health`` for whoever watches.

It is bound to the loopback unless told otherwise: TLS and the way in from the internet are a
reverse proxy's, whose work they are.

A request comes whole within some seconds.  When all places are taken, somebody who has not said all
yet gives way: the longest there of the address that holds most of them.  An honest message is there
in milliseconds, so that whoever opens connections and says nothing takes no place from it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from billing.payments.faults import ChannelDownError
from billing.payments.web_hook.receiving import Answer, Receive

log = structlog.get_logger("billing.payments")
HEAD_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 64 * 1024
REQUEST_S_MAX: Final = 10.0
_ANSWER_S_MAX: Final = 10.0
_AT_A_TIME_MAX: Final = 64
_THREADS: Final = 8
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class _Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The request is answered before anybody looks into it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.answer = Answer(status, words + "\n")


class Listener:
    """Listens for providers' messages.

    Args:
        receive: answers one message; runs in one of a few threads.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._threads = ThreadPoolExecutor(_THREADS, "payment")
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self._reading: dict[asyncio.StreamWriter, str] = {}
        """Who has not said all yet, with their addresses, the longest there first."""

    async def open(self, host: str, port: int) -> int:
        """Open the port and give its number.

        Raises:
            ChannelDownError: it cannot be opened.
        """
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=HEAD_BYTES_MAX)
        except OSError as fault:
            raise ChannelDownError(
                f"Port {port} of {host} cannot be opened: {fault.strerror}. Choose another with "
                "--port."
            ) from None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def aclose(self) -> None:
        """Take no more, answer what has come."""
        if self._server is not None:
            self._server.close()
        if self._busy:
            await asyncio.wait(self._busy, timeout=_ANSWER_S_MAX)
        self._threads.shutdown(wait=False)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._busy) >= _AT_A_TIME_MAX and not self._make_room():
            writer.close()
            return
        self._busy.add(task)
        try:
            answer = await self._answer(reader, writer)
            writer.write(_response(answer))
            async with asyncio.timeout(_ANSWER_S_MAX):
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # whoever posted has gone; if it was taken, the next try finds it
        finally:
            self._busy.discard(task)
            writer.close()

    def _make_room(self) -> bool:
        held = Counter(self._reading.values())
        most = max(held.values(), default=0)
        for writer, address in self._reading.items():
            if held[address] == most:
                del self._reading[writer]
                writer.transport.abort()
                return True
        return False

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        self._reading[writer] = str((writer.get_extra_info("peername") or ("",))[0])
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                channel, headers, body = await _request(reader)
        except _Refused as refused:
            return refused.answer
        except TimeoutError:
            return Answer(408, "The request did not come in time.\n")
        finally:
            self._reading.pop(writer, None)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._receive, channel, headers, body)
        except Exception:  # one message's fault must not end the others'
            log.exception("payment.receive_failed", channel=channel)
            return Answer(500, "try again later\n")


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Path without its slash, headers in lower case, body."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _Refused(413, "The head of the request is too long.") from None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused(400, "This is no HTTP request.")
    method, target = words[0], words[1]
    if method == "GET" and target == "/health":
        raise _Refused(200, "up")
    if method != "POST":
        raise _Refused(405, "Payments are posted.")
    headers = _headers(lines)
    if "transfer-encoding" in headers or "content-length" not in headers:
        raise _Refused(411, "Say how long the body is; it is taken in one piece.")
    length = headers["content-length"]
    if not (length.isascii() and length.isdigit()):
        raise _Refused(400, "The length of the body is no number.")
    if len(length) > 9 or int(length) > BODY_BYTES_MAX:
        raise _Refused(413, f"A message has at most {BODY_BYTES_MAX} bytes.")
    return target.partition("?")[0].strip("/"), headers, await reader.readexactly(int(length))


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not key or key != key.strip():
            raise _Refused(400, "A header is malformed.")
        if key in headers:  # two lengths, two signatures: which one would be meant?
            if key in ("content-length", "transfer-encoding") or "signature" in key:
                raise _Refused(400, f"The header {key} is there twice.")
            continue
        headers[key] = value.strip()
    return headers


def _response(answer: Answer) -> bytes:
    body = answer.body.encode()
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Error')}\r\n"
        f"Content-Type: {answer.media_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
