"""Questions by text message, answered in one.

=====================  ============================================
``BAL number``         what is on the account, what is overdue
``PAY number``         the last payment
``TOK number``         the last token of its meter
``USE number``         energy of the last 30 days
``DUE number``         what is overdue, what is due next and when
``TOP number PIN``     pay a voucher onto it
``HELP``               this
=====================  ============================================

The number is an account's or a meter's; behind it may stand the last four digits of a telephone
that the account knows, for who writes from another one.  Case does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from billing.faults import BillingError, UnknownAccountError
from billing.office import Office
from billing.payments.faults import NotProvenError, TooManyAsksError
from billing.payments.self_service import Caller, SelfService
from vending.errors import FaultFamily, VendingError
from vending.vouchers.faults import (
    TooManyVoucherTriesError,
    VoucherPinError,
    VoucherUnknownError,
    VoucherUsedError,
)
from vending.vouchers.pins import PIN_DIGITS, Pin

LENGTH_MAX: Final = 160
_HELP: Final = (
    "Send BAL, PAY, TOK, USE or DUE and your account number; or TOP, the number and a voucher's "
    "16 digits. From another phone add the last 4 digits of yours."
)
_LATER: Final = "We cannot answer now. Please try again later."
_SAID: Final[dict[type[Exception], str]] = {
    UnknownAccountError: "No account or meter has this number. Look at your bill again.",
    NotProvenError: "This phone is not known for the account: add the last 4 digits of one that "
    "is, behind the account number.",
    TooManyAsksError: "Too many questions. Please wait an hour.",
    TooManyVoucherTriesError: "Too many wrong voucher numbers. Please wait an hour.",
    VoucherPinError: "This is no voucher number: it has 16 digits. Compare it digit by digit.",
    VoucherUnknownError: "No voucher has this number. Compare it digit by digit.",
    VoucherUsedError: "This voucher has paid before.",
}
_OTHER: Final = "The voucher does not pay. Please bring it to our office."


@dataclass(frozen=True, slots=True)
class Ask:
    """What a text asks for."""

    word: str
    number: str
    rest: str
    """A PIN, or the last four digits of a telephone; empty: neither."""

    def __repr__(self) -> str:
        return f"Ask({self.word}, {self.number})"


def parse(text: str) -> Ask | None:
    """What a text asks; None: nothing that is understood.

    The digits of a PIN may be in groups.
    """
    words = text.upper().split()
    if len(words) < 2 or words[0] not in (*_ANSWERS, "TOP"):
        return None
    word, number, rest = words[0], words[1].replace("-", ""), "".join(words[2:])
    rest = rest.replace("-", "")
    if not (_are_digits(number) and (not rest or _are_digits(rest))):
        return None
    wanted = PIN_DIGITS if word == "TOP" else 4
    if len(rest) != wanted and (rest or word == "TOP"):
        return None
    return Ask(word, number, rest)


def answer(office: Office, sender: str, text: str) -> str:
    """Answer a text message, in at most 160 characters; it never raises what a customer caused.

    Args:
        office: the office.
        sender: the telephone number that the network names.
        text: what was written.
    """
    ask = parse(text[:1_000])
    if ask is None:
        return _HELP
    service = SelfService(office)
    is_top_up = ask.word == "TOP"
    caller = Caller(sender, ask.number, phone=sender, last_four="" if is_top_up else ask.rest)
    try:
        said = (
            _topped_up(service, caller, ask) if is_top_up else _ANSWERS[ask.word](service, caller)
        )
    except (BillingError, VendingError) as fault:
        is_ours = getattr(fault, "is_system", False) or (
            getattr(fault, "family", None) is FaultFamily.SYSTEM
        )
        said = _LATER if is_ours else _SAID.get(type(fault), _OTHER if is_top_up else _LATER)
    return said[:LENGTH_MAX]


def _topped_up(service: SelfService, caller: Caller, ask: Ask) -> str:
    done = service.top_up(caller, Pin(ask.rest))
    paid = _money(service, done.face_minor)
    return f"{paid} was {'paid' if done.taken.is_new else 'paid before'} onto {ask.number}."


def _balance(service: SelfService, caller: Caller) -> str:
    found = service.standing(caller)
    overdue = f" Overdue: {_money(service, found.overdue_minor)}." if found.overdue_minor else ""
    return f"{caller.number}: balance {_money(service, found.balance_minor)}.{overdue}"


def _due(service: SelfService, caller: Caller) -> str:
    found = service.standing(caller)
    if not found.overdue_minor and found.next_due_at is None:
        return f"{caller.number}: nothing is due."
    parts = []
    if found.overdue_minor:
        parts.append(f"overdue {_money(service, found.overdue_minor)}, please pay now")
    if found.next_due_at is not None:
        day = found.next_due_at.astimezone(service.office.zone).date()
        parts.append(f"{_money(service, found.next_due_minor)} due on {day}")
    return f"{caller.number}: {'; '.join(parts)}."


def _payment(service: SelfService, caller: Caller) -> str:
    found = service.last_payment(caller)
    if found is None:
        return f"{caller.number}: no payment yet."
    day = found.paid_at.astimezone(service.office.zone).date()
    return f"{caller.number}: last payment {_money(service, found.amount_minor)} on {day}."


def _token(service: SelfService, caller: Caller) -> str:
    found = service.last_token(caller)
    if found is None:
        return f"{caller.number}: no token was sold."
    day = found.issued_at.astimezone(service.office.zone).date()
    return f"Meter {found.meter}, {day}: {found.digits}"


def _use(service: SelfService, caller: Caller) -> str:
    used_wh = service.consumption_wh(caller)
    return f"{caller.number}: {used_wh // 1_000}.{used_wh % 1_000 // 100} kWh in 30 days."


_ANSWERS: Final[dict[str, Callable[[SelfService, Caller], str]]] = {
    "BAL": _balance,
    "PAY": _payment,
    "TOK": _token,
    "USE": _use,
    "DUE": _due,
}


def _money(service: SelfService, minor: int) -> str:
    currency = service.office.currency
    return f"{currency.code} {currency.text(minor)}"


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
