"""What a channel brings to the door, and what the door answers.  Pure values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from billing.faults import BadEntryError
from billing.ledger.entry import AMOUNT_MAX
from vending.shop.requests import canonical_json

REFERENCE_LENGTH_MAX: Final = 140
_NUMBER_LENGTH_MAX: Final = 64
_NOTE_LENGTH_MAX: Final = 2_000


class Purpose(StrEnum):
    """What a payment is for."""

    ACCOUNT = "account"
    DEPOSIT = "deposit"
    """For the deposit that the agreement asks; what is beyond it stays on the account."""


class PaymentState(StrEnum):
    """Where a payment stands."""

    POSTED = "posted"
    """On an account."""
    SUSPENSE = "suspense"
    """Kept apart: nobody knows yet whose it is."""
    UNDONE = "undone"
    """It bounced."""
    RETURNED = "returned"
    """To be sent back to who paid it."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that a channel has taken, or says that it has."""

    channel: str
    reference: str
    """The channel's own: unique in the channel, the same whenever it tells of this payment."""
    amount_minor: int
    account_id: int | None = None
    number: str = ""
    """Of an account or a meter, as the payer named it; when ``account_id`` is not known."""
    paid_at: datetime | None = None
    """As the channel says; None: now."""
    purpose: Purpose = Purpose.ACCOUNT
    note: str = ""
    """What the payer wrote; kept sealed."""
    where: str = ""
    """Where it was taken: a terminal, a host."""

    @property
    def content_sha256(self) -> bytes:
        """Tells this payment from another one under the same reference."""
        paid_at = self.paid_at.astimezone(UTC).isoformat() if self.paid_at else ""
        plain = [self.amount_minor, self.account_id, self.number, paid_at, self.purpose.value]
        return hashlib.sha256(canonical_json(plain)).digest()

    def require_sound(self) -> None:
        """Refuse what no channel may say.

        Raises:
            BadEntryError: says what is wrong.
        """
        if type(self.amount_minor) is not int or not 0 < self.amount_minor <= AMOUNT_MAX:
            raise BadEntryError("A payment is a whole number of minor units above zero.")
        if not _is_line(self.reference, REFERENCE_LENGTH_MAX) or not self.reference.strip():
            raise BadEntryError(
                "A payment has the channel's own reference: one line of at most "
                f"{REFERENCE_LENGTH_MAX} characters."
            )
        if not _is_line(self.number, _NUMBER_LENGTH_MAX):
            raise BadEntryError(
                f"The number of an account or meter has at most {_NUMBER_LENGTH_MAX} characters."
            )
        if len(self.note) > _NOTE_LENGTH_MAX or not _is_line(self.where, REFERENCE_LENGTH_MAX):
            raise BadEntryError("The note of a payment, or the place where it was taken, is long.")
        if self.paid_at is not None and self.paid_at.tzinfo is None:
            raise BadEntryError("The time of a payment needs a zone.")


@dataclass(frozen=True, slots=True)
class Taken:
    """What the door has done with a payment."""

    payment_id: int
    is_new: bool
    """False: it had been taken before; nothing was done now."""
    balance_minor: int
    """Of the account's current purse, now; 0 where no account has it."""
    account_id: int | None
    """None: it is in suspense, or was sent back."""
    state: PaymentState


def _is_line(text: str, length_max: int) -> bool:
    return len(text) <= length_max and (text.isprintable() or not text)
