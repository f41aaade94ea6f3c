from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645 import (
    ALL_EVENTS,
    ANY_METER,
    BROADCAST,
    EVERY,
    Accepted,
    Address,
    AddressAnswer,
    Answer,
    BroadcastTime,
    BroadcastTime1997,
    ChangeBaud,
    ChangeBaud1997,
    ChangePassword,
    ChangePassword1997,
    ClearDemand,
    ClearDemand1997,
    ClearEvents,
    ClearMeter,
    DataAnswer,
    Edition,
    EncryptedRelayControl,
    ErrorByte,
    Frame,
    Freeze,
    MeterTime,
    MultiFunctionOutput,
    OutputAnswer,
    Password,
    PasswordAnswer,
    ReadAddress,
    ReadData,
    ReadData1997,
    ReadFollowing,
    ReadFollowing1997,
    Refused,
    RelayCommand,
    RelayControl,
    RelayError,
    Request,
    RereadData1997,
    Security,
    SecurityAnswer,
    SecurityError,
    SetMultiFunctionOutput,
    Speed,
    SpeedAnswer,
    WriteAddress,
    WriteAddress1997,
    WriteData,
    WriteData1997,
    answer_expected,
    answer_frame,
    catalogue,
    freeze_time,
    match_answer,
    parse_request,
    request_frame,
)
from protocols.dlt645.errors import (
    AddressError,
    FieldRangeError,
    LayoutError,
    NotInEditionError,
    TooLongError,
    ValueFormatError,
)
from protocols.errors import LocalProtocolError
from tests.protocols.dlt645.vectors import GOOD, frame_named, frame_of, name_of

METER = Address("123456789012")
OTHER = Address("000000000161")
PASSWORD = Password(2, "101010")
OPERATOR = "12345678"
CLOCK = MeterTime(year=2018, month=5, day=12, hour=15, minute=41, second=24)

REQUESTS: list[tuple[Request, Answer | None]] = [
    (Security(0x078102FF, OPERATOR), SecurityAnswer(0x078102FF, bytes(26))),
    (BroadcastTime(CLOCK), None),
    (ReadData(0x00010000), DataAnswer(0x00010000, bytes(4))),
    (ReadData(0x06000000, 12), DataAnswer(0x06000000, bytes(103), more=True)),
    (ReadData(0x06000001, 1, MeterTime(year=2026, month=11, day=21, hour=9, minute=30)),
     DataAnswer(0x06000001, b"")),
    (ReadFollowing(0x03300501, 255), DataAnswer(0x03300501, bytes(9), more=True, seq=255)),
    (ReadAddress(), AddressAnswer(METER)),
    (WriteData(0x04000101, PASSWORD, OPERATOR, bytes(4)), Accepted()),
    (WriteAddress(OTHER), Accepted()),
    (Freeze(), Accepted()),
    (Freeze(freeze_time(day=1, hour=0, minute=0)), Accepted()),
    (ChangeBaud(Speed.BAUD_9600), SpeedAnswer(0x20)),
    (ChangePassword(0x04000C03, PASSWORD, Password(2, "654321")),
     PasswordAnswer(Password(2, "654321"))),
    (ClearDemand(PASSWORD, OPERATOR), Accepted()),
    (ClearMeter(PASSWORD, OPERATOR), Accepted()),
    (ClearEvents(PASSWORD, OPERATOR, 0x030100FF), Accepted()),
    (ClearEvents(PASSWORD, OPERATOR), Accepted()),
    (RelayControl(PASSWORD, OPERATOR, RelayCommand.ALLOW_CLOSE, CLOCK), Accepted()),
    (EncryptedRelayControl(OPERATOR, bytes(range(20))), Accepted()),
    (SetMultiFunctionOutput(MultiFunctionOutput.DEMAND_PERIOD),
     OutputAnswer(MultiFunctionOutput.DEMAND_PERIOD)),
    (ReadData1997(0x9010), DataAnswer(0x9010, bytes(4), edition=Edition.Y1997)),
    (ReadFollowing1997(0x90FF), DataAnswer(0x90FF, bytes(4), more=True, edition=Edition.Y1997)),
    (RereadData1997(0x9010), DataAnswer(0x9010, bytes(4), edition=Edition.Y1997)),
    (WriteData1997(0xC010, PASSWORD, bytes(4)), Accepted()),
    (BroadcastTime1997(CLOCK), None),
    (WriteAddress1997(OTHER), Accepted()),
    (ChangeBaud1997(0x04), SpeedAnswer(0x04)),
    (ChangePassword1997(PASSWORD, Password(2, "654321")), PasswordAnswer(Password(2, "654321"))),
    (ClearDemand1997(PASSWORD), Accepted()),
]  # fmt: skip


