"""A line with meters behind a real TCP port, for the master's tests.

`LineMeter` is no simulator: it holds items as bytes and does what a test tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from protocols.dlt645 import (
    Accepted,
    Address,
    Answer,
    ChangeBaud,
    ChangePassword,
    DataAnswer,
    Edition,
    ErrorByte,
    Frame,
    FrameDecoder,
    LongAnswer,
    Password,
    PasswordAnswer,
    ReadAddress,
    ReadData,
    ReadData1997,
    ReadFollowing,
    ReadFollowing1997,
    Refused,
    RelayControl,
    Request,
    Security,
    SecurityAnswer,
    SecurityError,
    SetMultiFunctionOutput,
    SpeedAnswer,
    StatusWord3,
    WriteAddress,
    WriteAddress1997,
    WriteData,
    WriteData1997,
    answer_expected,
    answer_frame,
    build_status_word_3,
    encode,
    parse_request,
)
from protocols.dlt645.addresses import BROADCAST, is_addressed
from protocols.dlt645.answers import AddressAnswer, OutputAnswer
from protocols.dlt645.fields import RelayCommand
from protocols.dlt645.master import Master
from protocols.dlt645.requests import ClearDemand, ClearEvents, ClearMeter
from protocols.dlt645.requests_1997 import ChangeBaud1997, ChangePassword1997, ClearDemand1997
from protocols.dlt645.security import STATUS_QUERY, PrepaymentStatus, Purchase
from protocols.transport import Link, open_link
from protocols.transport.options import LinkOptions

METER: Final = Address("123456789012")
OTHER: Final = Address("000000000161")
PASSWORD: Final = Password(2, "123456")
CLIENT: Final = "000000000007"
NO_DATA: Final = Refused.of(ErrorByte.NO_REQUESTED_DATA)
QUICK: Final = LinkOptions(
    delay_ms_first=250, delay_ms_max=400, margin_ms=50, retries=0, backoff_ms_first=20
)
"""Silence is cheap in tests, yet long enough for a machine that is busy."""

Pieces = Iterable[bytes | float]
"""What goes out, and the seconds between."""
Mangle = Callable[[Frame, Frame], Pieces]
"""Request and answer to what the line carries instead."""


def as_it_is(_request: Frame, answer: Frame) -> Pieces:
    """A good line."""
    return [encode(answer)]


@dataclass
class LineMeter:
    """One meter: items, a relay, a purse, a token."""

    address: Address = METER
    items: dict[int, bytes] = field(default_factory=dict)
    word: StatusWord3 | None = field(default_factory=StatusWord3)
    presses_button: bool = False
    """Whether somebody stands at the meter."""
    counts: dict[type[Request], int] = field(default_factory=dict)
    purchases: int = 0
    remaining_cents: int = 0
    client_number: str = CLIENT
    carries_out: bool = True
    """False: it answers as if, and does nothing."""
    refusal: Refused | None = None
    """Instead of accepting an order."""
    does_nevertheless: bool = False
    """With `refusal`: carries the order out all the same."""

    def answer(self, request: Request, *, to_broadcast: bool) -> Answer | None:
        self.counts[type(request)] = self.counts.get(type(request), 0) + 1
        if isinstance(request, ReadData | ReadData1997):
            return self._read(request)
        if isinstance(request, ReadAddress):
            return AddressAnswer(self.address)
        if isinstance(request, Security) and request.di == STATUS_QUERY:
            return SecurityAnswer(request.di, self._status().encode())
        if self.refusal is None or self.does_nevertheless:
            self._do(request)
        return self.refusal or self._accepted(request)

    def _read(self, request: ReadData | ReadData1997) -> Answer:
        if request.di == 0x04000503 and self.word is not None:
            return DataAnswer(request.di, build_status_word_3(self.word))
        data = self.items.get(request.di)
        if data is None:
            return NO_DATA
        return DataAnswer(request.di, data, edition=request.edition)

    def _status(self) -> PrepaymentStatus:
        return PrepaymentStatus(
            self.remaining_cents, b"TEST", self.purchases, b"TEST", self.client_number, b"KEY0"
        )

    def _accepted(self, request: Request) -> Answer:
        if isinstance(request, ChangeBaud):
            return SpeedAnswer(request.speed)
        if isinstance(request, ChangeBaud1997):
            return SpeedAnswer(request.feature)
        if isinstance(request, ChangePassword | ChangePassword1997):
            return PasswordAnswer(request.new)
        if isinstance(request, SetMultiFunctionOutput):
            return OutputAnswer(request.output)
        if isinstance(request, Security):
            return SecurityAnswer(request.di, b"")
        return Accepted()

    def _do(self, request: Request) -> None:
        if not self.carries_out:
            return
        if isinstance(request, RelayControl):
            self._switch(request.command)
        elif isinstance(request, WriteData | WriteData1997):
            self.items[request.di] = request.data
        elif isinstance(request, WriteAddress | WriteAddress1997):
            self.address = request.address
        elif isinstance(request, Security):
            purchase = Purchase.parse(request.data)
            if purchase.count != self.purchases + 1:
                self.refusal = Refused.of(SecurityError.REPEATED_RECHARGE)
                return
            self.purchases = purchase.count
            self.remaining_cents += purchase.amount_cents
        elif isinstance(request, ClearDemand | ClearMeter | ClearEvents):
            di = {ClearMeter: 0x03300100, ClearDemand: 0x03300200, ClearEvents: 0x03300300}
            self._count(di[type(request)])
        elif isinstance(request, ClearDemand1997):
            self._count(0xB213)

    def _count(self, di: int) -> None:
        held = self.items.get(di)
        if held is not None:
            count = int(held[::-1].hex()) + 1
            self.items[di] = bytes.fromhex(f"{count:0{2 * len(held)}d}")[::-1]

    def _switch(self, command: RelayCommand) -> None:
        if command is RelayCommand.TRIP:
            self.word = StatusWord3(relay_off=True, relay_command_off=True)
        elif command in (RelayCommand.ALLOW_CLOSE, RelayCommand.DIRECT_CLOSE):
            direct = command is RelayCommand.DIRECT_CLOSE
            self.word = StatusWord3(relay_off=not direct and not self.presses_button)
        elif command is RelayCommand.PROTECTION_ON:
            self.word = StatusWord3(power_protection=True)
        elif command is RelayCommand.PROTECTION_OFF:
            self.word = StatusWord3()
        elif command in (
            RelayCommand.TRIP_DELAYED_ALLOW_CLOSE,
            RelayCommand.TRIP_DELAYED_DIRECT_CLOSE,
            RelayCommand.ALARM_ON,
        ):
            self.word = StatusWord3(pre_trip_alarm=True)


class Slave:
    """The wire's side of a `LineMeter`: silence to what is not for it, long answers in parts."""

    def __init__(self, meter: LineMeter, edition: Edition, part_bytes_max: int) -> None:
        self.meter = meter
        self._edition = edition
        self._part_bytes_max = part_bytes_max
        self._long: tuple[int, LongAnswer] | None = None

    def handle(self, frame: Frame) -> Frame | None:
        """The answer to a frame on the line, if the meter gives one."""
        own = self.meter.address
        if frame.from_meter or not is_addressed(frame.address, own, self._edition):
            return None
        request = parse_request(frame, self._edition)
        answer = self._answer(request, to_broadcast=frame.address == BROADCAST)
        if answer is None or not answer_expected(request, frame.address):
            return None
        return answer_frame(request, own, answer)

    def _answer(self, request: Request, *, to_broadcast: bool) -> Answer | None:
        if isinstance(request, ReadFollowing | ReadFollowing1997):
            return self._following(request)
        self._long = None
        answer = self.meter.answer(request, to_broadcast=to_broadcast)
        if not isinstance(answer, DataAnswer):
            return answer
        long = LongAnswer(answer.di, answer.data, self._edition, self._part_bytes_max)
        self._long = (answer.di, long)
        return long.first()

    def _following(self, request: ReadFollowing | ReadFollowing1997) -> Answer:
        if self._long is not None and self._long[0] == request.di:
            seq = request.seq if isinstance(request, ReadFollowing) else None
            part = self._long[1].following(seq)
            if part is not None:
                return part
        return NO_DATA


