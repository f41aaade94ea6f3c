"""What every request at the counter shares: its options, its message id, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import json_option
from commands.receipt_output import ReceiptOutput, receipt_options
from commands.vend.answers import announce, show_result
from commands.vend.options import id_of, request_options

if TYPE_CHECKING:
    from vending import Shop, VendResult

_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    receipt_options,
    json_option,
    database_option,
    terminal_option,
    operator_option,
    request_options,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, under which id, at which shop, and where the receipt goes."""

    message_id: str
    client: str
    operator: str
    terminal: str
    database: str
    as_json: bool
    receipt_output: ReceiptOutput

    def who(self) -> dict[str, Any]:
        """The fields that each request has, by name."""
        return {
            "client": self.client,
            "message_id": self.message_id,
            "operator": self.operator,
            "terminal": self.terminal,
        }

    def answer(
        self,
        ask: Callable[[Shop], VendResult],
        *,
        before: Callable[[Shop], None] | None = None,
        keys_now: bool = False,
    ) -> None:
        """Tell the message id, ask the shop, print its answer; ends the command with its status.

        Args:
            ask: asks the shop.
            before: what has to be agreed first; it may break the command off.
            keys_now: the answer may hold tokens, see `open_shop`.
        """
        with open_shop(self.database, keys_now=keys_now) as shop:
            if before is not None:
                before(shop)
            announce(self.message_id)
            result = ask(shop)
            status = show_result(
                shop,
                result,
                as_json=self.as_json,
                receipt_output=self.receipt_output,
                operator=self.operator,
            )
        click.get_current_context().exit(status)


def asks_shop(command: _Command) -> Callable[..., Any]:
    """Give a command the options of a request; it gets them as one value, ``asked``."""

    @wraps(command)
    def with_asked(*args: Any, message_id: str | None, **named: Any) -> Any:
        fields = {
            name: named.pop(name)
            for name in ("client", "operator", "terminal", "database", "as_json", "receipt_output")
        }
        return command(*args, asked=Asked(id_of(message_id), **fields), **named)

    collected: Callable[..., Any] = with_asked
    for option in _OPTIONS:
        collected = option(collected)
    return collected