def pair_name(pair: Any) -> str:
    return str(type(pair).__name__)


def sent_to(request: Request) -> str:
    return ANY_METER if isinstance(request, ReadAddress | WriteAddress) else METER


@pytest.mark.parametrize(("request_", "answer"), REQUESTS, ids=pair_name)
def test_both_ends_understand_each_other(request_: Request, answer: Answer | None) -> None:
    frame = request_frame(request_, sent_to(request_))
    assert parse_request(frame, request_.edition) == request_
    assert not frame.from_meter
    if answer is None:
        assert not answer_expected(request_, METER)
        with pytest.raises(NotInEditionError):
            answer_frame(request_, METER, Accepted())
        return
    reply = answer_frame(request_, METER, answer)
    assert reply.from_meter
    assert match_answer(request_, sent_to(request_), reply) == answer


@pytest.mark.parametrize(("request_", "answer"), REQUESTS, ids=pair_name)
def test_only_the_answer_is_the_answer(request_: Request, answer: Answer | None) -> None:
    asked = sent_to(request_)
    if answer is None:
        return
    reply = answer_frame(request_, METER, answer)
    echo = request_frame(request_, asked)
    assert match_answer(request_, asked, echo) is None, "own echo"
    assert match_answer(request_, OTHER, reply) is None, "another meter"
    assert match_answer(request_, METER, reply._replace(address="AAAAAAAA9012")) is None
    other_function = reply.control ^ 0x0F
    assert match_answer(request_, asked, reply._replace(control=other_function)) is None
    di = getattr(request_, "di", None)
    if di is not None and isinstance(answer, DataAnswer | SecurityAnswer):
        late = reply._replace(data=bytes((reply.data[0] ^ 1,)) + reply.data[1:])
        assert match_answer(request_, asked, late) is None, "late answer for another item"


@pytest.mark.parametrize(("request_", "answer"), REQUESTS, ids=pair_name)
def test_a_refusal_answers_whatever_was_asked(request_: Request, answer: Answer | None) -> None:
    if answer is None:
        return
    refused = Refused.of(ErrorByte.OTHER | ErrorByte.NO_REQUESTED_DATA)
    reply = answer_frame(request_, METER, refused)
    assert reply.abnormal
    assert match_answer(request_, sent_to(request_), reply) == refused
    assert refused.names == ["other", "no requested data"]


@pytest.mark.parametrize("vector", [v for v in GOOD if not v["from_meter"]], ids=name_of)
def test_gathered_requests_are_understood(vector: dict[str, Any]) -> None:
    frame = frame_of(vector)
    request = parse_request(frame, Edition(vector["protocol"]))
    assert request.encode() == frame.data
    assert request.function == frame.control


