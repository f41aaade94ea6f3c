import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645 import (
    Address,
    DataAnswer,
    Edition,
    ErrorByte,
    LongAnswer,
    LongRead,
    ReadData,
    ReadData1997,
    ReadFollowing,
    ReadFollowing1997,
    Refused,
    answer_frame,
    encode,
    match_answer,
    parse_request,
    request_frame,
)
from protocols.dlt645.codec import FrameDecoder
from protocols.dlt645.errors import FieldRangeError, FollowUpError
from protocols.dlt645.follow_up import next_seq

METER = Address("123456789012")
DI = 0x03300501
READS: dict[Edition, ReadData | ReadData1997] = {
    Edition.Y2007: ReadData(DI),
    Edition.Y1997: ReadData1997(0x90FF),
}


def converse(read: LongRead, meter: LongAnswer, edition: Edition) -> bytes:
    """Master and meter over the wire's bytes until the data are whole."""
    master_side, meter_side = FrameDecoder(), FrameDecoder()
    for _ in range(2_000):
        (asked,) = meter_side.feed(encode(request_frame(read.request, METER)))
        request = parse_request(asked, edition)
        if isinstance(request, ReadFollowing):
            part = meter.following(request.seq)
        elif isinstance(request, ReadFollowing1997):
            part = meter.following()
        else:
            part = meter.first()
        assert part is not None
        wire = encode(answer_frame(request, METER, part))
        assert len(part.encode()) <= 200
        (reply,) = master_side.feed(wire)
        answer = match_answer(read.request, METER, reply)
        assert isinstance(answer, DataAnswer)
        data = read.receive(answer)
        if data is not None:
            return data
    raise AssertionError("it never ends")


@given(
    st.sampled_from(Edition),
    st.binary(max_size=3_000) | st.integers(0, 12_000).map(lambda size: b"\x35\xaa" * (size // 2)),
    st.integers(20, 200),
    st.integers(1, 8),
)
def test_any_length_comes_whole(edition: Edition, data: bytes, part: int, align: int) -> None:
    read = LongRead(READS[edition])
    meter = LongAnswer(READS[edition].di, data, edition, part, align)
    assert converse(read, meter, edition) == data


def test_seq_begins_again_after_255() -> None:
    data = bytes(range(256)) * 12
    read = LongRead(READS[Edition.Y2007])
    meter = LongAnswer(DI, data, part_bytes_max=15)
    assert converse(read, meter, Edition.Y2007) == data
    assert [next_seq(seq) for seq in (0, 1, 254, 255)] == [1, 2, 255, 1]


def test_the_first_part_has_no_seq_and_the_others_do() -> None:
    meter = LongAnswer(DI, bytes(500))
    first = meter.first()
    assert (first.more, first.seq, len(first.encode())) == (True, None, 199)
    second = meter.following(1)
    assert second is not None
    assert (second.more, second.seq, len(second.encode())) == (True, 1, 200)
    assert meter.following(1) == second, "asked again, since the answer was lost"
    assert meter.following(3) is None
    last = meter.following(2)
    assert last is not None
    assert (last.more, last.seq) == (False, 2)
    assert meter.following(3) is None


def test_a_meter_that_was_not_asked_for_the_first_part_gives_no_following() -> None:
    assert LongAnswer(DI, bytes(500)).following(1) is None
    assert LongAnswer(0x90FF, bytes(500), Edition.Y1997).following() is None


@pytest.mark.parametrize(
    "answer",
    [
        DataAnswer(DI, b"x", more=True, seq=2),
        DataAnswer(DI, b"x", more=False, seq=None),
        DataAnswer(DI + 1, b"x", seq=1),
        DataAnswer(DI, b"", more=True, seq=1),
        Refused.of(ErrorByte.NO_REQUESTED_DATA),
    ],
)
def test_a_cut_value_is_never_given_out(answer: DataAnswer | Refused) -> None:
    read = LongRead(READS[Edition.Y2007])
    assert read.receive(DataAnswer(DI, b"first", more=True)) is None
    assert read.request == ReadFollowing(DI, 1)
    with pytest.raises(FollowUpError):
        read.receive(answer)


def test_a_meter_that_never_ends_is_stopped() -> None:
    read = LongRead(READS[Edition.Y1997], cap=1_000)
    part = DataAnswer(0x90FF, bytes(100), more=True, edition=Edition.Y1997)
    for _ in range(10):
        read.receive(part)
    with pytest.raises(FollowUpError, match="longer than 1000"):
        read.receive(part)


def test_parts_must_have_room() -> None:
    with pytest.raises(FieldRangeError):
        LongAnswer(DI, b"", part_bytes_max=5)
