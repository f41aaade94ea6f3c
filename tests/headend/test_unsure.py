"""A database that is lost while it commits: the head-end does not say that nothing was written."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from headend.faults import StoreUnavailableError, StoreUnsureError
from headend.station import Station
from storage.engine import plan_for_many_rows


def _end_all_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_commit_that_was_not_confirmed_has_a_code_of_its_own(
    station: Station, database_url: str
) -> None:
    with station.writing() as connection:
        for each in (
            "CREATE TABLE notes (word TEXT)",
            """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$""",
            """CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notes
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()""",
        ):
            connection.execute(text(each))

    def write(before_the_commit: bool) -> None:
        with station.writing() as connection:
            connection.execute(text("INSERT INTO notes VALUES ('here')"))
            if before_the_commit:
                _end_all_sessions(database_url)

    soon = threading.Timer(0.7, _end_all_sessions, [database_url])
    soon.start()
    with pytest.raises(StoreUnsureError) as unsure:
        write(before_the_commit=False)
    soon.join()
    assert unsure.value.code == "store_unsure"
    assert "nothing was written" not in str(unsure.value)

    with pytest.raises(StoreUnavailableError, match="nothing was written") as lost:
        write(before_the_commit=True)
    assert lost.value.code == "store_unavailable"


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_what_goes_through_a_month_is_planned_as_a_report_is(station: Station) -> None:
    def setting(connection: Any) -> object:
        return connection.execute(text("SHOW enable_seqscan")).scalar_one()

    with station.writing() as connection:
        assert setting(connection) == "off"
        plan_for_many_rows(connection)
        assert setting(connection) == "on"
    with station.writing() as connection:
        assert setting(connection) == "off"
