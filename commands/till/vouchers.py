"""``*6``: a voucher pays."""

from __future__ import annotations

from dataclasses import replace

import vending
from commands.till import entries
from commands.till.answers import take_answer
from commands.till.counter import Till
from commands.till.keypad import unbroken
from commands.till.notebook import Noted
from commands.till.screen import say, say_fault, show_standing
from commands.till.selling import WAIT, accept_key_change, refused
from vending.errors import VendingError
from vending.shop.faults import KeyChangeOfferedError


def redeem(till: Till) -> None:
    """Ask for meter and PIN, and sell for the voucher's worth.

    Raises:
        VendingError: no such meter, or not now.
    """
    number = ask_meter(till)
    if number is None:
        return
    standing = till.shop.lookup.confirm_meter(number)
    till.customer = standing.meter.number
    show_standing(till, standing)
    if not standing.can_vend:
        return
    pin = _ask_pin(till)
    if pin is None:
        say("Cancelled: the voucher was not taken.")
        return
    _redeem(till, _request(till, till.new_id(), number, pin))


def redeem_again(till: Till, noted: Noted) -> None:
    """Ask once more for a voucher's sale that was begun; its PIN was kept nowhere."""
    pin = _ask_pin(till)
    if pin is not None:
        _redeem(till, _request(till, noted.message_id, noted.meter, pin), again=True)


def _request(till: Till, message_id: str, number: str, pin: vending.Pin) -> vending.RedeemRequest:
    return vending.RedeemRequest(
        client=till.client,
        message_id=message_id,
        meter=number,
        pin=pin,
        operator=till.operator,
        terminal=till.terminal,
    )


def ask_meter(till: Till) -> str | None:
    """A meter's number; Enter is the customer that was there last; None: cancelled.

    Raises:
        CheckDigitError, InvalidValueError: not a meter's number; says what is wrong.
    """
    last = f"Enter: {till.customer}, 0 cancels" if till.customer else "Enter cancels"
    typed = till.keypad.ask(f"Meter  ({last})")
    if typed == "0":
        return None
    return entries.meter_number(typed) if typed else till.customer or None


def _ask_pin(till: Till) -> vending.Pin | None:
    while True:
        typed = till.keypad.secret("Voucher, 16 digits, unseen  (Enter cancels)")
        if not typed:
            return None
        try:
            return vending.Pin(typed)
        except VendingError as fault:
            say_fault(fault)


def _redeem(till: Till, request: vending.RedeemRequest, *, again: bool = False) -> None:
    while True:
        till.notebook.note(Noted.of_voucher(request))
        try:
            with unbroken(WAIT):
                result = till.shop.vouchers.redeem(request)
        except KeyChangeOfferedError as question:
            till.notebook.strike_out()
            if not accept_key_change(till, question):
                return say("Cancelled: the voucher was not taken.")
            request = replace(request, accept_key_change=True)
        except VendingError as fault:
            return refused(till, fault, again=again)
        except KeyboardInterrupt:
            return say("Broken off.", "yellow")
        else:
            return take_answer(till, result)