@dataclass
class Line:
    """What is behind the port."""

    slaves: list[Slave]
    mangle: Mangle
    heard: list[Frame] = field(default_factory=list)
    """Every frame that a master sent."""
    url: str = ""

    def count(self, kind: int) -> int:
        """How many frames of a function were sent."""
        return sum(1 for frame in self.heard if frame.control == kind)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder()
        try:
            while data := await reader.read(4096):
                for frame in decoder.feed(data):
                    self.heard.append(frame)
                    for answer in [slave.handle(frame) for slave in self.slaves]:
                        if answer is None:
                            continue
                        for piece in self.mangle(frame, answer):
                            if isinstance(piece, bytes):
                                writer.write(piece)
                                await writer.drain()
                            else:
                                await asyncio.sleep(piece)
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def line_of(
    *meters: LineMeter,
    edition: Edition = Edition.Y2007,
    mangle: Mangle = as_it_is,
    part_bytes_max: int = 200,
    options: LinkOptions = QUICK,
) -> AsyncIterator[tuple[Master, Line]]:
    """A master, and the line that it talks to."""
    slaves = [Slave(meter, edition, part_bytes_max) for meter in meters]
    line = Line(slaves, mangle)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    line.url = f"tcp://{host}:{port}"
    link: Link = await open_link(line.url, options=options)
    try:
        yield Master(link, edition), line
    finally:
        await link.aclose()
        server.close()


class Losing:
    """A line that loses answers: the first ``times`` ones to requests of a function.

    Args:
        control: the requests' control code.
        times: how many are lost.
        then_dead: after the first loss nothing comes any more.
    """

    def __init__(self, control: int, times: int = 1, *, then_dead: bool = False) -> None:
        self.control = control
        self.times = times
        self.then_dead = then_dead
        self.lost = 0

    def __call__(self, request: Frame, answer: Frame) -> Pieces:
        if self.then_dead and self.lost:
            return []
        if request.control == self.control and self.lost < self.times:
            self.lost += 1
            return []
        return [encode(answer)]


def bcd(number: int, length: int) -> bytes:
    """A BCD number, low byte first."""
    return bytes.fromhex(f"{number:0{2 * length}d}")[::-1]
