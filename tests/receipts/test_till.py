"""The till's commands with their receipts: sold, printed, reprinted, in a utility's language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cli
from tests.receipts.network_printer import NetworkPrinter
from tests.receipts.paper import TillPrinter
from vending.sts import make_drn

Run = Callable[..., tuple[str, str]]
NUMBER = make_drn("07", "00000042")


@pytest.fixture
def printer() -> Iterator[NetworkPrinter]:
    with NetworkPrinter() as found:
        yield found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Commands of a Chinese utility's shop; they give standard output and error."""
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", f"sqlite:///{tmp_path / 'shop.db'}")

    def command(*arguments: str, status: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        printed = capfd.readouterr()
        assert end.value.code == status, printed.err
        return printed.out, printed.err

    command("init", "--utility", "城市电力", "--language", "zh", "--currency", "CNY")
    command("meter", "add", NUMBER, "--customer", "王小明")
    return command


def test_from_the_sale_to_the_counted_copy(
    run: Run, tmp_path: Path, printer: NetworkPrinter
) -> None:
    out, _ = run("vend", NUMBER, "100", "--yes", "--printer", printer.address, "--drawer")
    assert out == ""
    paper = TillPrinter().take(printer.wait())
    assert "城市电力" in paper.text
    assert "购电凭证" in paper.text
    assert "TEST" in paper.text
    (digits,) = paper.large
    assert paper.drawer_kicks == 1
    assert digits in run("vend", "last", NUMBER)[0]
    assert digits in run("vend", "last", NUMBER, "--format", "sms", "--language", "en")[0]
    assert "COPY 1" in run("vend", "reprint", "1", "--language", "en")[0]
    path = tmp_path / "copy.pdf"
    run("vend", "reprint", "1", "--language", "fr", "--format", "json", "--output", str(path))
    assert '"copy_no": 2' in path.read_text("utf-8")


def test_a_reprint_whose_printer_fails_is_a_fault(run: Run, tmp_path: Path) -> None:
    run("vend", NUMBER, "100", "--yes")
    _, errors = run("vend", "reprint", "1", "--printer", str(tmp_path / "none"), status=5)
    assert "printer_unavailable" in errors


def test_an_unknown_language_is_refused_before_the_sale(run: Run) -> None:
    _, errors = run("vend", NUMBER, "100", "--yes", "--language", "xx", status=3)
    assert "choose one of en, fr, pt, zh" in errors
    run("vend", "last", NUMBER, status=3)  # nothing was sold
    run("init", "--database", "sqlite:///:memory:", "--language", "xx", status=3)
