"""``meterhouse key``: the commands of key custodians, by the entry point and at a terminal."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest
import structlog

import cli
from tests.commands.running import ROOT
from tests.security.keys import PASSPHRASE, SECRET_160, components_of
from tests.shop.databases import SqliteFiles
from vending import Shop
from vending.security.key_checks import key_check_value
from vending.sts import VendingKey

KCV = key_check_value(VendingKey.from_hex(SECRET_160))


@dataclass(frozen=True)
class Desk:
    """The commands, run within this process by the real entry point."""

    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def json(self, *arguments: str, status: int = 0, stdin: str = "") -> Any:
        """A command's answer with --json: exactly one document."""
        self.patch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            cli.main((*arguments, "--json"))
        printed = self.capture.readouterr()
        assert end.value.code == status, printed
        (line,) = printed.out.splitlines()
        return json.loads(line)


def private(path: Path, content: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(content)
    return path


@pytest.fixture
def desk(
    sqlite_files: SqliteFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    passphrase = private(tmp_path / "passphrase", f"{PASSPHRASE}\n")
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", sqlite_files.shop())
    monkeypatch.setenv("METERHOUSE_VAULT_PASSPHRASE_FILE", str(passphrase))
    monkeypatch.setattr(structlog, "configure", lambda **_: None)  # the tests capture the logs
    desk = Desk(capsys, monkeypatch)
    desk.json("key", "vault", "init", "--new-passphrase-file", str(passphrase))
    desk.json("key", "group", "add", "600001", "--policy", "offer")
    return desk


def import_key(desk: Desk, krn: str, *options: str) -> None:
    begun = desk.json("key", "ceremony", "begin", "600001", krn, "--kcv", KCV, *options)
    number = str(begun["ceremony"])
    for person, component in zip(("anna", "ben"), components_of(SECRET_160), strict=True):
        desk.json(
            *("key", "ceremony", "component", number, "--from-stdin", "--operator", person),
            stdin=f"{component.secret.hex(' ', 4)}\n",
        )
    assert desk.json("key", "ceremony", "finish", number)["kcv"] == KCV


def test_a_key_comes_in_and_a_shop_sells_with_it(desk: Desk) -> None:
    import_key(desk, "1")
    assert desk.json("key", "current", "600001", "1")["state"] == "current"
    assert [each["sound"] for each in desk.json("key", "test")] == [True]
    desk.json("meter", "add", "07000000013", "--sgc", "600001")
    sold = desk.json("vend", "07000000013", "10", "--yes")
    assert sold["outcome"] == "done"
    assert sold["receipt"]["test_marks"] == []


def test_one_person_is_refused_and_a_component_never_shown(desk: Desk) -> None:
    number = str(desk.json("key", "ceremony", "begin", "600001", "1")["ceremony"])
    left = components_of(SECRET_160)[0].secret.hex()
    enter = ("key", "ceremony", "component", number, "--from-stdin", "--operator", "anna")
    assert left not in json.dumps(desk.json(*enter, stdin=left))
    refused = desk.json(*enter, stdin=left, status=3)
    assert refused["error"]["code"] == "same_person"
    spoilt = desk.json(*enter[:-1], "ben", stdin=left.replace("1", "x"), status=3)
    assert spoilt["error"]["code"] == "key_format"
    assert left not in json.dumps(spoilt)
    (waiting,) = desk.json("key", "ceremony", "list")
    assert [each["person"] for each in waiting["entered"]] == ["anna"]
    desk.json("key", "ceremony", "abandon", number)
    assert desk.json("key", "ceremony", "list") == []


def test_keys_that_end_are_listed_with_a_warning(desk: Desk) -> None:
    import_key(desk, "1", "--valid-from", "2020-01-01", "--issued-until", "2021-01-01")
    listed = desk.json("key", "list")
    assert [each["kcv"] for each in listed["keys"]] == [KCV]
    assert listed["warnings"][0]["over"] is True
    desk.json("key", "until", "600001", "1", "never")
    assert desk.json("key", "list")["warnings"] == []
    assert desk.json("key", "withdraw", "600001", "1")["state"] == "withdrawn"


def test_a_vault_is_rotated_and_its_keys_carried_away(desk: Desk, tmp_path: Path) -> None:
    import_key(desk, "1")
    new = private(tmp_path / "new", "an altogether new passphrase\n")
    desk.json("key", "rotate", "--new-passphrase-file", str(new))
    assert desk.json("key", "vault", "unlock", status=5)["error"]["code"] == "vault_locked"
    desk.patch.setenv("METERHOUSE_VAULT_PASSPHRASE_FILE", str(new))
    assert desk.json("key", "rotate", "--data-key")["data_key_no"] == 2
    bundle = tmp_path / "keys.json"
    transport = ("--transport-passphrase-file", str(new))
    desk.json("key", "export", str(bundle), *transport)
    assert bundle.stat().st_mode & 0o777 == 0o600
    assert desk.json("key", "export", str(bundle), *transport, status=2)
    assert len(desk.json("key", "import", str(bundle), *transport)["skipped"]) == 1
    new.chmod(0o644)
    assert desk.json("key", "vault", "unlock", status=5)["error"]["code"] == "secret_file"


def test_licensed_tables_are_put_on_record(desk: Desk, tmp_path: Path) -> None:
    document = {"substitution": [list(range(16))] * 2, "permutation": list(range(64))}
    path = private(tmp_path / "tables", json.dumps(document))
    digest = desk.json("key", "tables", str(path))["sta_tables_sha256"]
    assert len(digest) == 64
    assert desk.json("key", "vault", "unlock", status=5)["error"]["code"] == "sta_tables"
    desk.patch.setenv("METERHOUSE_STA_TABLES", str(path))
    desk.json("key", "vault", "unlock")
    assert desk.json("key", "tables", "--none")["sta_tables_sha256"] is None


def test_a_licensed_modules_key_is_put_on_record(desk: Desk) -> None:
    put = desk.json("key", "record", "600001", "3", "--kcv", "00FF00")
    assert (put["provider"], put["kcv"]) == ("module", "00FF00")
    assert desk.json("key", "record", "600001", "3", status=3)["error"]["code"]


def test_secrets_typed_at_a_terminal_are_not_shown(sqlite_files: SqliteFiles) -> None:
    url = sqlite_files.shop()
    env = {**os.environ, "METERHOUSE_DATABASE_URL": url, "METERHOUSE_OPERATOR": "anna"}
    seen = io.StringIO()

    def run(*arguments: str) -> pexpect.spawn[str]:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "cli", *arguments],
            cwd=ROOT,
            env=env,
            encoding="utf-8",
            timeout=60,
        )
        child.logfile_read = seen
        return child

    made = run("key", "vault", "init")
    for _ in range(2):
        made.expect("passphrase|Repeat")
        made.sendline(PASSPHRASE)
    made.expect("The vault is opened with a passphrase")
    made.expect(pexpect.EOF)
    with Shop.open(url) as shop:
        shop.keys.add_group("600001")
    run("key", "ceremony", "begin", "600001", "1").expect("Ceremony 1 is open")
    component = components_of(SECRET_160)[0].secret.hex()
    entering = run("key", "ceremony", "component", "1")
    entering.expect("Passphrase of the vault")
    entering.sendline(PASSPHRASE)
    entering.expect("Component")
    entering.sendline(component)
    entering.expect("check value is [0-9A-F]{6}")
    entering.expect(pexpect.EOF)
    assert PASSPHRASE not in seen.getvalue()
    assert component not in seen.getvalue()
