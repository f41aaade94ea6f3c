"""``meterhouse bill``: bills made, shown, printed, sent, withdrawn; fees; late fees; texts."""

from __future__ import annotations

import click

from commands.bill.fees import fee
from commands.bill.late_fees import late_fee
from commands.bill.making import run
from commands.bill.printing import print_, ways
from commands.bill.showing import list_, send, show
from commands.bill.texts import text
from commands.bill.withdrawing import withdraw


@click.group()
def bill() -> None:
    """Bills: make, show, print, send, withdraw; fees and late fees (docs/bills.md)."""


for _command in (run, list_, show, print_, send, withdraw, fee, late_fee, text, ways):
    bill.add_command(_command)
