"""``meterhouse till`` (and ``meterhouse vend`` alone): sell, one hand on the numeric keypad."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

import vending
from commands.counter import configure_logs, database_option, operator_option, terminal_option
from commands.receipt_output import ReceiptOutput, receipt_options
from commands.sign_in import open_signed_in
from commands.unlock import shop_keys


@click.command()
@click.option("--client", default="till", show_default=True, help="Whose message ids it uses.")
@receipt_options
@operator_option
@terminal_option
@database_option
@click.pass_context
def till(
    ctx: click.Context,
    client: str,
    receipt_output: ReceiptOutput,
    operator: str,
    terminal: str,
    database: str,
) -> None:
    """Sell at a till: meter number, amount, Enter; the receipt; the next customer.

    Everything is typed on a numeric keypad; `**` shows the keys. Receipts appear on the screen,
    and on --printer. A sale whose outcome is unknown, even by a power cut, is asked about before
    anything else is sold.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "The till needs a terminal and somebody at it. A program sells with "
            "`meterhouse vend METER AMOUNT --json`, or with the library."
        )
    from commands.till.counter import Till
    from commands.till.keypad import Keypad
    from commands.till.loop import run
    from commands.till.notebook import open_notebook
    from vending.security.opening import DeferredKeys
    from vending.security.port import PublicTestKeys

    configure_logs()
    with (
        shop_keys(database, now=True) as keys,
        open_signed_in(
            database,
            lambda credentials: vending.Shop.open(database, credentials=credentials, security=keys),
        ) as shop,
    ):
        actor = shop.people.actor
        at = actor.terminal or terminal
        with open_notebook(database, at) as notebook:
            module = keys.module if isinstance(keys, DeferredKeys) else keys
            status = run(
                Till(
                    shop=shop,
                    keys=keys,
                    notebook=notebook,
                    keypad=Keypad(),
                    operator=actor.name or operator,
                    terminal=at,
                    client=actor.client or client,
                    receipt_output=_beside_the_screen(receipt_output),
                ),
                has_test_keys=isinstance(module, PublicTestKeys),
            )
    ctx.exit(status)


def _beside_the_screen(output: ReceiptOutput) -> ReceiptOutput:
    """The screen has every receipt as text: a file named ``-`` would have it twice."""
    return replace(output, file=None) if output.file == "-" else output
