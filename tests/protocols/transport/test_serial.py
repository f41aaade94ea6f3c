"""Serial lines, over ptys that keep a real line's pace."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols.transport import (
    LineSettings,
    LinkDown,
    LinkOptions,
    NoAnswer,
    open_link,
)
from simulators.line import SerialLine
from tests.protocols.transport.peers import IMPATIENT, Ask, answer_to, in_loop

FAST = LineSettings(baud=115_200)


class Bus:
    """Meters on a serial line; each answers unless its name begins with ``dead``."""

    def __init__(
        self,
        line: LineSettings | None,
        *,
        delay_s: float = 0,
        echo: bool = False,
        link: Path | None = None,
        answer: Callable[[bytes], bytes] = answer_to,
    ) -> None:
        self.asked: list[bytes] = []
        self._buffer = b""
        self._delay_s = delay_s
        self._answer = answer
        self.line = SerialLine(line, self._received, echo=echo, link=link)

    def _received(self, data: bytes) -> None:
        *questions, self._buffer = (self._buffer + data).split(b"\n")
        for question in questions:
            self.asked.append(question)
            if not question.startswith(b"?dead"):
                answer = self._answer(question)
                asyncio.get_running_loop().call_later(self._delay_s, self.line.send, answer)


def url(path: str, baud: int = 115_200) -> str:
    return f"serial://{path}?baud={baud}&parity=E"


@in_loop
async def test_a_pty_serves_as_a_serial_port() -> None:
    bus = Bus(FAST)
    link = await open_link(url(bus.line.path))
    assert await link.run(Ask("m1")) == "1"
    await link.aclose()
    link = await open_link(url(bus.line.path))  # it was given back
    assert await link.run(Ask("m2")) == "1"
    await link.aclose()
    bus.line.close()


@in_loop
async def test_the_pace_is_that_of_the_line_and_the_bus_never_collides() -> None:
    line = LineSettings(baud=9600)
    bus = Bus(line, delay_s=0.02)
    link = await open_link(url(bus.line.path, 9600))
    started = time.monotonic()
    characters = 0
    for number in range(10):
        ask = Ask(f"meter{number:07}", "q" * 20)
        assert await link.run(ask) == "1"
        characters += len(ask.request) + len(answer_to(ask.request[:-1]))
    took_s = time.monotonic() - started
    least_s = line.duration_s(characters) + 10 * 0.02
    statistics = link.statistics
    await link.aclose()
    bus.line.close()
    assert least_s * 0.98 < took_s < least_s * 3
    assert bus.line.collisions == 0
    delays = statistics.total
    assert delays.delay_us_min is not None
    assert delays.delay_us_min > 15_000  # the meters' 20 ms, without the time on the line
    assert statistics.total.timeouts == 0


@in_loop
async def test_a_long_answer_on_a_slow_line_is_in_time() -> None:
    long = "9" * 190
    bus = Bus(LineSettings(baud=2400), answer=lambda question: answer_to(question, long))
    link = await open_link(url(bus.line.path, 2400), options=LinkOptions(delay_ms_first=100))
    assert await link.run(Ask("m1", answer_bytes_max=200)) == long
    assert link.statistics.total.requests == 1
    await link.aclose()
    bus.line.close()


@in_loop
async def test_a_silent_meter_on_a_bus_costs_its_time_and_no_more() -> None:
    bus = Bus(FAST, delay_s=0.01)
    link = await open_link(url(bus.line.path), options=IMPATIENT)
    with pytest.raises(NoAnswer, match="Meter dead on serial:///"):
        await link.run(Ask("dead"))
    assert await link.run(Ask("m1")) == "1"
    assert bus.asked == [b"?dead:q", b"?m1:q"]
    await link.aclose()
    bus.line.close()


@in_loop
async def test_the_own_echo_is_counted_and_passed_over() -> None:
    bus = Bus(LineSettings(baud=9600), delay_s=0.05, echo=True)
    link = await open_link(url(bus.line.path, 9600), options=IMPATIENT)
    assert await link.run(Ask("m1")) == "1"
    with pytest.raises(NoAnswer, match="only our own request was heard again"):
        await link.run(Ask("dead"))
    total = link.statistics.total
    await link.aclose()
    bus.line.close()
    assert total.echo_bytes == len(b"?m1:q\n?dead:q\n")
    assert total.bad_frames == 0
    assert total.delay_us_min is not None
    assert total.delay_us_min > 40_000


@in_loop
async def test_the_gap_before_a_request_is_kept() -> None:
    bus = Bus(FAST)
    link = await open_link(url(bus.line.path), options=LinkOptions(gap_ms=30))
    started = time.monotonic()
    for number in range(5):
        await link.run(Ask(f"m{number}"))
    assert time.monotonic() - started > 4 * 0.03
    await link.aclose()
    bus.line.close()


@in_loop
async def test_a_broadcast_has_the_line_until_it_is_out() -> None:
    bus = Bus(LineSettings(baud=2400))
    link = await open_link(url(bus.line.path, 2400))
    broadcast = Ask("dead", "t" * 40, answer_expected=False, repeatable=False)
    started = time.monotonic()
    await link.run(broadcast)
    assert time.monotonic() - started > LineSettings(baud=2400).duration_s(40)
    assert await link.run(Ask("m1")) == "1"
    assert bus.line.collisions == 0
    await link.aclose()
    bus.line.close()


@in_loop
async def test_an_adapter_that_is_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    name = tmp_path / "ttyMETER"
    bus = Bus(FAST, link=name)
    link = await open_link(url(str(name)), options=IMPATIENT)
    assert await link.run(Ask("m1")) == "1"
    waiting = asyncio.create_task(link.run(Ask("dead", repeatable=False)))
    await asyncio.sleep(0.05)
    bus.line.close()
    with pytest.raises(LinkDown, match="broke while meter dead was asked"):
        await waiting
    with pytest.raises(LinkDown, match="cannot be opened"):
        await link.run(Ask("m1"))
    bus = Bus(FAST, link=name)
    await asyncio.sleep(0.05)  # the back-off
    assert await link.run(Ask("m1")) == "1"
    assert link.statistics.disconnects == 1
    await link.aclose()
    bus.line.close()


@in_loop
async def test_a_port_in_use_is_not_shared_unless_told_so() -> None:
    bus = Bus(FAST)
    link = await open_link(url(bus.line.path))
    with pytest.raises(LinkDown, match="cannot be opened"):
        await open_link(url(bus.line.path))
    second = await open_link(url(bus.line.path) + "&exclusive=no")
    await second.aclose()
    await link.aclose()
    bus.line.close()


@in_loop
async def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(LinkDown, match="No such file"):
        await open_link(url(str(tmp_path / "none")))
    letter = tmp_path / "letter"
    letter.write_text("no port")
    with pytest.raises(LinkDown, match="cannot be opened"):
        await open_link(url(str(letter)))
    bus = Bus(FAST)
    with pytest.raises(LinkDown, match="cannot switch an RS-485 direction; leave rs485= away"):
        await open_link(url(bus.line.path) + "&rs485=on")
    bus.line.close()


def open_files() -> int:
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.exists() else 0


@in_loop
async def test_nothing_is_left_open() -> None:
    bus = Bus(FAST)
    before = open_files()
    for _ in range(5):
        link = await open_link(url(bus.line.path))
        await link.run(Ask("m1"))
        await link.aclose()
    assert open_files() == before
    bus.line.close()
