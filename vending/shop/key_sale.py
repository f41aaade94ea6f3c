"""What a sale's receipt says about the meter's key, and about a key change that came with it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from vending.receipts.receipt import Reason
from vending.shop.agreed import agreed
from vending.shop.key_change import OLD_CREDIT_FIRST, OLD_CREDIT_FIRST_REASON, BegunKeyChange
from vending.shop.key_policy import KeyStanding, expiry_message
from vending.shop.meters import Meter, MeterKey


def credit_name(meter: Meter, change: BegunKeyChange | None) -> str:
    """The name of a credit token on a receipt: behind a key change with its place."""
    label = meter.resource.label
    return label if change is None else f"{label}: enter last"


@agreed
def sale_messages(
    connection: Connection, new_key: MeterKey | None, standing: KeyStanding, now: datetime
) -> tuple[tuple[str, Reason], ...]:
    """What the receipt of a sale says, in English and as data."""
    if new_key is not None:
        return ((OLD_CREDIT_FIRST, OLD_CREDIT_FIRST_REASON),)
    ahead = expiry_message(connection, standing, now)
    return () if ahead is None else (ahead,)
