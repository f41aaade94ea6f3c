"""Whatever is given out at the counter, its receipt leaves as is asked for: format and language."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import structlog

import cli
from tests.shop.databases import SqliteFiles
from vending import NewMeter, Shop
from vending.sts import make_drn

NUMBER = make_drn("07", "00000042")
OLD = make_drn("07", "00000043")
Run = Callable[..., str]


@pytest.fixture
def run(
    sqlite_files: SqliteFiles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Commands in a shop with two meters."""
    url = sqlite_files.shop()
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", url)
    monkeypatch.setattr(structlog, "configure", lambda **_: None)
    with Shop.open(url) as shop:
        for number in (NUMBER, OLD):
            shop.add_meter(NewMeter(number))

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        printed = capsys.readouterr()
        assert end.value.code == 0, printed.out + printed.err
        return printed.out

    run("debt", "add", NUMBER, "50", "--name", "Loan", "--percent", "10", "--reason", "x")
    run("vend", "sell", NUMBER, "60", "--message-id", "sale", "--yes")
    return run


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("free_issue", ("free-issue", NUMBER, "5", "--reason", "storm")),
        ("replacement", ("replacement", NUMBER, OLD, "5", "--reason", "burnt")),
        ("account_payment", ("pay", NUMBER, "10")),
        ("engineering", ("engineering", "clear-tamper", NUMBER, "--reason", "visit")),
        ("key_change", ("key-change", NUMBER, "--krn", "2", "--yes")),
        ("refund", ("refund", "1", "--reason", "broken")),
    ],
)
def test_its_receipt_comes_in_the_format_that_is_asked_for(
    run: Run, kind: str, words: tuple[str, ...]
) -> None:
    plain = json.loads(run("vend", *words, "--format", "json", "--message-id", "1"))
    assert plain["kind"] == kind
    french = run("vend", *words, "--language", "fr", "--columns", "32", "--message-id", "1")
    assert "Reçu" in french
    assert max(map(len, french.splitlines())) <= 32
