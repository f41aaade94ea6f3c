"""Reading through real sockets, over lines as bad as real ones."""

import asyncio
import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.dlt645 import (
    ANY_METER,
    BROADCAST,
    Address,
    DataAnswer,
    Edition,
    ErrorByte,
    Frame,
    MeterTime,
    ReadAddress,
    ReadData,
    Refused,
    decode,
    encode,
    shortened,
)
from protocols.dlt645.catalogue import find
from protocols.dlt645.errors import AddressError, FollowUpError, NotInEditionError
from protocols.dlt645.master import Master, MeterRefusal, RequestExchange, ValueShapeError
from protocols.dlt645.master.conversation import RawAnswer
from protocols.dlt645.master.exchange import ReadExchange, plain_read, prepare
from protocols.errors import RemoteProtocolError
from protocols.transport import LinkOptions, NoAnswer
from tests.protocols.dlt645.meters import (
    METER,
    OTHER,
    LineMeter,
    Mangle,
    Pieces,
    bcd,
    line_of,
)
from tests.protocols.transport.peers import in_loop

ENERGY = 0x00010000
VOLTAGES = 0x0201FF00
ANSWER = encode(Frame(METER, 0x91, ENERGY.to_bytes(4, "little") + bcd(12345678, 4)))
PROGRAMMING = 0x03300501  # 682 bytes: in parts
ITEMS = {
    ENERGY: bcd(12345678, 4),
    0x00000000: bytes.fromhex("78563492"),  # negative
    VOLTAGES: bytes.fromhex("0122ffffffff"),
    0x04000101: bytes.fromhex("06211126"),
    0x04000102: bytes.fromhex("301512"),
    PROGRAMMING: bytes(range(1, 101)) * 6 + bytes(82),
}
RETRYING = LinkOptions(
    delay_ms_first=250, delay_ms_max=400, margin_ms=50, retries=2, backoff_ms_first=20
)


def meter(**kwargs: object) -> LineMeter:
    return LineMeter(items=dict(ITEMS), **kwargs)  # type: ignore[arg-type]


async def energy(master: Master) -> Decimal | None:
    return (await master.read(METER, ENERGY)).value_as(Decimal)


@in_loop
async def test_an_item_a_block_and_a_signed_value() -> None:
    async with line_of(meter()) as (master, _):
        answer = await master.read(METER, ENERGY)
        assert answer.value == Decimal("123456.78")
        assert answer.item is not None
        assert answer.readings[0].unit == "kWh"
        assert answer.meter == METER
        item = find(ENERGY)
        assert item is not None
        assert (await master.read("123456789012", item)).value == Decimal("123456.78")
        assert (await master.read(METER, 0x00000000)).value == Decimal("-123456.78")
        volts = await master.read(METER, VOLTAGES)
        assert [reading.value for reading in volts.readings] == [Decimal("220.1"), None, None]
        with pytest.raises(ValueShapeError):
            volts.value  # noqa: B018


@in_loop
async def test_many_items_one_refused() -> None:
    async with line_of(meter()) as (master, _):
        many = await master.read_many(METER, [ENERGY, 0x00990000, VOLTAGES])
    assert set(many.answers) == {ENERGY, VOLTAGES}
    fault = many.faults[0x00990000]
    assert isinstance(fault, MeterRefusal)
    assert fault.word == ErrorByte.NO_REQUESTED_DATA
    assert fault.has_no_data
    assert fault.code == "meter_refusal"


@in_loop
async def test_a_silent_meter_costs_one_time_out_and_the_next_answers() -> None:
    clock = asyncio.get_running_loop().time
    async with line_of(meter()) as (master, line):
        began = clock()
        many = await master.read_many(OTHER, [ENERGY, VOLTAGES, 0x04000101])
        took = clock() - began
        assert not many.answers
        assert {type(fault) for fault in many.faults.values()} == {NoAnswer}
        assert len(line.heard) == 1
        assert took < 1.0
        assert await energy(master) == Decimal("123456.78")


