"""What bytes were: the own echo, answers, another master's traffic, noise.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.dlt645.addresses import Address
from protocols.dlt645.codec import PREAMBLE_BYTES, Frame, FrameDecoder, encode
from protocols.dlt645.controls import Edition
from protocols.dlt645.matching import match_answer, request_frame
from protocols.dlt645.request import Request
from protocols.errors import RemoteProtocolError

_SAMPLE_BYTES: Final = 32
_GARBLED_BYTES_MIN: Final = 6
"""Fewer bytes than this are the click of a driver that switches, not an answer."""
_FE: Final = 0xFE


@dataclass(frozen=True, slots=True)
class Question:
    """A request and where it goes."""

    request: Request
    address: str

    @property
    def edition(self) -> Edition:
        return self.request.edition

    @property
    def frame(self) -> Frame:
        return request_frame(self.request, self.address)

    @property
    def wire(self) -> bytes:
        """The whole frame, with its preamble."""
        return encode(self.frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one stretch of time brought."""

    meters: tuple[Address, ...] = ()
    """Who answered the question, each once, in order."""
    echo: bool = False
    """The own question came back."""
    requests: tuple[Frame, ...] = ()
    """What a master asked, and it was not us."""
    foreign: tuple[Frame, ...] = ()
    """What meters said to somebody else, or to an earlier question."""
    noise_bytes: int = 0
    """Bytes of no frame; FE before frames does not count."""
    sample: bytes = b""
    """Some of them."""
    delay_s: float | None = None
    """From the end of the question to the first byte that was not its echo."""

    @property
    def is_clean(self) -> bool:
        """Whether one meter, and only one, answered."""
        return len(self.meters) == 1

    @property
    def is_garbled(self) -> bool:
        """Whether something answered that could not be understood."""
        return not self.meters and self.noise_bytes >= _GARBLED_BYTES_MIN

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Whole frames that were not meant for us."""
        return self.requests + self.foreign


def understand(data: bytes, question: Question | None, delay_s: float | None = None) -> Heard:
    """Take apart what came.

    Args:
        data: everything that came, in order.
        question: what was asked before; None: nothing was, the line was listened to.
        delay_s: when the first byte that was not the echo came.
    """
    echo = False
    if question is not None:
        data, echo = without_echo(data, question.wire)
    decoder = FrameDecoder()
    frames = decoder.feed(data) + decoder.gap()
    meters: dict[Address, None] = {}
    requests, foreign = [], []
    for frame in frames:
        if question is not None and _answers(question, frame):
            meters[Address(frame.address)] = None
        elif question is not None and frame == question.frame:
            echo = True  # heard more than once: a repeater, or two converters in a row
        elif frame.from_meter:
            foreign.append(frame)
        else:
            requests.append(frame)
    sample = b" ".join(noise.data for noise in decoder.take_noise())
    return Heard(
        meters=tuple(meters),
        echo=echo,
        requests=tuple(requests),
        foreign=tuple(foreign),
        noise_bytes=decoder.noise_bytes,
        sample=sample[:_SAMPLE_BYTES],
        delay_s=delay_s if frames or decoder.noise_bytes else None,
    )


def without_echo(data: bytes, request: bytes) -> tuple[bytes, bool]:
    """What came without the own request, and whether that was there.

    A converter that switches late may lose some of the FE in front, so these are optional.
    """
    body = request[PREAMBLE_BYTES:]
    at = data.find(body)
    if at < 0:
        return data, False
    start = at
    while start > 0 and data[start - 1] == _FE and at - start < PREAMBLE_BYTES:
        start -= 1
    return data[:start] + data[at + len(body) :], True


def is_echo_so_far(data: bytes, request: bytes) -> bool:
    """Whether what came until now is nothing but the begin of the own request."""
    body = request[PREAMBLE_BYTES:]
    rest = data.lstrip(b"\xfe")
    return body.startswith(rest) and len(data) - len(rest) <= PREAMBLE_BYTES


def _answers(question: Question, frame: Frame) -> bool:
    try:
        return match_answer(question.request, question.address, frame) is not None
    except RemoteProtocolError:
        return False
