from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.dlt645.codec import (
    FRAME_BYTES_MAX,
    Frame,
    FrameDecoder,
    Noise,
    answer_head,
    data_of_frame,
    decode,
    encode,
)
from protocols.dlt645.errors import (
    AddressError,
    FieldRangeError,
    FrameChecksumError,
    FrameCutError,
    FrameEndError,
    FrameNotFoundError,
    TooLongError,
)
from protocols.errors import LocalProtocolError, RemoteProtocolError
from tests.protocols.dlt645.vectors import BAD, GOOD, frame_of, name_of, wire_of

ADDRESSES = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex().upper())
DATA = st.binary(max_size=255) | st.sampled_from(
    [b"\x35" * 40, b"\xe3" * 20, b"\xcb" * 9, bytes(255), b"\x68\x16\xfe" * 30]
)
FRAMES = st.builds(Frame, ADDRESSES, st.integers(0, 255), DATA)
# 35H and E3H are sent as 68H and 16H; noise is rich in what looks like a frame.
NOISE = st.binary(max_size=60) | st.lists(
    st.sampled_from([0x68, 0x16, 0xFE, 0x00, 0xFF, 0x0C]), max_size=60
).map(bytes)


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    """The bytes in pieces, cut at these places."""
    edges = [0, *sorted(place % (len(wire) + 1) for place in places), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges)]


def frames_by_the_book(wire: bytes) -> list[Frame]:
    """The specification's rule, word for word, over bytes that are all there."""
    frames, start = [], 0
    while start < len(wire):
        length = wire[start + 9] if len(wire) > start + 9 else 0
        body = wire[start : start + 10 + length]
        good = (
            len(wire) >= start + 12 + length
            and wire[start] == wire[start + 7] == 0x68
            and wire[start + 11 + length] == 0x16
            and wire[start + 10 + length] == sum(body) % 256
        )
        if not good:
            start += 1
            continue
        data = bytes((byte - 0x33) % 256 for byte in body[10:])
        frames.append(Frame(body[6:0:-1].hex().upper(), body[8], data))
        start += 12 + length
    return frames


@pytest.mark.parametrize("vector", GOOD, ids=name_of)
def test_gathered_frames_decode_and_encode(vector: dict[str, Any]) -> None:
    frame = frame_of(vector)
    assert FrameDecoder().feed(wire_of(vector)) == [frame]
    assert encode(frame, vector["preamble_fe"]) == wire_of(vector)
    assert frame.from_meter is vector["from_meter"]
    assert len(frame.data) == vector["length"]


@pytest.mark.parametrize("vector", BAD, ids=name_of)
def test_bad_frames_are_rejected(vector: dict[str, Any]) -> None:
    decoder = FrameDecoder()
    assert decoder.feed(wire_of(vector)) + decoder.gap() == []
    assert decoder.rejected >= 1
    with pytest.raises(RemoteProtocolError):
        decode(wire_of(vector))


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 2000), max_size=12), st.integers(0, 9))
def test_any_split_gives_the_same_frames(
    frames: list[Frame], places: list[int], preamble: int
) -> None:
    wire = b"".join(encode(frame, preamble) for frame in frames)
    decoder = FrameDecoder()
    got = [frame for piece in cut(wire, places) for frame in decoder.feed(piece)]
    assert got == frames
    assert decoder.held_bytes == 0
    assert decoder.noise_bytes == 0
    assert decoder.preamble_bytes == preamble * len(frames)


@given(st.lists(FRAMES | NOISE, max_size=6), st.lists(st.integers(0, 3000), max_size=30))
def test_noise_gives_the_same_in_any_split(parts: list[Frame | bytes], places: list[int]) -> None:
    wire = b"".join(part if isinstance(part, bytes) else encode(part) for part in parts)
    whole, pieces = FrameDecoder(), FrameDecoder()
    at_once = whole.feed(wire)
    in_pieces = [frame for piece in cut(wire, places) for frame in pieces.feed(piece)]
    assert in_pieces == at_once
    assert in_pieces + pieces.gap() == at_once + whole.gap()
    assert (pieces.noise_bytes, pieces.preamble_bytes, pieces.rejected) == (
        whole.noise_bytes, whole.preamble_bytes, whole.rejected,
    )  # fmt: skip
    accounted = whole.noise_bytes + whole.preamble_bytes
    assert accounted + sum(len(frame.data) + 12 for frame in at_once + whole.gap()) <= len(wire)


@given(st.lists(FRAMES | NOISE, max_size=6))
@example([b"\x68" * 8, Frame("000000000001", 0x91, b"\x00" * 8)])
def test_it_finds_what_the_rule_finds(parts: list[Frame | bytes]) -> None:
    wire = b"".join(part if isinstance(part, bytes) else encode(part) for part in parts)
    decoder = FrameDecoder()
    assert decoder.feed(wire) + decoder.gap() == frames_by_the_book(wire)
    assert decoder.held_bytes == 0


