"""What a look at the whole head-end finds, and that it costs no more with the years."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from headend.collection.contacts import count_link
from headend.collection.desk import Collection
from headend.faults import NotAllowedError
from headend.person import Person
from headend.service.overview import look, wait_after
from headend.station import Station
from headend.watching.alarms import Severity, raise_alarm
from headend.work.inline import InlineWork
from headend.work.tables import jobs, workers
from tests.headend.registered import add_device, add_line
from tests.shop.conftest import Clock


def test_an_empty_house_has_nothing_to_show(station: Station) -> None:
    overview = look(station)
    assert overview.links.active == 0
    assert (overview.rounds, overview.queue, overview.alarms, overview.workers) == ((), (), (), ())
    assert overview.success(24) == (0, 0)


def test_links_are_silent_when_they_were_asked_and_never_answered(station: Station) -> None:
    good = add_line(station, "tcp://127.0.0.1:1", name="good")
    bad = add_line(station, "tcp://127.0.0.1:2", name="bad")
    add_line(station, "tcp://127.0.0.1:3", name="idle")
    with station.writing() as connection:
        for link, answered in ((good, 3), (bad, 0)):
            count_link(connection, link, station.now(), asked=3, answered=answered, broken=0,
                       busy_ms=900)  # fmt: skip
        count_link(connection, bad, station.now() - timedelta(hours=5), asked=2, answered=2,
                   broken=0, busy_ms=900)  # fmt: skip
    overview = look(station)
    assert (overview.links.active, overview.links.answering, overview.links.silent) == (3, 1, 1)
    assert [(each.name, each.state) for each in overview.lines] == [
        ("bad", "silent"), ("good", "idle"), ("idle", "idle"),
    ]  # fmt: skip
    hour = station.now().replace(minute=0, second=0, microsecond=0)
    assert [each.heard_hour for each in overview.lines] == [
        hour - timedelta(hours=5), hour, None,
    ]  # fmt: skip
    assert overview.success(1) == (6, 3)
    assert overview.success(24) == (8, 5)


def test_a_round_under_way_counts_its_meters(station: Station) -> None:
    line = add_line(station, "tcp://127.0.0.1:1")
    for number in ("1", "2", "3"):
        add_device(station, number, line)
    add_device(station, "4", None)
    Collection(station).read_now(
        ("1", "2", "3", "4"), {"quantities": ["energy_import_total"]}, InlineWork()
    )
    (each,) = look(station).rounds
    assert (each.devices, each.waiting, each.missed, each.settled) == (4, 3, 1, 1)


def test_jobs_count_by_urgency_and_kind(station: Station, clock: Clock) -> None:
    line = add_line(station, "tcp://127.0.0.1:1")
    other = add_line(station, "tcp://127.0.0.1:2", name="line 2")
    row = {"kind": "round", "payload": "{}", "begun": 0, "lost": 0}
    with station.writing() as connection:
        for key, at, state, urgency in (
            ("a", line, "waiting", 1), ("b", line, "waiting", 5), ("c", other, "running", 5),
        ):  # fmt: skip
            run = {"begun_at": station.now(), "worker": "north"} if state == "running" else {}
            connection.execute(
                insert(jobs).values(
                    **row,
                    key=key,
                    line=at,
                    state=state,
                    urgency=urgency,
                    queued_at=station.now(),
                    **run,
                )
            )
        connection.execute(
            insert(workers).values(
                name="north", since=station.now(), seen_at=station.now(), process=1
            )
        )
    clock.advance(seconds=30)
    overview = look(station)
    assert [(each.urgency, each.waiting, each.running) for each in overview.queue] == [
        (1, 1, 0), (5, 1, 1),
    ]  # fmt: skip
    assert overview.queue[0].oldest_at == station.now() - timedelta(seconds=30)
    assert overview.links.busy == 1
    assert [(each.name, each.running) for each in overview.workers] == [("north", 1)]


def test_the_worst_alarm_is_the_first(station: Station) -> None:
    line = add_line(station, "tcp://127.0.0.1:1")
    with station.writing() as connection:
        for kind, severity in (("a", Severity.NOTICE), ("b", Severity.CRITICAL)):
            raise_alarm(connection, kind, link_id=line, severity=severity, words="look",
                        at=station.now())  # fmt: skip
    overview = look(station)
    assert [each.kind for each in overview.alarms] == ["b", "a"]
    assert overview.alarms_open[Severity.CRITICAL] == 1
    assert overview.alarms_unacknowledged == 2


def test_who_may_not_look_sees_nothing(station: Station) -> None:
    blind = Station(station.engine, station.zone, station.clock, Person("x", frozenset()))
    with pytest.raises(NotAllowedError):
        look(blind)


def test_a_look_that_takes_long_is_taken_less_often() -> None:
    assert wait_after(0.01, 1.0) == 1.0
    assert wait_after(0.5, 1.0) >= 9


def test_ended_jobs_are_not_walked_through(station: Station) -> None:
    if station.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by its statistics")
    with station.reading() as connection:
        for state in ("waiting", "running"):
            plan = connection.execute(
                text(f"EXPLAIN QUERY PLAN SELECT count(*) FROM jobs WHERE state = '{state}'")
            )
            assert "ix_jobs_waiting" in (words := str(plan.all())) or "uq_jobs_running" in words
