"""The DL/T 645-1997 side of a meter (spec section 5).

There is no relay, no freeze and no prepayment in this edition.  A read sent to 99...99 is answered
(one meter on the line); a long answer is fetched without numbers, the meter keeps its place.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from protocols.dlt645 import (
    Accepted,
    Address,
    Answer,
    BroadcastTime1997,
    ChangeBaud1997,
    ChangePassword1997,
    ClearDemand1997,
    DataAnswer,
    Edition,
    ErrorByte,
    Frame,
    LongAnswer,
    PasswordAnswer,
    ReadData1997,
    ReadFollowing1997,
    Refused,
    Request,
    RereadData1997,
    SpeedAnswer,
    WriteAddress1997,
    WriteData1997,
    answer_expected,
    answer_frame,
    parse_request,
)
from protocols.dlt645.addresses import BROADCAST, is_full
from protocols.dlt645.catalogue import find, in_2007
from protocols.dlt645.controls import function_of
from protocols.errors import ProtocolError
from simulators.faces.dlt645_2007 import PART_BYTES
from simulators.faces.items.items_1997 import read_item_1997
from simulators.metering import programming
from simulators.metering.access import CLEAR_LEVEL, SETTING_LEVEL
from simulators.metering.bcd import local_of_time
from simulators.metering.smart_meter import SmartMeter

_OPERATOR: Final = "00000000"
"""There is no operator code in this edition."""
_REPLY: Final = Accepted()


class Face1997:
    """A meter as it answers; holds its last answer and what is left of a long one."""

    __slots__ = ("_last", "_long", "meter")

    edition: Final = Edition.Y1997

    def __init__(self, meter: SmartMeter) -> None:
        self.meter = meter
        self._long: tuple[int, LongAnswer] | None = None
        self._last: DataAnswer | None = None

    def respond(self, frame: Frame, now: datetime) -> Frame | None:
        """The answer to a frame whose address means this meter; None: it says nothing."""
        meter = self.meter
        meter.advance(now)
        if not meter.has_power:
            return None
        own = Address(meter.address)
        try:
            request = parse_request(frame, self.edition)
        except ProtocolError:
            function = function_of(frame.control, self.edition)
            if not is_full(frame.address) or function is None or frame.control != function:
                return None
            return Frame(own, frame.control | 0xC0, Refused.of(ErrorByte.OTHER).encode())
        answer = self._answer(request, now)
        if answer is None or not answer_expected(request, frame.address):
            return None
        if frame.address == BROADCAST and isinstance(answer, Refused):
            return None
        return answer_frame(request, own, answer)

    def _answer(self, request: Request, now: datetime) -> Answer | None:
        handler = _HANDLERS.get(type(request))
        return None if handler is None else handler(self, request, now)

    def _read(self, request: ReadData1997, _now: datetime) -> Answer:
        data = read_item_1997(self.meter, request.di)
        if data is None:
            return Refused.of(ErrorByte.NO_REQUESTED_DATA)
        if len(data) + 2 <= PART_BYTES:
            self._long = None
            self._last = DataAnswer(request.di, data, edition=self.edition)
            return self._last
        long = LongAnswer(request.di, data, self.edition, PART_BYTES)
        self._long = (request.di, long)
        self._last = long.first()
        return self._last

    def _read_following(self, request: ReadFollowing1997, _now: datetime) -> Answer:
        known = self._long is not None and self._long[0] == request.di
        part = self._long[1].following() if known and self._long is not None else None
        if part is None:
            return Refused.of(ErrorByte.NO_REQUESTED_DATA)
        self._last = part
        return part

    def _reread(self, request: RereadData1997, _now: datetime) -> Answer:
        if self._last is None or self._last.di != request.di:
            return Refused.of(ErrorByte.NO_REQUESTED_DATA)
        return self._last

    def _write(self, request: WriteData1997, now: datetime) -> Answer:
        if not self._may(request.password.level, request.password.digits, SETTING_LEVEL):
            return Refused.of(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        later, item = in_2007(request.di), find(request.di, Edition.Y1997)
        if later is None or item is None:
            return Refused.of(ErrorByte.NO_REQUESTED_DATA)
        why = programming.write(self.meter, later, request.data, _OPERATOR, now)
        return Refused.of(why) if why else _REPLY

    def _set_time(self, request: BroadcastTime1997, now: datetime) -> None:
        self.meter.set_clock(local_of_time(request.time), now)

    def _write_address(self, request: WriteAddress1997, _now: datetime) -> Answer | None:
        meter = self.meter
        if meter.type.needs_programming_key and meter.second >= meter.programming_until:
            return None
        return _REPLY if programming.set_address(meter, request.address) else None

    def _change_speed(self, request: ChangeBaud1997, _now: datetime) -> Answer:
        return SpeedAnswer(request.feature)

    def _change_password(self, request: ChangePassword1997, _now: datetime) -> Answer:
        level = request.new.level
        if not self._may(request.old.level, request.old.digits, level):
            return Refused.of(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        self.meter.access = self.meter.access.with_password(level, request.new.digits)
        return PasswordAnswer(request.new)

    def _clear_demand(self, request: ClearDemand1997, now: datetime) -> Answer:
        if not self._may(request.password.level, request.password.digits, CLEAR_LEVEL):
            return Refused.of(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        self.meter.clear_demand(now, _OPERATOR)
        return _REPLY

    def _may(self, level: int, digits: str, needed: int) -> bool:
        meter = self.meter
        is_right, meter.access = meter.access.tried(level, digits, needed, meter.second, meter.type)
        return is_right


_HANDLERS: Final[dict[type, Callable[[Face1997, Any, datetime], Answer | None]]] = {
    ReadData1997: Face1997._read,
    ReadFollowing1997: Face1997._read_following,
    RereadData1997: Face1997._reread,
    WriteData1997: Face1997._write,
    BroadcastTime1997: Face1997._set_time,
    WriteAddress1997: Face1997._write_address,
    ChangeBaud1997: Face1997._change_speed,
    ChangePassword1997: Face1997._change_password,
    ClearDemand1997: Face1997._clear_demand,
}
