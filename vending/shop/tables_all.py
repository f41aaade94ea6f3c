"""Every module that declares tables, so that the metadata is whole wherever a shop is."""

from __future__ import annotations

import vending.campaigns.tables
import vending.cash.bank.tables
import vending.cash.cash_tables
import vending.cash.tables
import vending.meter_faults.tables
import vending.people.tables
import vending.price.tables
import vending.security.tables
import vending.shop.counter_tables
import vending.shop.tables
import vending.vouchers.tables  # noqa: F401