@in_loop
async def test_what_cannot_be_asked_is_not_sent() -> None:
    async with line_of(meter()) as (master, line):
        with pytest.raises(AddressError):
            await master.read("12345678901X", ENERGY)
        with pytest.raises(AddressError):
            await master.read(BROADCAST, ENERGY)
        with pytest.raises(NotInEditionError):
            await Master(master.link, Edition.Y1997).prepayment(METER)
        assert not line.heard


@in_loop
async def test_addresses_are_found_and_wildcards_answered_by_the_full_number() -> None:
    async with line_of(meter()) as (master, line):
        assert await master.read_address() == METER
        assert line.heard[-1] == Frame(ANY_METER, 0x13, b"")
        assert (await master.read(shortened("9012"), ENERGY)).meter == METER
        assert await master.read_address(shortened("12")) == METER


# Faults of the line, each as the specification's section 6 lists them


def in_single_bytes(_request: Frame, answer: Frame) -> Pieces:
    return [bytes((byte,)) for byte in encode(answer)]


def split_with_a_pause(_request: Frame, answer: Frame) -> Pieces:
    wire = encode(answer)
    return [wire[:9], 0.05, wire[9:]]


def behind_the_own_echo(request: Frame, answer: Frame) -> Pieces:
    return [encode(request) + encode(answer)]


def behind_a_late_answer(_request: Frame, answer: Frame) -> Pieces:
    late = Frame(answer.address, answer.control, b"\0\0\2\0" + b"\x11" * 4)
    return [encode(late), 0.01, encode(answer)]


def behind_a_foreign_answer(_request: Frame, answer: Frame) -> Pieces:
    foreign = Frame(OTHER, answer.control, answer.data[:4] + b"\x99" * 4)
    return [encode(foreign) + encode(answer)]


def behind_another_function(_request: Frame, answer: Frame) -> Pieces:
    return [encode(Frame(answer.address, 0x94, b"")) + encode(answer)]


def in_noise(_request: Frame, answer: Frame) -> Pieces:
    return [b"\xff\x00\x68\x12\x68", encode(answer, 7), b"\x00"]


def behind_a_cut_frame(_request: Frame, answer: Frame) -> Pieces:
    wire = encode(answer, 0)
    return [wire[:-3], wire]


def with_a_delimiter(_request: Frame, answer: Frame) -> Pieces:
    return [encode(Frame(answer.address, answer.control, answer.data + b"\xaa"))]


def with_a_dd(_request: Frame, answer: Frame) -> Pieces:
    return [encode(Frame(answer.address, answer.control, answer.data + b"\xdd"))]


def without_preamble(_request: Frame, answer: Frame) -> Pieces:
    return [encode(answer, 0)]


@pytest.mark.parametrize(
    "mangle",
    [
        in_single_bytes,
        split_with_a_pause,
        behind_the_own_echo,
        behind_a_late_answer,
        behind_a_foreign_answer,
        behind_another_function,
        in_noise,
        behind_a_cut_frame,
        with_a_delimiter,
        with_a_dd,
        without_preamble,
    ],
)
def test_the_value_comes_through(mangle: Mangle) -> None:
    @in_loop
    async def run() -> None:
        async with line_of(meter(), mangle=mangle) as (master, line):
            assert await energy(master) == Decimal("123456.78")
            assert len(line.heard) == 1

    run()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\x02", ErrorByte.NO_REQUESTED_DATA),
        (b"\x06", ErrorByte.NO_REQUESTED_DATA | ErrorByte.PASSWORD_WRONG_OR_NOT_AUTHORISED),
        (b"\x02\x00", None),
        (b"", None),
    ],
)
def test_a_refusal_of_any_length_is_one_and_is_not_asked_again(
    data: bytes, word: ErrorByte | None
) -> None:
    @in_loop
    async def run() -> None:
        def refuse(_request: Frame, answer: Frame) -> Pieces:
            return [encode(Frame(answer.address, 0xD1, data))]

        async with line_of(meter(), mangle=refuse, options=RETRYING) as (master, line):
            with pytest.raises(MeterRefusal) as caught:
                await energy(master)
            assert caught.value.word == word
            assert caught.value.refused == Refused(data, word)
            assert caught.value.meter == METER
            assert len(line.heard) == 1

    run()


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\xfe" * 300,
        encode(Frame(OTHER, 0x91, b"\0\0\1\0" + bytes(4))),  # another meter's
        encode(Frame(METER, 0x11, b"\0\0\1\0" + bytes(4))),  # no answer: D7 is clear
        encode(Frame(Address("AA" * 6), 0x91, b"\0\0\1\0" + bytes(4))),  # no full number
        encode(Frame(METER, 0x91, b"\0\0\1\0" + bytes(4)))[:-2] + b"\0\x16",  # checksum
    ],
)
def test_what_is_no_answer_is_silence(wire: bytes) -> None:
    @in_loop
    async def run() -> None:
        async with line_of(meter(), mangle=lambda _request, _answer: [wire]) as (master, _):
            with pytest.raises(NoAnswer):
                await energy(master)

    run()


