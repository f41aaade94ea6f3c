"""What is typed at the till: whole lines, from a numeric keypad and its Enter."""

from __future__ import annotations

import os
import signal
import sys
import termios
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

_READ_MAX: Final = 4_096
_LINE_MAX: Final = 200
YES: Final = "1"
NO: Final = "0"


class EndOfInputError(Exception):
    """Nobody types here any more: Ctrl-D, or the terminal is gone."""


class Keypad:
    """The keyboard of a till.

    The terminal edits the line (so that backspace works everywhere); nothing is remembered of
    what was typed.
    """

    def __init__(self) -> None:
        self._fd: Final = sys.stdin.fileno()

    def ask(self, prompt: str, *, fresh: bool = False) -> str:
        """A line, in plain characters, without blanks around it.

        Full-width digits, as some keyboards make them, are digits.

        Args:
            prompt: what is asked for.
            fresh: forget what was typed before the question was on the screen.

        Raises:
            EndOfInputError: nobody types any more.
            KeyboardInterrupt: Ctrl-C.
        """
        while True:
            if fresh:
                termios.tcflush(self._fd, termios.TCIFLUSH)
            click.echo(click.style(f"{prompt} > ", bold=True), nl=False)
            typed = _plain(self._line())
            if typed is not None:
                return typed
            click.echo("That key means nothing here: digits, letters, + * / . and Enter.")

    def secret(self, prompt: str) -> str:
        """A line that is not shown.

        Raises:
            EndOfInputError, KeyboardInterrupt: as for `ask`.
        """
        before = termios.tcgetattr(self._fd)
        unseen = list(before)
        unseen[3] &= ~termios.ECHO
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, unseen)
        try:
            return self.ask(prompt)
        finally:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, before)
            click.echo()

    def yes(self, question: str) -> bool:
        """1 is yes, 0 is no; Enter alone is no answer.

        Raises:
            EndOfInputError, KeyboardInterrupt: as for `ask`.
        """
        while True:
            typed = self.ask(f"{question}  {YES} yes  {NO} no", fresh=True)
            if typed in (YES, NO):
                return typed == YES

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            try:
                more = os.read(self._fd, _READ_MAX)
            except OSError:  # the terminal is gone
                more = b""
            if not more:
                click.echo()
                raise EndOfInputError
            line += more
        return line.decode(errors="replace")


@contextmanager
def unbroken(waiting: str) -> Iterator[None]:
    """Let Ctrl-C wait for the end of what is done here; pressed twice it breaks it off.

    Args:
        waiting: what is said at the first.

    Raises:
        KeyboardInterrupt: at the second.
    """
    pressed = 0

    def wait(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            raise KeyboardInterrupt
        click.echo(f"\n{waiting}")

    before = signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _plain(line: str) -> str | None:
    """None when there are keys in it that make no character, or far too many."""
    text = unicodedata.normalize("NFKC", line).strip()
    if len(text) > _LINE_MAX or "\N{REPLACEMENT CHARACTER}" in text:
        return None
    return text if text.isprintable() else None
