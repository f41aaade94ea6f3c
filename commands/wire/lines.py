"""From LINK to somebody to talk to, and back to a closed port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from protocols.dlt645.controls import Edition
from protocols.dlt645.master import Master
from protocols.transport import (
    LineSettings,
    LinkOptions,
    LinkUrlError,
    Priority,
    Trace,
    TraceWriter,
    open_link,
    take_link_options,
)

if TYPE_CHECKING:  # pymodbus is loaded only for a Modbus link
    from protocols.modbus import ModbusMeter, Profile

FACTORY_LINES: Final = {
    Edition.Y2007: LineSettings(baud=2400),
    Edition.Y1997: LineSettings(baud=1200),
}
"""RS-485 as it leaves the factory, where a URL gives no speed (spec section 1)."""


@contextmanager
def opened_trace(path: Path | None, url: str) -> Iterator[Trace | None]:
    """What a link tells its bytes to; None without ``--trace``.

    Raises:
        TraceFileError: the file cannot be written, or is no trace.
    """
    if path is None:
        yield None
        return
    with TraceWriter(path) as writer:
        yield writer.link(url)
        if writer.error is not None:
            click.echo(f"The trace {path} is not complete: {writer.error}.", err=True)


@asynccontextmanager
async def dlt_master(url: str, edition: Edition, trace: Path | None) -> AsyncIterator[Master]:
    """A master on a link.

    Raises:
        LinkUrlError, LinkDown, TraceFileError: see `open_link`, `opened_trace`.
    """
    with opened_trace(trace, url) as keeper:
        plain, options = take_link_options(url, LinkOptions(trace=keeper))
        link = await open_link(plain, line=FACTORY_LINES[edition], options=options)
        try:
            yield Master(link, edition, priority=Priority.ON_DEMAND)
        finally:
            await link.aclose()


@asynccontextmanager
async def modbus_meter(
    url: str, unit: str, profile: str | None, trace: Path | None
) -> AsyncIterator[ModbusMeter]:
    """A Modbus meter on a link.

    Raises:
        click.UsageError: no profile, or a unit that is none.
        ProfileError, LinkUrlError, LinkDown, TraceFileError: see `load_profile`, `open_bus`.
    """
    from protocols.modbus import ModbusMeter, open_bus

    found = find_profile(profile)
    number = parse_unit(unit)
    with opened_trace(trace, url) as keeper:
        bus = await open_bus(url, line=found.line, trace=keeper)
        try:
            yield ModbusMeter(bus, found, number, priority=Priority.ON_DEMAND)
        finally:
            await bus.aclose()


def find_profile(name: str | None) -> Profile:
    """A profile that comes with meterhouse, or one of a file.

    Raises:
        click.UsageError: none is given.
        ProfileError: it does not exist or has a mistake.
    """
    from protocols.modbus import load_profile, read_profile

    if name is None:
        raise click.UsageError(
            "A Modbus meter needs --profile, which says what its registers mean: "
            "`meterhouse profile list` shows them."
        )
    if name.endswith(".toml") or "/" in name:
        return read_profile(Path(name))
    return load_profile(name)


def parse_unit(text: str) -> int:
    """A Modbus address.

    Raises:
        click.UsageError: it is none.
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 247):
        raise click.UsageError(f"METER of a Modbus link is its unit address, 1-247, not {text!r}.")
    return int(text)


def require_dlt645(url: str, what: str) -> None:
    """Refuse a Modbus link where only DL/T 645 has something.

    Raises:
        LinkUrlError: it is one.
    """
    if url.startswith("modbus+"):
        raise LinkUrlError(f"{what} is a matter of DL/T 645; {url!r} is a Modbus link.")
