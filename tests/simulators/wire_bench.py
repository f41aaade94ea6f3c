"""A simulated meter on a line, asked by our own codec, under a clock that the test moves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from protocols.dlt645 import (
    Accepted,
    Answer,
    DataAnswer,
    Edition,
    Frame,
    FrameDecoder,
    LongRead,
    Password,
    ReadData,
    ReadData1997,
    Refused,
    RelayCommand,
    RelayControl,
    Request,
    Value,
    WriteData,
    encode,
    match_answer,
    parse_status_word_3,
    request_frame,
)
from protocols.dlt645.catalogue import decode
from protocols.dlt645.status_words import StatusWord3
from protocols.dlt645.times import MeterTime
from simulators.bus import Bus
from simulators.faults import FaultPlan
from simulators.metering.meter_clock import face
from simulators.metering.meter_type import DEFAULT_TYPE, MeterType
from simulators.street import build_meter
from simulators.street_clock import HeldClock
from simulators.wire import Dlt645Wire
from vending.sts import Content, Service, TransferCredit
from vending.sts import encode as encode_token

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
"""16:00 on the meters' clocks (UTC+8)."""
PASSWORD = Password(2, "000000")
OPERATOR = "12345678"


class WireBench:
    """One meter on one line."""

    def __init__(
        self,
        kind: str = "keypad",
        *,
        load: int | str = 1_000,
        edition: Edition = Edition.Y2007,
        phases: int = 1,
        credit_wh: int = 50_000,
        amount_minor: int = 0,
        seed: int = 0,
        faults: FaultPlan | None = None,
        **ratings: Any,
    ) -> None:
        self.clock = HeldClock(START)
        ratings.setdefault("drift_ppm_max", 0)
        self.edition = edition
        self.meter = build_meter(
            1,
            START,
            seed=seed,
            kind=kind,
            phases=phases,
            load=load,
            credit_wh=credit_wh,
            amount_minor=amount_minor,
            meter_type=MeterType(**ratings) if ratings else DEFAULT_TYPE,
        )
        self.bus = Bus(Dlt645Wire([self.meter], edition), faults=faults)
        self._session = self.bus.connect()
        self._at = 0.0
        self._tid = 5_000_000

    @property
    def now(self) -> datetime:
        """True time."""
        return self.clock.now()

    def wait(self, seconds: int = 0, **more: int) -> None:
        """Let time pass and bring the meter up to date."""
        self.clock.wait(seconds, **more)
        self.meter.advance(self.now)

    def send(self, data: bytes) -> bytes:
        """Whatever comes back."""
        self._at += 0.001
        replies = self._session.receive(data, self.now, self._at)
        return b"".join(reply.data for reply in replies)

    def frames(self, request: Request, address: str | None = None) -> list[Frame]:
        """All frames that come back."""
        to = self.meter.address if address is None else address
        return FrameDecoder().feed(self.send(encode(request_frame(request, to))))

    def ask(self, request: Request, address: str | None = None) -> Answer | None:
        """The one answer, or None."""
        to = self.meter.address if address is None else address
        answers = [match_answer(request, to, frame) for frame in self.frames(request, address)]
        assert len(answers) <= 1
        return answers[0] if answers else None

    def data(self, di: int) -> bytes | None:
        """The bytes of an item, follow-up frames put together; None: it is refused."""
        first: ReadData | ReadData1997 = (
            ReadData(di) if self.edition is Edition.Y2007 else ReadData1997(di)
        )
        return self.long(first)

    def long(self, first: ReadData | ReadData1997) -> bytes | None:
        """The bytes of a read."""
        read = LongRead(first)
        answer = self.ask(first)
        if isinstance(answer, Refused):
            return None
        while True:
            assert isinstance(answer, DataAnswer)
            data = read.receive(answer)
            if data is not None:
                return data
            answer = self.ask(read.request)

    def texts(self, di: int) -> list[str | None]:
        """The readings of an item as text; none where it is refused."""
        data = self.data(di)
        if data is None:
            return []
        decoded = decode(di, data, self.edition)
        assert not decoded.notes, decoded.notes
        return [reading.text for reading in decoded.readings]

    def text(self, di: int) -> str | None:
        """The one reading of an item."""
        (text,) = self.texts(di)
        return text

    def values(self, di: int) -> Sequence[Value | None]:
        """The readings of an item."""
        data = self.data(di)
        assert data is not None
        return [reading.value for reading in decode(di, data, self.edition).readings]

    def write(self, di: int, data: bytes, password: Password = PASSWORD) -> Answer | None:
        """Write an item."""
        return self.ask(WriteData(di, password, OPERATOR, data))

    def relay(
        self,
        command: RelayCommand,
        parameter: int = 0,
        *,
        valid_s: int = 600,
        password: Password = PASSWORD,
    ) -> Answer | None:
        """Order something of the contact, valid for so long by the meter's clock."""
        self.meter.advance(self.now)
        until = MeterTime.of(face(self.meter.local + valid_s))
        return self.ask(RelayControl(password, OPERATOR, command, until, parameter))

    def relay_word(self) -> StatusWord3:
        """Status word 3."""
        data = self.data(0x04000503)
        assert data is not None
        return parse_status_word_3(data)

    def lit(self) -> bool:
        """Whether the home has electricity."""
        return self.meter.keypad.is_lit

    def token(self, content: Content) -> str:
        """Under the meter's key."""
        return encode_token(content, self.meter.keypad.state.cipher())

    def credit(self, units: int) -> str:
        """A credit token; a unit is 100 Wh."""
        self._tid += 10
        return self.token(TransferCredit(Service.ELECTRICITY, 5, self._tid, units))


def accepted(answer: Answer | None) -> bool:
    """Whether it says: done."""
    return isinstance(answer, Accepted)


def refused(answer: Answer | None) -> list[str]:
    """Why not."""
    assert isinstance(answer, Refused), answer
    return answer.names
