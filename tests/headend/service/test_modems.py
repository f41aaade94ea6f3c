"""Modems that call in: jobs wait for them, find them, and move with them."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from sqlalchemy import insert

from headend.registry.tables import links
from headend.service.callers import unknown
from headend.station import Station
from headend.work.durable import DurableWork
from headend.work.port import Urgency
from tests.headend.service.conftest import Worker, all_ended, count, until
from tests.headend.work.working import job, queue, rows

Start = Callable[..., Worker]
OWNERS = "SELECT worker FROM line_owners"


@pytest.fixture
def hill(station: Station) -> int:
    """A line whose modem calls in as ``hill-1``."""
    with station.writing() as connection:
        return int(
            connection.execute(
                insert(links)
                .values(
                    name="hill",
                    kind="modem",
                    caller="hill-1",
                    state="active",
                    added_at=station.now(),
                )
                .returning(links.c.link_id)
            ).scalar_one()
        )


@pytest.fixture
def call() -> Iterator[Callable[[Worker, str], socket.socket]]:
    """Modems: each call is a connection that has said its name."""
    calls: list[socket.socket] = []

    def make(worker: Worker, name: str) -> socket.socket:
        calls.append(socket.create_connection(("127.0.0.1", worker.ports["modems"]), 10))
        calls[-1].sendall(name.encode() + b"\n")
        return calls[-1]

    yield make
    for each in calls:
        each.close()


def is_closed_by_the_other_side(line: socket.socket) -> bool:
    """Whether nothing more can come."""
    line.settimeout(20)
    with suppress(ConnectionError):
        return line.recv(1) == b""
    return True


def effects(station: Station) -> list[tuple[object, ...]]:
    """Which worker did what, in that order."""
    return rows(station, "SELECT key, worker FROM effects ORDER BY at_ms")


def test_a_modems_jobs_wait_for_its_call_and_unknown_callers_are_sent_away(
    station: Station,
    work: DurableWork,
    start: Start,
    hill: int,
    call: Callable[[Worker, str], socket.socket],
) -> None:
    north = start("north", ports=True).started()
    order = job(Urgency.ORDER, line=hill, kind="modem")
    other = job(line=hill + 1)
    queue(station, work, order, other)
    until(lambda: effects(station) == [(other.key, "north")], "the job of another line")
    stranger = call(north, "nobody-7")
    assert is_closed_by_the_other_side(stranger)
    modem = call(north, "hill-1")
    until(lambda: all_ended(station), "the order")
    assert (order.key, "north") in effects(station)
    assert rows(station, OWNERS) == [("north",)]

    def strangers() -> list[tuple[str, int]]:
        with station.reading() as connection:
            return [(each.caller, each.calls) for each in unknown(connection)]

    until(lambda: strangers() == [("nobody-7", 1)], "the stranger's name")
    modem.close()
    until(lambda: rows(station, OWNERS) == [], "that the modem is gone")
    later = job(Urgency.ORDER, line=hill, kind="modem")
    queue(station, work, later)
    with urllib.request.urlopen(
        f"http://127.0.0.1:{north.ports['figures']}/metrics", timeout=20
    ) as page:
        text = page.read().decode()
    assert 'meterhouse_jobs{kind="modem",state="waiting"} 1.0' in text
    assert 'meterhouse_jobs_ended_total{how="done",kind="modem"} 1.0' in text
    assert "meterhouse_unknown_calls 1.0" in text
    assert "meterhouse_database_up 1.0" in text
    call(north, "hill-1")
    until(lambda: all_ended(station), "the later order")
    assert north.stop() == 0
    assert rows(station, OWNERS) == []


def test_a_modems_jobs_move_with_it_and_survive_the_death_of_its_worker(
    station: Station,
    work: DurableWork,
    start: Start,
    hill: int,
    call: Callable[[Worker, str], socket.socket],
) -> None:
    if station.engine.dialect.name == "sqlite":
        pytest.skip("a SQLite file has one worker")
    north, south = start("north", ports=True), start("south", ports=True)
    north.started()
    south.started()
    first = call(north, "hill-1")
    until(lambda: rows(station, OWNERS) == [("north",)], "the first call")
    here, there, after = (job(Urgency.ORDER, line=hill, kind="modem") for _ in range(3))
    queue(station, work, here)
    until(lambda: all_ended(station), "the job here")
    call(south, "hill-1")
    until(lambda: rows(station, OWNERS) == [("south",)], "the second call")
    assert is_closed_by_the_other_side(first)
    queue(station, work, there)
    until(lambda: all_ended(station), "the job there")
    assert effects(station) == [(here.key, "north"), (there.key, "south")]
    long = job(line=hill, kind="modem", ms=600_000)
    queue(station, work, long, after)
    until(lambda: count(station, "SELECT count(*) FROM begun") == 4, "the long one")
    south.kill()
    until(lambda: rows(station, OWNERS) == [], "that its worker is dead")
    states = "SELECT state, count(*) FROM jobs WHERE ended_at IS NULL GROUP BY state"
    until(lambda: [row[0] for row in rows(station, states)] == ["waiting"], "the job put back")
    with station.writing() as connection:
        work.cancel(connection, long.key)
    last = job(Urgency.ORDER, line=hill, kind="modem")
    queue(station, work, last)
    call(north, "hill-1")
    until(lambda: all_ended(station), "the jobs after it")
    assert effects(station)[-1] == (last.key, "north")
    assert north.stop() == 0


def test_the_pages_say_how_it_is(station: Station, start: Start) -> None:
    worker = start("north", ports=True).started()
    at = f"http://127.0.0.1:{worker.ports['figures']}"
    until(lambda: count(station, "SELECT count(*) FROM workers") == 1, "the worker")
    for path, expected in (("/health", "worker"), ("/ready", "ready")):
        with urllib.request.urlopen(at + path, timeout=20) as page:
            assert expected in json.load(page)
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(at + "/secrets", timeout=20)
    refused.value.close()
    with socket.create_connection(("127.0.0.1", worker.ports["figures"]), 10) as rude:
        rude.sendall(b"POST /metrics HTTP/1.1\r\n\r\n")
        assert rude.recv(100).startswith(b"HTTP/1.1 405")
    assert worker.stop() == 0
