"""``meterhouse notice listen``: what providers tell of short messages."""

from __future__ import annotations

import asyncio

import click

from commands.counter import database_option
from commands.listening import host_option, listen_until_told
from commands.office import open_office
from commands.output import error_console


@click.command()
@host_option
@click.option("--port", type=click.IntRange(0, 65_535), default=8471, show_default=True)
@database_option
def listen(host: str, port: int, database: str) -> None:
    """Take providers' reports of delivery, signed, until Ctrl-C or SIGTERM.

    A provider posts to /sms (the channel's name), by way of your reverse proxy, which does TLS;
    /health answers whoever watches.
    """
    from billing.notices.reports import Reports, signature_headers
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.SERVE)
        reports = Reports(office, signature_headers(office))
        asyncio.run(listen_until_told(reports.receive, reports.headers, host, port))
        error_console.print(f"{reports.taken} reports taken, {reports.refused} refused.")
