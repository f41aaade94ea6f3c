"""What the checks have found, until a person has decided.

A finding is ``open`` until somebody confirms it (something is wrong) or dismisses it (nothing
is).  One that *holds* keeps the meter's values of its span from being billed: while it is open, and
after it was confirmed, until whoever has corrected the values releases it.  Billing asks `hold_of`.
The same finding (check, subject, begin) is made once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from headend.faults import EntryError
from headend.person import Right
from headend.registry.tables import end_devices, places
from headend.station import Station
from headend.watching.checks.flag import Flag
from headend.watching.faults import FindingDecidedError, NoSuchFindingError
from headend.watching.marks import CHECKED, mark
from headend.watching.tables import finding_history, findings
from storage.audit import record


@dataclass(frozen=True, slots=True)
class Found:
    """A flag, and what it is about."""

    flag: Flag
    since: datetime
    until: datetime
    device_id: int | None = None
    place_id: int | None = None

    @property
    def subject(self) -> str:
        """As the table has it."""
        if self.device_id is not None:
            return f"device {self.device_id}"
        return f"place {self.place_id}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding as people see it."""

    finding_id: int
    check: str
    about: str
    since: datetime
    until: datetime
    reason: str
    figures: Mapping[str, int]
    cause: str
    holds: bool
    state: str
    found_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a finding."""

    at: datetime
    act: str
    actor: str
    words: str


@dataclass(frozen=True, slots=True)
class CauseCount:
    """One line of the monthly summary."""

    cause: str
    found: int
    open: int
    confirmed: int
    dismissed: int


def keep_findings(connection: Connection, found: Sequence[Found], at: datetime) -> int:
    """Keep what was found and is not known yet; how many were new.

    Args:
        connection: in a write transaction.
        found: of one batch: some thousands at most.
        at: the time.
    """
    fresh = {(each.flag.check, each.subject, each.since): each for each in found}
    for known in _known(connection, list(fresh.values())):
        fresh.pop(known, None)
    if not fresh:
        return 0
    rows = [_row(each, at) for each in fresh.values()]
    if connection.dialect.name == "sqlite":
        connection.execute(insert(findings), rows)
    else:
        connection.execute(postgresql_insert(findings).on_conflict_do_nothing(), rows)
    return len(rows)


class Hold(StrEnum):
    """Whether values may be billed."""

    HELD = "held"
    """A person decides about them first."""
    CLEAR = "clear"
    """Judged, and nothing holds them back."""
    NOT_JUDGED = "not_judged"
    """The checks have not come so far: ask again later."""


def hold_of(connection: Connection, device_id: int, since: datetime, until: datetime) -> Hold:
    """Whether values of a meter in a span may be billed: only what is `Hold.CLEAR`.

    Args:
        connection: in any transaction.
        device_id: whose values.
        since: their first moment.
        until: the moment before which they lie.
    """
    held = (
        select(findings.c.finding_id)
        .where(
            findings.c.device_id == device_id,
            findings.c.holds == 1,
            findings.c.since < until,
            findings.c.until > since,
        )
        .limit(1)
    )
    if connection.execute(held).first() is not None:
        return Hold.HELD
    judged = mark(connection, CHECKED)
    return Hold.NOT_JUDGED if judged is None or judged < until else Hold.CLEAR


class FindingDesk:
    """What people do with findings.

    Args:
        station: the head-end.
    """

    def __init__(self, station: Station) -> None:
        self._station: Final = station

    def causes(self, since: datetime, until: datetime) -> list[CauseCount]:
        """How often each cause was found in a span: the summary of a month."""
        self._station.require(Right.LOOK)

        def of(state: str) -> Any:
            return func.count().filter(findings.c.state == state)

        states = [of(state).label(state) for state in ("open", "confirmed", "dismissed")]
        chosen = (
            select(findings.c.cause, func.count().label("found"), *states)
            .where(findings.c.found_at >= since, findings.c.found_at < until)
            .group_by(findings.c.cause)
            .order_by(func.count().desc(), findings.c.cause)
        )
        with self._station.reading() as connection:
            return [CauseCount(*row) for row in connection.execute(chosen)]

    def list(
        self, *, check: str | None = None, state: str | None = "open", limit: int = 100
    ) -> list[Finding]:
        """Findings, the newest first; ``state=None``: in any state."""
        self._station.require(Right.LOOK)
        chosen = _shown()
        if check is not None:
            chosen = chosen.where(findings.c.check_name == check)
        if state is not None:
            chosen = chosen.where(findings.c.state == state)
        chosen = chosen.order_by(findings.c.found_at.desc(), findings.c.finding_id.desc())
        with self._station.reading() as connection:
            return [_finding(row) for row in connection.execute(chosen.limit(limit))]

    def show(self, finding_id: int) -> tuple[Finding, Sequence[Decision]]:
        """A finding, and what was decided.

        Raises:
            NoSuchFindingError: there is none of this number.
        """
        self._station.require(Right.LOOK)
        with self._station.reading() as connection:
            row = connection.execute(_shown().where(findings.c.finding_id == finding_id)).first()
            if row is None:
                raise _missing(finding_id)
            decided = connection.execute(
                select(finding_history)
                .where(finding_history.c.finding_id == finding_id)
                .order_by(finding_history.c.entry_id)
            )
            entries = [Decision(each.at, each.act, each.actor, each.words) for each in decided]
            return _finding(row), entries

    def confirm(self, finding_id: int, words: str, *, cause: str | None = None) -> None:
        """Something is wrong: what is held stays held until it is corrected and released.

        Args:
            finding_id: which.
            words: what was found.
            cause: for the monthly summary, when it is another than the check took it for.

        Raises:
            EntryError, NoSuchFindingError, FindingDecidedError, NotAllowedError: as they say.
        """
        values = {"state": "confirmed"} if cause is None else {"state": "confirmed", "cause": cause}
        self._decide(finding_id, "confirmed", words, values, was="open")

    def dismiss(self, finding_id: int, words: str) -> None:
        """Nothing is wrong: the values may be billed.

        Raises:
            EntryError, NoSuchFindingError, FindingDecidedError, NotAllowedError: as they say.
        """
        values = {"state": "dismissed", "holds": 0}
        self._decide(finding_id, "dismissed", words, values, was="open")

    def release(self, finding_id: int, words: str) -> None:
        """The values of a confirmed finding were corrected: they may be billed.

        Raises:
            EntryError, NoSuchFindingError, FindingDecidedError, NotAllowedError: as they say.
        """
        self._decide(finding_id, "released", words, {"holds": 0}, was="confirmed", held=True)

    def _decide(
        self,
        finding_id: int,
        act: str,
        words: str,
        values: Mapping[str, object],
        *,
        was: str,
        held: bool = False,
    ) -> None:
        self._station.require(Right.ALARMS)
        if not words.strip():
            raise EntryError("Say in some words what was found: an auditor will ask.")
        at, who = self._station.now(), self._station.person.name
        chosen = update(findings).where(
            findings.c.finding_id == finding_id, findings.c.state == was
        )
        if held:
            chosen = chosen.where(findings.c.holds == 1)
        with self._station.writing() as connection:
            if connection.execute(chosen.values(**values)).rowcount != 1:
                self._refuse(connection, finding_id, act)
            entry = {"finding_id": finding_id, "at": at, "act": act, "actor": who, "words": words}
            connection.execute(insert(finding_history), entry)
            record(
                connection,
                at,
                actor=who,
                action=f"finding.{act}",
                subject=str(finding_id),
                reason=words,
            )

    def _refuse(self, connection: Connection, finding_id: int, act: str) -> None:
        row = connection.execute(_shown().where(findings.c.finding_id == finding_id)).first()
        if row is None:
            raise _missing(finding_id)
        holding = "and holds nothing back" if not row.holds else "and still holds values back"
        raise FindingDecidedError(
            f"Finding {finding_id} is {row.state} {holding}: it cannot be {act} now."
        )


def _known(connection: Connection, found: Sequence[Found]) -> list[tuple[str, str, datetime]]:
    if not found:
        return []
    rows = connection.execute(
        select(findings.c.check_name, findings.c.subject, findings.c.since).where(
            findings.c.subject.in_(sorted({each.subject for each in found})),
            findings.c.check_name.in_(sorted({each.flag.check for each in found})),
            findings.c.since >= min(each.since for each in found),
            findings.c.since <= max(each.since for each in found),
        )
    )
    return [(row.check_name, row.subject, row.since) for row in rows]


def _row(each: Found, at: datetime) -> dict[str, object]:
    flag = each.flag
    return {
        "check_name": flag.check,
        "subject": each.subject,
        "device_id": each.device_id,
        "place_id": each.place_id,
        "since": each.since,
        "until": each.until,
        "reason": flag.reason,
        "figures": json.dumps(dict(flag.figures), sort_keys=True, separators=(",", ":")),
        "cause": flag.cause or flag.check,
        "holds": int(flag.holds and each.device_id is not None),
        "state": "open",
        "found_at": at,
    }


def _shown() -> Select[Any]:
    return (
        select(
            findings,
            end_devices.c.number.label("meter"),
            places.c.name.label("place"),
            places.c.kind.label("place_kind"),
        )
        .outerjoin(end_devices, end_devices.c.device_id == findings.c.device_id)
        .outerjoin(places, places.c.place_id == findings.c.place_id)
    )


def _finding(row: Any) -> Finding:
    return Finding(
        row.finding_id,
        row.check_name,
        f"meter {row.meter}" if row.meter is not None else f"{row.place_kind} {row.place}",
        row.since,
        row.until,
        row.reason,
        json.loads(row.figures),
        row.cause,
        row.holds == 1,
        row.state,
        row.found_at,
    )


def _missing(finding_id: int) -> NoSuchFindingError:
    return NoSuchFindingError(
        f"There is no finding {finding_id}. `meterhouse finding list` shows them."
    )
