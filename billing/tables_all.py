"""Every module that declares tables, so that the metadata is whole wherever an office is."""

from __future__ import annotations

import billing.accounts.tables
import billing.bills.tables
import billing.collecting.tables
import billing.ledger.tables
import billing.notices.tables
import billing.payments.tables
import billing.prepaid.tables
import billing.settlement.tables
import billing.tariffs.tables  # noqa: F401
import headend.tables_all  # noqa: F401
