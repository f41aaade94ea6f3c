"""The DL/T 645-2007 side of a meter: one request in, one answer out (spec sections 2 and 3).

All control codes are answered.  A meter without mains, and one that is not meant, says nothing; a
broadcast is obeyed and not answered; what the meter will not do is refused with the right bits.
A request that has not the layout of its control code is refused as "other error" where it was sent
to this meter alone, and ignored otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from protocols.dlt645 import (
    ALL_EVENTS,
    Accepted,
    Address,
    AddressAnswer,
    Answer,
    BroadcastTime,
    ChangeBaud,
    ChangePassword,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    DataAnswer,
    Edition,
    EncryptedRelayControl,
    ErrorByte,
    Frame,
    Freeze,
    LongAnswer,
    OutputAnswer,
    Password,
    PasswordAnswer,
    ReadAddress,
    ReadData,
    ReadFollowing,
    Refused,
    RelayCommand,
    RelayControl,
    RelayError,
    Request,
    Security,
    SecurityAnswer,
    SecurityError,
    SetMultiFunctionOutput,
    SpeedAnswer,
    WriteAddress,
    WriteData,
    answer_expected,
    answer_frame,
    parse_request,
)
from protocols.dlt645.addresses import is_full, is_wildcard
from protocols.dlt645.catalogue import find
from protocols.dlt645.controls import function_of
from protocols.dlt645.times import NotATimeError, time_layout
from protocols.errors import ProtocolError
from protocols.token_block.dlt645 import TOKEN_DI, decode_token
from simulators.faces.items import read_item
from simulators.faces.items.event_records import kinds_of
from simulators.metering import prepayment, programming
from simulators.metering.access import CLEAR_LEVEL, SETTING_LEVEL
from simulators.metering.bcd import local_of_time
from simulators.metering.events import EventKind
from simulators.metering.load_records import latest, since
from simulators.metering.relay import obey
from simulators.metering.smart_meter import SmartMeter

PART_BYTES: Final = 200
"""DATA of one answer; what is longer comes by follow-up frames."""
_LOAD_CLASS: Final = 0x06
_EARLIEST, _FROM_TIME, _LATEST = 0, 1, 2
_SPEED_WORD: Final = 0x04000703
_CIPHER_LEVEL: Final = 0x98
_MAC_LEVEL: Final = 0x99
_MAC_BYTES: Final = 4
_RELAY_PLAIN: Final = time_layout("YYMMDDhhmmss")
_REPLY: Final = Accepted()


class Face2007:
    """A meter as it answers; holds what is left of a long answer, and nothing else."""

    __slots__ = ("_long", "meter")

    edition: Final = Edition.Y2007

    def __init__(self, meter: SmartMeter) -> None:
        self.meter = meter
        self._long: tuple[int, LongAnswer] | None = None

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
            return self._misunderstood(frame, own)
        answer = self._answer(request, now)
        if answer is None or not answer_expected(request, frame.address):
            return None
        if isinstance(request, WriteAddress):
            own = Address(meter.address)
        return answer_frame(request, own, answer)

    def _misunderstood(self, frame: Frame, own: Address) -> Frame | None:
        is_ours = is_full(frame.address) and not is_wildcard(frame.address)
        function = function_of(frame.control, self.edition)
        if not is_ours or function is None or frame.control != function:
            return None
        return Frame(own, frame.control | 0xC0, Refused.of(ErrorByte.OTHER).encode())

    def _answer(self, request: Request, now: datetime) -> Answer | None:
        handler = _HANDLERS.get(type(request))
        return None if handler is None else handler(self, request, now)

    # --- reading -----------------------------------------------------------------------------

    def _read(self, request: ReadData, _now: datetime) -> Answer:
        if request.di >> 24 == _LOAD_CLASS:
            data = self._load_records(request)
        else:
            data = read_item(self.meter, request.di)
        if data is None:
            return _refused(ErrorByte.NO_REQUESTED_DATA)
        if len(data) + 4 <= PART_BYTES:
            self._long = None
            return DataAnswer(request.di, data)
        long = LongAnswer(request.di, data, self.edition, PART_BYTES)
        self._long = (request.di, long)
        return long.first()

    def _load_records(self, request: ReadData) -> bytes | None:
        load_class, block = request.di >> 16 & 0xFF, request.di & 0xFF
        count = request.blocks or 1
        if load_class > 6 or request.di >> 8 & 0xFF or block > _LATEST:
            return None
        if block == _LATEST:
            return b"".join(latest(self.meter, load_class, count))
        if (block == _FROM_TIME) != (request.since is not None):
            return None
        start = None if request.since is None else local_of_time(request.since)
        return b"".join(since(self.meter, load_class, count, start))

    def _read_following(self, request: ReadFollowing, _now: datetime) -> Answer:
        if self._long is None or self._long[0] != request.di:
            return _refused(ErrorByte.NO_REQUESTED_DATA)
        part = self._long[1].following(request.seq)
        return _refused(ErrorByte.NO_REQUESTED_DATA) if part is None else part

    def _read_address(self, _request: ReadAddress, _now: datetime) -> Answer:
        return AddressAnswer(Address(self.meter.address))

    # --- writing -----------------------------------------------------------------------------

    def _write(self, request: WriteData, now: datetime) -> Answer:
        meter, data = self.meter, request.data
        if request.password.level in (_CIPHER_LEVEL, _MAC_LEVEL):
            opened = self._opened(request)
            if opened is None:
                return _refused(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
            data = opened
        elif not self._may(request.password, SETTING_LEVEL):
            return _refused(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        if request.di == TOKEN_DI:
            return _done_or(self._take_token(data, now))
        return _done_or(programming.write(meter, request.di, data, request.operator, now))

    def _opened(self, request: WriteData) -> bytes | None:
        """The data of a write that a MAC protects, with or without a cipher."""
        esam = self.meter.type.esam
        if request.password.level == _MAC_LEVEL:
            data, mac = request.data[:-_MAC_BYTES], request.data[-_MAC_BYTES:]
            return data if esam.mac(data) == mac else None
        plain = esam.opened(request.data)
        item = find(request.di, self.edition)
        return (
            plain if plain is None or item is None or item.length is None else plain[: item.length]
        )

    def _take_token(self, data: bytes, now: datetime) -> ErrorByte:
        if self.meter.counts_money:
            return ErrorByte.NO_REQUESTED_DATA
        try:
            sequence, digits = decode_token(data)
        except ProtocolError:
            return ErrorByte.OTHER
        return ErrorByte(0) if self.meter.take_token(sequence, digits, now) else ErrorByte.OTHER

    def _write_address(self, request: WriteAddress, _now: datetime) -> Answer | None:
        """There is no refusal to 15H: a meter that will not is silent."""
        meter = self.meter
        if meter.type.needs_programming_key and meter.second >= meter.programming_until:
            return None
        return _REPLY if programming.set_address(meter, request.address) else None

    def _set_time(self, request: BroadcastTime, now: datetime) -> None:
        self.meter.set_clock(local_of_time(request.time), now)

    def _freeze(self, request: Freeze, now: datetime) -> Answer:
        programming.set_freeze(self.meter, request.time, now)
        return _REPLY

    def _change_speed(self, request: ChangeBaud, _now: datetime) -> Answer:
        self.meter.parameters.write(_SPEED_WORD, bytes((request.speed,)))
        return SpeedAnswer(request.speed)

    def _change_password(self, request: ChangePassword, _now: datetime) -> Answer:
        level = (request.di & 0xFF) - 1
        if not self._may(request.old, level):
            return _refused(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        self.meter.access = self.meter.access.with_password(level, request.new.digits)
        return PasswordAnswer(request.new)

    def _set_output(self, request: SetMultiFunctionOutput, _now: datetime) -> Answer:
        self.meter.output = int(request.output)
        return OutputAnswer(request.output)

    # --- clearing ----------------------------------------------------------------------------

    def _clear_demand(self, request: ClearDemand, now: datetime) -> Answer:
        if not self._may(request.password, CLEAR_LEVEL):
            return _refused(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        self.meter.clear_demand(now, request.operator)
        return _REPLY

    def _clear_meter(self, request: ClearMeter, now: datetime) -> Answer:
        if not self._may(request.password, CLEAR_LEVEL):
            return _refused(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        self.meter.clear_registers(now, request.operator)
        return _REPLY

    def _clear_events(self, request: ClearEvents, now: datetime) -> Answer:
        if not self._may(request.password, CLEAR_LEVEL):
            return _refused(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        kinds = tuple(EventKind) if request.di == ALL_EVENTS else kinds_of(request.di)
        if not kinds:
            return _refused(ErrorByte.NO_REQUESTED_DATA)
        self.meter.clear_events(kinds, now, request.operator, request.di)
        return _REPLY

    # --- contact and money -------------------------------------------------------------------

    def _relay(self, request: RelayControl, now: datetime) -> Answer:
        if not self._may(request.password, CLEAR_LEVEL):
            return self._relay_refused(RelayError.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        until = local_of_time(request.valid_until)
        return self._obeyed(request.command, request.parameter, until, now)

    def _encrypted_relay(self, request: EncryptedRelayControl, now: datetime) -> Answer:
        plain = self.meter.type.esam.opened(request.cipher_and_mac)
        if plain is None or len(plain) < 8:
            return self._relay_refused(RelayError.MAC_WRONG)
        try:
            command = RelayCommand(plain[0])
            until = _RELAY_PLAIN.decode(plain[7:1:-1])
        except (ValueError, NotATimeError):
            return self._relay_refused(RelayError.MAC_WRONG)
        if until is None:
            return self._relay_refused(RelayError.VALIDITY_TIME_OVER)
        return self._obeyed(command, plain[1], local_of_time(until), now)

    def _obeyed(self, command: RelayCommand, parameter: int, until: int, now: datetime) -> Answer:
        refusal = obey(self.meter, command, parameter, until, now)
        return self._relay_refused(refusal) if refusal else _REPLY

    def _relay_refused(self, why: RelayError) -> Refused:
        if self.meter.type.has_relay_error_word:
            return Refused.of(why)
        if why is RelayError.PASSWORD_WRONG_OR_NOT_AUTHORISED:
            return _refused(ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED)
        return _refused(ErrorByte.OTHER)

    def _security(self, request: Security, now: datetime) -> Answer:
        answer = prepayment.execute(self.meter, request.di, request.data, now)
        if isinstance(answer, SecurityError):
            return Refused.of(answer)
        return SecurityAnswer(request.di, answer)

    def _may(self, password: Password, needed: int) -> bool:
        """Whether a password opens what needs a level; wrong ones are counted."""
        meter = self.meter
        is_right, meter.access = meter.access.tried(
            password.level, password.digits, needed, meter.second, meter.type
        )
        return is_right


def _refused(why: ErrorByte) -> Refused:
    return Refused.of(why)


def _done_or(why: ErrorByte) -> Answer:
    return Refused.of(why) if why else _REPLY


_HANDLERS: Final[dict[type, Callable[[Face2007, Any, datetime], Answer | None]]] = {
    ReadData: Face2007._read,
    ReadFollowing: Face2007._read_following,
    ReadAddress: Face2007._read_address,
    WriteData: Face2007._write,
    WriteAddress: Face2007._write_address,
    BroadcastTime: Face2007._set_time,
    Freeze: Face2007._freeze,
    ChangeBaud: Face2007._change_speed,
    ChangePassword: Face2007._change_password,
    SetMultiFunctionOutput: Face2007._set_output,
    ClearDemand: Face2007._clear_demand,
    ClearMeter: Face2007._clear_meter,
    ClearEvents: Face2007._clear_events,
    RelayControl: Face2007._relay,
    EncryptedRelayControl: Face2007._encrypted_relay,
    Security: Face2007._security,
}
