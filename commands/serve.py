"""``meterhouse serve``: a worker of the head-end, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from commands.counter import database_option
from commands.mqtt import mqtt_options, publisher_of
from commands.output import (
    Fault,
    UnexpectedError,
    console,
    exit_status,
    json_option,
    print_json,
)
from commands.station import open_station

if TYPE_CHECKING:
    from headend.collection.permits import Permits
    from headend.publishing.publisher import Publisher
    from headend.service.service import Limits, Ports, Service
    from headend.station import Station
    from protocols.transport import Registration, RemoteIdentity

_METRICS_PORT: Final = 9464
_LINES_MAX: Final = 400
_STOP_S: Final = 30
_INTERRUPTED: Final = 130


@click.command()
@database_option
@click.option(
    "--worker",
    "name",
    metavar="NAME",
    help="This worker's name, the same at each start.  [default: the machine's]",
)
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    help="Take calls of modems here; listen only where none but modems can call.",
)
@click.option(
    "--modem-id",
    metavar="HOW",
    default="line",
    show_default=True,
    help="How a modem says who it is: line (its name and a line end, first of all), imei "
    "(15 digits), address (by where it calls from).",
)
@click.option(
    "--calls-per-minute",
    type=click.IntRange(1, 1_000_000),
    default=60,
    show_default=True,
    help="Calls from one address; more where a network hides its modems behind one.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    default=_METRICS_PORT,
    show_default=True,
    help="/health, /ready and /metrics for this machine; 0: a free port.",
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    help="Another address lets other machines ask; nobody has to sign in there.",
)
@click.option(
    "--lines-max",
    type=click.IntRange(1, 10_000),
    default=_LINES_MAX,
    show_default=True,
    help="Lines in hand at a time; on one database the same for all workers.",
)
@click.option(
    "--stop-s",
    type=click.IntRange(2, 600),
    default=_STOP_S,
    show_default=True,
    help="How long a stop may take before what still runs is broken off.",
)
@click.option(
    "--credentials",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="METERHOUSE_CREDENTIALS",
    show_envvar=True,
    help="The operator's file of meter passwords, mode 0600.",
)
@mqtt_options
@json_option
def serve(
    database: str,
    name: str | None,
    listen: str | None,
    modem_id: str,
    calls_per_minute: int,
    metrics_port: int,
    metrics_host: str,
    lines_max: int,
    stop_s: int,
    credentials: Path | None,
    as_json: bool,
    **mqtt: Any,
) -> None:
    """Read, command and watch meters until stopped: Ctrl-C or SIGTERM, twice to end at once.

    On PostgreSQL several workers share the work, each with a name of its own; a SQLite file is
    served by one.  A worker that dies loses nothing: what it had in hand is begun again by
    another, or when it is started again.

    \b
    meterhouse serve
    meterhouse serve --listen 0.0.0.0:7000 --modem-id imei
    meterhouse serve --database postgresql://mh@db/mh --worker north --json
    """
    from headend.collection.permits import Permits
    from headend.faults import StoreUnavailableError
    from headend.service.service import Limits, Ports
    from headend.service.until_signal import run

    ports = Ports(
        modems=None if listen is None else _address(listen),
        registration=_registration(modem_id),
        calls_per_minute_max=calls_per_minute,
        figures=(metrics_host, metrics_port),
    )
    limits = Limits(lines_max=lines_max, stop_s=stop_s)
    publisher = publisher_of(**mqtt)
    with open_station(database) as station:
        configure_service_logs(as_json=as_json)

        async def work() -> None:
            permits = Permits(station, f"{name or platform.node()}/{os.getpid()}")
            service = _service(station, permits, credentials, name, ports, limits, publisher)
            try:
                await run(
                    service,
                    lambda: _say_what(service, ports, as_json=as_json),
                    stop_s=stop_s,
                    status_of=_status_of,
                )
            finally:
                with suppress(StoreUnavailableError):  # they end by themselves soon
                    await permits.aclose()

        asyncio.run(work())
    if not as_json:
        console.print("Stopped; what was not done waits for the next worker.")


def _service(
    station: Station,
    permits: Permits,
    credentials: Path | None,
    name: str | None,
    ports: Ports,
    limits: Limits,
    publisher: Publisher | None,
) -> Service:
    from commands.serving import rooms
    from headend.orders.credentials import Credentials
    from headend.service.service import Service
    from headend.talk.lines import Lines
    from headend.work.durable import DurableWork

    secrets = Credentials() if credentials is None else Credentials.read(credentials)
    lines = Lines(station, permits)
    work = DurableWork(station.engine, station.clock)
    return Service(
        station,
        work,
        lines,
        rooms(station, lines, work, secrets, publisher),
        name=name,
        ports=ports,
        limits=limits,
    )


def _status_of(fault: BaseException) -> int:
    if not isinstance(fault, Exception):
        return _INTERRUPTED
    return exit_status(fault if isinstance(fault, Fault) else UnexpectedError.of(fault))


def _say_what(service: Service, ports: Ports, *, as_json: bool) -> None:
    """What it does now, for whoever has started it."""
    figures_host = ports.figures[0] if ports.figures else ""
    if as_json:
        print_json(
            {
                "event": "serving",
                "worker": service.name,
                "modem_port": service.modem_port,
                "metrics": f"http://{figures_host}:{service.figures_port}/metrics",
            }
        )
        return
    console.print(f"Worker {service.name} is at work; Ctrl-C stops it.")
    if service.modem_port is not None and ports.modems is not None:
        console.print(f"Modems call {ports.modems[0]}:{service.modem_port}.")
    console.print(f"Figures: http://{figures_host}:{service.figures_port}/metrics, /health, /ready")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise click.BadParameter(f"{text!r} is no [HOST:]PORT, e.g. 7000 or 10.0.0.1:7000.")
    return host.strip("[]") or "0.0.0.0", int(port)


def _registration(how: str) -> Registration | RemoteIdentity:
    from protocols.transport import Registration, RemoteIdentity

    ways: dict[str, Callable[[], Registration | RemoteIdentity]] = {
        "line": lambda: Registration(
            pattern=re.compile(rb"(?P<id>[!-~]{1,64})\r?"), delimiter=b"\n"
        ),
        "imei": lambda: Registration(pattern=re.compile(rb"(?P<id>[0-9]{15})"), length=15),
        "address": lambda: RemoteIdentity.ADDRESS,
    }
    if how not in ways:
        raise click.BadParameter(f"--modem-id is one of {', '.join(ways)}, not {how!r}.")
    return ways[how]()


def configure_service_logs(*, as_json: bool) -> None:
    """The service's own log: lines for people on standard error, or JSON on standard output.

    Tracebacks come without the variables' values: these hold tokens and passwords.
    """
    import structlog

    shape: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([tracebacks] if as_json else []),
            shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout if as_json else sys.stderr),
    )
