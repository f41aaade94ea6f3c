"""``*3``, ``*4``, ``*5``: the drawer's day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

import vending
from commands.output import console
from commands.till import entries
from commands.till.answers import print_text
from commands.till.counter import Till
from commands.till.screen import say, say_fault
from vending.errors import VendingError

if TYPE_CHECKING:
    from vending.cash.reckoning import Count, Reckoned

_REASONS: Final = {
    "1": "wrong change given",
    "2": "counted wrong",
    "3": "not known",
}


def open_shift(till: Till) -> None:
    """Open the clerk's shift with the change that is in the drawer.

    Raises:
        VendingError: there is one, or the clerk may not.
    """
    money = till.shop.utility.currency
    float_minor = _ask_amount(till, f"Change in the drawer {money.code}  (0: none, Enter cancels)")
    if float_minor is None:
        say("Cancelled: no shift was opened.")
        return
    opened = till.shop.shifts.open(
        operator=till.operator, terminal=till.terminal, float_minor=float_minor
    )
    say(f"Shift {opened.batch_id} is open.", "green")


def close_shift(till: Till) -> None:
    """Count blindly, see what was expected, say why it differs, close.

    Raises:
        VendingError: there is no shift, or it cannot close.
    """
    from vending.cash.batch_text import batch_text
    from vending.cash.batches import BatchState

    shifts = till.shop.shifts
    shift = shifts.current(operator=till.operator, terminal=till.terminal)
    if shift.state is BatchState.OPEN:
        counted = _ask_count(till)
        if counted is None:
            say("Cancelled: the shift stays open.")
            return
        reckoned = shifts.count(shift.batch_id, counted, operator=till.operator)
    else:
        say(f"Shift {shift.batch_id} was counted before.")
        reckoned = shifts.expected(shift.batch_id, operator=till.operator)
    _show_reckoned(till, reckoned)
    reasons = _ask_reasons(till, reckoned)
    if reasons is None:
        say("The count is stored; the shift waits for its reasons: *4 goes on.", "yellow")
        return
    report = shifts.close(shift.batch_id, reasons, operator=till.operator)
    print_text(till, batch_text(report.data(), report.copy_no))


def show_balance(till: Till) -> None:
    """What the drawer should hold.

    Raises:
        PermissionDeniedError: before the count it is for supervisors.
        NoShiftError: there is no shift.
    """
    shift = till.shop.shifts.current(operator=till.operator, terminal=till.terminal)
    reckoned = till.shop.shifts.expected(shift.batch_id, operator=till.operator)
    money = till.shop.utility.currency
    table = Table("", money.code, box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for each in reckoned:
        table.add_row(each.tender, money.text(each.expected_minor))
    console.print(f"Shift {shift.batch_id}: the drawer should hold", markup=False)
    console.print(table)


def _ask_count(till: Till) -> Count | None:
    from vending.cash.reckoning import Count

    say("Count first; what was expected is shown afterwards. Ctrl-C cancels.")
    money = till.shop.utility.currency
    cash = _ask_amount(till, f"Cash counted {money.code}  (Enter cancels)")
    if cash is None:
        return None
    amounts = {vending.Tender.CASH.value: cash}
    for tender in vending.Tender:
        if tender is not vending.Tender.CASH:
            prompt = f"{tender.value.capitalize()} slips {money.code}  (Enter: none)"
            amount = _ask_amount(till, prompt)
            if amount:
                amounts[tender.value] = amount
    return Count(amounts)


def _ask_reasons(till: Till, reckoned: tuple[Reckoned, ...]) -> dict[str, str] | None:
    """Why each tender differs; None when the clerk does not know yet."""
    money = till.shop.utility.currency
    reasons = {}
    choices = "  ".join(f"{key} {text}" for key, text in _REASONS.items())
    for each in reckoned:
        if each.difference_minor:
            say(f"{each.tender} is {each.words(money)}.", "bold yellow")
            say(f"{choices}  or type it", "dim")
            typed = till.keypad.ask("Why  (Enter: later)")
            if not typed:
                return None
            reasons[each.tender] = _REASONS.get(typed, typed)
    return reasons


def _ask_amount(till: Till, prompt: str) -> int | None:
    while True:
        typed = till.keypad.ask(prompt)
        if not typed:
            return None
        try:
            return entries.amount(typed, till.shop.utility.currency)
        except VendingError as fault:
            say_fault(fault)


def _show_reckoned(till: Till, reckoned: tuple[Reckoned, ...]) -> None:
    money = till.shop.utility.currency
    table = Table("", "counted", "expected", "difference", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for each in reckoned:
        amounts = (each.counted_minor, each.expected_minor, each.difference_minor)
        table.add_row(each.tender, *map(money.text, amounts))
    console.print(table)
