"""How audit lines are chained: what is hashed, in which bytes.  Pure.

The hash of a line is SHA-256 over

    "meterhouse audit line 1" NUL, then for each field its length (4 bytes, big-endian) and bytes

with the fields in this order: number (decimal), at, actor, action, subject, detail, reason,
from where, hash of the line before.  Texts are UTF-8; a time is written to the microsecond in
UTC, as ``2026-11-21T09:30:00.000000Z``; the line before the first is `GENESIS`.  It is the same
on every database, and it never changes: another way of hashing would be another version.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

GENESIS: Final = hashlib.sha256(b"meterhouse audit genesis 1\0").digest()
_LINE: Final = b"meterhouse audit line 1\0"
_LENGTH: Final = struct.Struct(">I")


def line_sha256(number: int, fields: Sequence[bytes], previous: bytes) -> bytes:
    """The hash of a line.

    Args:
        number: its place, from 1.
        fields: at, actor, action, subject, detail, reason, from where.
        previous: the hash of the line before.
    """
    digest = hashlib.sha256(_LINE)
    for field in (str(number).encode(), *fields, previous):
        digest.update(_LENGTH.pack(len(field)))
        digest.update(field)
    return digest.digest()


def time_bytes(moment: datetime) -> bytes:
    """A time as it is hashed."""
    kept = moment.astimezone(UTC).replace(tzinfo=None)
    return (kept.isoformat(timespec="microseconds") + "Z").encode()


def text_bytes(text: str) -> bytes:
    """A text as it is hashed."""
    return text.encode("utf-8")
