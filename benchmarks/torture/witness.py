"""What was answered, as the workers told it before they died."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


class TortureError(Exception):
    """Something does not hold."""


@dataclass(slots=True)
class Witness:
    """Every answer that anybody got, by the request's number."""

    answers: dict[int, bytes] = field(default_factory=dict)
    """The digest of each request's answer."""
    told_again: int = 0
    kills: int = 0
    slowest_s: float = 0.0

    def told(self, number: int, digest: bytes, seconds: float = 0.0) -> None:
        """An answer that was given once is the same for ever.

        Raises:
            TortureError: it is another one.
        """
        before = self.answers.setdefault(number, digest)
        if before is not digest:
            self.told_again += 1
            if before != digest:
                raise TortureError(f"Request {number} was answered in two ways.")
        self.slowest_s = max(self.slowest_s, seconds)


def digest_of(response: bytes) -> bytes:
    """What is kept of an answer."""
    return hashlib.sha256(response).digest()
