"""What has been published."""

from __future__ import annotations

import sqlalchemy as sa

from storage.migrations.columns import check, primary, reference, table, text, time


def make() -> None:
    """Make the table."""
    name = "published_alarms"
    table(
        name,
        text("channel", comment="whose record it is: a broker and prefix"),
        sa.Column("entry_id", reference("entry_id").type, nullable=False, autoincrement=False),
        time("published_at"),
        primary(name, "channel", "entry_id"),
        check(name, "channel", "length(channel) > 0"),
        clustered=True,
    )
