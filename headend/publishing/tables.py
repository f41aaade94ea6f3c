"""The table of publishing.

====================  ==================================================================
`published_alarms`    lines of `alarm_history` that a broker has taken; those that are old
                      are forgotten, all but the last: before it everything is published
====================  ==================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Text

from storage.schema import table
from storage.types import Identifier, UtcTimestamp

published_alarms: Final = table(
    "published_alarms",
    Column("channel", Text, primary_key=True, comment="whose record it is: a broker and prefix"),
    Column("entry_id", Identifier, primary_key=True, autoincrement=False),
    Column("published_at", UtcTimestamp, nullable=False),
    CheckConstraint("length(channel) > 0", name="channel"),
    clustered=True,
)
