"""The desk for the audit trail: `Shop.audit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from storage import audit
from storage.audit import Head, audit_lines
from storage.audit_chain import GENESIS
from storage.audit_verify import Break, BreakKind, StoredLine, break_at, count_lines, stored_lines
from storage.span import within
from vending.people.actor import Permission
from vending.people.faults import HeadFormatError
from vending.people.seals import (
    SEALED,
    Range,
    Seal,
    first_difference,
    last_seal,
    make_seal,
    next_ranges,
    settled_ends,
)
from vending.shop.faults import RequestFormatError, storage_faults
from vending.shop.house import House
from vending.shop.values import require_moment, require_text, require_whole

_HASH_DIGITS: Final = 64
_BATCH: Final = 1_000
Progress = Callable[[int, int], None]
"""Is told how many lines are done, of how many."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who did what, when, from where and why."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: str
    reason: str
    from_where: str
    sha256: str


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
class AuditDesk:
    """Read, seal and verify the audit trail."""

    house: House

    def head(self) -> Head:
        """The last line's number and hash, to be kept where nobody of this shop can change it."""
        self.house.require(Permission.AUDIT)
        with self.house.reading() as connection:
            return audit.head(connection)

    def lines(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> Iterator[AuditLine]:
        """Lines by number, streamed.

        Args:
            actor, subject: exactly this one.
            action: exactly this one, or all that begin so when it ends with a dot.
            since, until: times with a zone; ``until`` is exclusive.
            after: beginning behind this line.
            limit: at most so many.

        Raises:
            RequestFormatError: a filter has the wrong form.
        """
        self.house.require(Permission.AUDIT)
        require_whole("A line's number", after)
        if limit is not None and require_whole("The limit of a list", limit) < 1:
            raise RequestFormatError("The limit of a list must be above zero.")
        span = (
            None if since is None else require_moment("The beginning", since),
            None if until is None else require_moment("The end", until),
        )
        filters: list[Any] = [*within(audit_lines.c.at, *span)]
        for column, value in (("actor", actor), ("subject", subject)):
            if value is not None:
                filters.append(audit_lines.c[column] == require_text(column, value))
        if action is not None:
            require_text("action", action)
            begins = audit_lines.c.action.startswith(action, autoescape=True)
            filters.append(begins if action.endswith(".") else audit_lines.c.action == action)
        return self._streamed(filters, after, limit)

    def seal(self) -> Seal | None:
        """Hold fast what was sold since the last seal; None when nothing was.

        Anybody's act may end with it (a shift's close does): it shows and changes nothing.
        """
        engine = self.house.engine
        with storage_faults():
            ends = settled_ends(engine)
        with self.house.reading() as connection:
            ranges = next_ranges(last_seal(connection), ends)
            if all(span.after == span.to for span in ranges.values()):
                return None
            seal = make_seal(connection, ranges)
        with self.house.writing() as connection:
            before = last_seal(connection)
            if next_ranges(before, ends) != ranges:
                return before  # somebody else has sealed it meanwhile
            audit.record(
                connection,
                self.house.now(),
                actor=self.house.actor.name,
                action=SEALED,
                subject="sales",
                detail=seal.to_json(),
            )
        return seal

    def verify(
        self, *, head: str | None = None, seal: bool = True, progress: Progress | None = None
    ) -> Verification:
        """Walk along the chain and all seals, up to the first broken place.

        Args:
            head: what `head` or an earlier verification gave, kept elsewhere: only with it can
                a cut at the end, or a chain that was made anew as a whole, be told.
            seal: whether to seal what was sold since the last seal, when all is whole.
            progress: told how far it is.

        Raises:
            HeadFormatError: that is no head.
        """
        self.house.require(Permission.AUDIT)
        anchor = _Anchor.parsed(head)
        found = self._walked(anchor, progress)
        if found.broken is None and seal:
            self.seal()
            with self.house.reading() as connection:
                return Verification(found.lines, found.seals, audit.head(connection), None)
        return found

    def _walked(self, anchor: _Anchor, progress: Progress | None) -> Verification:
        before: StoredLine | None = None
        seals, covered, anchored = 0, dict[str, int](), anchor.is_met(0, GENESIS)
        with self.house.reading() as connection:
            total = count_lines(connection)
            done = 0
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

    def _streamed(self, filters: list[Any], after: int, limit: int | None) -> Iterator[AuditLine]:
        left = limit
        while left is None or left > 0:
            batch = _BATCH if left is None else min(_BATCH, left)
            with self.house.reading() as connection:
                rows = connection.execute(
                    select(audit_lines)
                    .where(audit_lines.c.audit_id > after, *filters)
                    .order_by(audit_lines.c.audit_id)
                    .limit(batch)
                ).all()
            for row in rows:
                yield AuditLine(
                    row.audit_id,
                    row.at,
                    row.actor,
                    row.action,
                    row.subject,
                    row.detail,
                    row.reason,
                    row.from_where,
                    bytes(row.line_sha256).hex(),
                )
            if len(rows) < batch:
                return
            after = rows[-1].audit_id
            left = None if left is None else left - len(rows)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A head that was kept elsewhere."""

    number: int | None
    sha256: bytes | None

    @classmethod
    def parsed(cls, text: str | None) -> _Anchor:
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
        return self.sha256 is None or (self.number in (None, number) and self.sha256 == sha256)

    def break_of(self, line: StoredLine) -> Break | None:
        if line.sha256 == self.sha256:
            return None
        message = (
            f"Line {line.number} is not the one whose hash was kept: the chain was made anew "
            "up to here."
        )
        return Break(line.number, BreakKind.CHANGED, message)

    def cut(self, last: int) -> Break:
        what = "The head that was kept" if self.number is None else f"Line {self.number}"
        return Break(
            last + 1,
            BreakKind.CUT,
            f"{what} is not in the trail, which ends with line {last}: its end was cut off, or "
            "it was made anew.",
        )


_NO_HEAD: Final = (
    "A head looks like 57:9f86... (a line's number and 64 hexadecimal digits), as `meterhouse "
    "audit head` prints it."
)


def _head_of(line: StoredLine | None) -> Head:
    return Head(0, GENESIS) if line is None else Head(line.number, line.sha256)


def _break_of_seal(connection: Any, line: StoredLine, covered: dict[str, int]) -> Break | None:
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
