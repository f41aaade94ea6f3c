"""``meterhouse frame``: frames on JSON lines, in traces, and as they pass on a line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.text import Text

from commands.jsonl import answer_lines, input_option
from commands.output import console, json_option, print_json
from protocols.dlt645 import codec
from protocols.dlt645.codec import Frame, FrameDecoder
from protocols.dlt645.records import decode_record, encode_record
from protocols.errors import ProtocolError
from protocols.transport import (
    LineSettings,
    LinkOptions,
    Trace,
    TraceRecord,
    TraceWriter,
    open_link,
    read_trace,
)
from protocols.transport.trace import Direction

_NS_PER_S: Final = 1_000_000_000
_POLL_S: Final = 0.05
_FRAME_GAP_S: Final = 0.5
"""The longest pause inside a frame (Tb)."""
_VALUES_SHOWN: Final = 8
_MODBUS: Final = "modbus+"
_LINE: Final = LineSettings(baud=2400)
"""Where LINK gives no speed."""


@click.group()
def frame() -> None:
    """DL/T 645 frames: decode, encode, show a trace, watch a line.

    decode and encode take JSON lines: one object in, one object out, in the same order; a frame
    that must be rejected answers {"error": {"code", "message"}} and the run goes on.
    """


@frame.command("decode")
@input_option
def decode_command(source: Any) -> None:
    """Take frames apart.

    \b
    {"hex": "68 AA AA AA AA AA AA 68 13 00 DF 16", "protocol": "2007"}
    → {"protocol":"2007", "address":"AAAAAAAAAAAA", "control":"13", "function":"read address", …}

    "protocol" is "2007" or "1997"; without it a guess is made.
    """
    answer_lines(source, decode_record)


@frame.command("encode")
@input_option
def encode_command(source: Any) -> None:
    """Make frames from the fields that decode gives; answers {"hex": "FE FE FE FE 68 …"}."""
    answer_lines(source, encode_record)


@frame.command("show")
@click.argument("trace", type=click.Path(path_type=Path))
@json_option
def show_command(trace: Path, as_json: bool) -> None:
    """Show the frames in a TRACE file (pcapng, as --trace writes it; Wireshark opens it too).

    What passed on a Modbus link is shown as bytes.
    """
    streams: dict[tuple[str, bool], _Stream] = {}
    for record in read_trace(trace):
        if record.link.startswith(_MODBUS):
            _print_bytes(record, as_json=as_json)
            continue
        way = (record.link, record.direction is Direction.SENT)
        if way not in streams:
            streams[way] = _Stream(*way)
        streams[way].take(record, as_json=as_json)
    for stream in streams.values():
        stream.end(as_json=as_json)


@frame.command("watch")
@click.argument("link")
@click.option("--seconds", type=click.IntRange(min=1), help="Stop after so long. [default: Ctrl-C]")
@click.option("--trace", type=click.Path(path_type=Path), help="Keep what passes in this file.")
@json_option
def watch_command(link: str, seconds: int | None, trace: Path | None, as_json: bool) -> None:
    """Listen on LINK and show each frame that passes; sends nothing.

    LINK is serial:///dev/ttyUSB0?baud=2400&parity=E or tcp://host:port.
    """
    with ExitStack() as stack:
        keeper: Trace | None = None
        if trace is not None:
            writer = TraceWriter(trace)
            stack.callback(writer.close)
            keeper = writer.link(link)
        asyncio.run(_watch(link, seconds, keeper, as_json=as_json))


class _Listener:
    """A link's trace that keeps what passes until it is shown."""

    def __init__(self, keeper: Trace | None) -> None:
        self._keeper = keeper
        self.pieces: list[tuple[int, bytes]] = []

    def sent(self, data: bytes) -> None:
        """Nothing is sent here."""

    def received(self, data: bytes) -> None:
        """A piece came in."""
        self.pieces.append((time.time_ns(), data))

    def settled(self) -> None:
        """No exchange ever is."""

    def stray(self, data: bytes) -> None:
        """A piece came in; all do so unasked."""
        if self._keeper is not None:
            self._keeper.stray(data)
        self.received(data)


async def _watch(url: str, seconds: int | None, keeper: Trace | None, *, as_json: bool) -> None:
    listener = _Listener(keeper)
    line = _LINE if url.startswith("serial:") else None
    link = await open_link(url, line=line, options=LinkOptions(trace=listener))
    decoder = FrameDecoder()
    loop = asyncio.get_running_loop()
    ends_at = None if seconds is None else loop.time() + seconds
    quiet_since = loop.time()
    try:
        while ends_at is None or loop.time() < ends_at:
            await asyncio.sleep(_POLL_S)
            pieces, listener.pieces = listener.pieces, []
            frames = [(at_ns, each) for at_ns, data in pieces for each in decoder.feed(data)]
            if pieces:
                quiet_since = loop.time()
            elif loop.time() - quiet_since > _FRAME_GAP_S:
                frames = [(time.time_ns(), each) for each in decoder.gap()]
            for at_ns, each in frames:
                _print_frame(url, at_ns, codec.encode(each, 0), None, stray=False, as_json=as_json)
            for noise in decoder.take_noise():
                if not as_json:
                    _print_line(Text(f"{noise.length} bytes of noise", "yellow"))
    finally:
        await link.aclose()


