"""What the till shows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from commands.output import Fault, console
from vending.shop.money import scaled

if TYPE_CHECKING:
    from commands.till.counter import Till
    from vending import Receipt, Standing, TrialVend
    from vending.cash.batches import Batch

HELP: Final = (
    ("digits", "a meter's number: sell to it (11 or 13 digits, or a card's 18)"),
    ("/text", "find a meter by account, identity number, name, place"),
    ("*1", "show the last sale of this till"),
    ("*2", "reprint a receipt, marked COPY"),
    ("*3", "open your shift"),
    ("*4", "close your shift: count first, then see what was expected"),
    ("*5", "what the drawer should hold (before the count: supervisors)"),
    ("*6", "redeem a voucher"),
    ("*7", "verify a token: is it this meter's, was it sold here"),
    ("*9", "ask again about a sale whose outcome is unknown"),
    ("*0", "leave the till"),
)
_AT_THE_AMOUNT: Final = (
    ("100", "for so much money"),
    ("+50 or *50", "so many units"),
    ("Enter", "cancel"),
)
_AT_THE_SALE: Final = (
    ("Enter", "sell"),
    ("1 2 3 4", "paid by cash, card, bank, wallet"),
    ("+200", "units in cash: so much was given, show the change"),
    ("0", "cancel"),
)


def say(text: str, style: str = "") -> None:
    """A sentence on lines of its own."""
    console.print(text, style=style, markup=False)


def say_fault(fault: Fault) -> None:
    """A refusal, or what is wrong, with its code."""
    line = Text()
    line.append("✗ ", "bold red")
    line.append(str(fault))
    line.append(f"  [{fault.code}]", "dim")
    console.print(line)


def show_status(till: Till, *, has_test_keys: bool) -> None:
    """Who stands here, and which keys there are; one line where it fits, else two."""
    shift = till.shift()
    facts = _facts(till, shift)
    mark = " TEST KEYS " if has_test_keys else ""
    keys = _keys(till, shift)
    width = shutil.get_terminal_size().columns
    console.print()
    line = Text(" " + facts + " ", "reverse")
    if mark:
        line.append(mark, "bold reverse red")
    hints = " ".join(keys)
    if len(line) + 2 + len(hints) > width:
        console.print(line, overflow="ellipsis", no_wrap=True)
        while len(hints) > width and len(keys) > 1:
            del keys[-2]  # help stays
            hints = " ".join(keys)
        console.print(Text(hints, "dim"), overflow="ellipsis", no_wrap=True)
    else:
        line.append(f"  {hints}", "dim not reverse")
        console.print(line, overflow="ellipsis", no_wrap=True)


def _facts(till: Till, shift: Batch | None) -> str:
    from vending.cash.batches import BatchState

    if shift is None:
        needed = till.shop.shifts.required()
        where = "no shift: cash needs one, *3" if needed else "no shift"
    else:
        sales = till.shop.shifts.sales_count(shift.batch_id)
        counted = " COUNTED, *4 closes" if shift.state is BatchState.COUNTED else ""
        where = f"shift {shift.batch_id}{counted} | {sales} sale{'' if sales == 1 else 's'}"
    return " | ".join(
        part
        for part in (where, till.operator, till.terminal and f"terminal {till.terminal}")
        if part
    )


def _keys(till: Till, shift: Batch | None) -> list[str]:
    drawer = ["*3 open"] if shift is None else ["*4 close", "*5 drawer"]
    again = ["*9 again"] if till.notebook.noted is not None else []
    return [
        *("*1 last", "*2 copy", *drawer, "*6 voucher", "*7 verify", *again, "*0 leave"),
        "** help",
    ]


def show_help() -> None:
    """All keys."""
    for title, keys in (
        ("At the meter number", HELP),
        ("At the amount", _AT_THE_AMOUNT),
        ("Before the sale", _AT_THE_SALE),
    ):
        console.print(title, style="bold")
        table = _table()
        for key, meaning in keys:
            table.add_row(Text(f"  {key}"), Text(meaning))
        console.print(table)


def show_standing(till: Till, standing: Standing) -> None:
    """Who it is, what was bought last, what is owed, and what is wrong with the key."""
    meter, money = standing.meter, till.shop.utility.currency
    table = _table()
    for label, text in (
        ("Customer", meter.customer or "(no name)"),
        ("Location", meter.location),
        ("Account", meter.account),
        ("Meter", f"{meter.number}  {meter.resource.label}"),
        ("Last purchase", _last_purchase(till, standing)),
    ):
        if text:
            bold = "bold" if label == "Customer" else ""
            table.add_row(Text(label), Text(text, bold))
    for debt in standing.debts:
        owed = f"{money.code} {money.text(debt.left_minor)}  {debt.name}"
        table.add_row(Text("Owes"), Text(owed, "yellow"))
    if standing.free_basic_due:
        free = f"{scaled(standing.free_basic_due, 1)} {meter.resource.measure} this month"
        table.add_row(Text("Free units due"), Text(free))
    for label, text in _key_warnings(standing):
        table.add_row(Text(label), Text(text, "yellow"))
    console.print(table)
    if standing.why_not is not None:
        say_fault(standing.why_not)


def _last_purchase(till: Till, standing: Standing) -> str:
    last, money = standing.last_purchase, till.shop.utility.currency
    if last is None:
        return "none yet"
    at = till.shop.utility.local(last.at)
    bought = f"{scaled(last.units, 1)} {standing.meter.resource.measure}"
    paid = f"{money.code} {money.text(last.tendered_minor)}"
    return f"{at:%Y-%m-%d %H:%M}  {bought} for {paid}  (receipt {last.receipt_no})"


def _key_warnings(standing: Standing) -> list[tuple[str, str]]:
    key = standing.key
    warnings = []
    if key.base_date_ended:
        warnings.append("its base date has ended: the key must be changed")
    elif key.is_outdated:
        warnings.append("outdated: it is due to be changed")
    elif key.ends_soon:
        warnings.append(f"ends on {key.ends:%Y-%m-%d}: change it before then")
    if key.change_state == "issued":
        warnings.append("a key change was given out and is not confirmed yet")
    return [("Key", text) for text in warnings]


def show_trial(till: Till, offered: TrialVend) -> None:
    """What the sale would be, line by line."""
    quote, money, meter = offered.quote, till.shop.utility.currency, offered.meter
    table = _table()
    table.columns[1].justify = "right"
    for line in quote.lines:
        what = f"{line.kind.value.capitalize()}  {line.explanation}"
        table.add_row(Text(what), Text(money.text(line.amount_minor)))
    paid = f"{money.code} {money.text(quote.tendered_minor)}"
    table.add_row(Text("Customer gives", "bold"), Text(paid, "bold"))
    units = f"{scaled(quote.units, 1)} {meter.resource.measure}"
    table.add_row(Text(f"{meter.resource.label} for {meter.customer}", "bold"), Text(units, "bold"))
    console.print(table)
    if offered.new_key is not None:
        say(
            f"With a key change to revision {offered.new_key.krn}: the customer enters all tokens, "
            "in the order of the receipt.",
            "yellow",
        )


def show_change(receipt: Receipt) -> None:
    """What goes back to the customer, where nobody overlooks it."""
    import vending

    payment = receipt.payment
    if payment is None or not payment.change_minor:
        return
    money = vending.Currency(payment.currency, payment.minor_digits)
    say(f"CHANGE  {money.code} {money.text(payment.change_minor)}", "bold reverse")


def _table() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    return table
