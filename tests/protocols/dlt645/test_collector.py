import pytest

from protocols.dlt645.codec import Frame, FrameDecoder, encode
from protocols.dlt645.collector import unwrap, wrap
from protocols.dlt645.errors import FrameNotFoundError, LayoutError, TooLongError

INNER = Frame("000000000161", 0x11, bytes.fromhex("00000100"))
COLLECTOR = "123456789012"


@pytest.mark.parametrize("answer", [False, True])
def test_a_frame_travels_unchanged_inside_another(answer: bool) -> None:
    outer = wrap(INNER, COLLECTOR, answer=answer)
    wire = encode(outer)
    assert encode(INNER, 0) in wire
    assert wire.count(bytes.fromhex("33331818")) == 1
    (heard,) = FrameDecoder().feed(wire)
    assert heard.from_meter is answer
    assert unwrap(heard) == INNER


def test_what_carries_nothing() -> None:
    assert unwrap(Frame(COLLECTOR, 0x91, bytes.fromhex("0000E5E5"))) is None
    with pytest.raises(LayoutError):
        unwrap(INNER)
    with pytest.raises(FrameNotFoundError):
        unwrap(Frame(COLLECTOR, 0x91, bytes.fromhex("0000E5E50102")))
    with pytest.raises(TooLongError):
        wrap(INNER._replace(data=bytes(250)), COLLECTOR)
