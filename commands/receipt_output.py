"""How a receipt leaves the till: in which format and language, to screen, file or printer.

Printing comes after the sale is stored, and never undoes or repeats it: a printer that fails is
told on standard error, and the receipt is shown as text instead.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

import vending
from commands.output import error_console
from vending.receipts.columns import COLUMNS
from vending.receipts.language import LANGUAGE_VARIABLE

if TYPE_CHECKING:
    from vending import Receipt

FORMATS: Final = ("text", "escpos", "pdf", "pdf-roll", "sms", "json")
PRINTER_VARIABLE: Final = "METERHOUSE_PRINTER"
DRAWER_VARIABLE: Final = "METERHOUSE_DRAWER"
_BINARY: Final = ("escpos", "pdf", "pdf-roll")

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ReceiptOutput:
    """What the options of a command say about its receipt."""

    format: str | None
    """None: text, or the printer alone."""
    language: str | None
    """None: the utility's."""
    columns: int
    file: str | None
    printer: str | None
    open_drawer: bool

    def language_for(self, utility_language: str) -> str:
        """The language of this print."""
        return self.language or utility_language

    def require_sensible(self) -> None:
        """Refuse, before anything is sold, what could only fail afterwards.

        Raises:
            click.UsageError: bytes would go to a screen.
            VendingError: no such language, paper or printer.
        """
        from vending.receipts.language import find_language
        from vending.receipts.sending import require_address

        if self.format in _BINARY and self.file is None and sys.stdout.isatty():
            raise click.UsageError(
                f"--format {self.format} is not for a screen: add --output FILE."
            )
        if self.language is not None:
            find_language(self.language)
        if self.printer is not None:
            require_address(self.printer)
        vending.Printer(columns=self.columns)


def receipt_options(command: _Command) -> _Command:
    """Give a command that prints a receipt its options; it gets them as ``receipt_output``.

    These are ``--format``, ``--language``, ``--columns``, ``--output``, ``--printer`` and
    ``--drawer``.
    """
    return _with_options(command, (*_SHOWN, *_PRINTED))


def shown_receipt_options(command: _Command) -> _Command:
    """The same without a printer: a receipt is printed at its sale, and then as a counted copy."""
    return _with_options(command, _SHOWN)


def _with_options(command: _Command, options: Iterable[Callable[[Any], Any]]) -> _Command:
    @wraps(command)
    def collect(*args: Any, **given: Any) -> Any:
        output = ReceiptOutput(
            format=given.pop("receipt_format"),
            language=given.pop("receipt_language"),
            columns=given.pop("receipt_columns"),
            file=given.pop("receipt_file"),
            printer=given.pop("receipt_printer", None),
            open_drawer=given.pop("receipt_drawer", False),
        )
        output.require_sensible()
        return command(*args, receipt_output=output, **given)

    decorated: Any = collect
    for option in reversed(list(options)):
        decorated = option(decorated)
    result: _Command = decorated
    return result


_SHOWN: Final = (
    click.option("--format", "receipt_format", type=click.Choice(FORMATS), help="Of the receipt."),
    click.option(
        "--language",
        "receipt_language",
        metavar="CODE",
        envvar=LANGUAGE_VARIABLE,
        show_envvar=True,
        help="Of the receipt: en, zh, fr, pt. [default: the utility's]",
    ),
    click.option(
        "--columns",
        "receipt_columns",
        type=int,
        default=COLUMNS,
        show_default=True,
        help="Of the paper: 48 on 80 mm, 32 on 58 mm.",
    ),
    click.option(
        "--output", "receipt_file", metavar="FILE", help="Write the receipt there; - is stdout."
    ),
)
_PRINTED: Final = (
    click.option(
        "--printer",
        "receipt_printer",
        metavar="ADDRESS",
        envvar=PRINTER_VARIABLE,
        show_envvar=True,
        help="Print on tcp://HOST:9100 or a device like /dev/usb/lp0.",
    ),
    click.option(
        "--drawer",
        "receipt_drawer",
        is_flag=True,
        envvar=DRAWER_VARIABLE,
        show_envvar=True,
        help="Open the printer's cash drawer when money moves in cash.",
    ),
)


def deliver(receipt: Receipt, output: ReceiptOutput, utility_language: str) -> None:
    """Give a receipt out as the options say.

    Raises:
        VendingError: it cannot be rendered so, or the printer does not take it.
        OSError: the file cannot be written.
    """
    from vending.receipts.sending import send

    language = output.language_for(utility_language)
    if output.printer is not None:
        paper = vending.receipt_escpos(
            receipt,
            language,
            vending.Printer(columns=output.columns),
            open_drawer=output.open_drawer,
        )
        send(paper, output.printer)
        error_console.print(
            f"Receipt {receipt.receipt_no} went to {output.printer}.",
            style="dim",
            markup=False,
            soft_wrap=True,
        )
        if output.format is None and output.file is None:
            return
    _write(_render(receipt, output, language), output.file)


def deliver_sale(receipt: Receipt, output: ReceiptOutput, utility_language: str) -> None:
    """The same behind a sale: whatever fails is told, and the tokens are shown as text."""
    from vending.errors import VendingError

    try:
        deliver(receipt, output, utility_language)
    except (VendingError, OSError) as fault:
        click.echo(_plain_text(receipt, output.language_for(utility_language)), nl=False)
        again = f"meterhouse vend reprint {receipt.receipt_no}"
        error_console.print(
            f"The sale is done; its receipt is above and stored. Not printed as asked: {fault}\n"
            f"To print it again: {again}",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _plain_text(receipt: Receipt, language: str) -> str:
    """The receipt as text; in English when the language is what failed."""
    from vending.errors import VendingError

    try:
        return vending.receipt_text(receipt, language)
    except VendingError:
        return vending.receipt_text(receipt)


def _render(receipt: Receipt, output: ReceiptOutput, language: str) -> bytes:
    match output.format or "text":
        case "escpos":
            return vending.receipt_escpos(
                receipt,
                language,
                vending.Printer(columns=output.columns),
                open_drawer=output.open_drawer,
            )
        case "pdf":
            return vending.receipt_pdf(receipt, language, vending.Paper.A4)
        case "pdf-roll":
            return vending.receipt_pdf(receipt, language, vending.Paper.ROLL)
        case "sms":
            return "".join(f"{part}\n" for part in _messages(receipt, language)).encode()
        case "json":
            text = json.dumps(vending.receipt_json(receipt), ensure_ascii=False)
            return f"{text}\n".encode()
        case _:
            return vending.receipt_text(receipt, language, output.columns).encode()


def _messages(receipt: Receipt, language: str) -> list[str]:
    """Short messages, an empty line between two."""
    parts = vending.receipt_sms(receipt, language)
    return [part if number == len(parts) else f"{part}\n" for number, part in enumerate(parts, 1)]


def _write(content: bytes, file: str | None) -> None:
    if file is None or file == "-":
        click.echo(content, nl=False)
        return
    path = Path(file)
    if path.exists() and not path.is_file():  # a device, a pipe
        path.write_bytes(content)
        return
    # a reader never sees half a receipt
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
