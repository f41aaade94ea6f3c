"""``meterhouse top``: the whole head-end at a glance, live in a terminal."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.station import open_station

if TYPE_CHECKING:
    from headend.service.overview import Overview
    from headend.station import Station

_FIRST_LOOK_S: Final = 60.0
_LEAVE: Final = b"qQ\x03\x1b"
_HELP: Final = "q leaves"


@click.command()
@click.option("--once", is_flag=True, help="Show it once and end; so it does without a terminal.")
@click.option(
    "--every", type=click.FloatRange(0.5, 60), default=1.0, show_default=True, metavar="SECONDS",
    help="How often to look; less often where a look takes long.",
)  # fmt: skip
@database_option
@json_option
def top(once: bool, every: float, database: str, as_json: bool) -> None:
    """Watch the head-end at work: links, queue, read success, rounds, orders, alarms, workers.

    It only reads, and may run anywhere that the database can be reached from.  A link is silent
    when its meters were asked within the hour and none answered.  q or Ctrl-C leaves.
    """
    from headend.service.overview import look
    from storage.engine import shown

    with open_station(database) as station:
        if as_json:
            print_json(overview_object(look(station)))
        elif once or not console.is_terminal:
            _print_once(station, look(station), shown(database))
        else:
            _watch(station, shown(database), every)


def overview_object(overview: Overview) -> dict[str, Any]:
    """A look as JSON answers give it: the overview's own names, times in UTC."""
    found: dict[str, Any] = _plain(asdict(overview))
    for hours in (1, 24):
        asked, answered = overview.success(hours)
        found[f"success_{hours}_h"] = {"asked": asked, "answered": answered}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _print_once(station: Station, overview: Overview, title: str) -> None:
    from commands.top_pace import Pace
    from commands.top_screen import Shown, screen

    shown = Shown(f"meterhouse  {title}", "", False, station.zone)
    console.print(screen(overview, Pace(), shown, console.width, None))


# --- live ----------------------------------------------------------------------------------


class _Looks:
    """Looks again and again in a thread of its own: keys are answered while a database is not."""

    def __init__(self, station: Station, every_s: float, wake: int) -> None:
        self._station = station
        self._every_s = every_s
        self._wake = wake
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.last: Overview | None = None
        self.fault: Exception | None = None
        self.thread_ended = False
        self._thread.start()

    def _keep(self) -> None:
        from headend.faults import StoreUnavailableError
        from headend.service.overview import look, wait_after

        while True:
            began = time.monotonic()
            try:
                self.last, self.fault = look(self._station), None
            except StoreUnavailableError as fault:
                self.fault = fault
            except Exception as fault:  # noqa: BLE001 - raised where the command can report it
                self.fault, self.thread_ended = fault, True
            os.write(self._wake, b"\0")
            if self.thread_ended:
                return
            time.sleep(wait_after(time.monotonic() - began, self._every_s))


def _watch(station: Station, title: str, every_s: float) -> None:
    """Show it until somebody leaves; the terminal is given back as it was."""
    from rich.live import Live

    from commands.top_pace import Pace
    from commands.top_screen import Shown, screen

    pace = Pace()
    with _waking() as (woken, wake), _keys() as keys:
        looks = _Looks(station, every_s, wake)
        noted = None
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while not _leaves(keys, woken):
                if looks.thread_ended and looks.fault is not None:
                    raise looks.fault
                overview = looks.last
                if overview is None:
                    words = "Looking …" if looks.fault is None else str(looks.fault)
                    live.update(words, refresh=True)
                    continue
                if overview.at != noted:
                    pace.note(overview.at, overview.rounds)
                    noted = overview.at
                fault = looks.fault
                shown = Shown(
                    f"meterhouse  {title}",
                    _HELP if fault is None else f"As it was: {fault}  {_HELP}",
                    fault is not None,
                    station.zone,
                )
                size = console.size
                live.update(screen(overview, pace, shown, size.width, size.height), refresh=True)


def _leaves(keys: int, woken: int) -> bool:
    """Wait for a key, a look or another size; tells whether the key says to leave."""
    ready, _, _ = select.select([keys, woken], [], [], _FIRST_LOOK_S)
    if woken in ready:
        os.read(woken, 4_096)
    if keys in ready:
        pressed = os.read(keys, 64)
        # Escape alone leaves; with more behind it, it is an arrow or another such key.
        return not pressed or (
            pressed[:1] in _LEAVE and (pressed[:1] != b"\x1b" or pressed == b"\x1b")
        )
    return False


@contextmanager
def _waking() -> Iterator[tuple[int, int]]:
    """A pipe that wakes the screen; another size of the terminal does so, too."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.signal(signal.SIGWINCH, lambda *_: os.write(wake, b"\0"))
    try:
        yield woken, wake
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def _keys() -> Iterator[int]:
    """The keyboard, key by key and unseen."""
    import termios
    import tty

    number = sys.stdin.fileno()
    if not os.isatty(number):
        yield number
        return
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield number
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
