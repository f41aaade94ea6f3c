import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.transport import HeartBeat, IdForm, LinkUrlError, Registration
from protocols.transport.registration import HeartBeatFilter

IMEI = Registration(pattern=re.compile(rb"(?P<id>\d{15})"), length=15)
LINE = Registration(
    pattern=re.compile(rb"REG:(?P<id>[\w-]+)"), delimiter=b"\r\n", bytes_max=40, answer=b"OK"
)
BCD = Registration(
    pattern=re.compile(rb"\x16\x16(?P<id>.{6})\x17", re.DOTALL), length=9, id_form=IdForm.HEX
)


@pytest.mark.parametrize(
    ("registration", "data", "taken"),
    [
        (IMEI, b"861234567890123", ("861234567890123", b"")),
        (IMEI, b"861234567890123rest", ("861234567890123", b"rest")),
        (IMEI, b"86123456789012", None),
        (LINE, b"REG:site-7\r\nmore", ("site-7", b"more")),
        (LINE, b"REG:site-7\r", None),
        (BCD, bytes.fromhex("161612345678901217"), ("123456789012", b"")),
    ],
)
def test_packets_are_taken(
    registration: Registration, data: bytes, taken: tuple[str, bytes] | None
) -> None:
    assert registration.take(data) == taken


@pytest.mark.parametrize(
    ("registration", "data"),
    [
        (IMEI, b"GET / HTTP/1.1\r\n"),
        (LINE, b"x" * 41),
        (LINE, b"x" * 41 + b"\r\n"),
        (LINE, b"\r\n"),
        (Registration(pattern=re.compile(rb"(?P<id>.*)"), length=2), b"\x00\x01"),
        (Registration(pattern=re.compile(rb"(?P<id> *)"), length=2), b"  "),
    ],
)
def test_garbage_is_refused(registration: Registration, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"registration packet|no end in|name"):
        registration.take(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_taken_refused_or_awaited(data: bytes) -> None:
    for registration in (IMEI, LINE, BCD):
        try:
            taken = registration.take(data)
        except ValueError:
            continue
        assert taken is not None or len(data) < 50  # what is awaited is bounded


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": re.compile(b"x"), "length": 1}, "group named id"),
        ({"pattern": re.compile(b"(?P<id>x)")}, "either a fixed length or a delimiter"),
        (
            {"pattern": re.compile(b"(?P<id>x)"), "length": 1, "delimiter": b"\n"},
            "either a fixed length or a delimiter",
        ),
        ({"pattern": re.compile(b"(?P<id>x)"), "length": 9999}, "1-512 bytes"),
    ],
)
def test_settings_that_cannot_work(options: dict[str, object], message: str) -> None:
    with pytest.raises(LinkUrlError, match=message):
        Registration(**options)  # type: ignore[arg-type]


def test_a_heart_beat_is_something() -> None:
    with pytest.raises(LinkUrlError, match="must not match nothing"):
        HeartBeat(pattern=re.compile(b"x*"))


def beats(pattern: bytes) -> HeartBeatFilter:
    return HeartBeatFilter(HeartBeat(pattern=re.compile(pattern)))


@pytest.mark.parametrize(
    ("piece", "left", "found"),
    [
        (b"BEAT", b"", 1),
        (b"BEATBEAT", b"", 2),
        (b"BEAT\x68abc", b"\x68abc", 1),
        (b"\x68abcBEAT", b"\x68abc", 1),
        (b"\x68aBEATbc", b"\x68aBEATbc", 0),
        (b"\x68abc", b"\x68abc", 0),
    ],
)
def test_beats_beside_frames_are_taken_out(piece: bytes, left: bytes, found: int) -> None:
    assert beats(b"BEAT").while_waiting(piece) == (left, found)


def test_a_short_beat_is_one_only_alone() -> None:
    short = beats(rb"\x00")
    assert short.while_waiting(b"\x00") == (b"", 1)
    assert short.while_waiting(b"\x00\x68ab") == (b"\x00\x68ab", 0)
    assert short.while_waiting(b"\x68ab\x00") == (b"\x68ab\x00", 0)


def test_beats_in_two_pieces_are_found_on_an_idle_line() -> None:
    idle = beats(b"BEAT")
    assert idle.while_idle(b"xBE") == (b"xBE", 0)
    assert idle.while_idle(b"ATBEAT") == (b"", 2)
    assert idle.while_idle(b"late") == (b"late", 0)


@given(st.lists(st.sampled_from([b"BEAT", b"B", b"EAT", b"\x68frame\x16", b""]), max_size=20))
def test_nothing_is_invented_and_no_frame_is_lost(pieces: list[bytes]) -> None:
    waiting, idle = beats(b"BEAT"), beats(b"BEAT")
    for piece in pieces:
        left, found = waiting.while_waiting(piece)
        assert len(left) + 4 * found == len(piece)
        assert left.count(b"\x68frame\x16") == piece.count(b"\x68frame\x16")
        stray, _ = idle.while_idle(piece)
        assert stray in piece or stray == piece.replace(b"BEAT", b"")
