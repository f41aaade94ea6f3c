"""The tables of durable work.

====================  ==================================================================
`jobs`                what is to be done, is being done, was done; the truth about it
`line_turns`          which turn a line has been given: the DBOS workflow that carries
                      its jobs, one after the other; no row: nobody works on the line
`line_owners`         which worker a modem has called; only there can its line be used
`workers`             who works on this database, or did until it died
`unknown_callers`     modems that called and are no line's
====================  ==================================================================

One job at a time on each line is the unique index of running jobs; see docs/decisions, 14.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text, text

from headend.registry.tables import links
from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber

jobs: Final = table(
    "jobs",
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("line", Identifier, nullable=False),
    Column("urgency", WholeNumber, nullable=False),
    Column("payload", Text, nullable=False, comment="identifiers, canonical JSON"),
    Column("state", Text, nullable=False),
    Column("queued_at", UtcTimestamp, nullable=False),
    Column("begun", WholeNumber, nullable=False, comment="how often; fences earlier ones off"),
    Column("lost", WholeNumber, nullable=False, comment="how often its worker died"),
    Column("begun_at", UtcTimestamp),
    Column("ended_at", UtcTimestamp),
    Column("worker", Text),
    Column("fault", Text, comment="code of the fault that ended it"),
    CheckConstraint("length(key) > 0 AND length(kind) > 0", name="key"),
    CheckConstraint("urgency BETWEEN 1 AND 9", name="urgency"),
    CheckConstraint(
        "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')",
        name="state",
    ),
    CheckConstraint("state <> 'running' OR worker IS NOT NULL", name="worker"),
    CheckConstraint(
        "(state IN ('waiting', 'running')) = (ended_at IS NULL)",
        name="ended",
    ),
    CheckConstraint("(state = 'failed') = (fault IS NOT NULL)", name="fault"),
    CheckConstraint("begun >= 0 AND lost >= 0 AND lost <= begun", name="counts"),
    Index(
        "uq_jobs_running",
        "line",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index(
        "ix_jobs_waiting",
        "line",
        "urgency",
        "key",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_jobs_ended",
        "ended_at",
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
)

line_turns: Final = table(
    "line_turns",
    Column("line", Identifier, primary_key=True, autoincrement=False),
    Column("turn", Text, nullable=False, unique=True, comment="the workflow's id"),
    Column("queue", Text, nullable=False),
    Column("urgency", WholeNumber, nullable=False, comment="of the job that it was made for"),
    Column("worker", Text, comment="who has begun it"),
    Column("handed_at", UtcTimestamp, nullable=False),
)

line_owners: Final = table(
    "line_owners",
    Column(
        "link_id", Identifier, ForeignKey(links.c.link_id), primary_key=True, autoincrement=False
    ),
    Column("worker", Text, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
    Index("ix_line_owners_worker", "worker"),
)

workers: Final = table(
    "workers",
    Column("name", Text, primary_key=True),
    Column("since", UtcTimestamp, nullable=False),
    Column("seen_at", UtcTimestamp, nullable=False),
    Column("process", WholeNumber, nullable=False),
    CheckConstraint("length(name) > 0", name="name"),
)

unknown_callers: Final = table(
    "unknown_callers",
    Column("caller", Text, primary_key=True),
    Column("calls", WholeNumber, nullable=False),
    Column("first_at", UtcTimestamp, nullable=False),
    Column("last_at", UtcTimestamp, nullable=False),
    Column("remote", Text, nullable=False, comment="where the last call came from"),
    CheckConstraint("length(caller) > 0 AND calls > 0", name="caller"),
)
