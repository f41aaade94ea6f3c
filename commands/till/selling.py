"""From a customer's meter to a receipt."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import vending
from commands.till import entries
from commands.till.answers import take_answer
from commands.till.counter import Till
from commands.till.drawer import open_shift
from commands.till.keypad import unbroken
from commands.till.notebook import Noted
from commands.till.screen import say, say_fault, show_standing, show_trial
from vending.cash.faults import NoShiftError
from vending.errors import FaultFamily, VendingError
from vending.shop.faults import DoubleSaleQuestionError, KeyChangeOfferedError

TENDERS: Final = {
    "1": vending.Tender.CASH,
    "2": vending.Tender.CARD,
    "3": vending.Tender.BANK,
    "4": vending.Tender.WALLET,
}
_CANCELLED: Final = "Cancelled: nothing was sold."
WAIT: Final = "The sale is being made: wait for it. Ctrl-C again breaks off and asks later."


def serve(till: Till, number: str) -> None:
    """Serve a customer.

    Raises:
        VendingError: no such meter, or not now.
    """
    standing = till.shop.lookup.confirm_meter(number)
    till.customer = standing.meter.number
    show_standing(till, standing)
    marks = till.keys.test_marks(standing.meter.attributes()) if standing.can_vend else ()
    if marks:
        say(f"TEST: {' '.join(marks)}", "bold red")
    if not standing.can_vend:
        return
    request = _agreed(till, standing.meter)
    if request is None:
        say(_CANCELLED)
    else:
        sell(till, request)


def sell(till: Till, request: vending.VendRequest, *, again: bool = False) -> None:
    """Note the sale, ask the shop for it, show its answer.

    An outcome that is unknown leaves the note: the till does nothing else before it is settled.

    Args:
        till: where.
        request: what.
        again: it was asked for before, and nobody knows what became of it.
    """
    while True:
        till.notebook.note(Noted.of(request))
        try:
            with unbroken(WAIT):
                result = till.shop.vend(request)
        except DoubleSaleQuestionError as question:
            till.notebook.strike_out()  # a question: nothing was sold, nothing is stored
            say(_without_advice(question), "yellow")
            if not till.keypad.yes("Is this a second purchase?"):
                till.shop.decline_second(request)
                return say(_CANCELLED)
            request = replace(request, confirmed_second=True)
        except KeyChangeOfferedError as question:
            till.notebook.strike_out()
            if not accept_key_change(till, question):
                return say(_CANCELLED)
            request = replace(request, accept_key_change=True)
        except VendingError as fault:
            return refused(till, fault, again=again)
        except KeyboardInterrupt:
            return say("Broken off.", "yellow")
        else:
            take_answer(till, result)
            if not isinstance(result.fault, NoShiftError) or again:
                return None
            # its shift was closed in between: that refusal stands under its id for ever
            way_out = _without_shift(till, replace(request, message_id=till.new_id()))
            agreed = None if way_out is None else _confirmed(till, way_out)
            if agreed is None:
                return say(_CANCELLED)
            request = agreed


def refused(till: Till, fault: VendingError, *, again: bool) -> None:
    """A request got no answer: by a rule, it was not even begun; else who knows.

    Of one that is asked again a rule says nothing: what was asked before may be done.
    """
    say_fault(fault)
    if not again and fault.family is not FaultFamily.SYSTEM:
        till.notebook.strike_out()
        say("Nothing was sold.", "bold")


def accept_key_change(till: Till, question: KeyChangeOfferedError) -> bool:
    """Ask whether the customer takes the key change."""
    say(_without_advice(question), "yellow")
    return till.keypad.yes("Change the key with this sale?")


def _agreed(till: Till, meter: vending.Meter) -> vending.VendRequest | None:
    """Amount and tender as the clerk confirmed them; None: cancelled."""
    message_id = till.new_id()
    money = till.shop.utility.currency
    while True:
        typed = till.keypad.ask(f"Amount {money.code}  (+ or * units, Enter cancels)")
        if not typed:
            return None
        try:
            wanted = entries.bought(typed, money)
            request = vending.VendRequest(
                client=till.client,
                message_id=message_id,
                meter=meter.number,
                amount_minor=wanted.amount_minor,
                units=wanted.units,
                operator=till.operator,
                terminal=till.terminal,
            )
            return _confirmed(till, request)
        except VendingError as fault:
            say_fault(fault)


def _confirmed(till: Till, request: vending.VendRequest) -> vending.VendRequest | None:
    """Show the trial until it is what the clerk wants; None: cancelled.

    Raises:
        VendingError: it would be refused.
    """
    while True:
        try:
            offered = till.shop.trial_request(request)
        except KeyChangeOfferedError as question:
            if not accept_key_change(till, question):
                return None
            request = replace(request, accept_key_change=True)
            continue
        except NoShiftError as fault:
            say_fault(fault)
            way_out = _without_shift(till, request)
            if way_out is None:
                return None
            request = way_out
            continue
        show_trial(till, offered)
        answer = _answer(till, request)
        if answer is None or answer is request:
            return answer
        request = answer


def _without_shift(till: Till, request: vending.VendRequest) -> vending.VendRequest | None:
    """Cash, and no shift: the same sale with one, or by another tender; None: cancel."""
    others = "  ".join(
        f"{key} {each.value}" for key, each in TENDERS.items() if each is not vending.Tender.CASH
    )
    while True:
        typed = till.keypad.ask(f"*3 opens your shift  {others}  0 cancels", fresh=True)
        if typed == "0":
            return None
        if typed == "*3":
            try:
                open_shift(till)
            except VendingError as fault:
                say_fault(fault)
                continue
            return request
        if typed in TENDERS and TENDERS[typed] is not vending.Tender.CASH:
            return _paid_by(request, TENDERS[typed])


def _paid_by(request: vending.VendRequest, tender: vending.Tender) -> vending.VendRequest:
    """The same sale by another tender; what was given for units is asked for anew."""
    amount = None if request.units is not None else request.amount_minor
    return replace(request, tender=tender, amount_minor=amount)


def _answer(till: Till, request: vending.VendRequest) -> vending.VendRequest | None:
    """The request itself: sell; another: try that; None: cancel."""
    others = "  ".join(f"{key} {each.value}" for key, each in TENDERS.items())
    by_units_in_cash = request.units is not None and request.tender is vending.Tender.CASH
    given = "  + what the customer gives" if by_units_in_cash else ""
    say(f"{others}{given}", "dim")
    while True:
        prompt = f"Enter SELLS for {request.tender.value.upper()}, 0 cancels"
        typed = till.keypad.ask(prompt, fresh=True)
        if not typed:
            return request
        if typed == "0":
            return None
        if typed in TENDERS:
            return _paid_by(request, TENDERS[typed])
        if typed.startswith("+") and by_units_in_cash:
            try:
                amount = entries.amount(typed[1:], till.shop.utility.currency)
                tried = replace(request, amount_minor=amount)
                till.shop.trial_request(tried)
            except VendingError as fault:
                say_fault(fault)
                continue
            return tried
        say("Enter sells, 0 cancels.")


def _without_advice(question: VendingError) -> str:
    """What happened, without what a program should do about it."""
    return str(question).partition(" Ask whether ")[0]
