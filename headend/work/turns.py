"""Turns of lines: which job is begun, by whom, and what follows it.

A line that has something to do is given a *turn*: one DBOS workflow, in whose hands the line is
until nothing waits for it any more, or until others should have their turn.  The row of
`line_turns` says which turn holds; a turn that is not the line's (any more) does nothing.

Each function here is one step within a caller's write transaction, and begins by locking the
line's row.  Steps may be repeated: a commit whose answer was lost is no fault.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, select, update

from headend.work.engine import queue_turn
from headend.work.keys import new_key
from headend.work.port import Job, Urgency
from headend.work.queues import LINES, queue_of_line, queue_of_worker
from headend.work.tables import jobs, line_turns
from storage.prepared import InsertIfNew, Prepared

if TYPE_CHECKING:
    from dbos import DBOSClient

LOST_MAX: Final = 5
"""A job under which so many workers died is given up: it may be what kills them."""
BEGUN_MAX: Final = 1000
"""A bound for jobs that are put back again and again."""

_TURN_LOCKED: Final = Prepared(
    select(line_turns).where(line_turns.c.line == bindparam("line")).with_for_update()
)
_HEAD: Final = Prepared(
    select(jobs)
    .where(jobs.c.line == bindparam("line"), jobs.c.state == "waiting")
    .order_by(jobs.c.urgency, jobs.c.key)
    .limit(1)
)
_RUNNING: Final = Prepared(
    select(jobs).where(jobs.c.line == bindparam("line"), jobs.c.state == "running")
)
_ROW: Final = InsertIfNew(line_turns, ["line", "turn", "queue", "urgency", "handed_at"])
_GIVE: Final = Prepared(
    update(line_turns)
    .where(line_turns.c.line == bindparam("at"))
    .values(
        turn=bindparam("turn"),
        queue=bindparam("queue"),
        urgency=bindparam("urgency"),
        handed_at=bindparam("now"),
    )
)
_HOLD: Final = Prepared(
    update(line_turns).where(line_turns.c.line == bindparam("at")).values(worker=bindparam("by"))
)
_BEGIN: Final = Prepared(
    update(jobs)
    .where(jobs.c.key == bindparam("at"))
    .values(
        state="running",
        begun=bindparam("count"),
        begun_at=bindparam("now"),
        worker=bindparam("by"),
    )
)
_MINE: Final = (
    jobs.c.key == bindparam("at"),
    jobs.c.state == "running",
    jobs.c.begun == bindparam("count"),
    jobs.c.worker == bindparam("by"),
)
_PUT_BACK: Final = Prepared(update(jobs).where(*_MINE).values(state="waiting", worker=None))
_END: Final = Prepared(
    update(jobs)
    .where(*_MINE)
    .values(state=bindparam("how"), ended_at=bindparam("now"), fault=bindparam("why"))
)


class Ended(Enum):
    """How a job's run ended."""

    DONE = "done"
    FAILED = "failed"
    BACK = "waiting"
    """It is put back and begun again: the worker stops, or the database was away."""
    AWAY = "away"
    """It is put back, and the line's turn is over: its modem is not connected."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A job in somebody's hands."""

    job: Job
    begun: int
    """Which time; whoever ends it must say so."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A line in a worker's hands."""

    line: int
    turn: str
    worker: str


def hand_out(connection: Connection, asking: DBOSClient, line: int, now: datetime) -> bool:
    """Give the line a turn if something waits for it and no turn is at it; tells whether."""
    row = _locked(connection, line, now)
    if row is not None and row.worker is not None:
        return False  # whoever has the line looks again before it is let go
    head = _HEAD.first(connection, {"line": line})
    if head is None:
        _let_go(connection, line)
        return False
    queue = queue_of_line(connection, line)
    if queue is None:
        _let_go(connection, line)
        return False
    if row is not None and row.urgency <= head.urgency and row.queue == queue:
        return False  # a turn in another queue may lie there for ever: its modem has moved
    turn = new_key(now)
    _GIVE.run(
        connection,
        {"at": line, "turn": turn, "queue": queue, "urgency": head.urgency, "now": now},
    )
    queue_turn(connection, asking, queue, head.urgency, line, turn)
    return True


def begin(connection: Connection, asking: DBOSClient, turn: Turn, now: datetime) -> Begun | None:
    """The turn begins: the line is this worker's; its first job, or None: nothing to do.

    What runs on the line was begun by somebody who has died: in no other case does DBOS let
    a turn begin again.
    """
    row = _TURN_LOCKED.first(connection, {"line": turn.line})
    if row is None or row.turn != turn.turn:
        return None
    _take_back(connection, turn.line, now)
    if not _is_here(connection, turn):
        _let_go(connection, turn.line)
        hand_out(connection, asking, turn.line, now)
        return None
    _HOLD.run(connection, {"at": turn.line, "by": turn.worker})
    return _next(connection, turn, now)


