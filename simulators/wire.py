"""What the meters of one line understand: bytes in, requests for meters out, and their answers.

A `Wire` has all meters of a line, by address; a `WireSession` cuts what one connection delivers
into requests.  No I/O, no time of its own; faults and pacing come in between (`bus`).

Several meters that feel meant by one wildcard all answer at once: on a real line their bytes
collide, and so they do here (a 0 wins over a 1, as on an open-collector bus).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from protocols.dlt645 import BROADCAST, Edition, Frame, FrameDecoder, encode
from protocols.dlt645.addresses import is_addressed, is_wildcard
from protocols.modbus import Framing, ModbusFrameError, Profile, ServerRequest, ServerSession
from protocols.modbus.requests import BROADCAST as MODBUS_BROADCAST
from simulators.errors import SimulatorValueError
from simulators.faces.dlt645_1997 import Face1997
from simulators.faces.dlt645_2007 import Face2007
from simulators.faces.modbus import ModbusFace
from simulators.metering.smart_meter import SmartMeter

_COLLIDING_MAX: Final = 8
_UNIT_MAX: Final = 247
_ERR_OTHER: Final = b"\x01"
_REFUSAL: Final = 0xC0
_ADDRESS_DIGITS: Final = 12


class WrongBytesError(Exception):
    """What came can be nothing: close the connection (Modbus TCP only)."""


class Asked(NamedTuple):
    """One request for one meter, or for several at once."""

    meters: tuple[SmartMeter, ...]
    carry_out: Callable[[datetime], bytes]
    """Obey it; the answer's bytes, empty where there is none."""
    denied: Callable[[bytes], bytes]
    """A refusal in the place of an answer."""
    readdressed: Callable[[bytes], bytes]
    """The same answer as if another meter had given it."""


class WireSession(Protocol):
    """What one connection has delivered so far."""

    def feed(self, data: bytes) -> Iterable[Asked]:
        """The requests that these bytes complete.

        Raises:
            WrongBytesError: close the connection.
        """

    def gap(self) -> None:
        """The line was silent for longer than any pause in a frame."""


class Wire(Protocol):
    """All meters of one line."""

    @property
    def meters(self) -> tuple[SmartMeter, ...]:
        """Every meter once."""

    def session(self) -> WireSession:
        """One more connection to the line."""


# --- DL/T 645 -------------------------------------------------------------------------------------


class Dlt645Wire:
    """A line of DL/T 645 meters of one edition.

    Raises:
        SimulatorValueError: two meters have the same address.
    """

    __slots__ = ("_edition", "_faces", "_preamble")

    def __init__(
        self, meters: Iterable[SmartMeter], edition: Edition = Edition.Y2007, preamble: int = 4
    ) -> None:
        """A line.

        Args:
            meters: any number.
            edition: of all of them.
            preamble: FE bytes before each answer.
        """
        make = Face2007 if edition is Edition.Y2007 else Face1997
        self._edition = edition
        self._preamble = preamble
        self._faces: dict[str, Face2007 | Face1997] = {}
        for meter in meters:
            if meter.address in self._faces:
                raise SimulatorValueError(f"Two meters have the address {meter.address}.")
            self._faces[meter.address] = make(meter)

    @property
    def meters(self) -> tuple[SmartMeter, ...]:
        """See `Wire`."""
        return tuple(face.meter for face in self._faces.values())

    def session(self) -> WireSession:
        """See `Wire`."""
        return _Dlt645Session(self)

    def asked(self, frame: Frame) -> Asked | None:
        """What a frame asks of the meters here; None: nothing of any of them."""
        faces = self._meant(frame)
        if not faces:
            return None
        return Asked(
            meters=tuple(face.meter for face in faces),
            carry_out=lambda now: self._carry_out(faces, frame, now),
            denied=lambda _: encode(
                Frame(faces[0].meter.address, frame.control | _REFUSAL, _ERR_OTHER), self._preamble
            ),
            readdressed=self._readdressed,
        )

    def _meant(self, frame: Frame) -> list[Face2007 | Face1997]:
        if frame.from_meter:
            return []
        face = self._faces.get(frame.address)
        if face is not None:
            return [face]
        if frame.address != BROADCAST and not is_wildcard(frame.address):
            return []
        return [
            face
            for address, face in self._faces.items()
            if is_addressed(frame.address, address, self._edition)
        ]

    def _carry_out(self, faces: list[Face2007 | Face1997], frame: Frame, now: datetime) -> bytes:
        answers: list[bytes] = []
        for face in faces:
            before = face.meter.address
            answer = face.respond(frame, now)
            if face.meter.address != before:
                self._moved(before, face)
            if answer is not None and len(answers) < _COLLIDING_MAX:
                answers.append(encode(answer, self._preamble))
        return _collided(answers)

    def _moved(self, before: str, face: Face2007 | Face1997) -> None:
        """A meter took another address; one that had it already is not to be reached any more."""
        self._faces.pop(before, None)
        self._faces[face.meter.address] = face

    def _readdressed(self, answer: bytes) -> bytes:
        for frame in FrameDecoder().feed(answer):
            other = str(int(frame.address) ^ 1).zfill(_ADDRESS_DIGITS)
            return encode(frame._replace(address=other), self._preamble)
        return answer


