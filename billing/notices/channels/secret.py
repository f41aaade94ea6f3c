"""Passwords of providers, from files that their owner alone can read."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from billing.notices.faults import NoticeChannelDownError

_BYTES_MAX: Final = 10_000


def read_secret(path: Path) -> str:
    """The first line of a file.

    Raises:
        NoticeChannelDownError: it cannot be read, or others can read it.
    """
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise NoticeChannelDownError(f"Others can read the secret file {path}: chmod 600 it.")
        with path.open(encoding="utf-8") as file:
            lines = file.read(_BYTES_MAX).splitlines()
    except (OSError, UnicodeDecodeError):
        raise NoticeChannelDownError(f"The secret file {path} cannot be read.") from None
    if not lines or not lines[0].strip():
        raise NoticeChannelDownError(f"The secret file {path} is empty.")
    return lines[0].strip()
