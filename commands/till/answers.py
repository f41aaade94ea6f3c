"""How the till deals with an answer: show it, print it, strike the note out."""

from __future__ import annotations

from dataclasses import replace

import click

import vending
from commands.receipt_output import deliver
from commands.till.counter import Till
from commands.till.notebook import LastSale
from commands.till.screen import say, say_fault, show_change
from vending.errors import VendingError


def take_answer(till: Till, result: vending.VendResult) -> None:
    """Show an answer to the clerk; an unknown outcome, or a receipt that cannot be shown, stays
    noted.
    """
    if result.outcome is vending.Outcome.UNKNOWN:
        return
    if result.fault is not None:
        till.notebook.strike_out()
        say_fault(result.fault)
        say("Nothing was sold.", "bold")
        return
    receipt = result.require_done()
    if result.reversed_by is not None:
        till.notebook.strike_out()
        say(
            f"Receipt {receipt.receipt_no} was reversed since, by receipt {result.reversed_by}: "
            "its tokens are given to nobody. Give the money back.",
            "yellow",
        )
        return
    try:
        till.shop.printed(receipt.receipt_no, operator=till.operator)
    except VendingError as fault:
        say_fault(fault)
        say(f"The sale is done (receipt {receipt.receipt_no}), but cannot be shown yet.", "yellow")
        return
    if result.replayed:
        say("It was sold. This is its receipt; nothing new was sold.", "yellow")
    print_receipt(till, receipt)
    till.notebook.strike_out(LastSale(result.client, result.message_id, receipt.receipt_no))
    show_change(receipt)


def print_receipt(till: Till, receipt: vending.Receipt) -> None:
    """On the screen; and on the printer, or in the file, that the options name."""
    show_receipt(till, receipt)
    output = till.receipt_output
    if output.printer is None and output.file is None:
        return
    try:
        deliver(receipt, output, till.shop.utility.language)
    except (VendingError, OSError) as fault:
        say(f"Not printed: {fault}\nIt is stored: *2 prints a copy.", "yellow")


def print_text(till: Till, text: str) -> None:
    """A report, on the screen, and on the printer that the options name."""
    from vending.receipts.escpos import PrintJob
    from vending.receipts.sending import send

    click.echo(text, nl=False)
    output = till.receipt_output
    if output.printer is None:
        return
    job = PrintJob(vending.Printer(columns=output.columns))
    for line in text.splitlines():
        job.line(line)
    job.cut()
    try:
        send(bytes(job), output.printer)
    except VendingError as fault:
        say(f"Not printed: {fault}", "yellow")


def show_receipt(till: Till, receipt: vending.Receipt) -> None:
    """On the screen alone."""
    output = till.receipt_output
    try:
        language = output.language_for(till.shop.utility.language)
        text = vending.receipt_text(receipt, language, output.columns)
    except VendingError as fault:
        say_fault(fault)
        text = vending.receipt_text(receipt)
    click.echo(text, nl=False)


def void(till: Till, request: vending.VendRequest) -> vending.VendResult:
    """Use a message id up, so that nothing is ever sold under it.

    Less than nothing is asked for: no shop sells that, and its refusal is stored under the id.

    Raises:
        MessageConflictError: it was sold after all.
        VendingError: the shop cannot say now.
    """
    return till.shop.vend(replace(request, amount_minor=-1, units=None, accept_key_change=True))
