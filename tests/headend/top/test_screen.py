"""`meterhouse top` on screens of several sizes, and live in a terminal of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from commands.top_pace import Pace
from commands.top_screen import Shown, screen, shares, span
from headend.service.overview import Answered, Overview, Queued, RoundLine, WorkerLine
from headend.service.overview_links import LinkFigures, LinkLine
from headend.watching.alarms import Alarm, Severity
from tests.shop.databases import make_shop

ROOT = Path(__file__).parent.parent.parent.parent
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)


def full() -> Overview:
    """More of everything than any screen holds."""
    return Overview(
        at=NOW,
        links=LinkFigures(300, 2, 100, 98, 120, 297, 3),
        lines=tuple(
            LinkLine(n, f"link-{n}", "tcp", "busy", "round", NOW, 1, 30, 29, 0, 9_000, HOUR)
            for n in range(60)
        ),
        queue=tuple(Queued(n, "round", 10, 1, NOW - timedelta(seconds=70)) for n in range(1, 9)),
        hours=tuple(Answered(HOUR - timedelta(hours=n), 100, 99) for n in range(24)),
        rounds=tuple(
            RoundLine(n, f"plan {n}", "plan", HOUR, NOW + timedelta(hours=1), 1_000, 400, 590, 10)
            for n in range(24)
        ),
        rounds_open=30,
        orders_open={"queued": 2, "sending": 1, "unknown": 1, "waiting_approval": 0},
        orders_last={"done": 990, "failed": 6},
        alarms_open={Severity.CRITICAL: 40, Severity.WARNING: 9, Severity.NOTICE: 7},
        alarms_unacknowledged=12,
        alarms=tuple(
            Alarm(n, "outage", "area A7", Severity.CRITICAL, "dark [red]since", HOUR, NOW, 3, None,
                  None, None)
            for n in range(40)
        ),
        workers=(WorkerLine("north", HOUR, NOW - timedelta(minutes=5), 7),),
    )  # fmt: skip


def drawn(overview: Overview, width: int, height: int | None) -> list[str]:
    """The lines of a screen."""
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False)
    shown = Shown("house", "q leaves", False, UTC)
    console.print(screen(overview, Pace(), shown, width, height))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (160, 50), (60, 16), (200, 20)])
def test_a_full_screen_fits(size: tuple[int, int]) -> None:
    width, height = size
    lines = drawn(full(), width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert "q leaves" in lines[-1]


def test_it_says_what_it_leaves_out() -> None:
    words = "\n".join(drawn(full(), 160, 50))
    assert "more" in words
    assert "silent for 5:00 min" in words
    assert "1 unknown" in words
    assert "99.0 % of 200" in words
    assert "dark [red]since" in words


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 100))
def test_shares_are_even_and_fill_the_room(wanted: list[int], room: int) -> None:
    given_ = shares(wanted, room)
    assert sum(given_) == min(room, sum(wanted))
    assert all(0 <= got <= want for got, want in zip(given_, wanted, strict=True))
    short = [got for got, want in zip(given_, wanted, strict=True) if got < want]
    assert not short or max(given_) - min(short) <= 1 or min(short) >= max(given_) - 1


def test_time_left_goes_by_the_last_minute() -> None:
    def at(waiting: int) -> RoundLine:
        return RoundLine(1, "p", "plan", HOUR, NOW + timedelta(hours=1), 100, waiting, 0, 0)

    pace = Pace()
    for second in range(11):
        pace.note(NOW + timedelta(seconds=second), [at(100 - 2 * second)])
    assert pace.left(at(80), NOW + timedelta(seconds=10)) == timedelta(seconds=40)
    for second in range(11, 90):
        pace.note(NOW + timedelta(seconds=second), [at(80)])
    assert pace.left(at(80), NOW + timedelta(seconds=90)) is None


def test_spans_are_said_as_people_do() -> None:
    said = [span(timedelta(seconds=each)) for each in (0, 59, 185, 7_800, 400_000)]
    assert said == ["0 s", "59 s", "3:05 min", "2:10 h", "4 d"]


def test_it_runs_in_a_terminal_and_gives_it_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'house.db'}"
    make_shop(url)
    once = subprocess.run(
        [sys.executable, "cli.py", "top", "--json", "--database", url],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(once.stdout)["links"]["active"] == 0
    top = pexpect.spawn(
        sys.executable, ["cli.py", "top", "--database", url], cwd=str(ROOT), dimensions=(24, 80),
        encoding="utf-8", timeout=60,
    )  # fmt: skip
    top.expect("none at work")
    top.setwinsize(50, 160)
    top.expect("Workers")
    top.send("\x1b[A")
    top.expect("q leaves")
    top.send("q")
    top.expect(pexpect.EOF)
    top.close()
    assert top.exitstatus == 0
