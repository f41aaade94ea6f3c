"""Sending a print to a printer: over the network (port 9100), or to a device file.

Nothing is asked back: most till printers do not answer.  A printer that takes nothing is given
up after a few seconds, so that a till never stands still for paper; the receipt is stored.
"""

from __future__ import annotations

import os
import re
import select
import socket
import time
from typing import Final

from vending.receipts.faults import PrinterSettingError, PrinterUnavailableError

_TIMEOUT_S: Final = 5.0
_PORT: Final = 9100
_TCP: Final = re.compile(
    r"tcp://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(?::(?P<port>[0-9]{1,5}))?/?"
)
_PORT_MAX: Final = 65_535


def send(content: bytes, printer: str, *, timeout_s: float = _TIMEOUT_S) -> None:
    """Send what `receipt_escpos` made to a printer.

    Args:
        content: ESC/POS commands.
        printer: ``tcp://HOST`` or ``tcp://HOST:PORT``, or a device like ``/dev/usb/lp0``.
        timeout_s: how long the printer may take nothing.

    Raises:
        PrinterSettingError: that is no printer's address.
        PrinterUnavailableError: it does not answer, or stopped taking data (paper, lid).
    """
    address = require_address(printer)
    if address is None:
        _send_device(content, printer, timeout_s)
    else:
        _send_tcp(content, address, printer, timeout_s)


def require_address(printer: str) -> tuple[str, int] | None:
    """A printer's host and port; None when it is a device's path.

    Raises:
        PrinterSettingError: neither.
    """
    if printer.startswith("/"):
        return None
    match = _TCP.fullmatch(printer)
    if match is None:
        raise PrinterSettingError(
            f"{printer!r} is no printer: write tcp://HOST:9100, or a device like /dev/usb/lp0."
        )
    port = int(match["port"] or _PORT)
    if not 0 < port <= _PORT_MAX:
        raise PrinterSettingError(f"{printer}: a port is a number from 1 to {_PORT_MAX}.")
    return match["host"].strip("[]"), port


def _send_tcp(content: bytes, address: tuple[str, int], printer: str, timeout_s: float) -> None:
    try:
        with socket.create_connection(address, timeout=timeout_s) as line:
            line.sendall(content)  # within the time-out as a whole
            line.shutdown(socket.SHUT_WR)
    except OSError as fault:
        raise _unavailable(printer, fault) from fault


def _send_device(content: bytes, path: str, timeout_s: float) -> None:
    try:
        # non-blocking: a printer without paper takes nothing, for as long as it has none
        device = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as fault:
        raise _unavailable(path, fault) from fault
    try:
        _write(device, content, timeout_s)
    except OSError as fault:
        raise _unavailable(path, fault) from fault
    finally:
        os.close(device)


def _write(device: int, content: bytes, timeout_s: float) -> None:
    rest = memoryview(content)
    deadline = time.monotonic() + timeout_s
    while rest:
        wait = deadline - time.monotonic()
        if wait <= 0 or not select.select([], [device], [], wait)[1]:
            raise TimeoutError("it takes no data; look at its paper and its lid")
        try:
            rest = rest[os.write(device, rest) :]
        except BlockingIOError:
            continue
        deadline = time.monotonic() + timeout_s


def _unavailable(printer: str, fault: OSError) -> PrinterUnavailableError:
    why = fault.strerror or str(fault) or type(fault).__name__
    return PrinterUnavailableError(
        f"The printer {printer} could not be used: {why}. The receipt is stored and can be "
        "printed again."
    )
