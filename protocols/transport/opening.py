"""From a URL to a link."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from protocols.transport.address import LineSettings, SerialAddress, parse_link_url
from protocols.transport.channel import Channel, Lost, Received
from protocols.transport.link import Link
from protocols.transport.options import LinkOptions, Reach
from protocols.transport.serial_port import open_serial
from protocols.transport.tcp import open_tcp


async def open_link(
    url: str,
    *,
    line: LineSettings | None = None,
    options: LinkOptions | None = None,
    connect: bool = True,
    before_connect: Callable[[], Awaitable[None]] | None = None,
) -> Link:
    """Open a line by its URL.

    Args:
        url: ``serial:///dev/ttyUSB0?baud=2400&parity=E`` or ``tcp://host:port``; see `address`.
        line: speed and character where the URL gives none, by the protocol's custom.
        options: None: `LinkOptions` as they come.
        connect: False: the first request opens it.
        before_connect: waited for before each connection, those after a break too; what it
            raises is raised by the request that wanted the connection.

    Raises:
        LinkUrlError: the URL makes no sense.
        LinkDown: it cannot be opened now.
    """
    address = parse_link_url(url, line)
    settings = options or LinkOptions()

    async def connected(received: Received, lost: Lost) -> Channel:
        if before_connect is not None:
            await before_connect()
        if isinstance(address, SerialAddress):
            return await open_serial(address, received, lost)
        return await open_tcp(
            address,
            received,
            lost,
            connect_s=settings.connect_ms / 1000,
            keepalive_s=settings.keepalive_s,
        )

    link = Link(
        str(address),
        connect=connected,
        options=settings,
        line=address.line,
        reach=Reach.SERIAL if isinstance(address, SerialAddress) else Reach.NETWORK,
    )
    if connect:
        try:
            await link.connect()
        except (Exception, asyncio.CancelledError):
            await link.aclose()
            raise
    return link
