"""Serial ports: opened and set by pyserial, carried by asyncio's own pipe transports.

pyserial knows what a port can do (any speed, mark and space parity, RS-485 direction by the
kernel, exclusive use); its asynchronous companions are not maintained, and `serialx`, which is,
has no RS-485 and no 1.5 stop bits.  A tty is a character device, so asyncio reads and writes
it without further help.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import termios
from pathlib import Path
from typing import Final

import serial
from serial.rs485 import RS485Settings

from protocols.transport.address import Rs485, SerialAddress
from protocols.transport.channel import Channel, Lost, Received
from protocols.transport.errors import LinkDown

_PTY_MAJORS: Final = range(136, 144)
_STOP_BITS: Final = {
    "1": serial.STOPBITS_ONE,
    "1.5": serial.STOPBITS_ONE_POINT_FIVE,
    "2": serial.STOPBITS_TWO,
}


class SerialChannel(Channel):
    """Two transports on one port: this protocol reads, a pipe beside it writes."""

    def __init__(self, received: Received, lost: Lost, port: serial.Serial) -> None:
        super().__init__(received, lost)
        self._port = port
        self._reader: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the reading half; `writes_to` sets the other."""
        assert isinstance(transport, asyncio.ReadTransport)
        self._reader = transport
        self._watch(self._port.fileno())

    def connection_lost(self, exc: Exception | None) -> None:
        """The port is gone (unplugged, or the other end of a pty closed)."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        self._closed.set()
        self._report(str(exc) if exc else "the port is gone")

    def writes_to(self, transport: asyncio.WriteTransport) -> None:
        """Take the writing half."""
        self._transport = transport

    def abort(self) -> None:
        """Close both halves; what has not left yet is thrown away, or closing would wait for it."""
        if self._port.is_open:
            with contextlib.suppress(OSError, termios.error):  # it may be unplugged
                self._port.reset_output_buffer()
        super().abort()
        if self._reader is not None:
            self._reader.close()


class _Writer(asyncio.BaseProtocol):
    """Sees the writing half break, and ends the channel."""

    def __init__(self, channel: SerialChannel) -> None:
        self._channel = channel

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._channel.connection_lost(exc)


async def open_serial(address: SerialAddress, received: Received, lost: Lost) -> Channel:
    """Open and set a port; what it had received before is thrown away.

    Raises:
        LinkDown: there is no such port, another program has it, or it lacks what is asked for.
    """
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, _open, address)
    try:
        port = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise
    except termios.error as error:
        raise LinkDown(f"{address} cannot be set to {address.line}: {error}.") from error
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise LinkDown(f"{address} cannot be opened: {error}.") from error
    channel = SerialChannel(received, lost, port)
    writing = os.fdopen(os.dup(port.fileno()), "wb", buffering=0)
    try:
        transport, _ = await loop.connect_write_pipe(lambda: _Writer(channel), writing)
        channel.writes_to(transport)
        await loop.connect_read_pipe(lambda: channel, port)
    except BaseException:
        writing.close()
        port.close()
        raise
    return channel


def _open(address: SerialAddress) -> serial.Serial:
    line = address.line
    # A pty has 8 bits and no parity, and the C library refuses to ask for anything else.
    virtual = _is_pty(address.path)
    port = serial.Serial(
        port=address.path,
        baudrate=line.baud,
        bytesize=serial.EIGHTBITS if virtual else line.bits,
        parity=serial.PARITY_NONE if virtual else line.parity.value,
        stopbits=_STOP_BITS[line.stop.value],
        timeout=0,
        exclusive=address.exclusive or None,
    )
    try:
        if address.rs485 is not None:
            _set_rs485(port, address.rs485)
    except BaseException:
        port.close()
        raise
    return port


def _is_pty(path: str) -> bool:
    """Whether this is the near end of a Unix 98 pty (Linux)."""
    status = Path(path).stat()
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in _PTY_MAJORS


def _set_rs485(port: serial.Serial, rs485: Rs485) -> None:
    try:
        port.rs485_mode = RS485Settings(
            rts_level_for_tx=rs485.rts_on_send,
            rts_level_for_rx=not rs485.rts_on_send,
            loopback=rs485.echo,
            delay_before_tx=rs485.before_ms / 1000,
            delay_before_rx=rs485.after_ms / 1000,
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            "its driver cannot switch an RS-485 direction; leave rs485= away if the adapter "
            f"does so by itself ({error})"
        ) from error


def _close_unwanted(opening: asyncio.Future[serial.Serial]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
