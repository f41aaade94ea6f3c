"""What may be entered about customers and agreements.  Nothing here touches a database, and no
message repeats what is personal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from billing.accounts.values import (
    CUSTOMER_CLASSES,
    CUSTOMER_KINDS,
    CYCLES,
    MODES,
    ROLES,
    Application,
    ContactDetails,
    Terms,
)
from billing.faults import BadEntryError

TEXT_MAX: Final = 200
_MINOR_MAX: Final = 10**15
_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_PHONE: Final = re.compile(r"\+?[0-9]{5,15}")


def require_text(what: str, text: str) -> str:
    """A text of one line; spaces around it are dropped.

    Raises:
        BadEntryError: empty, too long, or with characters that do not print.
    """
    clean = " ".join(text.split()) if text.isprintable() or "\n" in text else text
    if not 0 < len(clean) <= TEXT_MAX or not clean.isprintable():
        raise BadEntryError(f"{what} must have 1 to {TEXT_MAX} printable characters.")
    return clean


def require_code(what: str, text: str) -> str:
    """A short name of letters, digits, ``_ . -``.

    Raises:
        BadEntryError: it is none.
    """
    if not _CODE.fullmatch(text):
        raise BadEntryError(
            f"{what} is a short name of letters, digits, '_', '.' and '-', not {text[:40]!r}."
        )
    return text


def require_one_of(what: str, text: str, allowed: Iterable[str]) -> str:
    """One of some words.

    Raises:
        BadEntryError: another one.
    """
    words = tuple(allowed)
    if text not in words:
        raise BadEntryError(f"{what} is one of {', '.join(words)}, not {text[:40]!r}.")
    return text


def checked_language(language: str | None) -> str | None:
    """A language as BCP 47 writes it, or none.

    Raises:
        BadEntryError: it is none.
    """
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise BadEntryError(f"A language looks like en, zh or pt-BR, not {language[:20]!r}.")
    return language


def plain_phone(phone: str) -> str:
    """A phone number as it is kept, and looked for: digits, perhaps with a plus before them.

    Raises:
        BadEntryError: it cannot be one.
    """
    plain = re.sub(r"[\s().\-/]", "", phone)
    plain = "+" + plain[2:] if plain.startswith("00") else plain
    if not _PHONE.fullmatch(plain):
        raise BadEntryError("A phone number has 5 to 15 digits, perhaps with a plus before them.")
    return plain


def plain_identity(identity: str) -> str:
    """The number of a document as it is kept, and looked for: capitals, no spaces or hyphens.

    Raises:
        BadEntryError: it cannot be one.
    """
    plain = re.sub(r"[\s\-./]", "", identity).upper()
    if not 4 <= len(plain) <= 40 or not plain.isalnum():
        raise BadEntryError("The number of a document has 4 to 40 letters and digits.")
    return plain


def checked_contact(contact: ContactDetails) -> ContactDetails:
    """A contact as it is kept.

    Raises:
        BadEntryError: what is wrong with it.
    """
    require_one_of("A contact's role", contact.role, ROLES)
    email = contact.email.strip() if contact.email else None
    if email is not None and (not _EMAIL.fullmatch(email) or len(email) > TEXT_MAX):
        raise BadEntryError("The e-mail address is none: it looks like name@example.org.")
    return replace(
        contact,
        name=require_text("A contact's name", contact.name),
        email=email,
        phone=plain_phone(contact.phone) if contact.phone else None,
        wechat=require_text("A WeChat id", contact.wechat) if contact.wechat else None,
        post=require_text("An address for letters", contact.post) if contact.post else None,
        language=checked_language(contact.language),
    )


def checked_application(application: Application) -> Application:
    """An application as it is kept.

    Raises:
        BadEntryError: what is wrong with it.
    """
    require_one_of("The class", application.customer_class, CUSTOMER_CLASSES)
    require_one_of("The mode", application.mode, MODES)
    require_one_of("A customer", application.kind, CUSTOMER_KINDS)
    if application.point is not None and application.tariff is None:
        raise BadEntryError("By which tariff is the service point priced? Give its code.")
    contact = application.contact
    return replace(
        application,
        channel=require_code("The channel", application.channel),
        name=require_text("The name", application.name),
        identity=plain_identity(application.identity),
        address=require_text("The address", application.address),
        language=checked_language(application.language),
        tariff=require_code("The tariff", application.tariff) if application.tariff else None,
        contact=None if contact is None else checked_contact(contact),
    )


def checked_terms(terms: Terms) -> Terms:
    """What an agreement says.

    Raises:
        BadEntryError: what is wrong with it.
    """
    require_one_of("The settlement cycle", terms.cycle, CYCLES)
    for what, channel in (
        ("The payment channel", terms.payment_channel),
        ("The warning channel", terms.notice_channel),
        ("The refund channel", terms.refund_channel),
    ):
        require_code(what, channel)
    if not 1 <= terms.bill_day <= 28:
        raise BadEntryError("The bill's day of the month is 1 to 28.")
    if not 1 <= terms.due_days <= 366:
        raise BadEntryError("A bill is due 1 to 366 days after it was made.")
    amounts = (terms.warn_minor, terms.floor_minor, terms.deposit_minor)
    if any(abs(amount) > _MINOR_MAX for amount in amounts):
        raise BadEntryError("An amount of the agreement is too large.")
    if terms.floor_minor > terms.warn_minor:
        raise BadEntryError("The customer is warned before supply ends: warning limit >= floor.")
    if terms.deposit_minor < 0:
        raise BadEntryError("A deposit is not below zero.")
    return terms
