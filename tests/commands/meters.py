"""Scripted DL/T 645 meters on a real pty or TCP port, for commands that run as processes.

They answer from the codec alone; the simulated meters of `simulators` have tests of their own.
"""

from __future__ import annotations

import asyncio
import functools
import operator
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from itertools import zip_longest
from typing import Any

from protocols.dlt645.addresses import Address, is_addressed
from protocols.dlt645.answers import Accepted, AddressAnswer, Answer, DataAnswer, Refused
from protocols.dlt645.catalogue import encode as encode_values
from protocols.dlt645.catalogue import parse_values
from protocols.dlt645.codec import Frame, FrameDecoder, encode
from protocols.dlt645.controls import Edition
from protocols.dlt645.error_bits import ErrorByte
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.fields import Password, RelayCommand
from protocols.dlt645.matching import answer_expected, answer_frame, parse_request
from protocols.dlt645.relay import RelayControl
from protocols.dlt645.request import Request
from protocols.dlt645.requests import BroadcastTime, Freeze, ReadAddress, ReadData, WriteData
from protocols.dlt645.requests_1997 import ReadData1997
from protocols.dlt645.status_words import StatusWord3, build_status_word_3
from protocols.dlt645.times import MeterTime
from protocols.token_block import TokenResult, fingerprint
from protocols.token_block.dlt645 import REPORT_DI, TOKEN_DI, decode_token, keypad_items
from protocols.transport import LineSettings
from simulators.line import SerialLine

PASSWORD = Password(2, "123456")
_NO_TOKEN: dict[str, Any] = {
    "token_sequence": 0,
    "token_status": "none",
    "token_result": "none",
}
_BAUDS = {
    termios.B600: 600, termios.B1200: 1200, termios.B2400: 2400, termios.B4800: 4800,
    termios.B9600: 9600, termios.B19200: 19200,
}  # fmt: skip


