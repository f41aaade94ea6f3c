"""Jobs are queued with the transaction that asks for them, and found as the port promises."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert

from headend.faults import StoreRefusedError
from headend.registry.tables import links
from headend.station import Station
from headend.work import engine as dbos_engine
from headend.work.durable import DurableWork
from headend.work.faults import JobRefusedError
from headend.work.port import Job, Urgency
from headend.work.queues import LINES, queue_of_worker
from headend.work.tables import line_owners
from storage.engine import attempt
from tests.headend.registered import add_line
from tests.headend.work.working import job, queue, rows

ROOT = Path(__file__).parent.parent.parent.parent
TURNS = "SELECT line, turn, queue, urgency FROM line_turns ORDER BY line"
JOBS = "SELECT key, state FROM jobs ORDER BY key"


@pytest.fixture
def work(station: Station) -> DurableWork:
    """The port on a new database."""
    return DurableWork(station.engine)


def workflows(station: Station) -> list[tuple[object, ...]]:
    """What DBOS has: identifier, queue, priority."""
    schema = "" if station.engine.dialect.name == "sqlite" else "dbos."
    return rows(
        station,
        f"SELECT workflow_uuid, queue_name, priority FROM {schema}workflow_status "
        "ORDER BY workflow_uuid",
    )


def test_a_job_its_turn_and_its_workflow_come_with_the_commit(
    station: Station, work: DurableWork
) -> None:
    first = job(line=7)
    with suppress(ZeroDivisionError), station.writing() as connection:
        work.enqueue(connection, first)
        raise ZeroDivisionError
    assert rows(station, JOBS) == rows(station, TURNS) == workflows(station) == []
    queue(station, work, first)
    assert rows(station, JOBS) == [(first.key, "waiting")]
    ((line, turn, where, urgency),) = rows(station, TURNS)
    assert (line, where, urgency) == (7, LINES, Urgency.ROUTINE)
    assert workflows(station) == [(turn, LINES, Urgency.ROUTINE)]


def test_a_savepoint_that_is_undone_takes_its_jobs_with_it(
    station: Station, work: DurableWork
) -> None:
    kept = job(line=2)
    with station.writing() as connection:
        with suppress(ZeroDivisionError), attempt(connection):
            work.enqueue(connection, job(line=1))
            raise ZeroDivisionError
        work.enqueue(connection, kept)
    assert rows(station, JOBS) == [(kept.key, "waiting")]
    assert [row[0] for row in rows(station, TURNS)] == [2]


def test_a_key_is_queued_once_and_a_line_has_one_turn_unless_it_gets_more_urgent(
    station: Station, work: DurableWork
) -> None:
    first = job(line=3)
    queue(station, work, first)
    queue(station, work, first, job(line=3), job(Urgency.BACKGROUND, line=3))
    assert len(rows(station, JOBS)) == 3
    assert len(workflows(station)) == 1
    queue(station, work, job(Urgency.ORDER, line=3))
    ((_, turn, _, urgency),) = rows(station, TURNS)
    assert urgency == Urgency.ORDER
    assert len(workflows(station)) == 2
    assert (turn, LINES, Urgency.ORDER) in workflows(station)


def test_what_has_not_begun_can_be_taken_out(station: Station, work: DurableWork) -> None:
    first, second = job(), job()
    queue(station, work, first, second)
    with station.writing() as connection:
        work.cancel(connection, first.key)
        work.cancel(connection, "no such key")
    assert rows(station, JOBS) == [(first.key, "cancelled"), (second.key, "waiting")]
    queue(station, work, first)
    assert rows(station, JOBS) == [(first.key, "cancelled"), (second.key, "waiting")]


def test_rounds_see_who_waits(station: Station, work: DurableWork) -> None:
    queue(station, work, job(Urgency.ON_DEMAND, line=4), job(Urgency.ORDER, line=4), job(line=5))
    with station.reading() as connection:
        assert work.most_urgent(connection) == {4: Urgency.ORDER, 5: Urgency.ROUTINE}


def test_a_modems_line_waits_for_its_call_and_goes_where_it_called(
    station: Station, work: DurableWork
) -> None:
    now = station.now()
    with station.writing() as connection:
        modem = connection.execute(
            insert(links)
            .values(name="m", kind="modem", caller="358", state="active", added_at=now)
            .returning(links.c.link_id)
        ).scalar_one()
    tcp = add_line(station, "tcp://127.0.0.1:1")
    queue(station, work, job(line=modem), job(line=tcp))
    assert [row[0] for row in rows(station, TURNS)] == [tcp]
    with station.writing() as connection:
        connection.execute(insert(line_owners).values(link_id=modem, worker="north", since=now))
        work.hand_out_at_the_end(connection, modem)
    assert {row[0]: row[2] for row in rows(station, TURNS)} == {
        tcp: LINES,
        modem: queue_of_worker("north"),
    }


def test_a_payload_holds_identifiers_alone(station: Station, work: DurableWork) -> None:
    wrong: list[dict[str, object]] = [{"x": 1.5}, {"x": True}, {"x": ["a"]}, {"x": "a" * 3000}]
    for payload in wrong:
        bad = Job(job().key, "round", 1, Urgency.ROUTINE, payload)  # type: ignore[arg-type]
        with pytest.raises(JobRefusedError):
            queue(station, work, bad)
    assert rows(station, JOBS) == []


def test_the_database_refuses_a_second_running_job_of_a_line(
    station: Station, work: DurableWork
) -> None:
    first, second = job(), job()
    queue(station, work, first, second)
    begin = "UPDATE jobs SET state = 'running', worker = 'x' WHERE key = "
    with station.writing() as connection:
        connection.exec_driver_sql(f"{begin}'{first.key}'")
    with pytest.raises(StoreRefusedError), station.writing() as connection:
        connection.exec_driver_sql(f"{begin}'{second.key}'")


def test_an_old_sqlite_is_refused_with_what_to_do() -> None:
    dbos_engine.require_sqlite((3, 11), (3, 40, 1))
    dbos_engine.require_sqlite((3, 12), (3, 42, 0))
    with pytest.raises(dbos_engine.SqliteTooOldError, match=r"3\.42 or newer"):
        dbos_engine.require_sqlite((3, 12), (3, 40, 1))


KILLED = """
import sys
from zoneinfo import ZoneInfo
from datetime import UTC, datetime
import headend.tables_all
from headend.station import Station
from headend.work.durable import DurableWork
from storage.engine import open_engine
from tests.headend.work.working import job, queue_in
url, moment = sys.argv[1:]
station = Station(open_engine(url), ZoneInfo("UTC"), lambda: datetime.now(UTC))
work = DurableWork(station.engine)
with station.writing() as connection:
    queue_in(connection, work, job(line=9))
    if moment == "before":
        print("here", flush=True)
        sys.stdin.readline()
print("here", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(("moment", "count"), [("before", 0), ("after", 1)])
def test_a_kill_around_the_commit_leaves_the_whole_job_or_nothing(
    station: Station, database_url: str, moment: str, count: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, database_url, moment],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.kill()
        process.wait()
    assert len(rows(station, JOBS)) == count
    assert len(rows(station, TURNS)) == count
    assert len(workflows(station)) == count
