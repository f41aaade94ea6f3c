"""What happens in the demo, as the views are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Kind(Enum):
    """What sort of thing happened; the value is its sign in the log."""

    SALE = "$"
    ACCEPTED = "+"
    REFUSED = "x"
    DARK = "-"
    LIGHT = "*"
    WARNING = "!"
    KEY_CHANGE = "k"
    NOTE = " "


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a line."""

    at: datetime
    kind: Kind
    text: str
    home: str = ""
    receipt: str | None = None
    """The receipt that was printed, 48 columns."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; nothing else happened."""

    at: datetime


@dataclass(frozen=True, slots=True)
class KeyPress:
    """A key was pressed on a home's meter."""

    at: datetime
    home: str


Step = Event | Tick | KeyPress