@dataclass
class ScriptedMeter:
    """One meter: what it holds, and how it answers."""

    address: str
    edition: Edition = Edition.Y2007
    items: dict[int, bytes] = field(default_factory=dict)
    relay: StatusWord3 = field(default_factory=StatusWord3)
    silent: bool = False
    deaf_after_orders: bool = False
    """It carries an order out, and then answers nothing at all."""
    button_needed: bool = False
    """It closes only when somebody presses its button."""
    heard: list[Request] = field(default_factory=list)
    token: dict[str, Any] = field(default_factory=dict)

    def set(self, di: int, *texts: str) -> None:
        """Give an item its values, as the command prints them."""
        self.items[di] = encode_values(di, parse_values(di, texts, self.edition), self.edition)

    def answer(self, frame: Frame) -> bytes:
        """The bytes of the answer; none where a meter is silent."""
        if frame.from_meter or not is_addressed(frame.address, self.address, self.edition):
            return b""
        try:
            request = parse_request(frame, self.edition)
        except LayoutError:
            return b""
        self.heard.append(request)
        answer = self._obey(request)
        if self.silent or not answer_expected(request, frame.address):
            return b""
        return encode(answer_frame(request, Address(self.address), answer), preamble=2)

    def _obey(self, request: Request) -> Answer:
        no = Refused.of(ErrorByte.NO_REQUESTED_DATA)
        if isinstance(request, ReadAddress):
            return AddressAnswer(Address(self.address))
        if isinstance(request, ReadData | ReadData1997):
            data = self._data(request.di)
            return no if data is None else DataAnswer(request.di, data, edition=self.edition)
        if isinstance(request, BroadcastTime):
            self._take_time(request.time)
            return Accepted()
        if isinstance(request, Freeze):
            return Accepted()
        if isinstance(request, WriteData | RelayControl):
            if request.password != PASSWORD:
                return Refused.of(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
            self._carry_out(request)
            self.silent = self.silent or self.deaf_after_orders
            return Accepted()
        return no

    def _data(self, di: int) -> bytes | None:
        if di == 0x04000503:
            return build_status_word_3(self.relay)
        if di == REPORT_DI:
            empty: dict[str, Any] = {
                "token_sequence": 0,
                "token_status": "none",
                "token_result": "none",
            }
            return keypad_items()[REPORT_DI].encode(empty | self.token)
        return self.items.get(di)

    def _take_time(self, time: MeterTime) -> None:
        time = MeterTime.of(time.at(UTC))  # with its weekday
        self.items[0x04000101] = encode_values(0x04000101, (time,))
        self.items[0x04000102] = encode_values(0x04000102, (time,))

    def _carry_out(self, request: WriteData | RelayControl) -> None:
        if isinstance(request, RelayControl):
            off = request.command is RelayCommand.TRIP
            still_off = off or (self.button_needed and self.relay.relay_off)
            self.relay = StatusWord3(relay_off=still_off, relay_command_off=off)
        elif request.di == TOKEN_DI:
            sequence, digits = decode_token(request.data)
            self.token = {
                "token_sequence": sequence,
                "token_status": "finished",
                "token_result": TokenResult.ACCEPT.word,
                "token_fingerprint": fingerprint(digits),
                "token_credit_added": 5000,
                "token_credit_after": 7500,
                "token_locked_s": 0,
            }
        else:
            self.items[request.di] = request.data


class Bus:
    """Meters on two wires: what two of them say at once, nobody understands."""

    def __init__(self, meters: list[ScriptedMeter], baud: int | None = None) -> None:
        self.meters = meters
        self.baud = baud
        """What they understand; None: whatever comes."""
        self._decoder = FrameDecoder()

    def hear(self, data: bytes) -> bytes:
        """What the meters say to these bytes."""
        said = b""
        for frame in self._decoder.feed(data):
            answers = [answer for meter in self.meters if (answer := meter.answer(frame))]
            said += collided(answers)
        return said


def collided(answers: list[bytes]) -> bytes:
    """What a receiver makes of several senders: a 0 wins, as on RS-485 with strong drivers."""
    columns = zip_longest(*answers, fillvalue=0xFF)
    return bytes(functools.reduce(operator.and_, column) for column in columns)


@contextmanager
def in_thread(start: Callable[[], Any]) -> Iterator[Any]:
    """Run an asynchronous context in a loop of its own while commands run beside it."""
    ready: list[Any] = []
    is_ready, is_over = threading.Event(), []

    async def main() -> None:
        over = asyncio.Event()
        is_over.append((asyncio.get_running_loop(), over))
        async with start() as thing:
            ready.append(thing)
            is_ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert is_ready.wait(10)
    try:
        yield ready[0]
    finally:
        loop, over = is_over[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


class _Serial:
    def __init__(self, bus: Bus, echo: bool, paced: bool, chatter: bytes) -> None:
        self._bus, self._echo, self._paced, self._chatter = bus, echo, paced, chatter

    async def __aenter__(self) -> str:
        settings = LineSettings(baud=self._bus.baud or 2400) if self._paced else None
        self.line = SerialLine(settings, self._hear, echo=self._echo)
        self._talker = asyncio.create_task(self._talk())
        return self.line.path

    async def __aexit__(self, *_: object) -> None:
        self._talker.cancel()
        self.line.close()

    async def _talk(self) -> None:
        while self._chatter:
            await asyncio.sleep(0.2)
            self.line.send(self._chatter)

    def _hear(self, data: bytes) -> None:
        speed = termios.tcgetattr(self.line._slave)[5]
        if self._bus.baud is not None and _BAUDS.get(speed) != self._bus.baud:
            return
        if said := self._bus.hear(data):
            self.line.send(said)


@contextmanager
def on_pty(
    *meters: ScriptedMeter,
    baud: int | None = None,
    echo: bool = False,
    paced: bool = False,
    chatter: bytes = b"",
) -> Iterator[str]:
    """Meters on a pty; gives its path.

    Args:
        baud: the speed that they understand.
        echo: the near end hears itself.
        paced: bytes take their time.
        chatter: what somebody else sends five times a second.
    """
    with in_thread(lambda: _Serial(Bus(list(meters), baud), echo, paced, chatter)) as path:
        yield str(path)


class _Tcp:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"tcp://{host}:{port}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(self._bus.hear(data))
        except ConnectionError:
            pass
        finally:
            writer.close()


@contextmanager
def on_tcp(*meters: ScriptedMeter) -> Iterator[str]:
    """Meters behind a gateway; gives the link's URL."""
    with in_thread(lambda: _Tcp(Bus(list(meters)))) as url:
        yield str(url)