@in_loop
async def test_an_answer_without_its_layout_is_asked_for_again() -> None:
    wires = iter([b"\x00\x00", b"\x00\x00\x01\x00" + bcd(5, 4)])

    def mangle(_request: Frame, answer: Frame) -> Pieces:
        return [encode(Frame(answer.address, 0x91, next(wires)))]

    async with line_of(meter(), mangle=mangle, options=RETRYING) as (master, line):
        assert await energy(master) == Decimal("0.05")
        assert len(line.heard) == 2


HALVES = [(ANSWER[:cut], ANSWER[cut:]) for cut in (5, 11, 14, len(ANSWER) - 1)]


@pytest.mark.parametrize(("half", "rest"), HALVES)
def test_half_an_answer_is_never_completed_by_the_bytes_of_another_exchange(
    half: bytes, rest: bytes
) -> None:
    # One prepared read serves both, also those of two links at the same time.
    read = plain_read(ENERGY, METER, Edition.Y2007)
    before, after = ReadExchange(read, RawAnswer), ReadExchange(read, RawAnswer)
    assert before.receive(half) is None
    assert after.receive(rest) is None
    assert before.receive(rest) is not None


@pytest.mark.parametrize(("half", "rest"), HALVES)
def test_half_an_answer_is_forgotten_before_the_request_is_sent_again(
    half: bytes, rest: bytes
) -> None:
    exchange = ReadExchange(plain_read(ENERGY, METER, Edition.Y2007), RawAnswer)
    assert exchange.receive(half) is None
    assert exchange.receive(b"") is None
    assert exchange.receive(rest) is None
    assert exchange.receive(b"") is None
    assert exchange.receive(ANSWER) == DataAnswer(ENERGY, ITEMS[ENERGY], more=False)


@pytest.mark.parametrize("preamble", [0, 1, 4, 7])
def test_an_answer_has_the_same_bytes_whole_or_in_pieces(preamble: int) -> None:
    wire = encode(decode(ANSWER), preamble)
    read = plain_read(ENERGY, METER, Edition.Y2007)
    whole = ReadExchange(read, RawAnswer).receive(wire)
    assert isinstance(whole, DataAnswer | RawAnswer)
    assert whole.data == ITEMS[ENERGY]
    byte_by_byte = ReadExchange(read, RawAnswer)
    *nothing, answer = [byte_by_byte.receive(wire[at : at + 1]) for at in range(len(wire))]
    assert nothing == [None] * (len(wire) - 1)
    assert answer == DataAnswer(ENERGY, ITEMS[ENERGY], more=False)


@pytest.mark.parametrize("edition", Edition)
def test_every_plain_read_is_answered_and_may_be_repeated(edition: Edition) -> None:
    read = plain_read(0x9010, METER, edition).prepared
    assert read.answer_expected
    assert read.repeatable


