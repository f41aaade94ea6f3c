"""The tables of key change campaigns.

==================  ====================================================================
`campaigns`         which meters, changed to what, why; open → closed or cancelled.  What
                    it is for never changes
`campaign_meters`   one row for each meter: waiting → issued or refused.  Issued has the
                    receipt, refused the fault's code.  A refused one may wait again, for
                    its next attempt; an issued one stays (trigger)
==================  ====================================================================

Whether a meter has confirmed its key is told by `key_changes`, by way of the receipt.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, PrimaryKeyConstraint, Text

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber
from vending.shop.tables import meters, receipts

campaigns: Final = table(
    "campaigns",
    Column("campaign_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("selection", Text, nullable=False, comment="canonical JSON: the keys they have"),
    Column("changes", Text, nullable=False, comment="canonical JSON: what is changed"),
    Column("reason", Text, nullable=False),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    CheckConstraint("length(name) > 0", name="name"),
    CheckConstraint("state IN ('open', 'closed', 'cancelled')", name="state"),
)

campaign_meters: Final = table(
    "campaign_meters",
    Column("campaign_id", Identifier, ForeignKey(campaigns.c.campaign_id)),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id)),
    Column("state", Text, nullable=False),
    Column("attempt", WholeNumber, nullable=False),
    Column("receipt_no", Identifier, ForeignKey(receipts.c.receipt_no), unique=True),
    Column("fault", Text, comment="the code of the refusal"),
    PrimaryKeyConstraint("campaign_id", "meter_id"),
    CheckConstraint("state IN ('waiting', 'issued', 'refused')", name="state"),
    CheckConstraint("attempt > 0", name="attempt"),
    CheckConstraint("(state = 'issued') = (receipt_no IS NOT NULL)", name="issued"),
    CheckConstraint("(state = 'refused') = (fault IS NOT NULL)", name="refused"),
    Index("ix_campaign_meters_state", "campaign_id", "state", "meter_id"),
)
