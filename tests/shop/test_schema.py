"""Making, opening and upgrading databases; the migrations make what the code declares."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

import billing.tables_all
import storage.audit
import storage.errors
import storage.ledger
import vending.shop.tables
from storage.engine import open_engine, reading, shown, writing
from storage.schema import SCHEMA_VERSION, metadata
from tests.shop.databases import PRICE, UTILITY, Databases, SqliteFiles
from vending import Shop
from vending.shop.faults import (
    DatabaseExistsError,
    DatabaseMissingError,
    DatabaseUnavailableError,
    DatabaseUrlError,
    DatabaseVersionError,
)
from vending.shop.shop import upgrade

ROOT = Path(__file__).parent.parent.parent


def test_the_migrations_make_what_the_code_declares(database_url: str) -> None:
    assert vending.shop.tables.tokens.metadata is metadata
    assert billing.tables_all.__doc__
    engine = open_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        inspector = inspect(connection)
        for table in metadata.tables.values():
            declared = {str(check.name) for check in table.constraints if check.name}
            found = {
                str(check["name"])
                for check in (
                    *inspector.get_check_constraints(table.name),
                    *inspector.get_unique_constraints(table.name),
                    *inspector.get_foreign_keys(table.name),
                    inspector.get_pk_constraint(table.name),
                )
            }
            assert found == declared, table.name
    engine.dispose()


def test_every_table_is_strict_on_sqlite(sqlite_files: SqliteFiles) -> None:
    engine = open_engine(sqlite_files.shop())
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, strict FROM pragma_table_list")
        strict = {row.name: row.strict for row in rows}
    assert {name for name in metadata.tables if not strict[name]} == set()
    engine.dispose()


def test_sqlite_commits_survive_a_power_cut(sqlite_files: SqliteFiles) -> None:
    engine = open_engine(sqlite_files.shop())
    with engine.connect() as connection:
        settings = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }
    engine.dispose()


def test_who_reads_on_sqlite_waits_for_locks_though_a_sale_before_did_not(
    sqlite_files: SqliteFiles,
) -> None:
    engine = open_engine(sqlite_files.shop())
    asks = text("PRAGMA busy_timeout")
    for _ in range(2):
        with writing(engine) as connection:
            assert connection.scalar(asks) == 0
        with reading(engine) as connection:
            assert connection.scalar(asks) == 30_000
    with writing(engine) as connection:
        connection.execute(text("SELECT 1"))
    with engine.connect() as connection:
        assert connection.scalar(asks) == 30_000
    engine.dispose()


def test_what_a_full_disk_has_undone_is_not_told_as_committed(sqlite_files: SqliteFiles) -> None:
    engine = open_engine(sqlite_files.shop())
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE heap (text TEXT)"))
    with engine.connect() as connection:
        pages = connection.scalar(text("PRAGMA page_count"))

    def fill() -> None:
        with writing(engine) as connection:
            connection.execute(text(f"PRAGMA max_page_count = {pages + 1}"))
            with suppress(OperationalError):
                connection.execute(
                    text("INSERT INTO heap VALUES (:text)"), {"text": "x" * 1_000_000}
                )

    with pytest.raises(storage.errors.DatabaseUnavailableError, match="disk is full"):
        fill()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM heap")) == 0
    engine.dispose()


def test_the_known_version_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "storage" / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


def test_a_shop_is_made_once(databases: Databases) -> None:
    url = databases.empty()
    Shop.create(url, UTILITY, PRICE).close()
    with pytest.raises(DatabaseExistsError, match="Nothing was changed"):
        Shop.create(url, UTILITY, PRICE)
    with Shop.open(url) as shop:
        assert shop.utility == UTILITY


def test_a_database_with_something_else_in_it_is_left_alone(databases: Databases) -> None:
    url = databases.empty()
    engine = open_engine(url, create=True)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE someone_elses (id INTEGER)"))
    with pytest.raises(DatabaseExistsError, match="someone_elses"):
        Shop.create(url, UTILITY, PRICE)
    with pytest.raises(DatabaseMissingError, match="meterhouse init"):
        Shop.open(url)
    with pytest.raises(DatabaseMissingError):
        upgrade(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["someone_elses"]
    engine.dispose()


def test_a_sqlite_shop_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        url = f"sqlite:///{tmp_path}/shop.db"
        Shop.create(url, UTILITY, PRICE).close()
        with Shop.open(url) as shop:
            shop.set_price(PRICE)
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("shop.db", "shop.db-wal", "shop.db-shm"), 0o600)


def test_a_file_that_cannot_be_made_is_said_to_be_so() -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be made"):
        Shop.create("sqlite:////proc/shop.db", UTILITY, PRICE)


def test_a_missing_file_is_not_made_by_looking_for_it(sqlite_files: SqliteFiles) -> None:
    url = sqlite_files.empty()
    with pytest.raises(DatabaseMissingError, match="meterhouse init"):
        Shop.open(url)
    assert not Path(url.removeprefix("sqlite:///")).exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("meters to visit\n" * 100)
    with pytest.raises(DatabaseUnavailableError, match="not a database"):
        Shop.open(f"sqlite:///{tmp_path}/notes.txt")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailableError) as fault:
        Shop.open("postgresql://clerk:geheim@127.0.0.1:1/shop")
    assert "geheim" not in str(fault.value)
    assert (
        shown("postgresql://clerk:geheim@host/shop") == "postgresql+psycopg://clerk:***@host/shop"
    )


@pytest.mark.parametrize(
    "url",
    [
        "shop.db",
        "mysql://h/shop",
        "sqlite://",
        "sqlite:///:memory:",
        "",
        "::",
        "postgresql://h:p/s",
    ],
)
def test_urls_that_name_no_database_of_ours_are_refused(url: str) -> None:
    with pytest.raises(DatabaseUrlError):
        Shop.open(url)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUrlError, match="no folder"):
        Shop.create(f"sqlite:///{tmp_path}/nowhere/shop.db", UTILITY, PRICE)


@pytest.mark.parametrize(
    ("version", "advice"), [("0000", "meterhouse upgrade"), ("9999", "install the newer")]
)
def test_a_database_of_another_version_is_refused(
    database_url: str, version: str, advice: str
) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))
    engine.dispose()
    with pytest.raises(DatabaseVersionError, match=advice):
        Shop.open(database_url)


def test_an_upgrade_of_an_up_to_date_database_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
    Shop.open(database_url).close()


def test_the_token_engine_comes_without_a_database() -> None:
    program = (
        "import sys, vending, vending.sts; "
        "heavy = {'sqlalchemy', 'alembic', 'psycopg', 'structlog'} & set(sys.modules); "
        "assert not heavy, heavy; vending.Shop; assert 'alembic' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_everything_that_vending_names_is_there() -> None:
    import vending

    assert all(getattr(vending, name) for name in vending.__all__)
    assert set(vending.__all__) <= set(dir(vending))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        vending.Nothing  # noqa: B018
    assert storage.audit.audit_lines.metadata is storage.ledger.accounts.metadata