@in_loop
async def test_bytes_that_are_no_number_are_no_value() -> None:
    odd = meter()
    odd.items[ENERGY] = bytes.fromhex("32dc6c38")
    odd.items[0x00010100] = b"\xff" * 4
    odd.items[0x00010200] = bytes.fromhex("785634127a")  # a digit more than the table
    async with line_of(odd) as (master, _):
        with pytest.raises(ValueShapeError):
            await energy(master)
        assert (await master.read(METER, 0x00010100)).value is None
        longer = await master.read(METER, 0x00010200)
        assert longer.notes
        with pytest.raises(ValueShapeError):
            longer.value  # noqa: B018


# Long answers


@in_loop
async def test_a_long_answer_comes_in_parts() -> None:
    async with line_of(meter()) as (master, line):
        answer = await master.read(METER, PROGRAMMING)
        assert answer.data == ITEMS[PROGRAMMING]
        assert [frame.control for frame in line.heard] == [0x11, 0x12, 0x12, 0x12]
        assert [frame.data[-1] for frame in line.heard[1:]] == [1, 2, 3]


@in_loop
async def test_seq_goes_round_after_255() -> None:
    async with line_of(meter(), part_bytes_max=7) as (master, line):
        assert (await master.read(METER, PROGRAMMING)).data == ITEMS[PROGRAMMING]
        seqs = [frame.data[-1] for frame in line.heard[1:]]
        assert seqs[254:257] == [255, 1, 2]


@in_loop
async def test_a_part_whose_answer_was_lost_is_asked_for_again() -> None:
    lost: list[Frame] = []

    def mangle(request: Frame, answer: Frame) -> Pieces:
        if request.control == 0x12 and request.data[-1] == 2 and not lost:
            lost.append(request)
            return []
        return [encode(answer)]

    async with line_of(meter(), mangle=mangle, options=RETRYING) as (master, _):
        assert (await master.read(METER, PROGRAMMING)).data == ITEMS[PROGRAMMING]
        assert lost


@pytest.mark.parametrize("fault", ["silent", "refused", "another SEQ"])
def test_a_part_that_never_comes_is_an_error_and_no_cut_value(fault: str) -> None:
    @in_loop
    async def run() -> None:
        def mangle(request: Frame, answer: Frame) -> Pieces:
            if request.control != 0x12 or request.data[-1] != 2:
                return [encode(answer)]
            if fault == "silent":
                return []
            if fault == "refused":
                return [encode(Frame(answer.address, 0xD2, b"\x02"))]
            return [encode(Frame(answer.address, answer.control, answer.data[:-1] + b"\x01"))]

        async with line_of(meter(), mangle=mangle) as (master, line):
            with pytest.raises(FollowUpError if fault == "refused" else NoAnswer):
                await master.read(METER, PROGRAMMING)
            assert line.count(0x11) == 2  # read anew once, whole

    run()


@in_loop
async def test_two_long_reads_of_one_meter_do_not_mix() -> None:
    one = meter()
    one.items[0x03300502] = bytes(reversed(ITEMS[PROGRAMMING]))
    async with line_of(one) as (master, _):
        both = await asyncio.gather(
            master.read(METER, PROGRAMMING), master.read(METER, 0x03300502), energy(master)
        )
    assert both[0].data == ITEMS[PROGRAMMING]
    assert both[1].data == one.items[0x03300502]


@in_loop
async def test_a_cancelled_caller_leaves_the_meter_to_the_next() -> None:
    async with line_of(meter(), mangle=split_with_a_pause) as (master, _):
        first = asyncio.create_task(master.read(METER, PROGRAMMING))
        waiting = [asyncio.create_task(master.read(METER, ENERGY)) for _ in range(3)]
        await asyncio.sleep(0.02)
        waiting[0].cancel()
        await asyncio.sleep(0)
        first.cancel()
        assert (await waiting[1]).value == (await waiting[2]).value == Decimal("123456.78")
        assert (await master.read(METER, PROGRAMMING)).data == ITEMS[PROGRAMMING]
        assert first.cancelled()