@given(FRAMES)
def test_what_is_inside_a_frame_is_never_a_frame_of_its_own(inner: Frame) -> None:
    """The collector extension carries a whole frame as data."""
    carried = encode(inner, 0)[:255]
    outer = Frame("000000000002", 0x91, bytes((byte - 0x33) & 0xFF for byte in carried))
    assert FrameDecoder().feed(encode(outer)) == [outer]


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_memory_is_bounded_whatever_comes(pieces: list[bytes]) -> None:
    decoder = FrameDecoder()
    for piece in pieces:
        decoder.feed(piece)
        assert decoder.held_bytes < FRAME_BYTES_MAX
    kept = decoder.take_noise()
    assert len(kept) <= 16
    assert all(len(noise.data) <= 256 for noise in kept)
    assert decoder.take_noise() == []


@given(FRAMES, st.sampled_from([0, 4]))
def test_the_quick_look_reads_the_frame_that_was_expected(frame: Frame, preamble: int) -> None:
    head = answer_head(frame.address, frame.control)
    assert data_of_frame(encode(frame, preamble), head) == frame.data


@given(FRAMES, st.sampled_from([0, 4]), st.data())
def test_the_quick_look_takes_nothing_that_the_decoder_would_not(
    frame: Frame, preamble: int, data: st.DataObject
) -> None:
    wire = bytearray(encode(frame, preamble))
    for _ in range(data.draw(st.integers(1, 3))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    cut_at = data.draw(st.integers(0, len(wire)) | st.just(len(wire)))
    mangled = bytes(wire[:cut_at]) + data.draw(st.just(b"") | NOISE)
    found = data_of_frame(mangled, answer_head(frame.address, frame.control))
    if found is not None:
        assert FrameDecoder().feed(mangled) == [frame._replace(data=found)]


def test_one_byte_is_dropped_on_failure() -> None:
    good = Frame("123456789012", 0x91, bytes.fromhex("0000010078563412"))
    false_start = b"\x68\x01\x02\x03"
    decoder = FrameDecoder()
    assert decoder.feed(false_start + encode(good, 0)) == [good]
    assert decoder.take_noise() == [Noise(false_start, 4)]
    assert decoder.noise_bytes == 4


def test_a_cut_frame_holds_the_next_one_back_only_until_the_line_is_silent() -> None:
    good = Frame("123456789012", 0x91, bytes(8))
    decoder = FrameDecoder()
    cut_short = encode(Frame("123456789012", 0x91, bytes(60)), 0)[:20]
    assert decoder.feed(cut_short + encode(good)) == []
    assert decoder.gap() == [good]


def test_own_echo_is_told_by_its_direction() -> None:
    request = Frame("123456789012", 0x11, bytes.fromhex("00000100"))
    answer = Frame("123456789012", 0x91, bytes.fromhex("0000010078563412"))
    frames = FrameDecoder().feed(encode(request) + encode(answer))
    assert [frame.from_meter for frame in frames] == [False, True]


def test_bits_of_the_control_code() -> None:
    refused = Frame("123456789012", 0xD1, b"\x02")
    assert (refused.from_meter, refused.abnormal, refused.follow_up, refused.function) == (
        True, True, False, 0x11,
    )  # fmt: skip
    assert Frame("123456789012", 0xB1, b"").follow_up


def test_a_smaller_cap_refuses_long_frames_at_once() -> None:
    short = Frame("123456789012", 0x91, bytes(8))
    decoder = FrameDecoder(cap=40)
    long_start = encode(Frame("123456789012", 0x91, bytes(200)), 0)[:20]
    assert decoder.feed(long_start + encode(short)) == [short]
    with pytest.raises(FieldRangeError, match="cap must be 12-267"):
        FrameDecoder(cap=FRAME_BYTES_MAX + 1)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (Frame("12345678901", 0x11, b""), AddressError),
        (Frame("12345678901G", 0x11, b""), AddressError),
        (Frame("1234567890 12", 0x11, b""), AddressError),
        (Frame("12 34 56 78 90 12", 0x11, b""), AddressError),
        (Frame("123456789012", 0x100, b""), FieldRangeError),
        (Frame("123456789012", -1, b""), FieldRangeError),
        (Frame("123456789012", 0x11, bytes(256)), TooLongError),
    ],
)
def test_misuse_is_local(frame: Frame, fault: type[LocalProtocolError]) -> None:
    with pytest.raises(fault):
        encode(frame)


@pytest.mark.parametrize(
    ("wire", "fault", "words"),
    [
        ("", FrameNotFoundError, "no frame"),
        ("FE FE 11 22", FrameNotFoundError, "no frame"),
        ("68 AA AA AA", FrameCutError, "4 bytes, too few"),
        ("68 12 90 78 56 34 12 68 91 08 33 33", FrameCutError, "12 bytes of 20"),
        ("68 AA AA AA AA AA AA 68 13 00 DF 17", FrameEndError, "ends with 17"),
        ("68 AA AA AA AA AA AA 68 13 00 DE 16", FrameChecksumError, "the bytes ask for DF"),
        ("68AAAAAAAAAAAA681300DF16" * 2, FrameNotFoundError, "2 frames"),
    ],
)
def test_a_rejected_frame_says_why(wire: str, fault: type[RemoteProtocolError], words: str) -> None:
    with pytest.raises(fault, match=words):
        decode(bytes.fromhex(wire))
