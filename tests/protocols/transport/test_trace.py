import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.transport import (
    Direction,
    TraceFileError,
    TraceRecord,
    TraceWriter,
    open_link,
    read_trace,
)
from protocols.transport.options import LinkOptions
from tests.protocols.transport.peers import Ask, Caller, answer_to, gateway, in_loop

RECORDS = st.lists(
    st.builds(
        TraceRecord,
        link=st.sampled_from(("tcp://a:1", "serial:///dev/ttyS0", "modem:电表")),
        at_ns=st.integers(0, 2**64 - 1),
        direction=st.sampled_from(Direction),
        data=st.binary(max_size=600),
        stray=st.booleans(),
    ),
    max_size=20,
)


def write(path: Path, records: list[TraceRecord]) -> None:
    with TraceWriter(path) as writer:
        for record in records:
            writer.link(record.link)
        links = list(dict.fromkeys(record.link for record in records))
        for record in records:
            note = "stray" if record.stray else ""
            writer.write(
                links.index(record.link), record.at_ns, record.direction, record.data, note
            )
        assert writer.error is None


@given(RECORDS, RECORDS)
def test_what_was_written_is_read_also_after_going_on(
    tmp_path_factory: pytest.TempPathFactory, first: list[TraceRecord], second: list[TraceRecord]
) -> None:
    path = tmp_path_factory.mktemp("trace") / "line.pcapng"
    write(path, first)
    write(path, second)
    assert list(read_trace(path)) == first + second


@given(RECORDS, st.integers(0, 4000))
def test_a_file_cut_off_anywhere_gives_what_is_whole(
    tmp_path_factory: pytest.TempPathFactory, records: list[TraceRecord], kept: int
) -> None:
    path = tmp_path_factory.mktemp("trace") / "line.pcapng"
    write(path, records)
    path.write_bytes(path.read_bytes()[: max(12, kept)])
    read = list(read_trace(path))
    assert read == records[: len(read)]


@given(RECORDS, st.data())
def test_damage_never_crashes_the_reader(
    tmp_path_factory: pytest.TempPathFactory, records: list[TraceRecord], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("trace") / "line.pcapng"
    write(path, records)
    content = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(12, len(content) - 1), max_size=5)):
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    list(read_trace(path))


def test_the_layout_is_pcapng_with_user_link_type(tmp_path: Path) -> None:
    path = tmp_path / "line.pcapng"
    with TraceWriter(path, clock_ns=lambda: 1_800_000_000_123_456_789) as writer:
        writer.link("tcp://a:1").sent(b"\xfe\xfe\x68")
    content = path.read_bytes()
    assert content[:28] == struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    kind, length, link_type = struct.unpack_from("<IIH", content, 28)
    assert (kind, link_type) == (1, 147)
    assert content[28 + length - 4 : 28 + length] == struct.pack("<I", length)
    packet = content[28 + length :]
    assert struct.unpack_from("<IIIIIII", packet) == (
        6, len(packet), 0, 1_800_000_000_123_456_789 >> 32,
        1_800_000_000_123_456_789 & 0xFFFFFFFF, 3, 3,
    )  # fmt: skip
    assert packet[28:32] == b"\xfe\xfe\x68\x00"
    assert packet[32:40] == struct.pack("<HHI", 2, 4, 2)  # epb_flags: outbound


def test_the_other_byte_order_and_microseconds_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "other.pcapng"

    def block(kind: int, body: bytes) -> bytes:
        length = len(body) + 12
        return struct.pack(">II", kind, length) + body + struct.pack(">I", length)

    path.write_bytes(
        block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack(">HHI", 147, 0, 0))
        + block(5, bytes(20))  # statistics: passed over
        + block(6, struct.pack(">IIIII", 0, 0, 7, 2, 2) + b"hi\0\0")
    )
    (record,) = read_trace(path)
    assert record == TraceRecord(
        link="", at_ns=7000, direction=Direction.RECEIVED, data=b"hi", stray=False
    )


def test_files_that_are_no_traces_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear meter reader")
    with pytest.raises(TraceFileError, match="exists and is no trace"):
        TraceWriter(path)
    with pytest.raises(TraceFileError, match="is no pcapng trace"):
        list(read_trace(path))
    with pytest.raises(TraceFileError, match="cannot be read"):
        list(read_trace(tmp_path / "missing"))
    with pytest.raises(TraceFileError, match="cannot be written"):
        TraceWriter(tmp_path / "missing" / "line.pcapng")
    assert path.read_text() == "Dear meter reader"


def test_rotation_keeps_a_bounded_number_of_readable_files(tmp_path: Path) -> None:
    path = tmp_path / "line.pcapng"
    with TraceWriter(path, bytes_max=500, files_max=3) as writer:
        link = writer.link("tcp://a:1")
        for number in range(50):
            link.sent(b"%d" % number)
        assert writer.error is None
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["line.pcapng", "line.pcapng.1", "line.pcapng.2"]
    assert all(file.stat().st_size <= 500 for file in tmp_path.iterdir())
    read = [record for name in reversed(files) for record in read_trace(tmp_path / name)]
    assert {record.link for record in read} == {"tcp://a:1"}
    assert [int(record.data) for record in read] == list(range(50))[-len(read) :]


def test_a_full_disk_stops_the_trace_and_nothing_else() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with TraceWriter(full) as writer:
        writer.link("tcp://a:1").sent(b"x")
        assert writer.error is not None


@in_loop
async def test_a_link_traces_requests_answers_and_strays(tmp_path: Path) -> None:
    async def serve(caller: Caller) -> None:
        question = await caller.question()
        answer = answer_to(question)
        await caller.send(answer[:3])
        await caller.send(answer[3:])
        await caller.question()
        await caller.send(answer_to(b"?m1:two") + b"noise")

    path = tmp_path / "line.pcapng"
    with TraceWriter(path) as writer:
        async with gateway(serve) as peer:
            link = await open_link(
                peer.url, options=LinkOptions(trace=writer.link(peer.url), delay_ms_first=500)
            )
            await link.run(Ask("m1"))
            await link.run(Ask("m1", "two"))
            await link.aclose()
    records = list(read_trace(path))
    assert {record.link for record in records} == {peer.url}
    assert [(record.direction, record.data) for record in records] == [
        (Direction.SENT, b"?m1:q\n"),
        (Direction.RECEIVED, b"!m1:q=1\n"),
        (Direction.SENT, b"?m1:two\n"),
        (Direction.RECEIVED, b"!m1:two=1\nnoise"),
    ]
    assert records == sorted(records, key=lambda record: record.at_ns)
