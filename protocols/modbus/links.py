"""Modbus URLs: which link, and what travels on it.

=====================================  =====================================================
``serial:///dev/ttyUSB0?baud=9600``    RTU on a serial port (``modbus+serial:`` is the same)
``modbus+tcp://10.0.0.7``              Modbus TCP; port 502 unless given
``modbus+rtu+tcp://10.0.0.7:4001``     RTU through a gateway that hands bytes on as they come
``tcp://10.0.0.7:4001``                the same
=====================================  =====================================================

Options are those of `protocols.transport.address` and `protocols.transport.url_options`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from protocols.modbus.bus import ModbusBus
from protocols.modbus.framing import Framing
from protocols.transport.address import LineSettings, Parity, SerialAddress, parse_link_url
from protocols.transport.errors import LinkUrlError
from protocols.transport.opening import open_link
from protocols.transport.options import LinkOptions
from protocols.transport.trace import Trace
from protocols.transport.url_options import take_link_options

FACTORY_LINE: Final = LineSettings(baud=9600, parity=Parity.NONE)
"""What most Modbus meters leave the factory with."""
TCP_PORT: Final = 502
_GAP_CHARACTERS: Final = 3.5
_GAP_MS_MIN: Final = 1.75
"""Modbus over Serial Line V1.02, clause 2.5.1.1: above 19200 the gap does not shrink further."""
_SCHEMES: Final = {
    "serial": ("serial", Framing.RTU),
    "modbus+serial": ("serial", Framing.RTU),
    "tcp": ("tcp", Framing.RTU),
    "modbus+rtu+tcp": ("tcp", Framing.RTU),
    "modbus+tcp": ("tcp", Framing.TCP),
}


def parse_bus_url(url: str) -> tuple[str, Framing]:
    """A link's URL, and what travels on it.

    Raises:
        LinkUrlError: the scheme is none of Modbus.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise LinkUrlError(
            f"{url!r} is no Modbus link; write modbus+tcp://host, modbus+rtu+tcp://host:port or "
            "serial:///dev/ttyUSB0?baud=9600."
        )
    plain, framing = _SCHEMES[scheme]
    if framing is Framing.TCP:
        rest = _with_port(rest)
    return f"{plain}://{rest}", framing


async def open_bus(
    url: str,
    *,
    line: LineSettings | None = None,
    options: LinkOptions | None = None,
    trace: Trace | None = None,
    connect: bool = True,
    before_connect: Callable[[], Awaitable[None]] | None = None,
) -> ModbusBus:
    """Open a link and speak Modbus on it; close it with `ModbusBus.aclose`.

    Args:
        url: see above.
        line: what a serial URL leaves out, for example a profile's factory settings.
        options: None: `LinkOptions` with the gap that RTU needs on a serial port.
        trace: sees each frame.
        connect, before_connect: see `open_link`.

    Raises:
        LinkUrlError: the URL makes no sense.
        LinkDown: it cannot be opened now.
    """
    plain, framing = parse_bus_url(url)
    if plain.startswith("serial:"):
        line = line or FACTORY_LINE
    if options is None:
        plain, options = take_link_options(plain, LinkOptions(gap_ms=_gap_ms(plain, line)))
    if trace is not None:
        options = replace(options, trace=trace)
    link = await open_link(
        plain, line=line, options=options, connect=connect, before_connect=before_connect
    )
    return ModbusBus(link, framing)


def _gap_ms(url: str, line: LineSettings | None) -> float:
    """The silence that RTU needs on a serial port of ours; a gateway keeps it by itself."""
    plain, _ = take_link_options(url, LinkOptions())
    address = parse_link_url(plain, line)
    if not isinstance(address, SerialAddress):
        return 0
    return max(address.line.duration_s(_GAP_CHARACTERS) * 1000, _GAP_MS_MIN)


def _with_port(rest: str) -> str:
    """``host/?a=b`` with port 502 where it names none."""
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, tail = rest[:end], rest[end:]
    has_port = ":" in host.rpartition("]")[2]
    return rest if has_port or not host else f"{host}:{TCP_PORT}{tail}"
