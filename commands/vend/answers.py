"""Answers at the till: what is printed, and with which exit status."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

import vending
from commands.output import (
    EXIT_CHECK_FAILED,
    EXIT_OUTCOME_UNKNOWN,
    console,
    error_console,
    fault_object,
    print_json,
    report_fault,
)
from commands.receipt_output import deliver, deliver_sale

if TYPE_CHECKING:
    from commands.receipt_output import ReceiptOutput
    from vending import Receipt, Shop, VendResult
    from vending.meter_faults.reports import FaultReportResult


def is_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def is_answered(shop: Shop, client: str, message_id: str) -> bool:
    """Whether nothing new would be given out, so that there is nothing to be asked."""
    from vending.shop.faults import UnknownMessageError

    try:
        shop.last_response(client, message_id)
    except UnknownMessageError:
        return False
    return True


def show_result(
    shop: Shop,
    result: VendResult,
    *,
    as_json: bool,
    receipt_output: ReceiptOutput | None = None,
    operator: str = "",
) -> int:
    """Note that a sale is shown, to a person or to a program, then print its answer."""
    if result.reversed_by is None:
        note_shown(shop, result.receipt, operator=operator)
    return print_result(
        result, as_json=as_json, receipt_output=receipt_output, language=shop.utility.language
    )


def note_shown(shop: Shop, receipt: Receipt | None, *, operator: str = "") -> None:
    """A receipt is about to be shown: from then on sale and payment cannot be reversed."""
    if receipt is not None and receipt.kind.value in ("credit", "account_payment"):
        shop.printed(receipt.receipt_no, operator=operator)


def announce(message_id: str) -> None:
    """The id comes before the sale: whatever happens then, it can be asked about."""
    error_console.print(f"Message id {message_id}", style="dim", markup=False, soft_wrap=True)


def print_result(
    result: VendResult,
    *,
    as_json: bool,
    receipt_output: ReceiptOutput | None = None,
    language: str = "en",
) -> int:
    """Print an answer; gives the exit status.

    With --json standard output gets the stored bytes, of a refusal too; standard error gets
    the refusal in words.  Of a sale that was reversed it gets no more than that.  Sales
    are printed by `show_result`.
    """
    if result.outcome is vending.Outcome.UNKNOWN:
        return print_unknown(result, as_json=as_json)
    if as_json:
        _print_stored(result)
    if result.fault is not None:
        return report_fault(result.fault, as_json=False)
    if result.reversed_by is not None:
        error_console.print(
            f"It was sold, and reversed since, by receipt {result.reversed_by}: its tokens are "
            "not shown any more.",
            style="yellow",
        )
        return EXIT_CHECK_FAILED
    if result.receipt is None:
        if not as_json:
            console.print("It was done, and gave out nothing: no sale.")
        return 0
    if not as_json:
        if result.replayed:
            error_console.print("Answered before; nothing new was sold.", style="yellow")
        if receipt_output is None:
            click.echo(vending.receipt_text(result.receipt, language), nl=False)
        else:
            deliver_sale(result.receipt, receipt_output, language)
    return 0


def _print_stored(result: VendResult) -> None:
    """The stored bytes; of a sale that was reversed only that: nobody may have its tokens."""
    if result.reversed_by is None:
        click.echo(result.response.decode())
        return
    assert result.receipt is not None
    print_json(
        {
            "outcome": "reversed",
            "client": result.client,
            "message_id": result.message_id,
            "receipt_no": result.receipt.receipt_no,
            "reversed_by": result.reversed_by,
        }
    )


def print_unknown(result: VendResult | FaultReportResult, *, as_json: bool) -> int:
    """Say that an outcome is unknown, and what to do; gives the exit status."""
    assert result.fault is not None
    if as_json:
        ids = {"client": result.client, "message_id": result.message_id}
        print_json({"outcome": result.outcome.value, **ids, **fault_object(result.fault)})
    else:
        error_console.print(
            f"The outcome is UNKNOWN: {result.fault}\nBefore anything else, run the same command "
            f"again with --client {result.client} --message-id {result.message_id}.",
            style="yellow",
            markup=False,
        )
    return EXIT_OUTCOME_UNKNOWN


def print_receipt(
    receipt: Receipt, *, as_json: bool, receipt_output: ReceiptOutput, language: str
) -> None:
    """Print a receipt, or its data."""
    if as_json:
        print_json(receipt.to_json())
    else:
        deliver(receipt, receipt_output, language)