# 1997


@in_loop
async def test_1997_reads_and_its_parts_by_position() -> None:
    one = LineMeter(items={0x9010: bcd(1234, 4), 0x901F: (bcd(7, 4) * 5 + b"\xaa")})
    async with line_of(one, edition=Edition.Y1997, part_bytes_max=12) as (master, line):
        assert (await master.read(METER, 0x9010)).value == Decimal("12.34")
        assert (await master.read(METER, ENERGY)).value == Decimal("12.34")  # 2007's name for it
        assert await master.read_address() == METER
        block = await master.read(METER, 0x901F)
        assert [reading.value for reading in block.readings] == [Decimal("0.07")] * 5
        assert [frame.control for frame in line.heard[-2:]] == [2, 2]
        with pytest.raises(NotInEditionError):
            await master.read(METER, 0x04000503)


@in_loop
async def test_1997_a_lost_part_begins_the_read_anew_since_it_must_not_be_repeated() -> None:
    one = LineMeter(items={0x901F: bytes(range(20))})
    lost: list[Frame] = []

    def mangle(request: Frame, answer: Frame) -> Pieces:
        if request.control == 2 and not lost:
            lost.append(request)
            return []
        return [encode(answer)]

    async with line_of(
        one, edition=Edition.Y1997, part_bytes_max=12, mangle=mangle, options=RETRYING
    ) as (master, line):
        assert (await master.read(METER, 0x901F)).data == bytes(range(20))
        assert [frame.control for frame in line.heard] == [1, 2, 1, 2]


# The exchange alone: any split, any noise


READ = ReadData(ENERGY)
GOOD = Frame(METER, 0x91, b"\0\0\1\0" + bcd(12345678, 4))


def received(exchange: RequestExchange, pieces: list[bytes]) -> object:
    for piece in pieces:
        answer = exchange.receive(piece)
        if answer is not None:
            return answer
    return exchange.receive(b"")


@given(st.lists(st.integers(0, 40), max_size=8), st.binary(max_size=40), st.binary(max_size=20))
@settings(max_examples=150)
def test_any_split_and_any_noise_in_front_give_the_value_or_nothing(
    cuts: list[int], noise: bytes, tail: bytes
) -> None:
    wire = noise + encode(GOOD) + tail
    places = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    pieces = [wire[a:b] for a, b in itertools.pairwise(places)]
    answer = received(RequestExchange(prepare(READ, METER)), [piece for piece in pieces if piece])
    whole = RequestExchange(prepare(READ, METER)).receive(wire) if wire else None
    assert answer is None or answer.data == GOOD.data[4:]  # type: ignore[attr-defined]
    if whole is not None:
        assert answer == whole


@given(st.integers(0, 29), st.integers(1, 255))
@settings(max_examples=150)
def test_a_changed_byte_never_gives_another_value(place: int, change: int) -> None:
    wire = bytearray(encode(GOOD))
    place %= len(wire)
    wire[place] ^= change
    try:
        answer = received(RequestExchange(prepare(READ, METER)), [bytes(wire)])
    except RemoteProtocolError:
        return
    assert answer is None or answer.data == GOOD.data[4:]  # type: ignore[attr-defined]


def test_the_longest_answer_follows_from_the_request() -> None:
    energy_bytes = RequestExchange(prepare(READ, METER)).answer_bytes_max
    assert 24 <= energy_bytes <= 40
    assert RequestExchange(prepare(ReadData(PROGRAMMING), METER)).answer_bytes_max >= 267
    assert RequestExchange(prepare(ReadAddress(), ANY_METER)).answer_bytes_max >= 18
    assert not RequestExchange(prepare(READ, METER)).was_fetched


@in_loop
async def test_the_clock_is_read_in_two_parts() -> None:
    async with line_of(meter()) as (master, _):
        assert await master.read_clock(METER) == MeterTime(
            year=2026, month=11, day=21, weekday=6, hour=12, minute=15, second=30
        )
