"""TCP connections that we open: serial servers, gateways, concentrators."""

from __future__ import annotations

import asyncio
import socket

from protocols.transport.address import TcpAddress
from protocols.transport.channel import Channel, Lost, Received
from protocols.transport.errors import LinkDown

_PROBES = 3
_PROBE_PAUSE_S = 10


async def open_tcp(
    address: TcpAddress,
    received: Received,
    lost: Lost,
    *,
    connect_s: float,
    keepalive_s: int,
) -> Channel:
    """Connect, trying each address that the name has.

    Raises:
        LinkDown: nobody listens there, or does not answer in ``connect_s`` seconds.
    """
    loop = asyncio.get_running_loop()
    channel = Channel(received, lost)
    try:
        async with asyncio.timeout(connect_s):
            transport, _ = await loop.create_connection(
                lambda: channel, address.host, address.port, happy_eyeballs_delay=0.25
            )
    except TimeoutError:
        raise LinkDown(f"{address} did not accept a connection in {connect_s:g} s.") from None
    except OSError as error:
        raise LinkDown(f"{address} cannot be reached: {error}.") from error
    keep_alive(transport, keepalive_s)
    return channel


def keep_alive(transport: asyncio.BaseTransport, keepalive_s: int) -> None:
    """Have a half-open connection found out, in about ``keepalive_s`` + 30 seconds.

    Sent bytes that nobody acknowledges break it in the same time (Linux).
    """
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    limit_ms = (keepalive_s + _PROBES * _PROBE_PAUSE_S) * 1000
    for name, value in (
        ("TCP_KEEPIDLE", keepalive_s),
        ("TCP_KEEPINTVL", _PROBE_PAUSE_S),
        ("TCP_KEEPCNT", _PROBES),
        ("TCP_USER_TIMEOUT", limit_ms),
    ):
        if option := getattr(socket, name, None):  # not every system has them all
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
