"""The head-end: registry, collection, orders, store, watching.

Each subject makes its own tables, in a module of `storage.migrations.headend`.
"""

from __future__ import annotations

from storage.migrations.headend import (
    collection,
    orders,
    publishing,
    registry,
    store,
    watching,
    work,
)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything, what others refer to first."""
    for subject in (registry, collection, watching, orders, store, work, publishing):
        subject.make()
