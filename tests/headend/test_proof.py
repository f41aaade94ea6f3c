"""The proof of the head-end, in small: `make proof` is the same with ten thousand meters."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.proof import databases as proof_databases
from benchmarks.proof import proving
from benchmarks.proof.asked import Asked
from tests.shop.databases import Databases

METERS, LINKS = 120, 8


@pytest.mark.timeout(240)
def test_a_street_is_read_and_commanded_while_workers_and_the_database_die(
    databases: Databases, tmp_path: Path
) -> None:
    url = databases.empty()
    on_sqlite = url.startswith("sqlite")
    asked = Asked(
        seed=20_261_122,
        meters=METERS,
        links=LINKS,
        workers=1 if on_sqlite else 2,
        hours=2,
        hour_s=7,
        kills=1,
        database_away_s=1.0,
    )
    try:
        told = proving.prove(asked, url, tmp_path)
    finally:
        databases.discard(url)
    assert not proving.broken(told), told
    assert told["workers killed"]
    assert told["faults on the lines"]
    assert told["token: done"]
    assert told["relay_trip: done"] == told["relay_close: done"]


def test_a_named_server_gives_its_database_back(databases: Databases) -> None:
    """What takes the database away must not be what fails."""
    url = databases.empty()
    if url.startswith("sqlite"):
        pytest.skip("a file needs no name")
    import psycopg

    server = proof_databases.NamedServer(url)
    with psycopg.connect(url) as before:
        server.away(0.1)
        with pytest.raises(psycopg.OperationalError):
            before.execute("SELECT 1")
    with psycopg.connect(url) as after:
        assert after.execute("SELECT 1").fetchone() == (1,)
    databases.discard(url)
