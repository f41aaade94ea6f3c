"""A database is backed up while it is written to, and brought back whole (requirement 30)."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select
from sqlalchemy import text as sql

from billing.ledger.books import FEES
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import entries_of, post
from billing.ledger.tables import account_entries
from billing.office import Office
from headend.store.months import make_ahead
from headend.work.engine import make_tables
from storage import audit
from storage.audit import head
from storage.backup.archive import MANIFEST, PIECE_BYTES, Progress
from storage.backup.checking import check_trail
from storage.backup.faults import BackupBrokenError, BackupFileError, BackupToolError
from storage.backup.making import back_up
from storage.backup.postgresql_dump import TOOLS_VARIABLE
from storage.backup.restoring import restore
from storage.engine import open_engine, reading, shown, writing
from storage.errors import DatabaseExistsError, DatabaseMissingError, InvariantError
from storage.migrate import upgrade_schema
from tests.billing.accounts.desks import desk_of, open_account
from tests.billing.made import make_account, make_supply
from tests.shop.databases import Databases, SqliteFiles


@contextmanager
def _counting(_what: str) -> Iterator[Progress]:
    yield lambda _done, _total: None


def _entry(account_id: int, amount_minor: int) -> Entry:
    return Entry(account_id, EntryKind.FEE, amount_minor, FEES, "test 1", "a fee")


def _fill(office: Office, accounts: int = 20) -> list[int]:
    with office.writing() as connection:
        ids = [make_account(connection, office) for _ in range(accounts)]
        for account_id in ids:
            make_supply(connection, office, account_id)
        post(connection, office, [_entry(each, -number) for number, each in enumerate(ids, 1)])
    return ids


class Writer:
    """Posts and leaves audit lines, on and on, until it is told to stop."""

    def __init__(self, office: Office, account_id: int) -> None:
        self._office = office
        self._account_id = account_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.posted = 0
        self.faults: list[BaseException] = []

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.faults == []

    def _write(self) -> None:
        try:
            while not self._stop.is_set():
                with self._office.writing() as connection:
                    post(connection, self._office, [_entry(self._account_id, -7)])
                    audit.record(
                        connection,
                        self._office.now(),
                        actor="test",
                        action="test.post",
                        subject=str(self._account_id),
                    )
                self.posted += 1
        except BaseException as fault:  # noqa: BLE001 - the test looks at it
            self.faults.append(fault)


def _wait_until(true: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if true():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never came")


def test_req30_a_backup_of_a_database_at_work_is_brought_back_whole(
    office: Office, database_url: str, databases: Databases, tmp_path: Path
) -> None:
    ids = _fill(office)
    open_account(desk_of(office))
    file = tmp_path / "shop.backup"
    with Writer(office, ids[0]) as writer:
        _wait_until(lambda: writer.posted > 3)
        manifest = back_up(database_url, file, _counting)
        _wait_until(lambda: writer.posted > manifest.rows["account_entries"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["shop.backup"]
    target = databases.empty()
    try:
        assert restore(file, target, _counting) == manifest
        engine = open_engine(target)
        with reading(engine) as connection:
            check_trail(connection, lambda _done, _total: None)
            assert str(head(connection)) == manifest.audit_head
            brought = {each: entries_of(connection, each) for each in ids}
            rows = connection.execute(select(account_entries)).all()
        with reading(office.engine) as connection:
            kept = {each: entries_of(connection, each) for each in ids}
        assert all(kept[each][: len(brought[each])] == brought[each] for each in ids)
        assert len(rows) == manifest.rows["account_entries"]
        total = sum(row.amount_minor for row in rows)
        assert total == manifest.sums["account_entries.amount_minor"]
        # the rules came back with the rows, and ids go on where they were
        with pytest.raises(InvariantError, match="never"), writing(engine) as connection:
            connection.execute(sql("DELETE FROM account_entries"))
        copy = Office(engine, office.zone, office.currency, office.clock, office.seal)
        _id, number = open_account(desk_of(copy), name="Sun Yu", identity="NEW 1")
        assert desk_of(copy).search("Sun Yu")[0].account.number == number
        engine.dispose()
        with pytest.raises(DatabaseExistsError):
            restore(file, target, _counting)
    finally:
        databases.discard(target)


def test_req30_a_damaged_backup_is_refused_and_nothing_is_brought_back(
    office: Office, database_url: str, databases: Databases, tmp_path: Path
) -> None:
    _fill(office, 2)
    file = tmp_path / "shop.backup"
    back_up(database_url, file, _counting)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        info = max(archive.infolist(), key=lambda each: each.file_size)
        place = info.header_offset + 200 + info.compress_size // 2
    target = databases.empty()
    try:
        for broken in (
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
            whole[: len(whole) // 2],
            b"",
        ):
            file.write_bytes(broken)
            with pytest.raises((BackupBrokenError, BackupFileError)) as refused:
                restore(file, target, _counting)
            assert refused.value.code in ("backup_broken", "backup_file")
        file.write_bytes(whole)
        restore(file, target, _counting)
    finally:
        databases.discard(target)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)  # the file is read alike for both
def test_req30_whatever_of_a_backup_is_damaged_is_told(
    office: Office, database_url: str, sqlite_files: SqliteFiles, tmp_path: Path
) -> None:
    _fill(office, 2)
    file, target = tmp_path / "shop.backup", sqlite_files.empty()
    back_up(database_url, file, _counting)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        places = {each.filename: each.header_offset + 30 + 40 for each in archive.infolist()}
        data, manifest = archive.read("database.sqlite"), json.loads(archive.read(MANIFEST))
    for place in (places["database.sqlite"], places[MANIFEST]):
        turned = bytes(each ^ 255 for each in whole[place : place + 200])
        file.write_bytes(whole[:place] + turned + whole[place + 200 :])
        with pytest.raises((BackupBrokenError, BackupFileError)):
            restore(file, target, _counting)
    forged: tuple[dict[str, Any], ...] = (
        {"rows": [1]},
        {"sums": {"a": "b"}},
        {"schema": 6},
        {"schema": "0000"},
        {"member": 7},
        {"data_bytes": ""},
    )
    for change in forged:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("database.sqlite", data)
            archive.writestr(MANIFEST, json.dumps({**manifest, **change}))
        with pytest.raises(BackupFileError):
            restore(file, target, _counting)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("database.sqlite", data + bytes(50_000_000))
        archive.writestr(MANIFEST, json.dumps(manifest))
    told: list[int] = []

    @contextmanager
    def counting(_what: str) -> Iterator[Progress]:
        yield lambda done, _total: told.append(done)

    with pytest.raises(BackupBrokenError):
        restore(file, target, counting)
    assert max(told) < len(data) + 2 * PIECE_BYTES  # what is too much is not written


def test_req30_a_backup_is_its_owners_whatever_lay_there(
    office: Office, database_url: str, tmp_path: Path
) -> None:
    _fill(office, 2)
    file, victim = tmp_path / "shop.backup", tmp_path / "victim"
    victim.write_text("precious")
    left = tmp_path / "shop.backup.partial"
    left.touch()
    left.chmod(0o666)
    for name in (f"shop.backup.{os.getpid()}.partial", f"shop.backup.{os.getpid()}.copy"):
        (tmp_path / name).symlink_to(victim)
    back_up(database_url, file, _counting)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.is_symlink()
    assert victim.read_text() == "precious"
    assert list(tmp_path.glob("*.partial")) == [left]


def test_a_manifest_that_does_not_fit_is_told(
    office: Office, database_url: str, databases: Databases, tmp_path: Path
) -> None:
    _fill(office, 2)
    file, forged = tmp_path / "a", tmp_path / "b"
    manifest = back_up(database_url, file, _counting)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(forged, "w") as new:
        document = json.loads(old.read(MANIFEST))
        document["sums"]["account_entries.amount_minor"] += 1
        new.writestr(manifest.member, old.read(manifest.member))
        new.writestr(MANIFEST, json.dumps(document))
    target = databases.empty()
    try:
        with pytest.raises(BackupBrokenError, match=r"account_entries\.amount_minor"):
            restore(forged, target, _counting)
    finally:
        databases.discard(target)


def test_a_backup_replaces_no_file_and_needs_a_shop(
    database_url: str, databases: Databases, tmp_path: Path
) -> None:
    file = tmp_path / "there"
    file.write_text("precious")
    with pytest.raises(BackupFileError, match="already") as refused:
        back_up(database_url, file, _counting)
    assert refused.value.code == "backup_file"
    assert file.read_text() == "precious"
    with pytest.raises(BackupFileError):
        back_up(database_url, tmp_path / "no" / "folder", _counting)
    empty = databases.empty()
    if not isinstance(databases, SqliteFiles):
        with pytest.raises(DatabaseMissingError):
            back_up(empty, tmp_path / "new", _counting)
        databases.discard(empty)
    assert not (tmp_path / "new").exists()


def test_a_backup_goes_into_its_own_kind_of_database(
    database_url: str, sqlite_files: SqliteFiles, tmp_path: Path
) -> None:
    file = tmp_path / "shop.backup"
    back_up(database_url, file, _counting)
    is_sqlite = make_url(database_url).get_backend_name() == "sqlite"
    other = "postgresql://nobody@localhost/none" if is_sqlite else sqlite_files.empty()
    with pytest.raises(BackupFileError, match="of that kind"):
        restore(file, other, _counting)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_missing_tool_is_said_to_be_missing(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOOLS_VARIABLE, str(tmp_path))
    with pytest.raises(BackupToolError, match="Install") as refused:
        back_up(database_url, tmp_path / "new", _counting)
    assert refused.value.code == "backup_tool"
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6'\n")
    old.chmod(0o755)
    with pytest.raises(BackupToolError, match="9"):
        back_up(database_url, tmp_path / "new", _counting)
    assert not (tmp_path / "new").exists()


def test_req30_what_has_grown_at_work_is_no_lost_rule(
    office: Office, database_url: str, databases: Databases, tmp_path: Path
) -> None:
    """Months of readings are tables of their own on PostgreSQL; durable work brings its own."""
    with writing(office.engine) as connection:
        assert make_ahead(connection, office.now()) > 0 or isinstance(databases, SqliteFiles)
    make_tables(office.engine)
    file, target, again = tmp_path / "a", databases.empty(), databases.empty()
    back_up(database_url, file, _counting)
    try:
        restore(file, target, _counting)
        back_up(target, tmp_path / "b", _counting)
        restore(tmp_path / "b", again, _counting)
    finally:
        databases.discard(target)
        databases.discard(again)


_SWITCHED_OFF = "ALTER TABLE account_entries DISABLE TRIGGER account_entries_update"
_HOLLOW = (
    "CREATE OR REPLACE FUNCTION account_entries_update() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RETURN NEW; END $$"
)
_TAKEN_OUT = {
    "postgresql": {
        "lacks the trigger account_entries.account_entries_update": (
            "DROP TRIGGER account_entries_update ON account_entries"
        ),
        "lacks the constraint account_entries.ck_account_entries_amount_minor": (
            "ALTER TABLE account_entries DROP CONSTRAINT ck_account_entries_amount_minor"
        ),
        "lacks the index uq_collection_cases_account": "DROP INDEX uq_collection_cases_account",
        "must not have the trigger that is switched off": _SWITCHED_OFF,
        "not as it should be: the function account_entries_update": _HOLLOW,
        "not as it should be: the column account_entries.source": (
            "ALTER TABLE account_entries ALTER COLUMN source DROP NOT NULL"
        ),
        "must not have the rule audit_lines.unseen": (
            "CREATE RULE unseen AS ON INSERT TO audit_lines WHERE NEW.action = 'x' "
            "DO INSTEAD NOTHING"
        ),
    },
    "sqlite": {
        "lacks the trigger account_entries.account_entries_update": (
            "DROP TRIGGER account_entries_update"
        ),
        "lacks the constraint account_entries.ck_account_entries_amount_minor": (
            "UPDATE sqlite_master SET sql = replace(sql, "
            "'CONSTRAINT ck_account_entries_amount_minor CHECK (amount_minor <> 0)', "
            "'CHECK (1)') WHERE name = 'account_entries'"
        ),
        "lacks the index uq_collection_cases_account": "DROP INDEX uq_collection_cases_account",
        "must not have the trigger audit_lines.unseen": (
            "CREATE TRIGGER unseen BEFORE INSERT ON audit_lines WHEN NEW.action = 'x' "
            "BEGIN SELECT RAISE(IGNORE); END"
        ),
    },
}


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lost", _TAKEN_OUT["sqlite"])
def test_req30_a_sqlite_backup_that_has_lost_a_rule_is_not_brought_back(
    office: Office, database_url: str, databases: Databases, tmp_path: Path, lost: str
) -> None:
    _fill(office, 1)
    office.engine.dispose()
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        assert connection.execute(_TAKEN_OUT["sqlite"][lost]).rowcount in (-1, 1)
        connection.commit()
    _require_refused(database_url, databases, tmp_path, lost)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("lost", _TAKEN_OUT["postgresql"])
def test_req30_a_postgresql_backup_that_has_lost_a_rule_is_refused(
    office: Office, database_url: str, databases: Databases, tmp_path: Path, lost: str
) -> None:
    _fill(office, 1)
    with writing(office.engine) as connection:
        connection.execute(sql(_TAKEN_OUT["postgresql"][lost]))
    _require_refused(database_url, databases, tmp_path, lost)


def _require_refused(url: str, databases: Databases, folder: Path, words: str) -> None:
    file, target = folder / "shop.backup", databases.empty()
    back_up(url, file, _counting)
    try:
        with pytest.raises(BackupBrokenError, match=words):
            restore(file, target, _counting)
        if isinstance(databases, SqliteFiles):
            assert not Path(target.removeprefix("sqlite:///")).exists()
    finally:
        databases.discard(target)


def test_a_backup_of_an_older_schema_with_an_index_of_ones_own_is_brought_back(
    databases: Databases, tmp_path: Path
) -> None:
    old, target, file = databases.empty(), databases.empty(), tmp_path / "old.backup"
    engine = open_engine(old, create=True)
    with writing(engine) as connection:
        upgrade_schema(connection, "0005")
        connection.execute(sql("CREATE INDEX ix_of_ones_own ON meters (customer)"))
    engine.dispose()
    back_up(old, file, _counting)
    try:
        assert restore(file, target, _counting).schema == "0005"
    finally:
        databases.discard(target)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("way", ["of the user", "among the settings"])
def test_the_password_is_in_no_command_line(
    database_url: str,
    databases: Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    """Everybody on the machine sees the words of a command."""
    secret, target = "not-for-others", databases.empty()

    def with_password(url: str) -> str:
        parsed = make_url(url)
        if way == "of the user":
            return parsed.set(
                username=parsed.username or "postgres", password=secret
            ).render_as_string(hide_password=False)
        return parsed.update_query_dict({"password": secret}).render_as_string(hide_password=False)

    folder, seen = tmp_path / "bin", tmp_path / "seen"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        real = Path(os.environ[TOOLS_VARIABLE]) / name
        (folder / name).write_text(
            f'#!/bin/sh\necho "{name} $PGPASSWORD: $*" >> {seen}\nexec {real} "$@"\n'
        )
        (folder / name).chmod(0o755)
    monkeypatch.setenv(TOOLS_VARIABLE, str(folder))
    file = tmp_path / "shop.backup"
    back_up(with_password(database_url), file, _counting)
    try:
        restore(file, with_password(target), _counting)
    finally:
        databases.discard(target)
    lines = [line for line in seen.read_text().splitlines() if "--version" not in line]
    assert [line.split(":")[0] for line in lines] == [
        f"pg_dump {secret}",
        f"pg_restore {secret}",
    ]
    assert all(secret not in line.partition(":")[2] for line in lines)
    assert secret not in shown(with_password(database_url))


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_secret_that_only_a_command_line_could_carry_is_refused(
    database_url: str, tmp_path: Path
) -> None:
    url = make_url(database_url).update_query_dict({"sslpassword": "not-for-others"})
    with pytest.raises(BackupToolError, match="service file") as refused:
        back_up(url.render_as_string(hide_password=False), tmp_path / "new", _counting)
    assert "not-for-others" not in str(refused.value)
    assert not (tmp_path / "new").exists()
