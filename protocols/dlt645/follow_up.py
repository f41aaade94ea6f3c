"""Long answers: put together by the master, cut up by the meter (spec section 2.3).

======  ============================================  ========================================
        2007                                          1997
======  ============================================  ========================================
first   11 → B1, identifier and first part, no SEQ    01 → A1, identifier and first part
next    12 with SEQ 1, 2 … 255, 1 …                   02 with the identifier; no SEQ, the
                                                      meter keeps the position
more    B2: identifier, part, SEQ                     A2: identifier, part
last    92: identifier, part, SEQ                     82: identifier, part
======  ============================================  ========================================

Grade A by one concentrator's firmware; no public recording.  A cut value is never given out:
whatever does not fit ends the series, and the whole read begins again from the first request.
"""

from __future__ import annotations

from typing import Final

from protocols.dlt645.answers import DataAnswer, Refused, di_bytes
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import FieldRangeError, FollowUpError
from protocols.dlt645.request import Request
from protocols.dlt645.requests import SEQ_MAX, ReadData, ReadFollowing
from protocols.dlt645.requests_1997 import ReadData1997, ReadFollowing1997

LONG_ANSWER_BYTES_MAX: Final = 32 * 1024
"""More than 255 load records of 103 bytes, the most that one request can ask for."""
PART_BYTES_MAX: Final = 200
"""DATA of one answer, identifier and SEQ counted in (the standard's limit for reads)."""


def next_seq(seq: int) -> int:
    """SEQ after this one: 1-255, then 1 again."""
    return seq % SEQ_MAX + 1


class LongRead:
    """One read with all its parts: says what to ask next until the data are whole.

    ::

        read = LongRead(ReadData(0x03300501))
        while (data := read.receive(ask(read.request))) is None:
            ...

    Args:
        first: the read that begins it.
        cap: bytes in all that are accepted.
    """

    __slots__ = ("_cap", "_first", "_parts", "_seq", "_size", "request")

    request: Request
    """What to send now."""

    def __init__(self, first: ReadData | ReadData1997, cap: int = LONG_ANSWER_BYTES_MAX) -> None:
        self._first = first
        self._cap = cap
        self._parts: list[bytes] = []
        self._size = 0
        self._seq = 0
        self.request = first

    def receive(self, answer: DataAnswer | Refused) -> bytes | None:
        """Take the answer to `request`; the whole data when it was the last part.

        A refusal of the very first read says that there is nothing to read, and is better looked
        at before.

        Raises:
            FollowUpError: refused in mid-series, another item or SEQ, an empty part, too long.
        """
        if isinstance(answer, Refused):
            raise FollowUpError(
                f"Part {len(self._parts) + 1} was refused ({', '.join(answer.names)}): "
                "read the whole item again."
            )
        self._check(answer)
        self._parts.append(answer.data)
        self._size += len(answer.data)
        if self._size > self._cap:
            raise FollowUpError(f"The answer is longer than {self._cap} bytes.")
        if not answer.more:
            return b"".join(self._parts)
        self._seq = next_seq(self._seq)
        di = self._first.di
        if isinstance(self._first, ReadData):
            self.request = ReadFollowing(di, self._seq)
        else:
            self.request = ReadFollowing1997(di)
        return None

    def _check(self, answer: DataAnswer) -> None:
        if answer.di != self._first.di:
            raise FollowUpError(
                f"A part of item {answer.di:X} in an answer for {self._first.di:X}."
            )
        expected = self.request.seq if isinstance(self.request, ReadFollowing) else None
        if answer.seq != expected:
            raise FollowUpError(f"Part {answer.seq} came where {expected} was asked for.")
        if answer.more and not answer.data:
            raise FollowUpError("A part is empty though more is to follow.")


class LongAnswer:
    """The meter's side: one long answer, cut into parts that fit their frames.

    Args:
        di: the item.
        data: its bytes, without identifier.
        part_bytes_max: DATA of one frame, identifier and SEQ counted in.
        align: parts end at multiples of this many bytes, so that no value is cut in two.

    Raises:
        FieldRangeError: a part would have no room for data.
    """

    __slots__ = ("_di", "_edition", "_last", "_parts", "_sent", "_seq")

    def __init__(
        self,
        di: int,
        data: bytes,
        edition: Edition = Edition.Y2007,
        part_bytes_max: int = PART_BYTES_MAX,
        align: int = 1,
    ) -> None:
        overhead = di_bytes(edition) + (1 if edition is Edition.Y2007 else 0)
        room = (part_bytes_max - overhead) // align * align
        if room < 1 or part_bytes_max > 255:
            raise FieldRangeError(f"Parts of {part_bytes_max} bytes hold no data.")
        self._di = di
        self._edition = edition
        self._parts = [data[start : start + room] for start in range(0, len(data), room)] or [b""]
        self._sent = 0
        self._seq = 0
        self._last: DataAnswer | None = None

    def first(self) -> DataAnswer:
        """The answer to the read itself; the series begins anew."""
        self._sent = 1
        self._seq = 0
        self._last = self._part(None)
        return self._last

    def following(self, seq: int | None = None) -> DataAnswer | None:
        """The answer to a read of the following part, or None where there is none to give.

        Args:
            seq: as asked, in 2007: the next one, or the last one again (its answer was lost).
        """
        if self._edition is Edition.Y2007:
            if self._last is not None and self._last.seq is not None and seq == self._seq:
                return self._last
            if seq != next_seq(self._seq):
                return None
        if not 0 < self._sent < len(self._parts):
            return None
        self._sent += 1
        self._seq = next_seq(self._seq)
        self._last = self._part(self._seq if self._edition is Edition.Y2007 else None)
        return self._last

    def _part(self, seq: int | None) -> DataAnswer:
        more = self._sent < len(self._parts)
        return DataAnswer(self._di, self._parts[self._sent - 1], more, seq, self._edition)
