"""Answers are cut out of whatever arrives, and only the right one."""

from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus import Framing, ServerSession, Table
from protocols.modbus.framing import AnswerReader, build
from protocols.modbus.requests import Request, coil_request, read_request, write_request
from tests.protocols.modbus.wires import Cells, read_answer, rtu

FRAMINGS = st.sampled_from(Framing)
TRANSACTION = 77


def tcp(transaction: int, unit: int, body: bytes) -> bytes:
    return (
        transaction.to_bytes(2, "big") + b"\0\0" + (len(body) + 1).to_bytes(2, "big")
        + bytes((unit,)) + body
    )  # fmt: skip


def framed(framing: Framing, unit: int, body: bytes, transaction: int = TRANSACTION) -> bytes:
    return rtu(unit, body) if framing is Framing.RTU else tcp(transaction, unit, body)


def received(framing: Framing, request: Request, *chunks: bytes) -> tuple[int, ...] | None:
    reader = AnswerReader(framing, request, TRANSACTION)
    for chunk in chunks:
        if body := reader.feed(chunk):
            return request.answer(body).words
    return None


@st.composite
def foreign_frames(draw: st.DrawFn) -> tuple[Framing, bytes]:
    """Complete frames of others, late answers to other requests, and the own echo."""
    framing = draw(FRAMINGS)
    pieces = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["other unit", "other function", "other length", "echo"]))
        words = draw(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=20))
        if kind == "other unit":
            unit = draw(st.integers(6, 247))
            piece = framed(framing, unit, read_answer(3, words))
        elif kind == "other function":
            piece = framed(framing, 5, read_answer(4, words))
        elif kind == "other length":
            piece = framed(framing, 5, read_answer(3, [*words, 0, 0]))
        else:
            piece = build(framing, read_request(5, Table.HOLDING, 0, 2).message, TRANSACTION)
        pieces.append(piece)
    return framing, b"".join(pieces)


@given(foreign_frames(), st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=2), st.data())
def test_the_answer_is_found_behind_anything_and_in_any_split(
    before: tuple[Framing, bytes], words: list[int], data: st.DataObject
) -> None:
    framing, foreign = before
    stream = foreign + framed(framing, 5, read_answer(3, words))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    ends = [*cuts, len(stream)]
    chunks = [stream[a:b] for a, b in zip([0, *cuts], ends, strict=True) if a < b]
    request = read_request(5, Table.HOLDING, 0, 2)
    assert received(framing, request, *chunks) == tuple(words)


@given(FRAMINGS, st.binary(max_size=300), st.integers(1, 10), st.data())
def test_noise_is_no_answer_and_no_crash(
    framing: Framing, noise: bytes, count: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(noise)))
    request = read_request(9, Table.INPUT, 0, count)
    assert received(framing, request, noise[:cut] or b"\0", noise[cut:], b"") is None


@given(FRAMINGS, st.binary(max_size=40))
def test_noise_before_an_answer_costs_nothing(framing: Framing, noise: bytes) -> None:
    request = read_request(9, Table.INPUT, 0, 2)
    answer = framed(framing, 9, read_answer(4, [1, 2]))
    assert received(framing, request, noise + answer, b"") == (1, 2)


@given(st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=2), st.integers(0, 71))
def test_a_flipped_bit_is_no_answer(words: list[int], bit: int) -> None:
    frame = bytearray(rtu(5, read_answer(3, words)))
    frame[bit // 8] ^= 1 << bit % 8
    assert received(Framing.RTU, read_request(5, Table.HOLDING, 0, 2), bytes(frame)) is None


def test_an_answer_of_another_transaction_is_none() -> None:
    request = read_request(5, Table.HOLDING, 0, 1)
    late = tcp(TRANSACTION - 1, 5, read_answer(3, [99]))
    assert received(Framing.TCP, request, late) is None
    assert received(Framing.TCP, request, late + tcp(TRANSACTION, 5, read_answer(3, [1]))) == (1,)


def test_a_frame_inside_of_another_ones_data_is_no_answer() -> None:
    """Unit 6 holds registers that happen to spell an answer of unit 5."""
    inner = rtu(5, read_answer(3, [0xDEAD]))
    words = [int.from_bytes((inner + b"\0")[at : at + 2], "big") for at in range(0, 8, 2)]
    request = read_request(5, Table.HOLDING, 0, 1)
    assert received(Framing.RTU, request, inner) == (0xDEAD,)
    assert received(Framing.RTU, request, rtu(6, read_answer(3, words))) is None


def test_a_write_is_confirmed_by_its_own_echo_only() -> None:
    write = write_request(5, 0x10, (1, 2))
    assert received(Framing.RTU, write, rtu(5, bytes.fromhex("1000100002"))) == ()
    assert received(Framing.RTU, write, rtu(5, bytes.fromhex("1000110002"))) is None
    assert received(Framing.RTU, write, rtu(5, bytes.fromhex("1000100001"))) is None
    single = write_request(5, 0x10, (7,), function=6)
    assert received(Framing.RTU, single, rtu(5, bytes.fromhex("0600100008"))) is None
    assert received(Framing.RTU, single, rtu(5, bytes.fromhex("0600100007"))) == ()
    coil = coil_request(5, 3, 1)
    assert received(Framing.RTU, coil, rtu(5, bytes.fromhex("050003FF00"))) == ()


def test_bits_are_read_without_their_padding() -> None:
    request = read_request(5, Table.COIL, 0, 3)
    assert received(Framing.RTU, request, rtu(5, bytes.fromhex("0101FD"))) == (1, 0, 1)


def test_the_buffer_is_bounded() -> None:
    reader = AnswerReader(Framing.RTU, read_request(5, Table.HOLDING, 0, 1), 0)
    for _ in range(100):
        assert reader.feed(b"\x05\x03" * 500) is None
    assert len(reader._buffer) < 2000
    assert reader.feed(rtu(5, read_answer(3, [1]))) is not None


@given(FRAMINGS, st.binary(max_size=30), st.integers(1, 125), st.data())
def test_a_server_finds_requests_in_any_split(
    framing: Framing, noise: bytes, count: int, data: st.DataObject
) -> None:
    request = read_request(5, Table.HOLDING, 0, count)
    stream = build(framing, request.message, TRANSACTION)
    if framing is Framing.RTU:  # others talk on the same line, and there is noise
        others = rtu(6, bytes.fromhex("0300000002")) + rtu(6, read_answer(3, [1, 2]))
        stream = noise + others + stream
    session = ServerSession({5: Cells()}, framing)
    cut = data.draw(st.integers(0, len(stream)))
    requests = [*session.feed(stream[:cut]), *session.feed(stream[cut:])]
    assert [r.unit for r in requests] == [5]
    answer = session.respond(requests[0])
    assert received(framing, request, answer) == tuple(range(count))
