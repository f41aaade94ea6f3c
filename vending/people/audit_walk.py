"""One walk along the audit trail: the chain, the seals, and the head that was kept elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from storage.audit import Head
from storage.audit_chain import GENESIS
from storage.audit_verify import Break, BreakKind, StoredLine, break_at, count_lines, stored_lines
from vending.people.faults import HeadFormatError
from vending.people.seals import SEALED, Range, Seal, first_difference

_HASH_DIGITS: Final = 64
_NO_HEAD: Final = (
    "A head looks like 57:9f86... (a line's number and 64 hexadecimal digits), as `meterhouse "
    "audit head` prints it."
)
Progress = Callable[[int, int], None]
"""Is told how many lines are done, of how many."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk along the trail has found."""

    lines: int
    seals: int
    head: Head
    """The last whole line: write it down, and give it to the next verification."""
    broken: Break | None
    """The first broken place; None when the trail is whole."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that was kept elsewhere."""

    number: int | None
    sha256: bytes | None

    @classmethod
    def parsed(cls, text: str | None) -> Anchor:
        """Read NUMBER:HASH, or the hash alone; None is an anchor that everything meets.

        Raises:
            HeadFormatError: it is neither.
        """
        if text is None:
            return cls(None, None)
        number, _, digits = str(text).strip().rpartition(":")
        if len(digits) != _HASH_DIGITS or (number and not number.isdecimal()):
            raise HeadFormatError(_NO_HEAD)
        try:
            return cls(int(number) if number else None, bytes.fromhex(digits))
        except ValueError:
            raise HeadFormatError(_NO_HEAD) from None

    def is_met(self, number: int, sha256: bytes) -> bool:
        """Whether this line is the one that was kept."""
        return self.sha256 is None or (self.number in (None, number) and self.sha256 == sha256)

    def break_of(self, line: StoredLine) -> Break | None:
        """What is wrong with the line that has the kept number."""
        if line.sha256 == self.sha256:
            return None
        message = (
            f"Line {line.number} is not the one whose hash was kept: the chain was made anew "
            "up to here."
        )
        return Break(line.number, BreakKind.CHANGED, message)

    def cut(self, last: int) -> Break:
        """The trail ended before the kept head was met."""
        what = "The head that was kept" if self.number is None else f"Line {self.number}"
        return Break(
            last + 1,
            BreakKind.CUT,
            f"{what} is not in the trail, which ends with line {last}: its end was cut off, or "
            "it was made anew.",
        )


def walk(connection: Connection, anchor: Anchor, progress: Progress | None) -> Verification:
    """Walk along the chain and all seals, up to the first broken place."""
    before: StoredLine | None = None
    seals, covered, anchored = 0, dict[str, int](), anchor.is_met(0, GENESIS)
    total, done = count_lines(connection), 0
    for line in stored_lines(connection):
        broken = break_at(connection, line, before)
        if broken is None and anchor.number == line.number:
            broken = anchor.break_of(line)
        if broken is None and line.action == SEALED.encode():
            seals += 1
            broken = _break_of_seal(connection, line, covered)
        if broken is not None:
            return Verification(done, seals, _head_of(before), broken)
        anchored = anchored or anchor.is_met(line.number, line.sha256)
        before, done = line, done + 1
        if progress is not None:
            progress(done, total)
    last = _head_of(before)
    return Verification(done, seals, last, None if anchored else anchor.cut(last.number))


def _head_of(line: StoredLine | None) -> Head:
    return Head(0, GENESIS) if line is None else Head(line.number, line.sha256)


def _break_of_seal(
    connection: Connection, line: StoredLine, covered: dict[str, int]
) -> Break | None:
    """Whether a seal holds what is there, and follows the seal before without a gap."""
    try:
        seal = Seal.from_json(line.detail)
        different = _gap(seal.ranges, covered) or first_difference(connection, seal)
        covered.update({column: span.to for column, span in seal.ranges.items()})
    except (ValueError, KeyError, TypeError):
        different = "the seal cannot be read by this version."
    if different is None:
        return None
    message = f"Line {line.number} sealed sales that are not what they were: {different}"
    return Break(line.number, BreakKind.SALES, message)


def _gap(ranges: dict[str, Range], covered: dict[str, int]) -> str | None:
    for column, span in ranges.items():
        if span.after != covered.get(column, 0):
            return f"it does not begin where the seal before ended ({column})."
    return None
