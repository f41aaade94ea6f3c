"""A sale whose outcome nobody at the till knows: one thing is allowed, to ask again."""

from __future__ import annotations

from contextlib import suppress

import vending
from commands.till.answers import take_answer, void
from commands.till.counter import LeaveTillError, Till
from commands.till.notebook import Noted, Paid
from commands.till.screen import say, say_fault
from commands.till.selling import sell
from commands.till.vouchers import redeem_again
from vending.errors import VendingError
from vending.shop.faults import MessageConflictError, OutcomeUnknownError, UnknownMessageError
from vending.shop.money import scaled


def settle(till: Till, *, at_once: bool) -> None:
    """Ask about the noted sale until it is known how it ended.

    Args:
        till: with a noted sale.
        at_once: ask before waiting for Enter.

    Raises:
        LeaveTillError: the clerk leaves; the note stays for the next start.
        EndOfInputError, KeyboardInterrupt: the same, without manners.
    """
    noted = till.notebook.noted
    while noted is not None:
        if not at_once:
            _wait(till, noted)
        at_once = False
        _ask(till, noted)
        noted = till.notebook.noted


def _wait(till: Till, noted: Noted) -> None:
    say(f"The outcome of a sale is UNKNOWN: {describe(till, noted)}", "bold yellow")
    say("Nothing else is sold here before it is known.", "yellow")
    while True:
        typed = till.keypad.ask("Enter asks again  (*0 leaves the till)", fresh=True)
        if typed in ("", "*9"):
            return
        if typed == "*0":
            raise LeaveTillError
        say("Only this: Enter asks again.")


def _ask(till: Till, noted: Noted) -> None:
    try:
        result = till.shop.last_response(noted.client, noted.message_id)
    except UnknownMessageError:
        _not_sold(till, noted)
    except OutcomeUnknownError as fault:  # begun and not ended: the same request goes on with it
        say_fault(fault)
        _go_on(till, noted)
    except VendingError as fault:
        say_fault(fault)
    else:
        take_answer(till, result)


def _go_on(till: Till, noted: Noted) -> None:
    if noted.paid is Paid.VOUCHER:
        redeem_again(till, noted)
    else:
        sell(till, noted.request(operator=till.operator, terminal=till.terminal), again=True)


def _not_sold(till: Till, noted: Noted) -> None:
    """The shop has never heard of it."""
    say("The shop has not sold it.", "bold yellow")
    if noted.paid is Paid.VOUCHER:
        till.notebook.strike_out()
        say("The voucher was not taken: *6 redeems it.")
        return
    request = noted.request(operator=till.operator, terminal=till.terminal)
    if till.keypad.yes("Sell it now?"):
        sell(till, request, again=True)
    else:
        _let_go(till, request)


def _let_go(till: Till, request: vending.VendRequest) -> None:
    try:
        result = void(till, request)
    except MessageConflictError:
        say("It was sold in between.", "yellow")
        return  # what is noted is asked about once more
    except VendingError as fault:
        say_fault(fault)
        return
    if result.outcome is vending.Outcome.FAILED:
        till.notebook.strike_out()
        say("Let go: nothing was sold, and under its message id nothing ever will be.")


def describe(till: Till, noted: Noted) -> str:
    """Which sale it is, for the clerk."""
    who = noted.meter
    with suppress(VendingError):
        who = f"{noted.meter} {till.shop.meter(noted.meter).customer}".strip()
    return f"{_bought(till, noted)} for meter {who}, message id {noted.message_id}."


def _bought(till: Till, noted: Noted) -> str:
    money = till.shop.utility.currency
    if noted.paid is Paid.VOUCHER:
        return "a voucher"
    if noted.units is not None:
        return f"{scaled(noted.units, 1)} units"
    return f"{money.code} {money.text(noted.amount_minor or 0)}"
