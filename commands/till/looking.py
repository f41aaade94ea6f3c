"""``*1``, ``*2``, ``*7`` and the search: what was given out, to whom, and what it is."""

from __future__ import annotations

import vending
from commands.till.answers import print_receipt, show_receipt
from commands.till.counter import Till
from commands.till.screen import say
from commands.till.vouchers import ask_meter

_FOUND_MAX = 9


def show_last(till: Till) -> None:
    """The last sale of this till, on the screen.

    Raises:
        VendingError: it cannot be looked up.
    """
    last = till.notebook.last
    if last is None:
        say("Nothing was sold at this till yet.")
        return
    answer = till.shop.last_response(last.client, last.message_id)
    if answer.reversed_by is not None:
        say(f"Receipt {last.receipt_no} was reversed by receipt {answer.reversed_by}.", "yellow")
        return
    show_receipt(till, answer.require_done())


def reprint(till: Till) -> None:
    """A numbered copy of a receipt.

    Raises:
        VendingError: no such receipt, or it was reversed.
    """
    last = till.notebook.last
    either = "Enter cancels" if last is None else f"Enter: {last.receipt_no}, 0 cancels"
    typed = till.keypad.ask(f"Receipt number  ({either})")
    if typed == "0" or (not typed and last is None):
        return
    if typed and not (typed.isascii() and typed.isdigit()):
        say("A receipt's number has digits only.")
        return
    receipt_no = int(typed) if typed else last.receipt_no if last is not None else 0
    print_receipt(till, till.shop.reprint(receipt_no, operator=till.operator))


def verify(till: Till) -> None:
    """Whether a token is a meter's, and was sold here.

    Raises:
        VendingError: no such meter, or not a token.
    """
    number = ask_meter(till)
    if number is None:
        return
    typed = till.keypad.ask("Token, 20 digits  (Enter cancels)")
    if not typed:
        return
    verified = till.shop.verify_token(number, typed)
    content = verified.decoded.content
    if content is None:
        say("Not for this meter: mistyped, or made for another meter or key.", "yellow")
    else:
        say(f"Good for this meter: {content.name}.", "green")
    if verified.receipt_no is not None:
        say(f"Given out here on receipt {verified.receipt_no}.")


def find(till: Till, typed: str) -> str | None:
    """The number of a meter that is looked for by account, identity number, name or place.

    Raises:
        VendingError: too few characters.
    """
    found = till.shop.lookup.find(typed.removeprefix("/"), limit=_FOUND_MAX + 1)
    if not found:
        say("Nobody was found.")
        return None
    for place, each in enumerate(found[:_FOUND_MAX], 1):
        say(f"{place}  {_line(each)}")
    if len(found) > _FOUND_MAX:
        say("There are more: say more of the name.", "yellow")
    while True:
        chosen = till.keypad.ask("Which  (Enter cancels)")
        if not chosen:
            return None
        if chosen in {str(place) for place in range(1, min(len(found), _FOUND_MAX) + 1)}:
            return found[int(chosen) - 1].number


def _line(each: vending.FoundMeter) -> str:
    blocked = "BLOCKED" if each.is_blocked else ""
    parts = (each.number, each.customer, each.account, each.location, blocked)
    return "  ".join(part for part in parts if part)
