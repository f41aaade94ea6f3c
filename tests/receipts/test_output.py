"""Where a receipt goes: a screen, a file, a printer; and what a failing printer does."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from commands.receipt_output import (
    ReceiptOutput,
    deliver_sale,
    receipt_options,
    shown_receipt_options,
)
from tests.receipts.network_printer import NetworkPrinter
from tests.receipts.paper import TillPrinter
from tests.receipts.samples import CREDIT, FREE_BASIC
from vending import receipt_escpos, receipt_text
from vending.errors import VendingError
from vending.receipts.faults import (
    PrinterSettingError,
    PrinterUnavailableError,
    UnknownLanguageError,
)
from vending.receipts.sending import send

CONTENT = b"x" * 500_000
"""More than a socket or a pipe takes at once."""


@pytest.fixture
def printer() -> Iterator[NetworkPrinter]:
    with NetworkPrinter() as found:
        yield found


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A device file that is no regular file, as a printer's is."""
    path = tmp_path / "lp0"
    os.mkfifo(path)
    return path


def test_a_network_printer_gets_every_byte(printer: NetworkPrinter) -> None:
    send(CONTENT, printer.address)
    assert printer.wait() == CONTENT


def test_a_device_gets_every_byte(pipe: Path) -> None:
    received = []

    def read() -> None:
        received.append(pipe.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    while True:  # the reader opens it in its own time
        try:
            send(CONTENT, str(pipe))
            break
        except PrinterUnavailableError:
            assert reader.is_alive()
    reader.join(10)
    assert received == [CONTENT]


def test_a_printer_that_takes_nothing_is_given_up_soon(pipe: Path) -> None:
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(PrinterUnavailableError, match="paper"):
            send(CONTENT, str(pipe), timeout_s=0.2)
    finally:
        os.close(reading)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts nobody
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(PrinterUnavailableError, match="could not be used"):
            send(CONTENT * 20, address, timeout_s=0.2)


def test_a_printer_that_is_not_there_is_told(tmp_path: Path, pipe: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for address in (f"tcp://127.0.0.1:{port}", str(tmp_path / "none"), str(pipe)):
        with pytest.raises(PrinterUnavailableError, match="receipt is stored"):
            send(b"x", address, timeout_s=1)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "address", ["", "lp0", "tcp://", "tcp://host:0", "tcp://host:99999", "http://host", "tcp://a b"]
)
def test_what_is_no_printer_is_refused(address: str) -> None:
    with pytest.raises(PrinterSettingError):
        send(b"x", address)


def run(*arguments: str) -> Result:
    """A command that sells `CREDIT`, in a French utility."""

    @click.command()
    @receipt_options
    def sell(receipt_output: ReceiptOutput) -> None:
        deliver_sale(CREDIT, receipt_output, "fr")

    return CliRunner().invoke(sell, list(arguments))


def test_the_utility_says_the_language_unless_somebody_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run().stdout == receipt_text(CREDIT, "fr")
    monkeypatch.setenv("METERHOUSE_LANGUAGE", "pt")
    assert run().stdout == receipt_text(CREDIT, "pt")
    assert run("--language", "en", "--columns", "32").stdout == receipt_text(CREDIT, "en", 32)


@pytest.mark.parametrize("name", ["text", "escpos", "pdf", "pdf-roll", "sms", "json"])
def test_every_format_goes_to_a_file_and_to_a_pipe(name: str, tmp_path: Path) -> None:
    path = tmp_path / "receipt"
    assert run("--format", name, "--output", str(path)).exit_code == 0
    assert [each.name for each in tmp_path.iterdir()] == ["receipt"]
    piped = run("--format", name).stdout_bytes
    assert path.read_bytes() == piped
    digits = b"37918669236230853317" if name == "json" else b"3791 8669 2362 3085 3317"
    assert name.startswith("pdf") or digits in piped


def test_a_printer_gets_the_paper_and_the_screen_a_word(printer: NetworkPrinter) -> None:
    done = run("--printer", printer.address, "--drawer")
    assert printer.wait() == receipt_escpos(CREDIT, "fr", open_drawer=True)
    assert TillPrinter().take(printer.received).drawer_kicks == 1
    assert done.stdout == ""
    assert f"Receipt 1042 went to {printer.address}" in done.stderr


def test_a_sale_whose_printer_fails_is_done_and_shows_its_token(tmp_path: Path) -> None:
    done = run("--printer", str(tmp_path / "none"))
    assert done.exit_code == 0
    assert "3791 8669 2362 3085 3317" in done.stdout
    assert "The sale is done" in done.stderr
    assert "meterhouse vend reprint 1042" in done.stderr


def test_a_file_that_cannot_be_written_costs_no_token(tmp_path: Path) -> None:
    done = run("--output", str(tmp_path / "none" / "receipt.pdf"), "--format", "pdf")
    assert done.exit_code == 0
    assert "3791 8669 2362 3085 3317" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--language", "xx"), UnknownLanguageError),
        (("--printer", "lp0"), PrinterSettingError),
        (("--columns", "3"), VendingError),
    ],
)
def test_wrong_options_are_refused_before_anything_is_sold(
    arguments: tuple[str, ...], fault: type[VendingError]
) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, fault)
    assert done.stdout == ""


def test_what_only_shows_a_receipt_has_no_printer(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @shown_receipt_options
    def show(receipt_output: ReceiptOutput) -> None:
        deliver_sale(FREE_BASIC, receipt_output, "en")

    monkeypatch.setenv("METERHOUSE_PRINTER", "lp0")
    assert CliRunner().invoke(show).stdout == receipt_text(FREE_BASIC)
    assert "--printer" not in CliRunner().invoke(show, ["--help"]).output
