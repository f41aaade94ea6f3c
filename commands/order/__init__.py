"""``meterhouse order``: commands to meters that are kept, ruled, sent once and read back."""

from __future__ import annotations

import click

from commands.order.giving import (
    balance,
    clock,
    keep_power,
    recharge,
    relay,
    tariff,
    token,
    write,
)
from commands.order.looking import approve, cancel, list_, policy, settle, show, wait

__all__ = ["order"]


@click.group()
def order() -> None:
    """Orders to meters: relay, token, recharge, clock, write, balance; list, approve, cancel.

    An order is kept in the database and sent by `meterhouse serve`, or with --now by this very
    command. It is sent once; then the meter is read, and the order ends as done, failed or
    unknown. Disconnects wait for their windows, and keep-power orders forbid them.
    """


for _command in (
    approve,
    balance,
    cancel,
    clock,
    keep_power,
    list_,
    policy,
    recharge,
    relay,
    settle,
    show,
    tariff,
    token,
    wait,
    write,
):
    order.add_command(_command)
