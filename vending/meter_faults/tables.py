"""The tables of what customers report of their meters.

======================  ==================================================================
`meter_fault_reports`   one for each done request of the operation ``fault_report`` (trigger
                        on `requests`), made with its answer (trigger); immutable
`meter_fault_closures`  a report was closed: once (primary key), with words; immutable.
                        A report without one is open
======================  ==================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp
from vending.shop.tables import meters, requests

_KINDS: Final = "('display', 'keypad', 'no_supply', 'tamper_seen', 'wrong_display', 'other')"

meter_fault_reports: Final = table(
    "meter_fault_reports",
    Column("report_no", Identifier, primary_key=True),
    Column("client", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("meter_id", Identifier, ForeignKey(meters.c.meter_id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("contact", Text, nullable=False, comment="how to reach who reported it"),
    Column("reported_at", UtcTimestamp, nullable=False),
    Column("operator", Text, nullable=False),
    Column("terminal", Text, nullable=False),
    ForeignKeyConstraint(["client", "message_id"], [requests.c.client, requests.c.message_id]),
    UniqueConstraint("client", "message_id"),
    Index("ix_meter_fault_reports_meter_id", "meter_id"),
    CheckConstraint(f"kind IN {_KINDS}", name="kind"),
    CheckConstraint("kind <> 'other' OR length(words) > 0", name="words"),
)

meter_fault_closures: Final = table(
    "meter_fault_closures",
    Column("report_no", Identifier, ForeignKey(meter_fault_reports.c.report_no)),
    Column("closed_at", UtcTimestamp, nullable=False),
    Column("closed_by", Text, nullable=False),
    Column("words", Text, nullable=False),
    PrimaryKeyConstraint("report_no"),
    CheckConstraint("length(words) > 0", name="words"),
)
