"""The last credit token of an account's meters; tokens are the vending house's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, exists, select

from billing.accounts.tables import supplies
from headend.registry.tables import end_devices, installations
from vending.shop.tables import meters, receipts, tokens

_SHOWN_DIGITS: Final = 4
_CREDIT: Final = 0
"""The token class of IEC 62055-41, 6.3.2."""


@dataclass(frozen=True, slots=True)
class LastToken:
    """A token that was sold."""

    meter: str
    issued_at: datetime
    digits: str
    """20 digits in groups of four; masked but for the last."""
    units: int
    """Tenths of a kWh, a m³ or a minute."""

    def masked(self) -> LastToken:
        """The same with its last digits alone."""
        last = self.digits[-_SHOWN_DIGITS:]
        return replace(self, digits=f"**** **** **** **** {last}")

    def __repr__(self) -> str:
        return f"LastToken({self.meter}, {self.issued_at:%Y-%m-%d}, ****)"


def last_token(connection: Connection, account_id: int) -> LastToken | None:
    """The last token of a sale that stands, of any meter that is on the account now."""
    of = receipts.alias()
    row = connection.execute(
        select(meters.c.number, receipts.c.issued_at, tokens.c.digits, tokens.c.units)
        .join(receipts, receipts.c.receipt_no == tokens.c.receipt_no)
        .join(meters, meters.c.meter_id == receipts.c.meter_id)
        .join(end_devices, end_devices.c.number == meters.c.number)
        .join(installations, installations.c.device_id == end_devices.c.device_id)
        .join(supplies, supplies.c.point_id == installations.c.point_id)
        .where(
            supplies.c.account_id == account_id,
            supplies.c.until.is_(None),
            installations.c.until.is_(None),
            tokens.c.token_class == _CREDIT,
            ~exists().where(of.c.reversed_receipt_no == receipts.c.receipt_no),
        )
        .order_by(receipts.c.receipt_no.desc(), tokens.c.position.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    grouped = " ".join(row.digits[place : place + 4] for place in range(0, len(row.digits), 4))
    return LastToken(row.number, row.issued_at, grouped, row.units)