def go_on(
    connection: Connection,
    *,
    asking: DBOSClient,
    turn: Turn,
    last: Begun,
    how: tuple[Ended, str],
    now: datetime,
    keep: bool,
) -> Begun | None:
    """A job has ended: note it, and give the next; None: the turn is over.

    ``keep``: whether the turn goes on if something waits; else the line gets another turn,
    behind the others that wait.
    """
    row = _TURN_LOCKED.first(connection, {"line": turn.line})
    if row is None or row.turn != turn.turn or row.worker != turn.worker:
        return None  # somebody else has taken the line over: what we know is of yesterday
    ended, fault = how
    _note(connection, last, turn, ended, fault, now)
    if ended is Ended.AWAY:
        _let_go(connection, turn.line)
        return None
    if keep and _is_here(connection, turn):
        return _next(connection, turn, now)
    _let_go(connection, turn.line)
    hand_out(connection, asking, turn.line, now)
    return None


def take_unbegun(
    connection: Connection, asking: DBOSClient, queue: ColumnElement[bool], now: datetime
) -> int:
    """Take back what lies un-begun in queues that nobody reads any more; how many turns.

    Args:
        connection: in a write transaction.
        asking: to queue other turns with, where the lines are now.
        queue: which queues, a condition on `line_turns`.
        now: the moment.
    """
    rows = connection.execute(
        select(line_turns.c.line, line_turns.c.turn)
        .where(queue, line_turns.c.worker.is_(None))
        .order_by(line_turns.c.line)
        .with_for_update()
    ).all()
    for row in rows:
        take_from(connection, asking, row.line, row.turn, now)
    return len(rows)


def take_from(
    connection: Connection, asking: DBOSClient, line: int, turn: str, now: datetime
) -> None:
    """Take a line out of a dead turn's hands and give it another one."""
    row = _TURN_LOCKED.first(connection, {"line": line})
    if row is None or row.turn != turn:
        return
    _take_back(connection, line, now)
    _let_go(connection, line)
    hand_out(connection, asking, line, now)


def _locked(connection: Connection, line: int, now: datetime) -> Any:
    """The line's row, locked; None: there was none, and one of no turn has been made."""
    values = {
        "line": line,
        "turn": f"none-{line}",
        "queue": "",
        "urgency": max(Urgency) + 1,
        "handed_at": now,
    }
    while not _ROW.run(connection, values):
        row = _TURN_LOCKED.first(connection, {"line": line})
        if row is not None:
            return row
    return None


def _is_here(connection: Connection, turn: Turn) -> bool:
    """Whether this worker can use the line: a modem may have called another one meanwhile."""
    return queue_of_line(connection, turn.line) in (LINES, queue_of_worker(turn.worker))


def _let_go(connection: Connection, line: int) -> None:
    connection.execute(delete(line_turns).where(line_turns.c.line == line))


def _next(connection: Connection, turn: Turn, now: datetime) -> Begun | None:
    """The line's next job, begun; None: nothing waits, and the line is let go."""
    running = _RUNNING.first(connection, {"line": turn.line})
    if running is not None:  # ours: the answer to the commit that began it was lost
        return Begun(job_of(running), running.begun)
    head = _HEAD.first(connection, {"line": turn.line})
    if head is None:
        _let_go(connection, turn.line)
        return None
    values = {"at": head.key, "count": head.begun + 1, "now": now, "by": turn.worker}
    _BEGIN.run(connection, values)
    return Begun(job_of(head), head.begun + 1)


def _note(
    connection: Connection, last: Begun, turn: Turn, ended: Ended, fault: str, now: datetime
) -> None:
    """Write how a job ended, unless somebody else has begun it since."""
    mine = {"at": last.job.key, "count": last.begun, "by": turn.worker}
    if ended in (Ended.BACK, Ended.AWAY) and last.begun < BEGUN_MAX:
        _PUT_BACK.run(connection, mine)
    elif ended is Ended.DONE:
        _END.run(connection, {**mine, "how": "done", "now": now, "why": None})
    else:
        why = fault or "begun_too_often"
        _END.run(connection, {**mine, "how": "failed", "now": now, "why": why})


def _take_back(connection: Connection, line: int, now: datetime) -> None:
    """What a dead worker had begun on this line waits again, or is given up."""
    if _RUNNING.first(connection, {"line": line}) is None:
        return
    is_hopeless = jobs.c.lost + 1 >= LOST_MAX
    connection.execute(
        update(jobs)
        .where(jobs.c.line == line, jobs.c.state == "running")
        .values(
            lost=jobs.c.lost + 1,
            state=case((is_hopeless, "failed"), else_="waiting"),
            fault=case((is_hopeless, "lost_too_often"), else_=None),
            ended_at=case((is_hopeless, bindparam("now", now, jobs.c.ended_at.type)), else_=None),
            worker=None,
        )
    )


def job_of(row: Any) -> Job:
    """A row of `jobs` as the port gives it."""
    return Job(
        key=row.key,
        kind=row.kind,
        line=row.line,
        urgency=Urgency(row.urgency),
        payload=json.loads(row.payload),
    )
