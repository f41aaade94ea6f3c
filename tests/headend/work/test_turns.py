"""Turns of lines, in whatever order workers begin, end, die, and are believed dead.

The workers are simulated, the steps and the database are the real ones (SQLite, which is enough
for their rules: what PostgreSQL adds is shown in tests/headend/service, by processes that die).
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import insert

from headend.registry.tables import links
from headend.station import Station
from headend.work import turns
from headend.work.durable import DurableWork
from headend.work.port import Job, Urgency
from headend.work.queues import LINES, queue_of_worker
from headend.work.tables import line_owners
from headend.work.turns import LOST_MAX, Begun, Ended, Turn
from storage.engine import open_engine
from tests.headend.work.working import job, queue, rows
from tests.shop.databases import SqliteFiles

WORKERS = ("north", "south")
LINE, MODEM = 1, 2
_folder = tempfile.TemporaryDirectory()
_files: list[SqliteFiles] = []


def new_station() -> Station:
    """A head-end on a new database."""
    if not _files:
        _files.append(SqliteFiles(Path(_folder.name)))
    return Station(open_engine(_files[0].shop()), ZoneInfo("UTC"), lambda: datetime.now(UTC))


class Workers(RuleBasedStateMachine):
    """Two workers, a line that both can open, and a modem that calls one of them."""

    @initialize()
    def begin_anew(self) -> None:
        self.station = new_station()
        self.work = DurableWork(self.station.engine)
        self.queued: dict[str, Job] = {}
        self.finished: set[str] = set()
        self.hands: dict[tuple[str, str], tuple[Turn, Begun]] = {}
        """(worker, turn) -> what a worker believes to have in hand."""
        self.left_alone = False
        """A handler said that the line was away: it waits for the upkeep."""
        self.given: dict[str, tuple[int, str]] = {}
        """All turns that there ever were: their lines and queues."""
        with self.station.writing() as connection:
            for link_id, kind in ((LINE, "tcp"), (MODEM, "modem")):
                connection.execute(
                    insert(links).values(
                        link_id=link_id,
                        name=kind,
                        kind=kind,
                        url="tcp://h:1" if kind == "tcp" else None,
                        caller="m" if kind == "modem" else None,
                        state="active",
                        added_at=self.station.now(),
                    )
                )

    @rule(line=st.sampled_from([LINE, MODEM]), urgency=st.sampled_from(list(Urgency)))
    def queue_one(self, line: int, urgency: Urgency) -> None:
        new = job(urgency, line=line)
        queue(self.station, self.work, new)
        self.queued[new.key] = new

    @rule(worker=st.sampled_from([None, *WORKERS]))
    def modem_calls_or_goes(self, worker: str | None) -> None:
        with self.station.writing() as connection:
            connection.execute(line_owners.delete())
            if worker is not None:
                connection.execute(
                    insert(line_owners).values(
                        link_id=MODEM, worker=worker, since=self.station.now()
                    )
                )
                self.work.hand_out_at_the_end(connection, MODEM)

    @rule(worker=st.sampled_from(WORKERS), which=st.integers(0, 3))
    def worker_begins_a_turn_it_is_given(self, worker: str, which: int) -> None:
        """DBOS gives a worker turns of its queues, old ones too, in whatever order."""
        mine = [
            (turn, line)
            for turn, (line, where) in sorted(self.given.items(), reverse=True)
            if where in (LINES, queue_of_worker(worker))
            and not any(key[1] == turn for key in self.hands)
        ]
        if not mine:
            return
        turn_id, line = mine[min(which, len(mine) - 1)]
        turn = Turn(line, turn_id, worker)
        with self.station.writing() as connection:
            begun = turns.begin(connection, self.work.asking, turn, self.station.now())
        if begun is not None:
            self.hands[worker, turn_id] = (turn, begun)

    @precondition(lambda self: self.hands)
    @rule(
        data=st.data(),
        ended=st.sampled_from(list(Ended)),
        keep=st.booleans(),
        repeated=st.booleans(),
    )
    def job_ends(self, data: st.DataObject, ended: Ended, keep: bool, repeated: bool) -> None:
        at = data.draw(st.sampled_from(sorted(self.hands)))
        turn, begun = self.hands.pop(at)
        self.left_alone |= ended is Ended.AWAY and turn.line == LINE
        for _ in range(1 + repeated):  # the answer to the first commit may have been lost
            with self.station.writing() as connection:
                following = turns.go_on(
                    connection,
                    asking=self.work.asking,
                    turn=turn,
                    last=begun,
                    how=(ended, "broken" if ended is Ended.FAILED else ""),
                    now=self.station.now(),
                    keep=keep,
                )
        if following is not None:
            self.hands[at] = (turn, following)

    @precondition(lambda self: self.hands)
    @rule(data=st.data(), believed=st.booleans())
    def worker_dies_or_is_believed_dead(self, data: st.DataObject, believed: bool) -> None:
        """Its turn is begun again by the other; one who lives all the same finds itself fenced."""
        worker, turn_id = data.draw(st.sampled_from(sorted(self.hands)))
        turn, begun = self.hands.pop((worker, turn_id))
        other = WORKERS[1 - WORKERS.index(worker)]
        again = Turn(turn.line, turn_id, other)
        with self.station.writing() as connection:
            taken = turns.begin(connection, self.work.asking, again, self.station.now())
        if taken is not None:
            self.hands[other, turn_id] = (again, taken)
        if believed:
            before = rows(self.station, "SELECT key, state, begun FROM jobs ORDER BY key")
            with self.station.writing() as connection:
                nothing = turns.go_on(
                    connection,
                    asking=self.work.asking,
                    turn=turn,
                    last=begun,
                    how=(Ended.DONE, ""),
                    now=self.station.now(),
                    keep=True,
                )
            assert nothing is None
            assert rows(self.station, "SELECT key, state, begun FROM jobs ORDER BY key") == before

    @invariant()
    def every_job_is_somewhere(self) -> None:
        if not hasattr(self, "given"):
            return
        jobs = rows(self.station, "SELECT key, line, state, lost FROM jobs")
        now_given = rows(self.station, "SELECT turn, line, queue FROM line_turns")
        self.given |= {str(turn): (int(str(line)), str(where)) for turn, line, where in now_given}
        assert {row[0] for row in jobs} == set(self.queued)
        running = {row[0] for row in jobs if row[2] == "running"}
        assert running == {begun.job.key for _, begun in self.hands.values()}
        # At a line in somebody's hands is that turn; a line that waits has one, unless its
        # modem is not there, or was not when a job asked for it.
        turns_now = {row[0] for row in now_given}
        assert turns_now >= {turn for _, turn in self.hands}
        waiting = {row[1] for row in jobs if row[2] == "waiting"}
        assert self.left_alone or LINE not in waiting or LINE in {row[1] for row in now_given}
        assert all(isinstance(row[3], int) and row[3] <= LOST_MAX for row in jobs)

    def teardown(self) -> None:
        if hasattr(self, "station"):
            self.station.engine.dispose()


TestWorkers = Workers.TestCase
TestWorkers.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
