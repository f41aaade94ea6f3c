"""Signing in at a till, two-person acts and the audit, by the real entry point."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

import cli
from storage.engine import open_engine
from tests.shop.databases import SqliteFiles
from vending import NewMeter, Shop
from vending.people import passwords
from vending.sts import make_drn

NUMBER = make_drn("07", "00000042")
ESSENCE = json.dumps({"meter": NUMBER, "units": 500, "reason": "storm"})
Run = Callable[..., str]


class Till:
    """Commands at one till, as whoever signed in there."""

    def __init__(self, capture: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capture, self.folder = capture, folder

    def password_file(self, name: str) -> str:
        """A file with somebody's password."""
        path = self.folder / f"{name}.password"
        path.write_text(f"the password of {name}\nnot this line\n", encoding="utf-8")
        return str(path)

    def run(self, *words: str, status: int = 0) -> str:
        """What a command prints."""
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        printed = self.capture.readouterr()
        assert end.value.code == status, printed.out + printed.err
        return printed.out + printed.err

    def json(self, *words: str, status: int = 0) -> Any:
        """A command's answer with --json."""
        return json.loads(self.run(*words, "--json", status=status))

    def sign_in(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sign somebody in by a password file."""
        with monkeypatch.context() as only_now:
            only_now.setenv("METERHOUSE_PASSWORD_FILE", self.password_file(name))
            self.run("sign-in", name)


@pytest.fixture
def till(
    sqlite_files: SqliteFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Till:
    url = sqlite_files.shop()
    with Shop.open(url) as shop:
        shop.add_meter(NewMeter(NUMBER))
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for variable in ("OPERATOR", "PASSWORD_FILE", "API_KEY", "API_KEY_FILE"):
        monkeypatch.delenv(f"METERHOUSE_{variable}", raising=False)
    quick = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", quick)
    till = Till(capsys, tmp_path)
    added = "operator", "add", "chief", "--role", "administrator", "--role", "auditor"
    assert "no open house" in till.run(*added, "--password-file", till.password_file("chief"))
    return till


def add_supervisors(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    till.sign_in("chief", monkeypatch)
    for name in ("anna", "ben"):
        password = till.password_file(name)
        till.run("operator", "add", name, "--role", "supervisor", "--password-file", password)


def test_nobody_does_anything_without_signing_in(
    till: Till, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "sign_in_required" in till.run("price", "show", status=3)
    till.sign_in("chief", monkeypatch)
    till.run("price", "show")
    (kept,) = (tmp_path / "state" / "meterhouse").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "the password of" not in kept.read_text(encoding="utf-8")
    assert till.run("sign-out") == "Signed out.\n"
    assert not kept.exists()
    till.run("price", "show", status=3)


def test_a_session_file_that_others_can_read_counts_for_nothing(
    till: Till, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    till.sign_in("chief", monkeypatch)
    (kept,) = (tmp_path / "state" / "meterhouse").iterdir()
    kept.chmod(0o644)
    till.run("price", "show", status=3)


def test_a_session_is_nobody_elses(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    add_supervisors(till, monkeypatch)
    monkeypatch.setenv("METERHOUSE_OPERATOR", "anna")
    till.run("approval", "list", status=3)
    monkeypatch.setenv("METERHOUSE_PASSWORD_FILE", till.password_file("anna"))
    till.run("approval", "list")


def test_a_program_comes_in_with_its_key(
    till: Till, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    till.sign_in("chief", monkeypatch)
    made = till.json("api-key", "add", "kiosk-7")
    assert made["api_key"] not in till.run("api-key", "list")
    till.run("sign-out")
    key = tmp_path / "key"
    key.write_text(made["api_key"] + "\n", encoding="utf-8")
    till.run("price", "show", "--api-key-file", str(key))
    monkeypatch.setenv("METERHOUSE_API_KEY", made["api_key"])
    till.run("price", "show")
    assert "permission_denied" in till.run("operator", "list", status=3)
    monkeypatch.setenv("METERHOUSE_API_KEY", made["api_key"][:-1])
    assert "wrong_credentials" in till.run("price", "show", status=3)


def test_operators_are_managed(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    add_supervisors(till, monkeypatch)
    changed = till.json("operator", "roles", "ben", "--role", "clerk", "--reason", "new post")
    assert changed["roles"] == ["clerk"]
    till.run("operator", "disable", "ben", "--reason", "left")
    till.run("operator", "enable", "ben", "--reason", "back")
    new = till.password_file("bens new one")
    till.run("operator", "password", "ben", "--reason", "forgot", "--password-file", new)
    found = {each["operator"]: each for each in till.json("operator", "list")}
    assert sorted(found) == ["anna", "ben", "chief"]
    assert found["ben"]["disabled_at"] is None
    assert "anna" in till.run("operator", "list")


def test_a_second_person_approves(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    add_supervisors(till, monkeypatch)
    till.sign_in("anna", monkeypatch)
    wanted = "approval", "request", "free_issue", NUMBER, "--request", ESSENCE, "--reason", "storm"
    number = str(till.json(*wanted)["approval"])
    assert "same_person" in till.run("approval", "approve", number, status=3)
    till.sign_in("ben", monkeypatch)
    assert '"units":500' in till.run("approval", "show", number)
    assert till.json("approval", "approve", number)["state"] == "approved"
    assert len(till.json("approval", "list")) == 1
    till.run("approval", "refuse", number, status=3)


def test_what_no_request_can_be_is_not_approved(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_supervisors(till, monkeypatch)
    till.sign_in("anna", monkeypatch)
    ask = "approval", "request", "free_issue", NUMBER, "--reason", "storm", "--request"
    for essence, status in (
        (f'{{"meter": "{NUMBER}", "units": NaN, "reason": "x"}}', 2),
        (f'{{"meter": "{NUMBER}", "units": Infinity, "reason": "x"}}', 2),
        (f'{{"meter": "{NUMBER}", "units": 1e400, "reason": "x"}}', 4),
        (f'{{"meter": "{NUMBER}", "units": 5.5, "reason": "x"}}', 4),
        (f'{{"meter": "{NUMBER}", "unit": 5, "reason": "x"}}', 4),
        (f'{{"meter": "{NUMBER}", "units": 5}}', 4),
        (f'{{"meter": " {NUMBER}", "units": 5, "reason": "x"}}', 4),
        ("[" * 100_000, 2),
        ("{}", 4),
    ):
        till.run(*ask, essence, status=status)
    assert "meter, old_meter, units, reason" in till.run("approval", "request", "--help")


def test_the_trail_is_verified_and_a_break_is_a_status(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_supervisors(till, monkeypatch)
    till.run("audit", "verify")
    head = till.run("audit", "head").strip()
    assert till.json("audit", "verify", "--head", head)["whole"]
    assert "operator.added" in till.run("audit", "list", "--action", "operator.")
    lines = [json.loads(line) for line in till.run("audit", "export").splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert till.json("audit", "seal") == {"sealed": {}}
    engine = open_engine(_url())
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_lines_update"))
        connection.execute(text("UPDATE audit_lines SET detail = 'x' WHERE audit_id = 3"))
    engine.dispose()
    assert "BROKEN at line 3 (changed)" in till.run("audit", "verify", status=1)
    found = till.json("audit", "verify", "--no-seal", status=1)
    assert (found["broken"]["line"], found["broken"]["kind"]) == (3, "changed")


def _url() -> str:
    import os

    return os.environ["METERHOUSE_DATABASE_URL"]
