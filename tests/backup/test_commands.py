"""Backup and restore at the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from cli import main
from storage.audit import audit_lines
from storage.engine import open_engine, reading
from tests.shop.databases import Databases


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_req30_a_backup_is_made_and_brought_back(
    database_url: str, databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "shop.backup")
    status, said = _run(capsys, "backup", file, "--database", database_url)
    assert status == 0
    assert "rows of" in said
    assert "key for personal fields" in said  # it is not in the backup, and that is said
    target = databases.empty()
    try:
        # another process: it has not imported what the shop at work had
        restore = [sys.executable, "-m", "cli", "restore", file, "--database", target, "--json"]
        done = subprocess.run(restore, capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout)
        assert done.returncode == 0, answer
        assert answer["rows"] > 0
        engine = open_engine(target)
        with reading(engine) as connection:
            line = connection.execute(
                select(audit_lines).order_by(audit_lines.c.audit_id.desc()).limit(1)
            ).one()
        engine.dispose()
        assert (line.action, line.subject) == ("database.restore", answer["sha256"])
        assert line.detail == f"head {answer['audit_head']}"
        status, said = _run(capsys, "audit", "verify", "--database", target, "--json")
        assert status == 0
        status, said = _run(capsys, "restore", file, "--database", target, "--json")
        assert status == 3
        assert json.loads(said)["error"]["code"] == "database_exists"
    finally:
        databases.discard(target)
