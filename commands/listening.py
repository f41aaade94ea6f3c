"""Listening for what others post to us, until somebody ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from commands.output import error_console

if TYPE_CHECKING:
    from billing.payments.web_hook.receiving import Receive

host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, help="On which address."
)


async def listen_until_told(receive: Receive, names: Iterable[str], host: str, port: int) -> None:
    """Have everything that is posted answered, until Ctrl-C or SIGTERM.

    Args:
        receive: answers one message.
        names: the paths that there are.
        host: the address.
        port: 0: a free one.

    Raises:
        ChannelDownError: the port cannot be opened.
    """
    from billing.payments.web_hook.listener import Listener

    listener = Listener(receive)
    bound = await listener.open(host, port)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    error_console.print(
        f"Listening on http://{host}:{bound} for {', '.join(sorted(names))}. Ctrl-C ends it."
    )
    try:
        await told.wait()
    finally:
        await listener.aclose()
