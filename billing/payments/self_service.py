"""What a customer may ask without a clerk: by voice, text message or web (specs/utility.md 7).

Whoever asks names an account (or a meter on it) and proves that it is theirs: by the telephone
they call from, or by the last four digits of a telephone that the account knows.  Without proof
nothing is told but a masked token, and money may be brought.

What is asked is counted: for a sender within an hour, and wrong proofs for an account.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select
from sqlalchemy import text as sql

from billing.accounts.looking import contacts_of
from billing.collecting.ageing import open_items
from billing.faults import UnknownAccountError
from billing.ledger.posting import balance
from billing.office import Office
from billing.payments.faults import NotProvenError, TooManyAsksError
from billing.payments.last_token import LastToken, last_token
from billing.payments.payee import account_of_number
from billing.payments.tables import payments, self_service_asks
from billing.payments.vouchers import Redeemed, VoucherCounter
from billing.person import Person, Right
from billing.settlement.tables import settlements
from vending.vouchers.pins import Pin

WINDOW: Final = timedelta(hours=1)
ASKS_MAX: Final = 30
"""Of one sender within the window."""
WRONG_PROOFS_MAX: Final = 5
"""For one account within the window, by whomever."""
PHONE_DIGITS_MIN: Final = 8
"""So many last digits of two telephone numbers are equal when they are the same."""
_KEPT: Final = timedelta(days=30)
_SWEPT_AT_ONCE: Final = 1_000
_LAST_FOUR: Final = 4
_ASK_LOCK: Final = 0x6D68_7373
"""The advisory lock of PostgreSQL under which questions are counted."""
_SERVICE: Final = Person("self-service", frozenset({Right.LOOK, Right.SERVE}))


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks about an account."""

    sender: str
    """Who it is technically: a telephone number, a session of the web site."""
    number: str
    """Of the account, or of a meter on it."""
    phone: str = ""
    """The telephone that they call from, where the network says it."""
    last_four: str = ""
    """Digits of a telephone that the account knows, where they were asked for them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account's customer is told of its money; minor units."""

    balance_minor: int
    overdue_minor: int
    """Due and not paid."""
    next_due_at: datetime | None
    """Of what is open and not due yet."""
    next_due_minor: int


@dataclass(frozen=True, slots=True)
class LastPayment:
    """The last payment to an account."""

    amount_minor: int
    paid_at: datetime
    channel: str


