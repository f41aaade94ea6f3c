"""The demo on a terminal (a live picture) and elsewhere (plain lines)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commands.demo.account_home import NAME, AccountHome
from commands.demo.events import Event, KeyPress, Kind, Step, Tick
from commands.demo.homes import Home

_STYLES: Final = {
    Kind.SALE: "cyan",
    Kind.ACCEPTED: "green",
    Kind.REFUSED: "red",
    Kind.DARK: "bold red",
    Kind.LIGHT: "bold green",
    Kind.WARNING: "yellow",
    Kind.KEY_CHANGE: "magenta",
    Kind.NOTE: "",
}
_LOG_LINES: Final = 200
_RECEIPT_COLUMNS: Final = 48
_FRAME_S: Final = 0.1
_WEIGHTS: Final = {Tick: 2, KeyPress: 1, Event: 15}
"""How long each kind of step stands on the screen, against the others."""
_WHOLE_WEIGHT: Final = 2_300
"""What the whole story comes to, about."""


def show_plain(steps: Iterable[Step], console: Console, *, receipts: bool) -> None:
    """One line an event; every receipt in full if asked."""
    for step in steps:
        if not isinstance(step, Event):
            continue
        console.print(_line(step), soft_wrap=True)
        if receipts and step.receipt is not None:
            for line in step.receipt.splitlines():
                console.print(Text(f"    | {line}"), soft_wrap=True)


def show_live(
    steps: Iterable[Step],
    homes: Sequence[Home],
    neighbour: AccountHome,
    span: tuple[datetime, datetime],
    console: Console,
    *,
    seconds: int,
) -> None:
    """Meters, log, the latest receipt and the time left, as it happens.

    Args:
        steps: the story.
        homes: whose meters are shown.
        neighbour: whose account is shown beside them.
        span: when the story begins and ends, by its own clock.
        console: a terminal.
        seconds: how long it shall take, about.
    """
    log: deque[Event] = deque(maxlen=_LOG_LINES)
    receipt = ""
    due = drawn = time.monotonic()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for step in steps:
            if isinstance(step, Event):
                log.append(step)
                receipt = step.receipt or receipt
            if time.monotonic() - drawn >= _FRAME_S or isinstance(step, Event):
                drawn = time.monotonic()
                header = _header(step.at, span, seconds)
                faces = [*map(_meter_face, homes), _account_face(neighbour)]
                live.update(_screen(header, faces, log, receipt, console), refresh=True)
            due += seconds * _WEIGHTS[type(step)] / _WHOLE_WEIGHT
            time.sleep(max(due - time.monotonic(), 0))


def _line(event: Event) -> Text:
    line = Text(f"{event.at:%a %H:%M} ", style="dim")
    line.append(f"{event.kind.value} ", style=_STYLES[event.kind])
    if event.home:
        line.append(f"{event.home:8}", style="bold")
    line.append(event.text, style=_STYLES[event.kind])
    return line


def _header(now: datetime, span: tuple[datetime, datetime], seconds: int) -> Table:
    start, end = span
    share = min(max((now - start) / (end - start), 0.0), 1.0)
    header = Table.grid(expand=True, padding=(0, 2))
    header.add_column(ratio=1)
    header.add_column(width=30)
    header.add_column(justify="right")
    header.add_row(
        Text.assemble(
            ("meterhouse demo", "bold"), f"   {now:%A %H:%M}   ", ("public test keys", "yellow")
        ),
        ProgressBar(total=1.0, completed=share),
        Text(f"about {seconds * (1 - share):.0f} s left", style="dim"),
    )
    return header


def _screen(
    header: RenderableType,
    faces: Sequence[Panel],
    log: Iterable[Event],
    receipt: str,
    console: Console,
) -> Layout:
    screen = Layout()
    screen.split_column(Layout(header, size=1), Layout(name="meters", size=8), Layout(name="below"))
    screen["meters"].split_row(*map(Layout, faces))
    rows = max(console.height - 11, 3)
    lines = [_line(event) for event in log][-rows:]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    events = Panel(Group(*lines), title="what happened", title_align="left", border_style="dim")
    if console.width < 2 * _RECEIPT_COLUMNS + 8:  # too narrow for a receipt beside the log
        screen["below"].update(events)
        return screen
    paper = "\n".join(receipt.splitlines()[-rows:]) if receipt else "no sale yet"
    screen["below"].split_row(
        Layout(events),
        Layout(
            Panel(Text(paper), title="latest receipt", title_align="left", style="black on white"),
            size=_RECEIPT_COLUMNS + 4,
        ),
    )
    return screen


def _meter_face(home: Home) -> Panel:
    meter = home.meter
    lit = meter.is_lit
    used_wh = meter.registers.consumed_wh
    reasons = ", ".join(reason.value for reason in meter.open_reasons)
    display = " ".join(meter.main_lines[:1]) or "-"
    low = "LOW CREDIT" if meter.is_low_credit else ""
    locked = f"LOCKED {meter.locked_for_s} s" if meter.locked_for_s else ""
    body = Group(
        Text(display, style="bold black on green", justify="center"),
        Text(f"load      {meter.drawn_w:>8,} W"),
        Text(f"used      {used_wh // 1000:>5,}.{used_wh % 1000 // 10:02d} kWh"),
        Text("light     ").append(
            "      on" if lit else "     OFF", style="bold yellow" if lit else "bold red"
        ),
        Text(" ".join(filter(None, (low, locked, reasons))), style="red"),
    )
    return Panel(
        body,
        title=f"{home.name} · {home.drn}",
        title_align="left",
        border_style="yellow" if lit else "red",
    )


def _account_face(home: AccountHome) -> Panel:
    keypad = home.meter.keypad
    lit = keypad.is_lit
    used_wh = keypad.registers.consumed_wh
    balance = home.office.currency.text(home.balance_minor) if home.number else "-"
    body = Group(
        Text(f"on account  {balance}", style="bold black on cyan", justify="center"),
        Text(f"load      {keypad.drawn_w:>8,} W"),
        Text(f"used      {used_wh // 1000:>5,}.{used_wh % 1000 // 10:02d} kWh"),
        Text("light     ").append(
            "      on" if lit else "     OFF", style="bold yellow" if lit else "bold red"
        ),
    )
    return Panel(
        body,
        title=f"{NAME} · {home.number or 'no account yet'}",
        title_align="left",
        border_style="yellow" if lit else "red",
    )