class _Dlt645Session:
    __slots__ = ("_decoder", "_wire")

    def __init__(self, wire: Dlt645Wire) -> None:
        self._wire = wire
        self._decoder = FrameDecoder()

    def feed(self, data: bytes) -> Iterator[Asked]:
        frames = self._decoder.feed(data)
        self._decoder.take_noise()
        for frame in frames:
            asked = self._wire.asked(frame)
            if asked is not None:
                yield asked

    def gap(self) -> None:
        self._decoder.gap()
        self._decoder.take_noise()


def _collided(answers: list[bytes]) -> bytes:
    if len(answers) < 2:
        return answers[0] if answers else b""
    length = max(map(len, answers))
    collided = bytearray(b"\xff" * length)
    for answer in answers:
        for place, octet in enumerate(answer):
            collided[place] &= octet
    return bytes(collided)


# --- Modbus ---------------------------------------------------------------------------------------


class ModbusWire:
    """A line of Modbus meters, all of one profile.

    Raises:
        SimulatorValueError: a unit that Modbus does not have.
    """

    __slots__ = ("_framing", "_units")

    def __init__(
        self,
        meters: Mapping[int, SmartMeter],
        profile: Profile,
        framing: Framing,
        now: Callable[[], datetime],
    ) -> None:
        """A line.

        Args:
            meters: by unit, 1-247.
            profile: how their registers lie.
            framing: what travels.
            now: the clock of whoever runs the meters.
        """
        if any(not 1 <= unit <= _UNIT_MAX for unit in meters):
            raise SimulatorValueError(f"A Modbus unit is 1-{_UNIT_MAX}.")
        self._framing = framing
        self._units = {unit: ModbusFace(meter, profile, now) for unit, meter in meters.items()}

    @property
    def meters(self) -> tuple[SmartMeter, ...]:
        """See `Wire`."""
        return tuple(face.meter for face in self._units.values())

    def session(self) -> WireSession:
        """See `Wire`."""
        return _ModbusSession(self._units, self._framing)


class _ModbusSession:
    __slots__ = ("_framing", "_session", "_units")

    def __init__(self, units: Mapping[int, ModbusFace], framing: Framing) -> None:
        self._units = units
        self._framing = framing
        self._session = ServerSession(units, framing)

    def feed(self, data: bytes) -> Iterator[Asked]:
        try:
            requests = self._session.feed(data)
        except ModbusFrameError as fault:
            raise WrongBytesError(str(fault)) from fault
        for request in requests:
            yield self._asked(request)

    def gap(self) -> None:
        if self._framing is Framing.RTU:
            self._session.silence()

    def _asked(self, request: ServerRequest) -> Asked:
        units = self._units
        if request.unit == MODBUS_BROADCAST:
            faces = tuple(units.values())
        else:
            faces = (units[request.unit],)
        return Asked(
            meters=tuple(face.meter for face in faces),
            carry_out=lambda _now: self._carry_out(request),
            denied=lambda answer: self._denied(answer),
            readdressed=lambda answer: self._readdressed(answer),
        )

    def _carry_out(self, request: ServerRequest) -> bytes:
        if request.unit != MODBUS_BROADCAST:
            meter = self._units[request.unit].meter
            if not meter.has_power:
                return b""
        return self._session.respond(request)

    def _denied(self, answer: bytes) -> bytes:
        """Exception 04, server device failure: it may have been carried out."""
        if not answer:
            return answer
        start = 6 if self._framing is Framing.TCP else 0
        refusal = bytes((answer[start], answer[start + 1] | 0x80, 4))
        return self._framed(answer, refusal)

    def _readdressed(self, answer: bytes) -> bytes:
        if not answer:
            return answer
        start = 6 if self._framing is Framing.TCP else 0
        end = len(answer) if self._framing is Framing.TCP else -2
        body = answer[start:end]
        return self._framed(answer, bytes((body[0] ^ 1,)) + body[1:])

    def _framed(self, answer: bytes, body: bytes) -> bytes:
        if self._framing is Framing.TCP:
            return answer[:4] + len(body).to_bytes(2, "big") + body
        return body + crc(body)


def crc(body: bytes) -> bytes:
    """The CRC of Modbus RTU, low byte first."""
    value = 0xFFFF
    for octet in body:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")
