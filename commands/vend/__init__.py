"""``meterhouse vend``: sales, and what is around them.  One module for each subject."""

from __future__ import annotations

import click

from commands.till import till
from commands.vend.advise import advise, confirm_key, refund
from commands.vend.engineering import engineering
from commands.vend.find import find, look
from commands.vend.give import claims, free_basic, free_issue, replacement
from commands.vend.group import TillGroup
from commands.vend.key_change import key_change
from commands.vend.pay import pay
from commands.vend.receipts import last, reprint, verify
from commands.vend.recover import recover
from commands.vend.rules import rules
from commands.vend.sell import sell, trial, units
from commands.vend.statement import statement


@click.group(cls=TillGroup)
def vend() -> None:
    """Sell for AMOUNT of money to METER: `meterhouse vend 01234567890 100`.

    Alone, `meterhouse vend` is a till for one hand on the numeric keypad.

    \b
    The amount is written 100 or 100.50. On a terminal the customer is shown and
    you are asked first; --yes and --json leave that out.  The message id is
    printed before the sale: run the same command again with the same --message-id
    whenever you are in doubt, it never sells twice.
    All options of a sale: `meterhouse vend sell --help`.
    """


for command in (
    advise,
    claims,
    confirm_key,
    engineering,
    find,
    free_basic,
    free_issue,
    key_change,
    last,
    look,
    pay,
    refund,
    replacement,
    recover,
    reprint,
    rules,
    sell,
    statement,
    till,
    trial,
    units,
    verify,
):
    vend.add_command(command)
