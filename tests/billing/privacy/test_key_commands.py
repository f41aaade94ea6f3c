"""The key for personal fields at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from billing.accounts.desk import AccountDesk
from cli import main
from commands.office import open_office
from tests.billing.accounts.desks import application
from tests.shop.databases import SqliteFiles


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    status = ended.value.code
    assert isinstance(status, int)
    found: dict[str, object] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return status, found


def test_req30_a_lost_key_is_not_replaced_by_another(
    sqlite_files: SqliteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_files.shop()
    beside = Path(url.removeprefix("sqlite:///") + ".personal-key")
    with open_office(url) as office:  # nothing is sealed yet: a key is made
        AccountDesk(office).apply(application())
    kept = beside.read_text()
    beside.unlink()
    status, answer = _run(capsys, "office", "key", "reseal", "--database", url)
    assert status == 5
    assert answer["error"] == {
        "code": "seal_key",
        "message": f"The key file for personal fields, {beside}, cannot be read. Bring it back "
        "from its backup, or name it with METERHOUSE_PERSONAL_KEY_FILE.",
    }
    assert not beside.exists()
    beside.write_text(kept)
    beside.chmod(0o600)
    assert _run(capsys, "office", "key", "rotate", "--database", url)[1]["keys"] == 2
    status, answer = _run(capsys, "office", "key", "retire", "--database", url)
    assert status == 5
    status, answer = _run(capsys, "office", "key", "reseal", "--database", url)
    assert (status, answer["resealed"]) == (0, 6)
    status, answer = _run(capsys, "office", "key", "retire", "--database", url)
    assert status == 0
    assert Path(str(answer["retired"])).read_text() == kept
    with open_office(url) as office:
        assert len(AccountDesk(office).search("Li Wei")) == 1


def test_a_key_file_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key"
    assert _run(capsys, "office", "key", "new", str(path))[0] == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert _run(capsys, "office", "key", "new", str(path))[0] == 5
