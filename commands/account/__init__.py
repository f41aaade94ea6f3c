"""``meterhouse account``: customers' accounts, from application to refund."""

from __future__ import annotations

import click

from commands.account.changing import approve, change, changes, contact, refuse, withdraw
from commands.account.closing import close, closings, rules
from commands.account.looking import list_, search, show
from commands.account.opening import apply, check, import_, reject, sign
from commands.account.supplying import supply

__all__ = ["account"]


@click.group()
def account() -> None:
    """Accounts: apply, check, sign, show, list, search, change, contact, supply, close, import.

    An account is applied for, checked and signed for, and is active when its deposit is paid.
    Changes take a second person. Names and numbers of people are shown masked; --open REASON
    shows them in full and leaves a line in the audit trail.
    """


for _command in (
    apply,
    approve,
    change,
    changes,
    check,
    close,
    closings,
    contact,
    import_,
    list_,
    refuse,
    reject,
    rules,
    search,
    show,
    sign,
    supply,
    withdraw,
):
    account.add_command(_command)
