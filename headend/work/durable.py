"""The port of durable work on DBOS: what the rooms queue their jobs with."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, func, select, update

from headend.work import turns
from headend.work.engine import client, make_tables
from headend.work.faults import JobRefusedError
from headend.work.port import Job, Urgency
from headend.work.tables import jobs
from storage.engine import at_the_end, notes
from storage.prepared import InsertIfNew, Prepared

if TYPE_CHECKING:
    from dbos import DBOSClient

_PAYLOAD_CHARACTERS_MAX: Final = 2000
_LINES: Final = "meterhouse_lines_with_new_jobs"
_INSERT: Final = InsertIfNew(
    jobs,
    ["key", "kind", "line", "urgency", "payload", "state", "queued_at", "begun", "lost"],
)
_MOST_URGENT: Final = Prepared(
    select(jobs.c.line, func.min(jobs.c.urgency).label("urgency"))
    .where(jobs.c.state == "waiting")
    .group_by(jobs.c.line)
)


class DurableWork:
    """Jobs in the database; see `headend.work.port.Work`.

    Of a line's jobs the most urgent is handed to DBOS, in the transaction that queues it; which
    of them it carries out is found when it begins.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] | None = None) -> None:
        """Make the port; DBOS's own tables are made in the database if they are missing.

        Raises:
            StoreUnavailableError: the database refused, or gave no answer.
        """
        make_tables(engine)
        self.asking: Final[DBOSClient] = client(engine)
        self._clock: Final = clock or (lambda: datetime.now(UTC))
        self.is_stopping = False
        """The service is about to stop: rounds give way, as to a more urgent job."""

    def enqueue(self, connection: Connection, job: Job) -> None:
        """Queue a job in the caller's write transaction: with its commit, or not at all.

        Raises:
            JobRefusedError: the job is not one; nothing was queued.
        """
        queued = _INSERT.run(
            connection,
            {
                "key": job.key,
                "kind": job.kind,
                "line": job.line,
                "urgency": int(job.urgency),
                "payload": _payload(job),
                "state": "waiting",
                "queued_at": self._clock(),
                "begun": 0,
                "lost": 0,
            },
        )
        if queued:
            self.hand_out_at_the_end(connection, job.line)

    def cancel(self, connection: Connection, key: str) -> None:
        """Take a job that has not begun out of the queue, in the caller's transaction."""
        connection.execute(
            update(jobs)
            .where(jobs.c.key == key, jobs.c.state == "waiting")
            .values(state="cancelled", ended_at=self._clock())
        )

    def most_urgent(self, connection: Connection) -> dict[int, Urgency]:
        """How urgent the first job is that waits, by line; for all lines at once."""
        return {row.line: Urgency(row.urgency) for row in _MOST_URGENT.rows(connection)}

    def hand_out_at_the_end(self, connection: Connection, line: int) -> None:
        """Have the line looked at as the transaction's last act.

        Lines are locked last and in their order, so that transactions that queue for several
        of them wait for each other shortly and never in a circle.
        """
        notes(connection).setdefault(_LINES, set()).add(line)
        # Each time anew: a savepoint that is undone takes its acts with it.
        at_the_end(connection, self._hand_out)

    def _hand_out(self, connection: Connection) -> None:
        lines: set[int] = notes(connection)[_LINES]
        now = self._clock()
        for line in sorted(lines):
            turns.hand_out(connection, self.asking, line, now)
        lines.clear()


def _payload(job: Job) -> str:
    for name, value in job.payload.items():
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise JobRefusedError(
                f"The payload of a job holds identifiers: {name!r} is neither a whole number "
                "nor a text."
            )
    text = json.dumps(dict(job.payload), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if len(text) > _PAYLOAD_CHARACTERS_MAX:
        raise JobRefusedError(
            f"The payload of a job has at most {_PAYLOAD_CHARACTERS_MAX} characters: what is to "
            "be done belongs into the database."
        )
    return text
