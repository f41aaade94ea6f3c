"""Every module that declares tables, so that the metadata is whole wherever a head-end is."""

from __future__ import annotations

import headend.registry.tables
import headend.watching.tables  # noqa: F401
