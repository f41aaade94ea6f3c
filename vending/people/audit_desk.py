"""The desk for the audit trail: `Shop.audit`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import select

from storage import audit
from storage.audit import Head, audit_lines
from storage.span import within
from vending.people.actor import Permission
from vending.people.audit_walk import Anchor, Progress, Verification, walk
from vending.people.seals import SEALED, Seal, last_seal, make_seal, next_ranges, settled_ends
from vending.shop.faults import RequestFormatError, ShopSystemError, storage_faults
from vending.shop.house import House
from vending.shop.values import require_moment, require_text, require_whole

_BATCH: Final = 1_000
log = structlog.get_logger("vending.people")


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

    def seal_soon(self) -> None:
        """Seal now if that is possible; otherwise the next seal covers it all the same.

        For the end of an act that is done already and must not seem to have failed.
        """
        try:
            self.seal()
        except ShopSystemError as fault:
            log.warning("audit.not_sealed", code=fault.code)

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
        anchor = Anchor.parsed(head)
        with self.house.reading() as connection:
            found = walk(connection, anchor, progress)
        if found.broken is None and seal:
            self.seal()
            with self.house.reading() as connection:
                return Verification(found.lines, found.seals, audit.head(connection), None)
        return found

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
