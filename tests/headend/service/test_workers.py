"""Workers that are killed, stopped, several at once: no job is lost, none is done twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from headend.station import Station
from headend.work.durable import DurableWork
from headend.work.port import Urgency
from tests.headend.service.conftest import Worker, all_ended, count, until
from tests.headend.work.working import job, queue, rows

Start = Callable[..., Worker]


def in_effect(station: Station) -> list[object]:
    """The keys of the jobs that had their effect, in that order."""
    return [row[0] for row in rows(station, "SELECT key FROM effects ORDER BY at_ms, key")]


def no_line_had_two_at_once(station: Station) -> bool:
    """Whether on each line the jobs were begun one after the other's end."""
    begun = rows(
        station,
        # a job whose worker was killed was begun twice: the last time counts
        "SELECT b.line, max(b.at_ms) AS began, e.at_ms FROM begun b JOIN effects e "
        "ON e.key = b.key AND e.worker = b.worker GROUP BY b.line, b.key, e.at_ms "
        "ORDER BY b.line, began",
    )
    for (line, _, end), (next_line, begin, _) in pairwise(begun):
        assert isinstance(end, int)
        assert isinstance(begin, int)
        if line == next_line and begin < end:
            return False
    return True


def test_a_lines_jobs_go_one_at_a_time_the_urgent_first(
    station: Station, work: DurableWork, start: Start
) -> None:
    late = job(Urgency.RETRY_LATE, ms=20)
    routine = [job(ms=20) for _ in range(3)]
    order = job(Urgency.ORDER, kind="order", ms=20)
    elsewhere = [job(line=line, ms=20) for line in range(2, 12)]
    chain = job(line=20, kind="chain", left=3)
    queue(station, work, late, *routine, order, chain, *elsewhere)
    worker = start("north").started()
    until(lambda: all_ended(station), "all jobs")
    assert count(station, "SELECT count(*) FROM effects WHERE line = 20") == 4
    mine = [
        row[0] for row in rows(station, "SELECT key FROM effects WHERE line = 1 ORDER BY at_ms")
    ]
    assert mine == [each.key for each in (order, *routine, late)]
    assert no_line_had_two_at_once(station)
    assert count(station, "SELECT count(*) FROM line_turns") == 0
    assert worker.stop() == 0
    assert count(station, "SELECT count(*) FROM workers") == 0


def test_what_a_killed_worker_had_in_hand_is_begun_again_and_has_one_effect(
    station: Station, work: DurableWork, start: Start
) -> None:
    jobs = [
        job(Urgency.ORDER if line % 3 == 0 else Urgency.ROUTINE, line=line, ms=30)
        for line in range(1, 16)
        for _ in range(4)
    ]
    queue(station, work, *jobs)
    on_sqlite = station.engine.dialect.name == "sqlite"
    first = start("north").started()
    second = None if on_sqlite else start("south").started()
    until(lambda: len(in_effect(station)) >= 10, "the first effects")
    first.kill()
    if second is None:
        second = start("north").started()  # the same process, begun anew
    until(lambda: all_ended(station), "all jobs")
    assert sorted(map(str, in_effect(station))) == sorted(each.key for each in jobs)
    assert rows(station, "SELECT DISTINCT state FROM jobs") == [("done",)]
    assert no_line_had_two_at_once(station)
    if not on_sqlite:
        until(lambda: count(station, "SELECT count(*) FROM workers") == 1, "the dead one's row")
    assert second.stop() == 0


def test_a_stop_under_load_ends_in_time_and_the_rest_waits(
    station: Station, work: DurableWork, start: Start
) -> None:
    jobs = [job(line=line, ms=100) for line in range(1, 21) for _ in range(10)]
    queue(station, work, *jobs)
    worker = start("north").started()
    until(lambda: len(in_effect(station)) >= 10, "the first effects")
    assert worker.stop() == 0
    assert not count(station, "SELECT count(*) FROM jobs WHERE state = 'running'")
    waiting = count(station, "SELECT count(*) FROM jobs WHERE state = 'waiting'")
    assert 0 < waiting < len(jobs)
    # whoever had begun has ended: a stop breaks nothing off that ends in time
    assert count(station, "SELECT count(*) FROM begun") == len(in_effect(station))
    other = start("north").started()
    until(lambda: all_ended(station), "all jobs")
    assert len(in_effect(station)) == count(station, "SELECT count(*) FROM begun") == len(jobs)
    assert other.stop() == 0


def test_what_does_not_end_in_a_stops_time_is_put_back(
    station: Station, work: DurableWork, start: Start
) -> None:
    long = job(ms=600_000)
    queue(station, work, long)
    worker = start("north", stop_s=2).started()
    until(lambda: count(station, "SELECT count(*) FROM begun") == 1, "the beginning")
    assert worker.stop(timeout_s=15) == 0
    assert rows(station, "SELECT state, begun, lost FROM jobs") == [("waiting", 1, 0)]


def test_a_job_under_which_workers_die_is_given_up(
    station: Station, work: DurableWork, start: Start
) -> None:
    long = job(ms=600_000)
    queue(station, work, long)
    with station.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET begun = 4, lost = 4")
    worker = start("north").started()
    until(lambda: count(station, "SELECT count(*) FROM begun") == 1, "the beginning")
    worker.kill()
    start("north").started()
    until(lambda: all_ended(station), "the end")
    assert rows(station, "SELECT state, fault FROM jobs") == [("failed", "lost_too_often")]


@pytest.mark.usefixtures("station")
def test_a_second_worker_of_the_same_name_or_file_is_refused(start: Start) -> None:
    first = start("north").started()
    second = start("north")
    with pytest.raises(BaseException, match="did not start"):
        second.started()
    assert second.process.wait(10) != 0
    assert first.stop() == 0


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_fault_is_told_by_the_exit_status_though_a_thread_hangs(
    station: Station, database_url: str
) -> None:
    script = Path(__file__).parent / "failing.py"
    assert rows(station, "SELECT name FROM workers") == []
    done = subprocess.run(
        [sys.executable, str(script), database_url],
        capture_output=True,
        timeout=150,
        check=False,
    )
    assert b"part_failed" in done.stderr
    assert done.returncode == 5
