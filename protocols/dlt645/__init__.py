"""DL/T 645, editions 2007 and 1997, without any I/O: bytes and values in, bytes and values out.

A master, one request::

    wire = encode(request_frame(ReadData(0x00010000), "000000000161"))
    for frame in decoder.feed(received):
        answer = match_answer(request, "000000000161", frame)  # None: not ours, go on waiting

A meter, one answer::

    request = parse_request(frame, Edition.Y2007)
    reply = encode(answer_frame(request, own_address, DataAnswer(request.di, data)))

=================  =============================================================================
`codec`            frames and the receive buffer
`controls`         control codes, editions
`addresses`        numbers, wildcards, broadcast
`requests`, …      what a master asks (`relay`, `requests_1997`, `security` beside it)
`answers`          what meters answer; `error_bits`: why they refuse
`matching`         which answer belongs to which request
`follow_up`        long answers in parts, both sides
`catalogue`        data items: names, formats, units; `values`, `times`, `patterns` below it
`payloads`         event records, freezes, load records; `status_words`
`records`          frames as JSON objects, for the engineers' commands
=================  =============================================================================

Everything here is pure: no clock, no I/O.  What we do wrong raises `LocalProtocolError`, what the
meter does wrong `RemoteProtocolError`; a meter's refusal is an answer (`Refused`).
"""

from protocols.dlt645.addresses import (
    ANY_METER,
    BROADCAST,
    Address,
    parse_address,
    shortened,
)
from protocols.dlt645.answers import (
    Accepted,
    AddressAnswer,
    Answer,
    DataAnswer,
    OutputAnswer,
    PasswordAnswer,
    Refused,
    SecurityAnswer,
    SpeedAnswer,
)
from protocols.dlt645.codec import (
    FRAME_BYTES_MAX,
    Frame,
    FrameDecoder,
    Noise,
    decode,
    encode,
)
from protocols.dlt645.controls import (
    Edition,
    Function1997,
    Function2007,
    guess_edition,
)
from protocols.dlt645.error_bits import (
    ErrorByte,
    RelayError,
    SecurityError,
    error_names,
)
from protocols.dlt645.fields import (
    MultiFunctionOutput,
    Password,
    RelayCommand,
    Speed,
)
from protocols.dlt645.follow_up import (
    LongAnswer,
    LongRead,
)
from protocols.dlt645.matching import (
    answer_expected,
    answer_frame,
    match_answer,
    parse_request,
    request_frame,
)
from protocols.dlt645.payloads import (
    LoadRecord,
    build_load_record,
    parse_load_records,
)
from protocols.dlt645.relay import (
    EncryptedRelayControl,
    RelayControl,
)
from protocols.dlt645.request import (
    Request,
)
from protocols.dlt645.requests import (
    ALL_EVENTS,
    BroadcastTime,
    ChangeBaud,
    ChangePassword,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    Freeze,
    ReadAddress,
    ReadData,
    ReadFollowing,
    Security,
    SetMultiFunctionOutput,
    WriteAddress,
    WriteData,
    freeze_time,
)
from protocols.dlt645.requests_1997 import (
    BroadcastTime1997,
    ChangeBaud1997,
    ChangePassword1997,
    ClearDemand1997,
    ReadData1997,
    ReadFollowing1997,
    RereadData1997,
    WriteAddress1997,
    WriteData1997,
)
from protocols.dlt645.status_words import (
    StatusWord3,
    build_status_word_3,
    parse_status_word_3,
)
from protocols.dlt645.times import (
    EVERY,
    MeterTime,
)
from protocols.dlt645.values import (
    Reading,
    Value,
)

__all__ = [
    "ALL_EVENTS",
    "ANY_METER",
    "BROADCAST",
    "EVERY",
    "FRAME_BYTES_MAX",
    "Accepted",
    "Address",
    "AddressAnswer",
    "Answer",
    "BroadcastTime",
    "BroadcastTime1997",
    "ChangeBaud",
    "ChangeBaud1997",
    "ChangePassword",
    "ChangePassword1997",
    "ClearDemand",
    "ClearDemand1997",
    "ClearEvents",
    "ClearMeter",
    "DataAnswer",
    "Edition",
    "EncryptedRelayControl",
    "ErrorByte",
    "Frame",
    "FrameDecoder",
    "Freeze",
    "Function1997",
    "Function2007",
    "LoadRecord",
    "LongAnswer",
    "LongRead",
    "MeterTime",
    "MultiFunctionOutput",
    "Noise",
    "OutputAnswer",
    "Password",
    "PasswordAnswer",
    "ReadAddress",
    "ReadData",
    "ReadData1997",
    "ReadFollowing",
    "ReadFollowing1997",
    "Reading",
    "Refused",
    "RelayCommand",
    "RelayControl",
    "RelayError",
    "Request",
    "RereadData1997",
    "Security",
    "SecurityAnswer",
    "SecurityError",
    "SetMultiFunctionOutput",
    "Speed",
    "SpeedAnswer",
    "StatusWord3",
    "Value",
    "WriteAddress",
    "WriteAddress1997",
    "WriteData",
    "WriteData1997",
    "answer_expected",
    "answer_frame",
    "build_load_record",
    "build_status_word_3",
    "decode",
    "encode",
    "error_names",
    "freeze_time",
    "guess_edition",
    "match_answer",
    "parse_address",
    "parse_load_records",
    "parse_request",
    "parse_status_word_3",
    "request_frame",
    "shortened",
]
