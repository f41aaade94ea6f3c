"""Names that look like markup are shown as they are, by every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

import cli
from commands import output
from tests.shop.databases import SqliteFiles
from vending import NewMeter, Shop
from vending.sts import make_drn

NUMBER = make_drn("07", "00000042")
ODD = "X [/b] [red] :smile:"
Run = Callable[..., str]


@pytest.fixture
def run(
    sqlite_files: SqliteFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Commands in a shop in which everything is called ODD."""
    url = sqlite_files.shop()
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", url)
    monkeypatch.setenv("METERHOUSE_OPERATOR", ODD)
    monkeypatch.setattr(structlog, "configure", lambda **_: None)
    for console in (output.console, output.error_console):
        monkeypatch.setattr(console, "width", 300)
    tariff = Path("docs/examples/tariff-flat.toml").read_text(encoding="utf-8")
    name = next(line for line in tariff.splitlines() if line.startswith("name ="))
    odd_tariff = tmp_path / "odd.toml"
    odd_tariff.write_text(tariff.replace(name, f'name = "{ODD}"'), encoding="utf-8")
    with Shop.open(url) as shop:
        shop.add_meter(NewMeter(NUMBER, customer=ODD, location=ODD, account=ODD))

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        printed = capsys.readouterr()
        assert end.value.code == 0, printed.out + printed.err
        return printed.out

    run("tariff", "add", str(odd_tariff))
    run("debt", "add", NUMBER, "5", "--name", ODD, "--percent", "10", "--reason", ODD)
    run("vendor", "add", ODD)
    run("terminal", "add", ODD, "--vendor", "1")
    words = "--sgc", "123457", "--to-krn", "2", "--reason", ODD
    run("campaign", "prepare", ODD, *words)
    return run


def test_names_that_look_like_markup_are_shown_as_they_are(run: Run) -> None:
    shown: tuple[tuple[str, ...], ...] = (
        ("meter", "list"),
        ("meter", "show", NUMBER),
        ("vend", "find", "X [/b]"),
        ("vend", "look", NUMBER),
        ("tariff", "list"),
        ("tariff", "show", ODD),
        ("debt", "list", NUMBER),
        ("vendor", "list"),
        ("terminal", "list"),
        ("campaign", "list"),
        ("audit", "list"),
    )
    for words in shown:
        assert ODD in run(*words), words
    others: tuple[tuple[str, ...], ...] = (
        ("vend", "trial", NUMBER, "50"),
        ("vendor", "statement", "1"),
        ("approval", "list"),
        ("voucher", "list"),
        ("shift", "list"),
        ("price", "show"),
        ("key", "group", "list"),
        ("meter", "block", NUMBER, ODD),
        ("meter", "list"),
        ("vend", "look", NUMBER),
    )
    for words in others:
        run(*words)
