"""The office: accounts, ledger, settlement, payments, bills, notices, collections.

Each subject makes its own tables, in a module of `storage.migrations.billing`.
"""

from __future__ import annotations

from storage.migrations.billing import (
    accounts,
    bills,
    collecting,
    ledger,
    notices,
    payments,
    prepaid,
    settlement,
    tariffs,
)

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything, what others refer to first."""
    for subject in (accounts, ledger, settlement, payments, collecting, prepaid, bills, notices):
        subject.make()
    tariffs.make()
