"""The live face of ``meterhouse sim keypad``: a meter on the wall, and its keys.

The terminal is put back as it was however the program ends: q, Ctrl-C, a fault, or SIGTERM.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from rich.align import Align
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from commands.output import console
from commands.running_meter import MeterClock, SavedMeter
from simulators import BACKSPACE, ConstantLoad, KeypadMeter
from simulators.display import kwh, supply_line
from simulators.moments import second_of
from simulators.results import TokenResult

_TICK_S: Final = 0.1
_SAVE_EVERY_NS: Final = 1_000_000_000
_WIDTH: Final = 78
_LOADS_W: Final = (0, 100, 250, 500, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000)
_SPEEDS: Final = (1, 10, 60, 300, 900, 3_600, 21_600, 86_400)
_LCD: Final = "bold black on #b7c9a8"
_LCD_GHOST: Final = "#93a586 on #b7c9a8"

_LCD_ROWS_MIN: Final = 3

_SEGMENTS: Final = {
    "0": (" _ ", "| |", "|_|"),
    "1": ("   ", "  |", "  |"),
    "2": (" _ ", " _|", "|_ "),
    "3": (" _ ", " _|", " _|"),
    "4": ("   ", "|_|", "  |"),
    "5": (" _ ", "|_ ", " _|"),
    "6": (" _ ", "|_ ", "|_|"),
    "7": (" _ ", "  |", "  |"),
    "8": (" _ ", "|_|", "|_|"),
    "9": (" _ ", "|_|", " _|"),
    ".": (" ", " ", "."),
}
"""Seven-segment digits, three rows each."""


def run_screen(saved: SavedMeter, clock: MeterClock) -> None:
    """Show the meter and obey the keyboard until q, Ctrl-C or the end of input."""
    last: TokenResult | None = None
    next_save_ns = time.monotonic_ns() + _SAVE_EVERY_NS
    meter, keys, drawn_at = saved.meter, "", -1
    try:
        with (
            _raw_keys() as keyboard,
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while True:
                meter.advance(clock.now())
                if time.monotonic_ns() >= next_save_ns:
                    saved.save()
                    next_save_ns = time.monotonic_ns() + _SAVE_EVERY_NS
                second = second_of(meter.now)
                if keys or second != drawn_at:  # a slow line is not flooded
                    live.update(face(meter, clock, last), refresh=True)
                    drawn_at = second
                typed = _read_keys(keyboard)
                if typed is None or "q" in typed:
                    break
                keys = typed
                for key in keys:
                    last = _obey(key, saved, clock) or last
        meter.advance(clock.now())
    finally:
        saved.save()


# --- the keyboard --------------------------------------------------------------------------


@contextmanager
def _raw_keys() -> Iterator[int]:
    """The terminal without echo and lines, but with Ctrl-C; put back at the end."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    on_term = signal.signal(signal.SIGTERM, _leave)
    try:
        tty.setcbreak(keyboard)
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSAFLUSH, before)
        signal.signal(signal.SIGTERM, on_term)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _read_keys(keyboard: int) -> str | None:
    """What was typed within a tick; None at the end of input."""
    if not select.select([keyboard], [], [], _TICK_S)[0]:
        return ""
    typed = os.read(keyboard, 256)
    if not typed or typed == b"\x04":
        return None
    if typed.startswith(b"\x1b"):  # an arrow or function key: the meter has none
        return ""
    return typed.decode("ascii", "ignore").lower()


def _obey(key: str, saved: SavedMeter, clock: MeterClock) -> TokenResult | None:
    meter, now = saved.meter, clock.now()
    if key in "><.,":
        clock.run_at(_step(_SPEEDS, clock.speed, 1 if key in ">." else -1))
    elif key == "p":
        (meter.power_off if meter.has_power else meter.power_on)(now)
        saved.save()
    elif key in "of":
        (meter.close_cover if meter.supply.cover_is_open else meter.open_cover)(now)
        saved.save()
    elif key in "+=" or (key == "-" and not meter.typed):  # a dash within a token is a dash
        home_w = meter.load.watts_at(second_of(now))
        meter.set_load(ConstantLoad(_step(_LOADS_W, home_w, -1 if key == "-" else 1)), now)
    elif meter.has_power and key in "\x7f\x08":
        return saved.press(BACKSPACE, now)
    elif meter.has_power and key in "0123456789":
        return saved.press(key, now)
    return None


def _step(steps: tuple[int, ...], value: int, direction: int) -> int:
    """The next step up or down from a value, at most the last one."""
    if direction > 0:
        return next((step for step in steps if step > value), steps[-1])
    return next((step for step in reversed(steps) if step < value), steps[0])


# --- the face ------------------------------------------------------------------------------


