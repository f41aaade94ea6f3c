"""Every module that declares tables, so that the metadata is whole wherever an office is."""

from __future__ import annotations

import billing.accounts.tables
import billing.bills.tables  # noqa: F401
import billing.collecting.tables
import billing.ledger.tables
import billing.notices.tables  # noqa: F401
import billing.payments.tables  # noqa: F401
import billing.prepaid.tables  # noqa: F401
import billing.settlement.tables  # noqa: F401
import billing.tariffs.tables  # noqa: F401
import headend.tables_all  # noqa: F401