def test_gathered_pairs_match() -> None:
    for asked, answered, edition in [
        ("v036", "v037", Edition.Y2007),
        ("v040", "v041", Edition.Y2007),
        ("v067", "v068", Edition.Y2007),
        ("v111", "v112", Edition.Y1997),
        ("v119", "v120", Edition.Y1997),
    ]:
        frame = frame_named(asked)
        request = parse_request(frame, edition)
        assert isinstance(match_answer(request, frame.address, frame_named(answered)), DataAnswer)
    refusal = match_answer(ReadData(0x03010000), "201000000012", frame_named("v085"))
    assert isinstance(refusal, Refused)
    assert refusal.word == ErrorByte.NO_REQUESTED_DATA
    # B611 and 9010 have the same control code: only the identifier tells a late answer.
    assert match_answer(ReadData1997(0xB611), BROADCAST, frame_named("v112")) is None


def test_recorded_commands() -> None:
    trip = RelayControl(
        Password(0, "000000"), "00000000", RelayCommand.TRIP,
        MeterTime(year=2018, month=5, day=12, hour=15, minute=41, second=24),
    )  # fmt: skip
    assert request_frame(trip, "111111111111") == frame_named("v098")
    encrypted = parse_request(frame_named("v099"), Edition.Y2007)
    assert isinstance(encrypted, EncryptedRelayControl)
    assert encrypted.operator == "12345678"
    assert encrypted.encode() == frame_named("v099").data
    plain = RelayControl(
        Password(0, "000000"), "00000000", RelayCommand.TRIP,
        MeterTime(year=2010, month=7, day=22, hour=18, minute=56, second=17),
    ).plain_text()  # fmt: skip
    assert plain.hex() == "1a00100722185617"
    write = WriteData(0x04000101, PASSWORD, "11111111", bytes.fromhex("04100518"))
    assert request_frame(write, "001803140001") == frame_named("v093")
    assert ChangeBaud(Speed.of(1200)).encode() == frame_named("v097").data


def test_freeze_patterns() -> None:
    assert Freeze().encode().hex() == "99999999"
    assert Freeze(freeze_time(minute=30)).encode().hex() == "30999999"
    assert Freeze(freeze_time(hour=1, minute=30)).encode().hex() == "30019999"
    assert Freeze(freeze_time(day=1, hour=0, minute=0)).encode().hex() == "00000199"
    with pytest.raises(FieldRangeError, match="last units"):
        Freeze(MeterTime(month=EVERY, day=1, hour=EVERY, minute=30))
    with pytest.raises(LayoutError):
        Freeze.parse(bytes.fromhex("99000199"))


def test_password_order_and_secrecy() -> None:
    assert Password(4, "123456").encode().hex() == "04563412"
    assert Password.from_wire(bytes.fromhex("04123456")).encode().hex() == "04123456"
    assert "123456" not in repr(Password(4, "123456"))
    assert WriteData(0x04000101, Password(0, "000000"), "12345678", b"").encode()[-4:].hex() == (
        "78563412"
    )


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: ReadData(1 << 32), FieldRangeError),
        (lambda: ReadData(-1), FieldRangeError),
        (lambda: ReadData1997(0x10000), FieldRangeError),
        (lambda: ReadData(0x06000000, 0), FieldRangeError),
        (lambda: ReadData(0x06000000, 100), FieldRangeError),
        (lambda: ReadData(0x06000001, since=CLOCK), FieldRangeError),
        (lambda: ReadFollowing(0x00010000, 0), FieldRangeError),
        (lambda: ReadFollowing(0x00010000, 256), FieldRangeError),
        (lambda: Password(0, "12345"), FieldRangeError),
        (lambda: Password(256, "123456"), FieldRangeError),
        (lambda: Password.from_wire(b"123"), FieldRangeError),
        (lambda: WriteData(0x04000101, PASSWORD, "1234", b""), FieldRangeError),
        (lambda: WriteData(0x04000101, PASSWORD, OPERATOR, bytes(51)), TooLongError),
        (lambda: WriteAddress(Address("AAAAAAAAAAAA")), AddressError),
        (lambda: WriteAddress(BROADCAST), AddressError),
        (lambda: WriteAddress1997(Address("1")), AddressError),
        (lambda: BroadcastTime(MeterTime(hour=1)), ValueFormatError),
        (lambda: Speed.of(300), FieldRangeError),
        (lambda: ChangePassword(0x04000C0B, PASSWORD, PASSWORD), FieldRangeError),
        (lambda: ClearEvents(PASSWORD, OPERATOR, 0x03010000), FieldRangeError),
        (lambda: RelayControl(PASSWORD, OPERATOR, RelayCommand.TRIP, CLOCK, 256), FieldRangeError),
        (lambda: EncryptedRelayControl(OPERATOR, bytes(19)), FieldRangeError),
        (lambda: ChangeBaud1997(256), FieldRangeError),
        (lambda: request_frame(ReadData(0), BROADCAST), AddressError),
        (lambda: request_frame(ReadAddress(), METER), AddressError),
        (lambda: request_frame(ReadData(0), "12A4"), AddressError),
    ],
)
def test_misuse_is_refused_before_anything_is_sent(
    make: Any, fault: type[LocalProtocolError]
) -> None:
    with pytest.raises(fault):
        make()


