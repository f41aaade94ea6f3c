"""A database that is lost while it commits: the office does not say that nothing was written."""

from __future__ import annotations

import threading

import psycopg
import pytest
from sqlalchemy import text

from billing.faults import OfficeUnavailableError, OfficeUnsureError
from billing.office import Office


def _end_all_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_commit_that_was_not_confirmed_has_a_code_of_its_own(
    office: Office, database_url: str
) -> None:
    with office.writing() as connection:
        for each in (
            "CREATE TABLE notes (word TEXT)",
            """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$""",
            """CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notes
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()""",
        ):
            connection.execute(text(each))

    def write(before_the_commit: bool) -> None:
        with office.writing() as connection:
            connection.execute(text("INSERT INTO notes VALUES ('here')"))
            if before_the_commit:
                _end_all_sessions(database_url)

    soon = threading.Timer(0.7, _end_all_sessions, [database_url])
    soon.start()
    with pytest.raises(OfficeUnsureError) as unsure:
        write(before_the_commit=False)
    soon.join()
    assert "nothing was written" not in str(unsure.value)

    with pytest.raises(OfficeUnavailableError, match="nothing was written") as lost:
        write(before_the_commit=True)
    assert lost.value.code == "office_unavailable"