class _Stream:
    """One direction of one link in a trace: frames may be spread over several records."""

    def __init__(self, link: str, sent: bool) -> None:
        self._link, self._sent = link, sent
        self._decoder = FrameDecoder()
        self._last_ns = 0

    def take(self, record: TraceRecord, *, as_json: bool) -> None:
        """Show what a record completes."""
        if record.at_ns - self._last_ns > _FRAME_GAP_S * _NS_PER_S:
            self.end(as_json=as_json)
        self._last_ns = record.at_ns
        self._show(self._decoder.feed(record.data), record.stray, as_json=as_json)

    def end(self, *, as_json: bool) -> None:
        """Nothing more comes that belongs to what is held."""
        self._show(self._decoder.gap(), stray=False, as_json=as_json)

    def _show(self, frames: list[Frame], stray: bool, *, as_json: bool) -> None:
        for each in frames:
            wire = codec.encode(each, 0)
            _print_frame(self._link, self._last_ns, wire, self._sent, stray=stray, as_json=as_json)
        for noise in self._decoder.take_noise():
            at = _stamp(self._last_ns)
            if as_json:
                print_json({"time": at, "link": self._link, "noise_bytes": noise.length})
            else:
                _print_line(Text(f"{at}   {noise.length} bytes of noise", "yellow"))


def _print_bytes(record: TraceRecord, *, as_json: bool) -> None:
    sent = record.direction is Direction.SENT
    if as_json:
        direction = "sent" if sent else "received"
        line = {"time": _stamp(record.at_ns), "link": record.link, "direction": direction}
        print_json(line | {"hex": record.data.hex()})
        return
    arrow = Text(" -> " if sent else " <- ", "cyan" if sent else "green")
    _print_line(Text(_stamp(record.at_ns), "dim").append(arrow).append(record.data.hex(" ")))


def _print_frame(
    link: str, at_ns: int, wire: bytes, sent: bool | None, *, stray: bool, as_json: bool
) -> None:
    """Show one whole frame."""
    try:
        answer: dict[str, Any] = dict(decode_record({"hex": wire.hex()}))
    except ProtocolError as fault:
        answer = {"hex": wire.hex(), "error": {"code": fault.code, "message": str(fault)}}
    if as_json:
        direction = {} if sent is None else {"direction": "sent" if sent else "received"}
        mark = {"stray": True} if stray else {}
        print_json({"time": _stamp(at_ns), "link": link} | direction | mark | answer)
        return
    _print_line(Text(_stamp(at_ns), "dim").append(" ").append(_summary(answer, stray)))


def _print_line(line: Text) -> None:
    """One line, however long: a pipe wants no folding."""
    console.print(line, soft_wrap=True)


def _summary(answer: dict[str, Any], stray: bool) -> Text:
    """One frame on one line."""
    if "function" not in answer:
        return Text(answer["error"]["message"], "red")
    from_meter = answer["from_meter"]
    line = Text("<- " if from_meter else "-> ", "green" if from_meter else "cyan")
    line.append(f"{answer['address']} ", "bold").append(answer["function"])
    if answer["di"]:
        line.append(f" {answer['di']}").append(f" {answer['name'] or ''}", "dim")
    line.append("".join(_values(answer)))
    if answer.get("flags"):
        line.append(f" ({', '.join(answer['flags'])})", "cyan")
    if answer["abnormal"]:
        line.append(f" refused: {', '.join(answer['error']) or 'no reason given'}", "red")
    if answer["follow_up"]:
        line.append(" (more follows)", "yellow")
    if stray:
        line.append(" (nobody waited for it)", "yellow")
    return line


def _values(answer: dict[str, Any]) -> Iterator[str]:
    values = answer["values"]
    for number, value in enumerate(values[:_VALUES_SHOWN]):
        shown = "n/a" if value["value"] is None else f"{value['value']} {value['unit'] or ''}"
        yield f"{', ' if number else ' = '}{shown.strip()}"
    if len(values) > _VALUES_SHOWN:
        yield f" … {len(values) - _VALUES_SHOWN} more"


def _stamp(at_ns: int) -> str:
    moment = datetime.fromtimestamp(at_ns // _NS_PER_S, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ns % _NS_PER_S // 1_000_000:03d}Z"
