"""One record made into a frame (see `records`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from protocols.dlt645 import catalogue, security
from protocols.dlt645.addresses import parse_address
from protocols.dlt645.answers import Refused, di_bytes, encode_di
from protocols.dlt645.codec import Frame
from protocols.dlt645.controls import (
    AnswerKind,
    Edition,
    Function,
    Function1997,
    Function2007,
    answer_control,
    function_name,
    function_of,
)
from protocols.dlt645.error_bits import ErrorByte, RelayError, SecurityError, error_names
from protocols.dlt645.errors import InvalidFieldError, MissingFieldError
from protocols.dlt645.fields import MultiFunctionOutput, RelayCommand, Speed
from protocols.dlt645.record_fields import Fields
from protocols.dlt645.record_view import is_read, words
from protocols.dlt645.request import CLOCK, FREEZE_TIME, MINUTE
from protocols.dlt645.requests import (
    BroadcastTime,
    ChangeBaud,
    ChangePassword,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    EncryptedRelayControl,
    Freeze,
    ReadData,
    ReadFollowing,
    RelayControl,
    Security,
    SetMultiFunctionOutput,
    WriteAddress,
    WriteData,
)
from protocols.dlt645.requests_1997 import (
    ChangeBaud1997,
    ChangePassword1997,
    ClearDemand1997,
    ReadData1997,
    ReadFollowing1997,
    WriteData1997,
)
from protocols.dlt645.values import RAW


def build_frame(fields: Fields) -> Frame:
    """The frame of a record.

    Raises:
        RecordError, LocalProtocolError: whatever is wrong with the record.
    """
    edition = fields.edition() or Edition.Y2007
    control = _control(fields, edition)
    frame = Frame(fields.text("address").upper(), control, b"")
    if not fields.has("data"):
        frame = frame._replace(address=parse_address(frame.address, edition))
        return frame._replace(data=_data(fields, frame, edition))
    return frame._replace(data=fields.bytes("data"))


def _control(fields: Fields, edition: Edition) -> int:
    if fields.has("control"):
        return fields.code("control", 2)
    name = fields.text("function")
    functions: tuple[Function, ...] = (
        tuple(Function2007) if edition is Edition.Y2007 else tuple(Function1997)
    )
    for function in functions:
        if function_name(function) == name:
            return _with_bits(function, fields)
    known = ", ".join(str(function_name(function)) for function in functions)
    raise InvalidFieldError(f"Function {name!r} is none of {edition}: {known}.")


def _with_bits(function: Function, fields: Fields) -> int:
    if not fields.flag("from_meter"):
        return int(function)
    if fields.flag("abnormal"):
        return answer_control(function, AnswerKind.ABNORMAL)
    more = fields.flag("follow_up")
    return answer_control(function, AnswerKind.FOLLOW_UP if more else AnswerKind.NORMAL)


def _data(fields: Fields, frame: Frame, edition: Edition) -> bytes:
    function = function_of(frame.control, edition)
    if function is None:
        raise MissingFieldError("Field 'data' is missing: this control code has no known layout.")
    if not frame.from_meter:
        builders = _REQUESTS_2007 if edition is Edition.Y2007 else _REQUESTS_1997
        return builders.get(function, _only_as_data)(fields, edition)
    if frame.abnormal:
        return _error_bytes(fields.names("error"), function)
    return _answer_data(fields, function, edition)


def _di(fields: Fields, edition: Edition) -> int:
    return fields.code("di", 2 * di_bytes(edition))


def _item_bytes(fields: Fields, edition: Edition) -> bytes:
    """The bytes of ``values``: by the catalogue, or as they stand behind "raw"."""
    texts = fields.texts()
    if len(texts) == 1 and texts[0] is not None and texts[0].startswith(f"{RAW} "):
        try:
            return bytes.fromhex(texts[0].removeprefix(RAW))
        except ValueError:
            raise InvalidFieldError("A raw value must be pairs of hexadecimal digits.") from None
    di = _di(fields, edition)
    return catalogue.encode(di, catalogue.parse_values(di, texts, edition), edition)


def _only_text(fields: Fields) -> str:
    """The text of the only value."""
    texts = fields.texts()
    if len(texts) != 1 or texts[0] is None:
        raise InvalidFieldError("Field 'values' must hold one value here.")
    return texts[0]


def _read(fields: Fields, edition: Edition) -> bytes:
    di = _di(fields, edition)
    if edition is Edition.Y1997:
        return ReadData1997(di).encode()
    blocks = fields.number("blocks") if fields.has("blocks") else None
    since = MINUTE.parse(fields.text("since")) if fields.has("since") else None
    return ReadData(di, blocks, since).encode()


def _read_following(fields: Fields, edition: Edition) -> bytes:
    di = _di(fields, edition)
    if edition is Edition.Y1997:
        return ReadFollowing1997(di).encode()
    return ReadFollowing(di, fields.number("seq")).encode()


def _write(fields: Fields, edition: Edition) -> bytes:
    di, password = _di(fields, edition), fields.password()
    data = _item_bytes(fields, edition)
    if edition is Edition.Y1997:
        return WriteData1997(di, password, data).encode()
    return WriteData(di, password, fields.text("operator"), data).encode()


def _new_address(fields: Fields, _edition: Edition) -> bytes:
    given = fields.text("new_address") if fields.has("new_address") else _only_text(fields)
    return WriteAddress(parse_address(given)).encode()


def _time(fields: Fields, _edition: Edition) -> bytes:
    given = fields.text("time") if fields.has("time") else _only_text(fields)
    return BroadcastTime(CLOCK.parse(given)).encode()


def _baud(fields: Fields, edition: Edition) -> bytes:
    if edition is Edition.Y1997:
        return ChangeBaud1997(fields.code("feature", 2)).encode()
    return ChangeBaud(Speed.of(fields.number("baud"))).encode()


def _change_password(fields: Fields, edition: Edition) -> bytes:
    old, new = fields.password(), fields.password("new_")
    if edition is Edition.Y1997:
        return ChangePassword1997(old, new).encode()
    return ChangePassword(_di(fields, edition), old, new).encode()


def _clear_demand(fields: Fields, edition: Edition) -> bytes:
    if edition is Edition.Y1997:
        return ClearDemand1997(fields.password()).encode()
    return ClearDemand(fields.password(), fields.text("operator")).encode()


def _clear_meter(fields: Fields, _edition: Edition) -> bytes:
    return ClearMeter(fields.password(), fields.text("operator")).encode()


def _clear_events(fields: Fields, _edition: Edition) -> bytes:
    di = fields.code("clear_di", 8)
    return ClearEvents(fields.password(), fields.text("operator"), di).encode()


def _relay(fields: Fields, _edition: Edition) -> bytes:
    operator = fields.text("operator")
    if fields.has("cipher_and_mac"):
        return EncryptedRelayControl(operator, fields.bytes("cipher_and_mac")).encode()
    name = fields.text("command")
    commands = {words(command.name): command for command in RelayCommand}
    if name not in commands:
        raise InvalidFieldError(f"Relay command {name!r} is none of: {', '.join(commands)}.")
    valid_until = CLOCK.parse(fields.text("valid_until"))
    parameter = fields.number("parameter", 0)
    return RelayControl(
        fields.password(), operator, commands[name], valid_until, parameter
    ).encode()


def _output(fields: Fields, _edition: Edition) -> bytes:
    outputs = {words(output.name): output for output in MultiFunctionOutput}
    name = fields.text("output")
    if name not in outputs:
        raise InvalidFieldError(f"Output {name!r} is none of: {', '.join(outputs)}.")
    return SetMultiFunctionOutput(outputs[name]).encode()


def _security_request(fields: Fields, edition: Edition) -> bytes:
    di = _di(fields, edition)
    data = fields.bytes("payload") if fields.has("payload") else b""
    if fields.has("amount_cents"):
        data = security.Purchase(
            fields.number("amount_cents"),
            fields.number("count"),
            fields.bytes("mac1"),
            fields.text("client_number"),
            fields.bytes("mac2"),
        ).encode()
    return Security(di, fields.text("operator"), data).encode()


def _freeze(fields: Fields, _edition: Edition) -> bytes:
    return Freeze(FREEZE_TIME.parse(fields.text("time"))).encode()


def _nothing(_fields: Fields, _edition: Edition) -> bytes:
    return b""


def _only_as_data(_fields: Fields, _edition: Edition) -> bytes:
    raise MissingFieldError("Field 'data' is missing: a vendor's own code has no known layout.")


_Builder = Callable[[Fields, Edition], bytes]
_REQUESTS_2007: Final[Mapping[int, _Builder]] = {
    Function2007.SECURITY: _security_request,
    Function2007.BROADCAST_TIME: _time,
    Function2007.READ_DATA: _read,
    Function2007.READ_FOLLOWING: _read_following,
    Function2007.READ_ADDRESS: _nothing,
    Function2007.WRITE_DATA: _write,
    Function2007.WRITE_ADDRESS: _new_address,
    Function2007.FREEZE: _freeze,
    Function2007.CHANGE_BAUD: _baud,
    Function2007.CHANGE_PASSWORD: _change_password,
    Function2007.CLEAR_DEMAND: _clear_demand,
    Function2007.CLEAR_METER: _clear_meter,
    Function2007.CLEAR_EVENTS: _clear_events,
    Function2007.RELAY_CONTROL: _relay,
    Function2007.MULTI_FUNCTION_OUTPUT: _output,
}
_REQUESTS_1997: Final[Mapping[int, _Builder]] = {
    Function1997.READ_DATA: _read,
    Function1997.READ_FOLLOWING: _read_following,
    Function1997.REREAD_DATA: _read,
    Function1997.WRITE_DATA: _write,
    Function1997.BROADCAST_TIME: _time,
    Function1997.WRITE_ADDRESS: _new_address,
    Function1997.CHANGE_BAUD: _baud,
    Function1997.CHANGE_PASSWORD: _change_password,
    Function1997.CLEAR_DEMAND: _clear_demand,
}


# Answers


def _error_bytes(names: list[str], function: Function) -> bytes:
    """ERR for the words of one byte, the function's own word where they need it."""
    kinds: list[type[ErrorByte | SecurityError | RelayError]] = [ErrorByte]
    if function is Function2007.SECURITY:
        kinds.append(SecurityError)
    if function is Function2007.RELAY_CONTROL:
        kinds.append(RelayError)
    for kind in kinds:
        bits = {error_names(flag)[0]: flag for flag in kind}
        if bits.keys() >= set(names):
            word = kind(sum({bits[name] for name in names}))
            return Refused.of(word).encode()
    raise InvalidFieldError(f"Field 'error' knows these words: {', '.join(bits)}.")


def _answer_data(fields: Fields, function: Function, edition: Edition) -> bytes:
    if function is Function2007.SECURITY:
        payload = fields.bytes("payload") if fields.has("payload") else b""
        return encode_di(_di(fields, edition), edition) + payload
    if is_read(function):
        data = encode_di(_di(fields, edition), edition) + _item_bytes(fields, edition)
        following = function is Function2007.READ_FOLLOWING
        return data + bytes((fields.number("seq"),)) if following else data
    if function is Function2007.READ_ADDRESS:
        return bytes.fromhex(parse_address(_only_text(fields)))[::-1]
    if function is Function2007.CHANGE_BAUD or function is Function1997.CHANGE_BAUD:
        return _baud(fields, edition)
    if function is Function2007.CHANGE_PASSWORD or function is Function1997.CHANGE_PASSWORD:
        return fields.password("new_").encode()
    if function is Function2007.MULTI_FUNCTION_OUTPUT:
        return _output(fields, edition)
    return b""
