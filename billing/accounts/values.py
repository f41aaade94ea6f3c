"""What is said about customers, accounts and agreements.  Pure values; their reprs show nothing
that is personal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

CUSTOMER_CLASSES: Final = ("residential", "commercial", "industrial", "public")
CUSTOMER_KINDS: Final = ("person", "company")
MODES: Final = ("prepaid", "postpaid")
CYCLES: Final = ("hourly", "daily", "monthly")
ROLES: Final = ("customer", "tenant", "landlord", "accountant")


@dataclass(frozen=True, slots=True)
class ContactDetails:
    """One of an account's people, and where to reach them."""

    name: str = field(repr=False)
    role: str = "customer"
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    wechat: str | None = field(default=None, repr=False)
    post: str | None = field(default=None, repr=False)
    """An address for letters."""
    language: str | None = None
    gets_bill: bool = True
    gets_notices: bool = True


@dataclass(frozen=True, slots=True)
class Application:
    """Somebody wants an account (specs/utility.md 1)."""

    channel: str
    """How it came: ``counter``, ``web``, ``phone``, ``letter``."""
    name: str = field(repr=False)
    identity: str = field(repr=False)
    """Number of a document: of a person, or of a company's registration."""
    address: str = field(repr=False)
    """Where power is wanted."""
    customer_class: str = "residential"
    mode: str = "postpaid"
    kind: str = "person"
    language: str | None = None
    point: str | None = None
    """Name of the service point, where it is known already."""
    tariff: str | None = None
    """Code of the tariff by which that point is to be priced."""
    contact: ContactDetails | None = None
    """None: there is nothing but the address."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agreement says besides the mode (specs/utility.md 1)."""

    cycle: str = "daily"
    """Of settlement."""
    bill_day: int = 1
    due_days: int = 14
    payment_channel: str = "counter"
    notice_channel: str = "sms"
    refund_channel: str = "counter"
    warn_minor: int = 0
    """Prepaid: warn below it."""
    floor_minor: int = 0
    """Prepaid: disconnect below it."""
    deposit_minor: int = 0
    """First deposit that is asked."""


class ChangeKind(StrEnum):
    """What may be changed about an account."""

    NAME = "name"
    IDENTITY = "identity"
    LANGUAGE = "language"
    CLASS = "class"
    CONTACT_ADD = "contact_add"
    CONTACT_CHANGE = "contact_change"
    CONTACT_END = "contact_end"
    ADDRESS = "address"
    """Of a supply."""
    TERMS = "terms"
    """Payment channel, cycle, limits, ...: a new version of the agreement."""
    MODE = "mode"
    """Prepaid to postpaid or back; the customer's own choice."""
    TARIFF = "tariff"
    """Of a supply, from the start of a day on."""


class ChangeState(StrEnum):
    """How far a change has come."""

    ASKED = "asked"
    APPROVED = "approved"
    """It waits for its date."""
    APPLIED = "applied"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    """It was approved and could not be applied; its words say why."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change as it stands in the log; personal values masked unless they were opened."""

    change_id: int
    account_id: int
    kind: ChangeKind
    supply_id: int | None
    contact_id: int | None
    old: str
    new: str
    reason: str
    consent: str | None
    from_at: datetime
    state: ChangeState
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    words: str | None


class ClosingState(StrEnum):
    """How far the end of an account has come."""

    ASKED = "asked"
    """Its day has not come."""
    SETTLING = "settling"
    """Supplies have ended; the final readings and settlements are waited for."""
    OWING = "owing"
    """Settled, and the customer owes."""
    REFUNDING = "refunding"
    """Settled, and what is left goes back to the customer."""
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Closing:
    """An account on its way to its end (specs/utility.md 3)."""

    closing_id: int
    account_id: int
    reason: str
    ends_at: datetime
    refund_channel: str
    state: ClosingState
    waits: str | None
    """For what, in words."""
    asked_by: str
    asked_at: datetime
    settled_at: datetime | None
    refund_id: int | None
    refund_minor: int | None
    refund_due_at: datetime | None
    refunded_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None


@dataclass(frozen=True, slots=True)
class AccountRules:
    """Rules for all accounts; each setting is kept."""

    refund_days: int = 10
    """From final settlement to refund."""
    keep_years: int = 10
    """For so long after their last account has ended the personal fields of a customer stay."""
