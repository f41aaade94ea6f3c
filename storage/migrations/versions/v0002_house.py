"""The vending house: keys, people, tariffs, vendors and cash, vouchers, campaigns.

Each subject makes its own tables, in a module of `storage.migrations.house`.
"""

from __future__ import annotations

from storage.migrations.house import (
    campaigns,
    cash,
    keys,
    operations,
    people,
    pricing,
    sales,
    vendors,
    vouchers,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything, what others refer to first."""
    for subject in (vendors, people, sales, operations, keys, pricing, cash, vouchers, campaigns):
        subject.make()
