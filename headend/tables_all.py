"""Every module that declares tables, so that the metadata is whole wherever a head-end is."""

from __future__ import annotations

import headend.collection.tables
import headend.orders.tables
import headend.publishing.tables
import headend.registry.tables
import headend.store.tables
import headend.watching.tables
import headend.work.tables  # noqa: F401