def face(meter: KeypadMeter, clock: MeterClock, last: TokenResult | None) -> RenderableType:
    """The whole screen."""
    number = meter.nameplate.meter_pan.drn
    body = Group(
        _lcd(meter),
        Text(),
        _lamps(meter),
        Text(),
        _figures(meter, clock),
        Text(),
        _last(last),
        Text(),
        _help(),
    )
    return Panel(
        body,
        title=f"[bold]Meter {' '.join(_fours(number))}[/bold]",
        subtitle="[dim]meterhouse, simulated keypad meter[/dim]",
        width=_WIDTH,
        padding=(1, 3),
        border_style="white" if meter.is_lit else "red",
    )


def _fours(number: str) -> list[str]:
    return [number[i : i + 4] for i in range(0, len(number), 4)]


def _lcd(meter: KeypadMeter) -> RenderableType:
    if not meter.has_power:
        rows = [Text(" ")]
    elif meter.typed:
        rows = [Text(" "), _typing_row(meter.typed)]
    else:
        rows = [Text(line) for line in meter.main_lines]
        if len(rows) == 1:
            rows = _seven_segments(meter)
    rows += [Text(" ")] * (_LCD_ROWS_MIN - len(rows))
    text = Text("\n").join(rows)
    return Panel(
        Align.center(text),
        style=_LCD if meter.has_power else "on grey23",
        border_style="black" if meter.has_power else "grey35",
    )


def _typing_row(typed: str) -> Text:
    ghost = "____-____-____-____-____"[len(typed) :]
    return Text.assemble((typed, _LCD), (ghost, _LCD_GHOST))


def _seven_segments(meter: KeypadMeter) -> list[Text]:
    figure = kwh(meter.registers.remaining_wh).removesuffix(" kWh")
    rows = [" ".join(_SEGMENTS[sign][row] for sign in figure) for row in range(3)]
    return [
        Text(f"     {rows[0]}     "),
        Text(f"     {rows[1]}     "),
        Text(f"     {rows[2]}  kWh"),
    ]


def _lamps(meter: KeypadMeter) -> RenderableType:
    if not meter.has_power:
        return Align.center(Text(" NO POWER ", style="bold white on grey35"))
    lamps = [
        Text(" SUPPLY ON ", style="bold black on green")
        if meter.is_lit
        else Text(f" {supply_line(meter.supply).upper()} ", style="bold white on red")
    ]
    if meter.is_low_credit:
        lamps.append(Text(" LOW CREDIT ", style="bold black on yellow"))
    if meter.locked_for_s:
        lamps.append(Text(f" KEYPAD LOCKED {meter.locked_for_s} s ", style="bold white on magenta"))
    if meter.supply.cover_is_open:
        lamps.append(Text(" COVER OPEN ", style="bold white on red"))
    return Align.center(Text("  ").join(lamps))


def _figures(meter: KeypadMeter, clock: MeterClock) -> RenderableType:
    registers, supply, key = meter.registers, meter.supply, meter.state.key
    wanted_w = meter.load.watts_at(second_of(meter.now))
    load = f"{wanted_w:,} W" if meter.is_lit else f"0 of {wanted_w:,} W"
    limit = "none" if supply.power_limit_w is None else f"{supply.power_limit_w:,} W"
    cipher = meter.nameplate.algorithm.name
    if meter.state.cipher().is_sample:
        cipher += " samples: TEST"
    table = Table.grid(padding=(0, 3))
    for style in ("dim", "bold", "dim", ""):
        table.add_column(style=style, no_wrap=True)
    table.add_row("Credit", kwh(registers.remaining_wh), "Load", load)
    table.add_row("Bought", kwh(registers.accepted_wh), "Limit", limit)
    table.add_row("Consumed", kwh(registers.consumed_wh), "Key", f"{key.sgc} revision {key.krn}")
    table.add_row("Clock", f"{meter.now:%d %b %Y %H:%M:%S} UTC", "Cipher", cipher)
    table.add_row("Speed", f"{clock.speed:,} x", "", "")
    return table


def _last(last: TokenResult | None) -> RenderableType:
    if last is None:
        return Text("No token entered yet. Type 20 digits.\n", style="dim")
    style = "bold green" if last.is_accepted else "bold red"
    return Text.assemble(("Last token  ", "dim"), (f"{last.outcome.value}  ", style), last.text)


def _help() -> RenderableType:
    keys = (
        ("0-9", "token"), ("Bksp", "undo"), ("+ -", "load"), ("< >", "clock"),
        ("o", "cover"), ("p", "power"), ("q", "quit"),
    )  # fmt: skip
    parts = [Text.assemble((key, "bold cyan"), f" {what}") for key, what in keys]
    return Align.center(Text("  ").join(parts))
