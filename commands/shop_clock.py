"""``meterhouse clock``: is the shop's clock far ahead, and who says that it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from commands.counter import database_option, open_shop, operator_option
from commands.output import EXIT_CHECK_FAILED, console, json_option, print_json
from commands.vend.options import yes_option

if TYPE_CHECKING:
    from vending import Utility
    from vending.shop.clock import ClockStanding


@click.group()
def clock() -> None:
    """The shop's own clock; a meter's is `meterhouse time`.

    A clock that is far ahead of the latest receipt gives out nothing: it would use up years of
    the meters' token identifiers.
    """


@clock.command()
@database_option
@json_option
@click.pass_context
def show(ctx: click.Context, database: str, as_json: bool) -> None:
    """Show the clock beside the latest receipt; exit status 1 when it is far ahead."""
    with open_shop(database) as shop:
        standing, utility = shop.clock.show(), shop.utility
    _print(standing, utility, as_json=as_json)
    ctx.exit(EXIT_CHECK_FAILED if standing.is_far_ahead else 0)


@clock.command()
@click.option("--reason", required=True, help="By what it was seen, for the audit trail.")
@yes_option
@operator_option
@database_option
@json_option
def accept(reason: str, yes: bool, operator: str, database: str, as_json: bool) -> None:
    """Say that the clock is right, though the latest receipt is long ago.

    Look at another clock first: what is given out with a wrong one cannot be taken back.
    """
    with open_shop(database) as shop:
        if not (yes or as_json):
            now = f"{shop.utility.local(shop.clock.show().now):%A %Y-%m-%d %H:%M}"
            click.confirm(f"Is it {now} ({shop.utility.zone})?", abort=True, err=True)
        standing = shop.clock.accept(reason, operator=operator)
        _print(standing, shop.utility, as_json=as_json)


def _print(standing: ClockStanding, utility: Utility, *, as_json: bool) -> None:
    seen = standing.seen
    if as_json:
        print_json(
            {
                "now": standing.now.isoformat(),
                "seen": None if seen is None else seen.isoformat(),
                "ahead_max_h": int(standing.ahead_max.total_seconds()) // 3_600,
                "is_far_ahead": standing.is_far_ahead,
            }
        )
        return
    console.print(f"The clock says {utility.local(standing.now):%Y-%m-%d %H:%M} ({utility.zone}).")
    if seen is None:
        console.print("Nothing was given out here yet: there is nothing to compare with.")
        return
    at = f"{utility.local(seen):%Y-%m-%d %H:%M}"
    console.print(f"The latest receipt, or the latest clock that was accepted, is of {at}.")
    if standing.is_far_ahead:
        console.print(
            "That is far ahead: nothing is given out before the clock is put right, or accepted "
            "(meterhouse clock accept)."
        )
