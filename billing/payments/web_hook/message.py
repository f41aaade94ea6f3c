"""What a provider's message says; its names for things are settings of the channel.

A message is one JSON object.  Names may lead into objects inside it: ``amount.total``.

==============  =====================================================================
`reference`     the provider's number of the payment
`amount`        whole minor units; or, with ``amount_in = "major"``, a decimal text
`number`        of the account or meter, as the payer has given it
`paid_at`       ISO 8601 with a zone
`currency`      where the provider says it
`status`        where it says it; only ``paid_status`` is a payment, others are answered
                and left alone
`purpose`       ``account`` or ``deposit``, where it says it
==============  =====================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from billing.faults import BadEntryError
from billing.payments.faults import ChannelSettingsError, HookMessageError
from billing.payments.payment import Payment, Purpose
from vending.errors import VendingError
from vending.shop.money import Currency

_NAMES: Final = {
    "reference": "reference",
    "amount": "amount_minor",
    "number": "number",
    "paid_at": "paid_at",
    "currency": "currency",
    "status": "status",
    "purpose": "purpose",
}


@dataclass(frozen=True, slots=True)
class Words:
    """A provider's words."""

    names: Mapping[str, str] = field(default_factory=lambda: dict(_NAMES))
    amount_in: str = "minor"
    paid_status: str = "SUCCESS"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Words:
        """From a channel's settings.

        Raises:
            ChannelSettingsError: an unknown name, or amounts in something else.
        """
        given = settings.get("names", {})
        if not isinstance(given, dict) or set(given) - set(_NAMES):
            raise ChannelSettingsError(f"A message has the names {', '.join(_NAMES)}, no others.")
        amount_in = settings.get("amount_in", "minor")
        if amount_in not in ("minor", "major"):
            raise ChannelSettingsError("Amounts are in 'minor' or in 'major' units.")
        return cls({**_NAMES, **given}, amount_in, str(settings.get("paid_status", "SUCCESS")))


def payment_of(body: bytes, channel: str, words: Words, currency: Currency) -> Payment | None:
    """The payment that a message tells of; None: it tells of something else.

    Raises:
        HookMessageError: it cannot be understood; says which word.
    """
    try:
        plain = json.loads(body, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        raise HookMessageError(
            "The message is not one JSON object of texts and integers."
        ) from None
    if not isinstance(plain, dict):
        raise HookMessageError("The message is not one JSON object.")

    def word(name: str) -> Any:
        found: Any = plain
        for part in words.names[name].split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    if word("status") not in (None, words.paid_status):
        return None
    if word("currency") not in (None, currency.code):
        raise HookMessageError(f"This house's currency is {currency.code}.")
    return _checked(
        Payment(
            channel=channel,
            reference=_text(word("reference"), words.names["reference"]),
            amount_minor=_amount(word("amount"), words, currency),
            number=_text(word("number") or "", words.names["number"]),
            paid_at=_moment(word("paid_at"), words.names["paid_at"]),
            purpose=_purpose(word("purpose")),
            where="web-hook",
        )
    )


def _checked(payment: Payment) -> Payment:
    try:
        payment.require_sound()
    except BadEntryError as fault:
        raise HookMessageError(str(fault)) from None
    return payment


def _text(value: object, name: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise HookMessageError(f"The message lacks {name}.")
    return value.strip()


def _amount(value: object, words: Words, currency: Currency) -> int:
    name = words.names["amount"]
    if words.amount_in == "major":
        try:
            return currency.parse(_text(value, name))
        except VendingError:
            raise HookMessageError(f"{name} is no amount of {currency.code}.") from None
    if isinstance(value, bool) or not isinstance(value, int):
        raise HookMessageError(f"{name} is no whole number of minor units.")
    return value


def _moment(value: object, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(value, name))
    except ValueError:
        raise HookMessageError(f"{name} is no time of ISO 8601.") from None
    if moment.tzinfo is None:
        raise HookMessageError(f"{name} lacks its zone.")
    return moment


def _purpose(value: object) -> Purpose:
    try:
        return Purpose.ACCOUNT if value is None else Purpose(str(value))
    except ValueError:
        raise HookMessageError("A payment is for the account or for the deposit.") from None


def _no_float(_text: str) -> Any:
    raise ValueError("money is never a float")
