"""A wire between a worker and a meter that counts what matters, and may cut somebody off.

It counts the frames that change a meter (DL/T 645: 1CH, 14H, 08H, 03H except reads; Modbus:
function 16), since "sent once" is a claim about the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import update

from headend.registry.tables import links

if TYPE_CHECKING:
    from tests.headend.orders.scene import Scene

_START: Final = 0x68
_SHIFT: Final = 0x33
_CHANGES: Final = {0x1C: "relay", 0x14: "write", 0x08: "clock"}
_SECURITY: Final = 0x03
_PAYMENTS: Final = (0x070101FF, 0x070102FF)


@dataclass
class Tap:
    """One listening port in front of one other."""

    target: tuple[str, int]
    is_modbus: bool = False
    at_request: Callable[[int], None] = lambda _number: None
    """Called when the n-th request has come, before the meter has it."""
    at_answer: Callable[[int], None] = lambda _number: None
    """Called when the meter has answered the n-th request, before the worker has it."""
    changes: list[str] = field(default_factory=list)
    mute_after: str | None = None
    """After such a change no answer comes back any more."""
    is_mute: bool = False
    requests: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; gives the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meter_reader, meter_writer = await asyncio.open_connection(*self.target)
        back = asyncio.create_task(self._answers(meter_reader, writer))
        try:
            while request := await reader.read(4096):
                self.requests += 1
                self.at_request(self.requests)
                if change := self._change(request):
                    self.changes.append(change)
                    self.is_mute |= change == self.mute_after
                meter_writer.write(request)
        except ConnectionError:
            pass
        finally:
            back.cancel()
            meter_writer.close()
            writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await reader.read(4096):
            self.at_answer(self.requests)
            if not self.is_mute:
                writer.write(answer)

    def _change(self, request: bytes) -> str | None:
        """What of a meter this request changes."""
        if self.is_modbus:
            return "write" if request[7] == 16 else None
        start = request.index(_START)
        control = request[start + 8]
        if control != _SECURITY:
            return _CHANGES.get(control)
        di = int.from_bytes(
            bytes((byte - _SHIFT) & 0xFF for byte in request[start + 10 : start + 14]), "little"
        )
        return "payment" if di in _PAYMENTS else None


async def tapped(scene: Scene) -> Tap:
    """The one line of a scene, through a tap."""
    url = scene.street.ports[0].url
    scheme, _, where = url.partition("://")
    host, _, port = where.rpartition(":")
    tap = Tap((host, int(port)), is_modbus="modbus" in scheme)
    through = f"{scheme}://127.0.0.1:{await tap.start()}"

    def reroute() -> None:
        with scene.station.writing() as connection:
            connection.execute(update(links).values(url=through))

    await asyncio.to_thread(reroute)
    return tap
