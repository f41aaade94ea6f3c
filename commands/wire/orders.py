"""How orders end for whoever gave them: printed, and as an exit status."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from rich.text import Text

from commands.output import (
    EXIT_OUTCOME_UNKNOWN,
    EXIT_REFUSED,
    console,
    error_console,
    print_json,
)
from commands.wire.showing import known
from protocols.outcomes import Outcome

_T = TypeVar("_T")

_STATUS: Final = {
    Outcome.DONE: 0,
    Outcome.FAILED: EXIT_REFUSED,
    Outcome.UNKNOWN: EXIT_OUTCOME_UNKNOWN,
}
_STYLE: Final = {Outcome.DONE: "green", Outcome.FAILED: "red", Outcome.UNKNOWN: "yellow"}


def give(order: Coroutine[Any, Any, _T]) -> _T:
    """Carry out an order; an interrupted one is said to be in doubt.

    Raises:
        SystemExit: it was interrupted; status 6.
    """
    try:
        return asyncio.run(order)
    except KeyboardInterrupt:
        error_console.print(
            "Interrupted: whether the meter has got the order is not known. Read its state."
        )
        raise SystemExit(EXIT_OUTCOME_UNKNOWN) from None


def finish(outcome: Outcome, text: str, details: Mapping[str, Any], *, as_json: bool) -> int:
    """Print how an order ended, and give the exit status.

    Args:
        outcome: done, failed or unknown.
        text: for a person.
        details: for both; what is None is left out.
    """
    if as_json:
        print_json({"outcome": outcome.value, "text": text} | known(details))
        return _STATUS[outcome]
    console.print(Text(outcome.value, f"bold {_STYLE[outcome]}").append(f"  {text}", "not bold"))
    for name, value in known(details).items():
        shown = "yes" if value is True else "no" if value is False else value
        if isinstance(shown, list):
            shown = ", ".join(map(str, shown)) or "none"
        console.print(Text(f"  {name.replace('_', ' ')}: ", "dim").append(str(shown), "default"))
    return _STATUS[outcome]
