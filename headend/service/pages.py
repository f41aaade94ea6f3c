"""/health, /ready and /metrics: a few lines of HTTP, on this machine alone unless told otherwise.

Whoever is asked here knows nothing secret; still it is bound to the loopback by default, because
figures tell strangers more than they should know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from protocols.transport.errors import LinkDown

_REQUEST_BYTES_MAX: Final = 8192
_REQUEST_S_MAX: Final = 5.0
_AT_A_TIME_MAX: Final = 16
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Page:
    """What is answered: status, media type, body."""

    __slots__ = ("body", "media_type", "status")

    def __init__(self, status: int, body: bytes, media_type: str = "text/plain") -> None:
        self.status = status
        self.body = body
        self.media_type = media_type

    @classmethod
    def of(cls, status: int, value: Mapping[str, object]) -> Page:
        """A JSON document."""
        return cls(status, json.dumps(value).encode() + b"\n", "application/json")


class Pages:
    """The pages of one worker."""

    def __init__(self, pages: Mapping[str, Callable[[], Awaitable[Page]]]) -> None:
        self._pages = dict(pages)
        self._server: asyncio.Server | None = None
        self._busy = 0

    async def open(self, host: str, port: int) -> int:
        """Open the port and give its number.

        Raises:
            LinkDown: the port cannot be opened.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, host, port, limit=_REQUEST_BYTES_MAX
            )
        except OSError as fault:
            raise LinkDown(
                f"Port {port} of {host} cannot be opened for figures: {fault.strerror}. "
                "Choose another with --metrics-port."
            ) from None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def aclose(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._busy >= _AT_A_TIME_MAX:
            writer.close()
            return
        self._busy += 1
        try:
            async with asyncio.timeout(_REQUEST_S_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
            page, bare = await self._answer(head)
            writer.write(_response(page, bare=bare))
            async with asyncio.timeout(_REQUEST_S_MAX):
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or did not ask properly
        finally:
            self._busy -= 1
            writer.close()

    async def _answer(self, head: bytes) -> tuple[Page, bool]:
        words = head.partition(b"\r\n")[0].split()
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return Page(400, b"This is no HTTP request.\n"), False
        method, target = words[0].decode("latin-1"), words[1].decode("latin-1")
        if method not in ("GET", "HEAD"):
            return Page(405, b"Only GET and HEAD are answered.\n"), False
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            names = ", ".join(sorted(self._pages))
            return Page(404, f"There are {names}.\n".encode()), method == "HEAD"
        return await page(), method == "HEAD"


def _response(page: Page, *, bare: bool) -> bytes:
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\n"
        f"Content-Type: {page.media_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if bare else page.body)