@dataclass(frozen=True, slots=True)
class SelfService:
    """Answers customers."""

    office: Office

    def standing(self, caller: Caller) -> Standing:
        """Balance and arrears.

        Raises:
            UnknownAccountError, NotProvenError, TooManyAsksError: as they say.
        """
        account_id = self._proven(caller, "balance")
        now = self.office.now()
        with self.office.reading() as connection:
            items = open_items(connection, account_id)
            coming = [each for each in items if each.due_at > now]
            return Standing(
                balance(connection, account_id),
                sum(each.open_minor for each in items if each.due_at <= now),
                coming[0].due_at if coming else None,
                sum(each.open_minor for each in coming if each.due_at == coming[0].due_at),
            )

    def last_payment(self, caller: Caller) -> LastPayment | None:
        """The last payment; None: there was none.

        Raises:
            UnknownAccountError, NotProvenError, TooManyAsksError: as they say.
        """
        account_id = self._proven(caller, "payment")
        with self.office.reading() as connection:
            row = connection.execute(
                select(payments.c.amount_minor, payments.c.paid_at, payments.c.channel)
                .where(payments.c.account_id == account_id, payments.c.state == "posted")
                .order_by(payments.c.paid_at.desc())
                .limit(1)
            ).one_or_none()
        return None if row is None else LastPayment(row.amount_minor, row.paid_at, row.channel)

    def consumption_wh(self, caller: Caller, days: int = 30) -> int:
        """Energy that was settled, of intervals that ended in the last days, in Wh.

        Raises:
            UnknownAccountError, NotProvenError, TooManyAsksError: as they say.
        """
        account_id = self._proven(caller, "consumption")
        since = self.office.day_start(self.office.today() - timedelta(days=days))
        with self.office.reading() as connection:
            used = connection.scalar(
                select(func.sum(settlements.c.energy_wh)).where(
                    settlements.c.account_id == account_id, settlements.c.until > since
                )
            )
        return int(used or 0)

    def last_token(self, caller: Caller) -> LastToken | None:
        """The last token of the account's meters; masked for who has proven nothing.

        Raises:
            UnknownAccountError, TooManyAsksError: as they say.
        """
        account_id, is_proven = self._ask(caller, "token")
        with self.office.reading() as connection:
            found = last_token(connection, account_id)
        return found if found is None or is_proven else found.masked()

    def top_up(self, caller: Caller, pin: Pin) -> Redeemed:
        """Pay a voucher onto the account; anybody may bring money.

        Raises:
            UnknownAccountError, TooManyAsksError: as they say.
            VendingError: the voucher does not pay, or too many wrong ones were tried.
        """
        self._ask(caller, "top_up")
        sender = self.office.seal.digest("self_service.sender", caller.sender).hex()[:24]
        counter = VoucherCounter(self.office.acting(_SERVICE))
        return counter.redeem(caller.number, pin, client=f"self {sender}")

    # --- who asks -------------------------------------------------------------------------

    def _proven(self, caller: Caller, what: str) -> int:
        account_id, is_proven = self._ask(caller, what)
        if not is_proven:
            raise NotProvenError(
                "Prove that the account is yours: ask from a telephone that it knows, or give the "
                "last four digits of one."
            )
        return account_id

    def _ask(self, caller: Caller, what: str) -> tuple[int, bool]:
        """The account, and whether it is the caller's; the asking is counted, however it ends."""
        now = self.office.now()
        with self.office.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sql("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ASK_LOCK})
            sender = self.office.seal.digest("self_service.sender", caller.sender)
            asks = self_service_asks.c
            _limit(connection, asks.sender_digest == sender, now, ASKS_MAX)
            account_id = account_of_number(connection, caller.number)
            result = "unknown"
            if account_id is not None:
                if caller.last_four:
                    wrong = (asks.account_id == account_id) & (asks.result == "wrong")
                    _limit(connection, wrong, now, WRONG_PROOFS_MAX)
                result = _proof(connection, self.office, account_id, caller)
            row = {
                "sender_digest": sender,
                "account_id": account_id,
                "at": now,
                "what": what,
                "result": result,
            }
            connection.execute(insert(self_service_asks), row)
        if account_id is None:
            raise UnknownAccountError("There is no account of this number, nor a meter of one.")
        return account_id, result == "proven"


def sweep(office: Office) -> int:
    """Forget what was asked a month ago; a few at a time."""
    with office.writing() as connection:
        old = (
            select(self_service_asks.c.ask_id)
            .where(self_service_asks.c.at < office.now() - _KEPT)
            .order_by(self_service_asks.c.at)
            .limit(_SWEPT_AT_ONCE)
        )
        ids = list(connection.scalars(old))
        if ids:
            connection.execute(delete(self_service_asks).where(self_service_asks.c.ask_id.in_(ids)))
    return len(ids)


def same_phone(one: str, other: str) -> bool:
    """Whether two spellings are of one telephone: their last digits, country codes aside."""
    first, second = sorted((_digits(one), _digits(other)), key=len)
    return len(first) >= PHONE_DIGITS_MIN and second.endswith(first)


def _proof(connection: Connection, office: Office, account_id: int, caller: Caller) -> str:
    phones = [each.phone for each in contacts_of(connection, office, account_id) if each.phone]
    if caller.phone and any(same_phone(caller.phone, each) for each in phones):
        return "proven"
    if not caller.last_four:
        return "unproven"
    given = caller.last_four
    fits = [
        hmac.compare_digest(_digits(each)[-_LAST_FOUR:].encode(), given.encode())
        for each in phones
        if len(_digits(each)) >= PHONE_DIGITS_MIN
    ]
    return "proven" if any(fits) else "wrong"


def _limit(connection: Connection, whose: ColumnElement[bool], now: datetime, maximum: int) -> None:
    asked = connection.scalar(
        select(func.count()).where(whose, self_service_asks.c.at > now - WINDOW)
    )
    if (asked or 0) >= maximum:
        raise TooManyAsksError("Too many questions: wait an hour, then ask again.")


def _digits(text: str) -> str:
    return "".join(each for each in text if each in "0123456789")
