"""``meterhouse demo``: from payment to light, in under a minute.

`story` is what happens, `homes` who it happens to, `views` how it is shown, `statement` the
figures at the end.  `account_home`, `account_scenes` and `account_figures` are the same of the home
that is prepaid by an account.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from commands.output import EXIT_CHECK_FAILED, console, json_option, print_json


@click.command()
@click.option("--seed", default=7, show_default=True, help="What the homes use depends on it.")
@click.option(
    "--seconds",
    type=click.IntRange(1, 3600),
    default=40,
    show_default=True,
    help="How long the live picture takes, about.",
)
@click.option("--plain", is_flag=True, help="Plain lines instead of the live picture.")
@click.option("--receipts/--no-receipts", default=True, help="Print receipts among plain lines.")
@click.option(
    "--rig", is_flag=True, help="Lose one Wh on purpose: the statement must notice (status 1)."
)
@json_option
def demo(seed: int, seconds: int, plain: bool, receipts: bool, rig: bool, as_json: bool) -> None:
    """Four homes from payment to light: three by tokens, one on account.

    A clerk sells tokens, people type them into keypad meters, credit falls, a home goes dark and
    comes back; a used, a mistyped and a neighbour's token are refused; a meter's key is changed.
    The fourth home's meter is on a line (a real socket): it is read and settled each night, the
    customer is warned, switched off, pays, and has light again, each confirmed by the meter.
    At the end money, units sold, accepted and consumed must agree to the Wh, or the exit status
    is 1. Everything happens in a database in a temporary folder; nothing is left behind.
    """
    from commands.counter import configure_logs
    from commands.demo.account_figures import account_disagreements, account_object, print_account
    from commands.demo.statement import as_json as statement_json
    from commands.demo.statement import disagreements, print_statement
    from commands.demo.story import LENGTH, START, Story
    from commands.demo.views import show_live, show_plain

    configure_logs()
    with tempfile.TemporaryDirectory(prefix="meterhouse-demo-") as folder:
        story = Story(f"sqlite:///{Path(folder) / 'shop.db'}", seed)
        try:
            if as_json:
                for _ in story.play():
                    pass
            elif console.is_terminal and not console.is_dumb_terminal and not plain:
                local = story.shop.utility.local
                span = local(START), local(START + LENGTH)
                show_live(
                    story.play(), story.homes, story.neighbour, span, console, seconds=seconds
                )
            else:
                show_plain(story.play(), console, receipts=receipts)
            if rig:
                story.rig()
            shop, homes = story.figures()
            account = story.account.figures()
        finally:
            story.close()
    wrong = [
        *story.unexpected,
        *story.account.unexpected,
        *disagreements(shop, homes),
        *account_disagreements(account),
    ]
    if as_json:
        statement = statement_json(shop, homes, wrong)
        print_json({**statement, "account": account_object(account)})
    else:
        print_account(account, shop.currency, shop.minor_digits, console)
        print_statement(shop, homes, wrong, console)
    if wrong:
        raise SystemExit(EXIT_CHECK_FAILED)