@given(st.integers(0, 0x1F), st.binary(max_size=60), st.sampled_from(Edition))
def test_any_request_is_understood_or_refused_as_the_peers_fault(
    control: int, data: bytes, edition: Edition
) -> None:
    try:
        request = parse_request(Frame(METER, control, data), edition)
    except LayoutError:
        return
    assert request.encode() == data


@given(st.sampled_from(REQUESTS), st.integers(0x80, 0xFF), st.binary(max_size=60))
def test_any_answer_is_taken_skipped_or_the_peers_fault(
    pair: tuple[Request, Answer | None], control: int, data: bytes
) -> None:
    request = pair[0]
    control = control & 0xE0 | request.function
    try:
        match_answer(request, sent_to(request), Frame(METER, control, data))
    except LayoutError:
        return


def test_shortened_and_wildcard_requests_match_full_answers() -> None:
    request = ReadData(0x00010000)
    reply = answer_frame(request, METER, DataAnswer(0x00010000, bytes(4)))
    assert match_answer(request, "AAAAAAAA9012", reply)
    assert match_answer(request, ANY_METER, reply)
    assert match_answer(request, "AAAAAAAA9013", reply) is None


@pytest.mark.parametrize(
    ("request_", "raw", "word"),
    [
        (ReadData(0), "06", ErrorByte(6)),
        (Security(0x070102FF, OPERATOR), "01", ErrorByte.OTHER),
        (Security(0x070102FF, OPERATOR), "0200", SecurityError.REPEATED_RECHARGE),
        (RelayControl(PASSWORD, OPERATOR, RelayCommand.TRIP, CLOCK), "04", ErrorByte(4)),
        (RelayControl(PASSWORD, OPERATOR, RelayCommand.TRIP, CLOCK), "0001",
         RelayError.PRE_TRIP_FAILED_ALREADY_TRIPPED),
        (ReadData(0), "", None),
        (ReadData(0), "0102", None),
    ],
)  # fmt: skip
def test_refusals_of_one_and_two_bytes(request_: Request, raw: str, word: object) -> None:
    frame = Frame(METER, request_.function | 0xC0, bytes.fromhex(raw))
    answer = match_answer(request_, METER, frame)
    assert isinstance(answer, Refused)
    assert answer.word == word
    assert answer.encode().hex() == raw
    assert answer.names


def test_only_reads_may_be_repeated() -> None:
    repeatable = {type(request) for request, _ in REQUESTS if request.repeatable}
    assert repeatable == {
        ReadData, ReadFollowing, ReadAddress, ReadData1997, RereadData1997,
    }  # fmt: skip


def test_values_go_into_a_write() -> None:
    raw = catalogue.encode(0x04001001, [Decimal("20.00")])
    assert raw.hex() == "00200000"
    assert ALL_EVENTS == 0xFFFFFFFF
