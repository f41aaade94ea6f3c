"""``meterhouse read``: values of a meter, by identifier or name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from commands.output import console, exit_status, print_json
from commands.wire.lines import dlt_master, modbus_meter, require_dlt645
from commands.wire.options import is_modbus, wire_options
from commands.wire.showing import Shown, dlt_rows, modbus_rows, print_rows
from protocols.dlt645.addresses import parse_address
from protocols.dlt645.catalogue import parse_item
from protocols.dlt645.controls import Edition
from protocols.dlt645.master import Master
from protocols.transport.errors import LinkError

_WATCH_S_MIN = 1


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked again and again, once the line is open."""

    protocol: str
    ask: Callable[[], Awaitable[tuple[str, list[Shown]]]]
    """Gives who answered, and what."""


@click.command()
@click.argument("link")
@click.argument("meter", required=False)
@click.argument("items", nargs=-1, metavar="[ITEM]…")
@click.option("--address", "ask_address", is_flag=True, help="Ask who is there; takes no METER.")
@click.option(
    "--watch",
    type=click.IntRange(_WATCH_S_MIN),
    metavar="SECONDS",
    help="Read again and again, so long apart, until Ctrl-C.",
)
@wire_options
def read(
    link: str,
    meter: str | None,
    items: tuple[str, ...],
    ask_address: bool,
    watch: int | None,
    edition: Edition,
    profile: str | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Read items of a meter.

    \b
    LINK   serial:///dev/ttyUSB0?baud=2400&parity=E   DL/T 645 on a serial port
           tcp://10.0.0.7:4001                        DL/T 645 through a gateway
           modbus+tcp://10.0.0.7                      Modbus TCP
           modbus+rtu+tcp://10.0.0.7:4001             Modbus RTU through a gateway
           modbus+serial:///dev/ttyUSB0?baud=9600     Modbus RTU on a serial port
           also: &delay_ms=2000 &retries=0
    METER  up to 12 digits, AAAAAAAAAAAA for the only one; Modbus: the unit, 1-247
    ITEM   DL/T 645: 00010000, a block 0201FF00, or a name, "voltage, phase a"
           (`meterhouse items WORD…` finds them); Modbus: a name in the profile,
           none for all of them

    \b
    meterhouse read serial:///dev/ttyUSB0 --address
    meterhouse read serial:///dev/ttyUSB0 161 00010000 0201FF00
    meterhouse read modbus+tcp://10.0.0.7 1 --profile eastron-sdm630 voltage_l1
    """
    if ask_address:
        if meter is not None:
            raise click.UsageError("--address asks who is there: it takes no METER.")
        asyncio.run(_who(link, edition, trace, as_json=as_json))
        return
    if meter is None:
        raise click.UsageError("Which METER? `--address` asks for its number.")
    if is_modbus(link):
        line = _modbus(link, meter, items, profile, trace)
    else:
        line = _dlt645(link, meter, items, edition, trace)
    status = asyncio.run(_read(line, watch, as_json=as_json))
    if status:
        raise SystemExit(status)


async def _who(link: str, edition: Edition, trace: Path | None, *, as_json: bool) -> None:
    require_dlt645(link, "Asking for an address")
    async with dlt_master(link, edition, trace) as master:
        address = await master.read_address()
    if as_json:
        print_json({"address": address, "protocol": edition.value})
    else:
        console.print(address)


@asynccontextmanager
async def _dlt645(
    link: str, meter: str, items: Sequence[str], edition: Edition, trace: Path | None
) -> AsyncIterator[_Question]:
    if not items:
        raise click.UsageError("Which ITEM? For example 00010000; `meterhouse items` finds more.")
    asked = [parse_item(item, edition) for item in items]
    address = parse_address(meter, edition)
    async with dlt_master(link, edition, trace) as master:
        yield _Question(edition.value, lambda: _ask(master, address, asked))


async def _ask(master: Master, address: str, asked: Sequence[int]) -> tuple[str, list[Shown]]:
    many = await master.read_many(address, asked)
    silence = [fault for fault in many.faults.values() if isinstance(fault, LinkError)]
    if silence and not many.answers:
        raise silence[0]
    meters = {answer.meter for answer in many.answers.values()}  # not the wildcard
    return ", ".join(sorted(meters)) or address, dlt_rows(asked, many, master.edition)


@asynccontextmanager
async def _modbus(
    link: str, unit: str, items: Sequence[str], profile: str | None, trace: Path | None
) -> AsyncIterator[_Question]:
    async with modbus_meter(link, unit, profile, trace) as meter:
        names = list(items) or list(meter.profile.items)

        async def ask() -> tuple[str, list[Shown]]:
            return f"unit {meter.unit}", modbus_rows(names, await meter.read(names), meter.profile)

        yield _Question(meter.profile.name, ask)


async def _read(line: Any, watch: int | None, *, as_json: bool) -> int:
    """Ask once, or until Ctrl-C; gives the exit status of what could not be read."""
    status = 0
    async with line as question:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            at = datetime.now(UTC)
            meter, rows = await question.ask()
            _print(meter, question.protocol, at, rows, as_json=as_json)
            faults = [row.fault for row in rows if row.fault is not None]
            status = exit_status(faults[0]) if faults else 0
            if watch is None:
                return status or 0
            due = max(due + watch, clock())
            await asyncio.sleep(due - clock())


def _print(meter: str, protocol: str, at: datetime, rows: list[Shown], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "meter": meter,
                "protocol": protocol,
                "time": at.isoformat(timespec="milliseconds"),
                "items": [row.as_object() for row in rows],
            }
        )
    else:
        zone = at.astimezone()
        print_rows(f"{meter}  {zone:%Y-%m-%d %H:%M:%S}", rows)
