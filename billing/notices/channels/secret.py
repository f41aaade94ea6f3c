"""Passwords of providers, from files that their owner alone can read."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from billing.notices.faults import ChannelDownError

_BYTES_MAX: Final = 10_000


def read_secret(path: Path) -> str:
    """The first line of a file.

    Raises:
        ChannelDownError: it cannot be read, or others can read it.
    """
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ChannelDownError(f"Others can read the secret file {path}: chmod 600 it.")
        with path.open(encoding="utf-8") as file:
            lines = file.read(_BYTES_MAX).splitlines()
    except (OSError, UnicodeDecodeError):
        raise ChannelDownError(f"The secret file {path} cannot be read.") from None
    if not lines or not lines[0].strip():
        raise ChannelDownError(f"The secret file {path} is empty.")
    return lines[0].strip()
