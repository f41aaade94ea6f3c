"""The group's own manner: an amount without a command is a sale, nothing at all is the till."""

from __future__ import annotations

from typing import Final

import click

SELL: Final = "sell"
TILL: Final = "till"


class TillGroup(click.Group):
    """A group that sells when no command is named: ``meterhouse vend METER AMOUNT``.

    Alone it is the till.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = [TILL]
        elif args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [SELL, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[METER AMOUNT [OPTIONS]  |  COMMAND [ARGS]...]"]
