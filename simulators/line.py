"""A serial line that takes its time: a pty whose bytes come at the speed of a real one.

A pty knows no baud and passes bytes on at once.  Here each character takes as long as it would
on the wire, both ways and independently, so that time-outs and throughput are those of the
field.  The near end is a tty that any program can open (`SerialLine.path`); the far end, where
the meters hang, is in this process: `SerialLine.send` and the ``received`` callback.

Times come from the event loop.  Characters are handed over in pieces of about
`PIECE_S`, each not before its last character is complete, and the schedule is absolute: timers
that wake late do not make the line slower.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocols.transport.address import LineSettings

PIECE_S: Final = 0.005
_QUEUE_BYTES_MAX: Final = 65_536
_READ_BYTES: Final = 4096


class Pacer:
    """One direction of a line."""

    def __init__(self, character_s: float, deliver: Callable[[bytes], None]) -> None:
        """Hand bytes to ``deliver``, one character per ``character_s`` seconds; 0: at once."""
        self._character_s = character_s
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._queue = bytearray()
        self._next_at = 0.0
        """When the first character of the queue is complete."""
        self._timer: asyncio.TimerHandle | None = None
        self.lost_bytes = 0
        """Put while the queue was full."""

    @property
    def busy(self) -> bool:
        """Whether characters are on their way."""
        return bool(self._queue)

    def put(self, data: bytes) -> None:
        """Send after what is on its way already."""
        if not self._character_s:
            self._deliver(data)
            return
        room = _QUEUE_BYTES_MAX - len(self._queue)
        self.lost_bytes += max(0, len(data) - room)
        if not self._queue:
            self._next_at = max(self._next_at, self._loop.time() + self._character_s)
        self._queue += data[:room]
        if self._timer is None:
            self._arm()

    def stop(self) -> None:
        """Forget what is on its way."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        last_at = self._next_at + (len(self._queue) - 1) * self._character_s
        self._timer = self._loop.call_at(min(last_at, self._next_at + PIECE_S), self._wake)

    def _wake(self) -> None:
        self._timer = None
        complete = int((self._loop.time() - self._next_at) / self._character_s + 1.001)
        if complete > 0:
            piece = bytes(self._queue[:complete])
            del self._queue[:complete]
            self._next_at += len(piece) * self._character_s
            self._deliver(piece)
        if self._queue and self._timer is None:
            self._arm()


class SerialLine:
    """A pty with the speed of a serial line."""

    def __init__(
        self,
        line: LineSettings | None,
        received: Callable[[bytes], None],
        *,
        echo: bool = False,
        link: Path | None = None,
    ) -> None:
        """Open the pty; needs a running event loop.

        Args:
            line: speed and character; None: as fast as it goes.
            received: takes what the near end sent, as it comes off the line.
            echo: the near end hears itself, as with many RS-485 adapters.
            link: a name for the near end that stays the same (a symbolic link is made).

        Raises:
            OSError: no pty is left, or the name is taken.
        """
        self._loop = asyncio.get_running_loop()
        self._received = received
        self._echo = echo
        self._link = link
        self._master, self._slave = os.openpty()
        self.lost_bytes = 0
        """Sent to the near end while nobody there read them."""
        self.collisions = 0
        """Times that both ends sent at once, which a two-wire bus would not survive."""
        try:
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.path = os.ttyname(self._slave)
            if link is not None:
                link.symlink_to(self.path)
                self.path = str(link)
        except BaseException:
            os.close(self._master)
            os.close(self._slave)
            raise
        character_s = line.duration_s(1) if line else 0.0
        self._to_meters = Pacer(character_s, self._arrive_at_meters)
        self._to_near_end = Pacer(character_s, self._write)
        self._loop.add_reader(self._master, self._read)

    def send(self, data: bytes) -> None:
        """Send from the meters' end."""
        if self._to_meters.busy:
            self.collisions += 1
        self._to_near_end.put(data)

    def close(self) -> None:
        """Hang up: whoever has the near end open loses it, as when an adapter is unplugged."""
        if self._master < 0:
            return
        self._loop.remove_reader(self._master)
        self._to_meters.stop()
        self._to_near_end.stop()
        os.close(self._master)
        os.close(self._slave)
        self._master = -1
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            data = os.read(self._master, _READ_BYTES)
        except BlockingIOError:
            return
        if self._to_near_end.busy:
            self.collisions += 1
        self._to_meters.put(data)

    def _arrive_at_meters(self, data: bytes) -> None:
        if self._echo:
            self._write(data)
        self._received(data)

    def _write(self, data: bytes) -> None:
        if self._master < 0:
            return
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        self.lost_bytes += len(data) - written
