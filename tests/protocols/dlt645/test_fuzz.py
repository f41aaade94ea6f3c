"""Whatever a line can do, for a few seconds: seeded, and bounded by a time box.

``METERHOUSE_FUZZ_S`` sets the seconds, ``METERHOUSE_FUZZ_SEED`` the seed; a failure names its
seed.
"""

import os
import random
import time
from contextlib import suppress

from protocols.dlt645 import (
    Address,
    DataAnswer,
    Edition,
    FrameDecoder,
    ReadData,
    ReadData1997,
    Request,
    answer_frame,
    catalogue,
    encode,
    match_answer,
    parse_request,
    request_frame,
)
from protocols.dlt645.codec import FRAME_BYTES_MAX, Frame
from protocols.dlt645.records import decode_record, encode_record
from protocols.errors import ProtocolError, RemoteProtocolError

SECONDS = float(os.environ.get("METERHOUSE_FUZZ_S", "3"))
SEED = os.environ.get("METERHOUSE_FUZZ_SEED")
METER = Address("123456789012")
ITEMS = [(item.di, edition) for edition in Edition for item in list(catalogue.items(edition))[::50]]


BIT_ERROR = 0


def spoil(dice: random.Random, kind: int, wire: bytes) -> bytes:
    """One fault of a real line."""
    spoilt = bytearray(wire)
    place = dice.randrange(len(wire))
    match kind:
        case 0:
            spoilt[place] ^= 1 << dice.randrange(8)
        case 1:
            del spoilt[place:]
        case 2:
            del spoilt[place]
        case 3:
            spoilt[place:place] = dice.randbytes(dice.randrange(1, 20))
        case 4:
            spoilt[:0] = dice.choice((b"\xfe" * 9, b"\x68" * 3, b"\xff\x00", b"\x16"))
        case 5:
            spoilt += wire[:place]
        case 6:
            spoilt[:0] = wire
        case _:
            pass
    return bytes(spoilt)


def feed_in_pieces(dice: random.Random, decoder: FrameDecoder, wire: bytes) -> list[Frame]:
    """The bytes as a serial port or a gateway might hand them over."""
    frames = []
    while wire:
        size = dice.choice((1, 2, 7, 64, 4096))
        frames += decoder.feed(wire[:size])
        wire = wire[size:]
        assert decoder.held_bytes < FRAME_BYTES_MAX
    return frames + (decoder.gap() if dice.random() < 0.5 else [])


def one_round(dice: random.Random) -> None:
    """One question and whatever the line makes of the answer."""
    di, edition = dice.choice(ITEMS)
    request: Request = ReadData(di) if edition is Edition.Y2007 else ReadData1997(di)
    data = dice.randbytes(dice.choice((0, 1, 2, 3, 4, 5, 8, 20, 21, 64, 131, 190)))
    answer = DataAnswer(di, data, edition=edition)
    echo = encode(request_frame(request, METER))
    wire = encode(answer_frame(request, METER, answer), dice.randrange(8))
    kind = dice.randrange(8)
    heard = spoil(dice, dice.randrange(8), echo) + spoil(dice, kind, wire)
    decoder = FrameDecoder()
    for frame in feed_in_pieces(dice, decoder, heard):
        try:
            found = match_answer(request, METER, frame)
            if not frame.from_meter:
                parse_request(frame, edition)
        except RemoteProtocolError:
            continue
        if isinstance(found, DataAnswer):
            # A sum of bytes notices every single wrong bit, though not every fault.
            assert kind != BIT_ERROR or len(found.data) != len(data) or found.data == data
            catalogue.decode(di, found.data, edition)
        record = decode_record({"hex": encode(frame).hex(), "protocol": edition.value})
        assert bytes.fromhex(encode_record(record)["hex"]) == encode(frame)
    noise = dice.randbytes(dice.randrange(40))
    with suppress(ProtocolError):
        decode_record({"hex": noise.hex()})


def test_nothing_that_a_line_does_gets_through_or_brings_it_down() -> None:
    master = random.Random(SEED)
    end = time.monotonic() + SECONDS
    rounds = 0
    while time.monotonic() < end:
        seed = SEED or str(master.getrandbits(64))
        try:
            one_round(random.Random(seed))
        except Exception as fault:
            fault.add_note(f"METERHOUSE_FUZZ_SEED={seed}")
            raise
        rounds += 1
    assert rounds
