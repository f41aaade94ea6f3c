"""One request and its answer as a link carries them (`protocols.transport.Exchange`).

What does not answer this very request (`matching`: the own echo, foreign meters, late answers,
another item or part) is skipped; noise and cut frames are the decoder's affair.  A refusal is an
answer: it ends the exchange, and is not asked for again.

The same items are read again and again, so what a read needs is prepared once and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Generic, NamedTuple, TypeVar

from protocols.dlt645 import catalogue
from protocols.dlt645.addresses import Address, is_full
from protocols.dlt645.answers import Answer, di_bytes, encode_di
from protocols.dlt645.codec import (
    DATA_BYTES_MAX,
    FRAME_OVERHEAD_BYTES,
    FrameDecoder,
    answer_head,
    data_of_frame,
    encode,
)
from protocols.dlt645.controls import Edition, answer_control
from protocols.dlt645.matching import answer_expected, match_answer, request_frame
from protocols.dlt645.request import Request
from protocols.dlt645.requests import ReadData, ReadFollowing, Security
from protocols.dlt645.requests_1997 import ReadData1997, ReadFollowing1997, RereadData1997
from protocols.dlt645.security import READ_ESAM_FILE, STATUS_QUERY
from protocols.errors import RemoteProtocolError

_ANSWER_PREAMBLE_BYTES_MAX: Final = 8
"""Meters were seen to send up to seven FE."""
_SPARE_BYTES: Final = 8
"""Answers longer than the table are known: a delimiter, a value with more digits."""
_SHORT_ANSWER_BYTES: Final = 16
"""Everything but data: an address, a password, error bits, and what a meter adds to nothing."""
_LONG_ANSWERS: Final = ReadFollowing | ReadFollowing1997 | RereadData1997 | Security
_SECURITY_READS: Final = (STATUS_QUERY, READ_ESAM_FILE)
_READS_KEPT: Final = 8192

T = TypeVar("T")
Make = Callable[[Address, int, bytes], T]
"""Makes what a caller wants of meter, identifier and bytes (without identifiers and SEQs)."""


class Prepared(NamedTuple):
    """A request made ready for the wire."""

    request: Request
    address: Address
    """Where it goes."""
    wire: bytes
    answer_bytes_max: int
    answer_expected: bool
    repeatable: bool


def prepare(request: Request, address: str) -> Prepared:
    """A request to a meter, a wildcard or 99…99, ready for the wire.

    Raises:
        AddressError: the request must not go there.
    """
    frame = request_frame(request, address)
    to = Address(frame.address)
    expected = answer_expected(request, to)
    return Prepared(
        request=request,
        address=to,
        wire=encode(frame),
        answer_bytes_max=answer_bytes_max(request) if expected else 0,
        answer_expected=expected,
        repeatable=is_repeatable(request),
    )


class PreparedRead(NamedTuple):
    """A read made ready for the wire."""

    prepared: Prepared
    first: ReadData | ReadData1997
    di: bytes
    """The identifier, as an answer begins with it."""
    head: bytes | None
    """How the plain answer begins; None where any meter may answer."""


def prepare_read(first: ReadData | ReadData1997, address: str) -> PreparedRead:
    """A read ready for the wire.

    Raises:
        AddressError: the request must not go there.
    """
    prepared = prepare(first, address)
    to = prepared.address
    head = answer_head(to, answer_control(first.function)) if is_full(to) else None
    return PreparedRead(prepared, first, encode_di(first.di, first.edition), head)


@lru_cache(maxsize=_READS_KEPT)
def plain_read(di: int, address: str, edition: Edition) -> PreparedRead:
    """The read of an item; made once, then remembered.

    Raises:
        AddressError, FieldRangeError: no address, no identifier.
    """
    first = ReadData(di) if edition is Edition.Y2007 else ReadData1997(di)
    return prepare_read(first, address)


class _Matching:
    """Finds the answer to one request; used for one `Link.run`, so that nothing held is shared."""

    __slots__ = ("_decoder", "answered_by", "asked", "meter")

    asked: Request
    meter: Address
    _decoder: FrameDecoder | None
    """Made when it is needed; None: nothing has come so far."""
    answered_by: Address | None
    """Whose answer it was: a full number, also where a wildcard was asked."""

    def _matched(self, data: bytes) -> Answer | None:
        decoder = self._decoder
        if decoder is None:
            if not data:
                return None
            decoder = self._decoder = FrameDecoder()
        fault: RemoteProtocolError | None = None
        for frame in decoder.feed(data) if data else decoder.gap():
            try:
                answer = match_answer(self.asked, self.meter, frame)
            except RemoteProtocolError as error:
                fault = error
                continue
            if answer is not None:
                self.answered_by = Address(frame.address)
                return answer
        if fault is not None:
            raise fault
        return None


class RequestExchange(_Matching):
    """Any request.

    Args:
        prepared: what is asked, and of whom.
        remake: makes the request when the line is free for it, where it holds the time.
    """

    __slots__ = (
        "_remake",
        "_wire",
        "answer_bytes_max",
        "answer_expected",
        "repeatable",
        "was_fetched",
    )

    def __init__(self, prepared: Prepared, remake: Callable[[], Request] | None = None) -> None:
        (
            self.asked,
            self.meter,
            self._wire,
            self.answer_bytes_max,
            self.answer_expected,
            self.repeatable,
        ) = prepared
        self._remake = remake
        self._decoder = None
        self.was_fetched = False
        """Whether the link has taken the request to send it: if not, nobody has seen it."""
        self.answered_by = None

    @property
    def request(self) -> bytes:
        """The frame; made anew each time that it is taken, if it holds the time."""
        self.was_fetched = True
        if self._remake is not None:
            self.asked = self._remake()
            self._wire = encode(request_frame(self.asked, self.meter))
        return self._wire

    def receive(self, data: bytes) -> Answer | None:
        """The answer in what has arrived, or None to go on waiting.

        Raises:
            LayoutError: a frame answers this request, but not with the layout of an answer.
        """
        return self._matched(data)


class ReadExchange(_Matching, Generic[T]):
    """A read; the plain answer of the very meter is made into what the caller wants at once.

    At once, and not by the caller when it is woken: where many links are busy, their requests
    then leave close together, instead of waiting for each other's values.  `answered_by` is None
    then; any other answer is left to the caller.
    """

    __slots__ = ("_di", "_head", "_make", "answer_bytes_max", "request")

    answer_expected: Final = True
    repeatable: Final = True

    asked: ReadData | ReadData1997

    def __init__(self, read: PreparedRead, make: Make[T]) -> None:
        prepared, self.asked, self._di, self._head = read
        self._make = make
        self.meter = prepared.address
        self.request = prepared.wire
        self.answer_bytes_max = prepared.answer_bytes_max
        self._decoder = None
        self.answered_by = None

    def receive(self, data: bytes) -> T | Answer | None:
        """The answer in what has arrived; see `RequestExchange.receive`."""
        if self._head is not None and self._decoder is None:
            # The usual case, which `match_answer` says at more length.
            content = data_of_frame(data, self._head)
            if content is not None and content.startswith(self._di):
                return self._make(self.meter, self.asked.di, content[len(self._di) :])
        return self._matched(data)


def is_repeatable(request: Request) -> bool:
    """Whether the link may send it again: reads only, also those among the security commands."""
    if isinstance(request, Security):
        return request.di in _SECURITY_READS
    return request.repeatable


def answer_bytes_max(request: Request) -> int:
    """The longest answer that may come, in bytes with its preamble."""
    if isinstance(request, _LONG_ANSWERS):
        data = DATA_BYTES_MAX
    elif isinstance(request, ReadData | ReadData1997):
        data = _data_bytes_max(request.di, request.edition)
    else:
        data = _SHORT_ANSWER_BYTES
    return _ANSWER_PREAMBLE_BYTES_MAX + FRAME_OVERHEAD_BYTES + data


def _data_bytes_max(di: int, edition: Edition) -> int:
    item = catalogue.find(di, edition)
    if item is None or item.length is None:
        return DATA_BYTES_MAX
    return min(di_bytes(edition) + item.length + _SPARE_BYTES, DATA_BYTES_MAX)
