"""The till's loop: a line, what it means, and the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from commands.output import EXIT_OUTCOME_UNKNOWN
from commands.till import drawer, entries, looking, vouchers
from commands.till.counter import LeaveTillError, Till
from commands.till.keypad import EndOfInputError
from commands.till.notebook import TillNoteError
from commands.till.screen import say, say_fault, show_help, show_status
from commands.till.selling import serve
from commands.till.settling import describe, settle
from vending.errors import VendingError

_ORDERS: Final[Mapping[str, Callable[[Till], None]]] = {
    "*1": looking.show_last,
    "*2": looking.reprint,
    "*3": drawer.open_shift,
    "*4": drawer.close_shift,
    "*5": drawer.show_balance,
    "*6": vouchers.redeem,
    "*7": looking.verify,
}


def run(till: Till, *, has_test_keys: bool) -> int:
    """Serve customers until the clerk leaves; gives the exit status."""
    noted = till.notebook.noted
    try:
        if noted is not None:
            say(
                f"This till was stopped in a sale: {describe(till, noted)} Asking about it first.",
                "bold yellow",
            )
            settle(till, at_once=True)
        with_status = True
        while True:
            with_status = _once(till, has_test_keys=has_test_keys, with_status=with_status)
    except (LeaveTillError, EndOfInputError, KeyboardInterrupt):
        return _leave(till)


def _once(till: Till, *, has_test_keys: bool, with_status: bool) -> bool:
    """One customer, or one order; gives whether the status is worth a line before the next.

    Raises:
        LeaveTillError, EndOfInputError, KeyboardInterrupt: the clerk leaves.
    """
    if till.notebook.noted is not None:
        settle(till, at_once=False)
    if with_status:
        _show_status(till, has_test_keys=has_test_keys)
    typed = till.keypad.ask("Meter")
    if typed == "*0":
        raise LeaveTillError
    try:
        return _obey(till, typed)
    except (VendingError, TillNoteError) as fault:
        say_fault(fault)
        return False
    except KeyboardInterrupt:
        say("\nCancelled.")
        return True


def _show_status(till: Till, *, has_test_keys: bool) -> None:
    try:
        show_status(till, has_test_keys=has_test_keys)
    except VendingError as fault:
        say_fault(fault)


def _obey(till: Till, typed: str) -> bool:
    """Do what was typed; gives whether it was anything."""
    if typed == "**":
        show_help()
    elif typed in _ORDERS:
        _ORDERS[typed](till)
    elif entries.is_search(typed):
        _serve_found(till, typed)
    elif wrong := _wrong(typed):
        say(wrong, "yellow")
        return False
    elif typed:
        serve(till, entries.meter_number(typed))
    return True


def _wrong(typed: str) -> str | None:
    """Why it is neither an order nor a meter, where that can be told at once."""
    if typed == "*9":
        return "No outcome is unknown at this till."
    if typed.startswith("*"):
        return f"There is no key {typed}; ** shows them."
    return entries.hint(typed)


def _serve_found(till: Till, typed: str) -> None:
    number = looking.find(till, typed)
    if number is not None:
        serve(till, number)


def _leave(till: Till) -> int:
    noted = till.notebook.noted
    if noted is not None:
        say(
            f"\nStill UNKNOWN: {describe(till, noted)} This till asks again when it starts.", "bold"
        )
        return EXIT_OUTCOME_UNKNOWN
    try:
        shift = till.shift()
    except VendingError:
        shift = None
    rest = "" if shift is None else f" Shift {shift.batch_id} is not closed yet."
    say(f"\nThe till is left.{rest}")
    return 0
