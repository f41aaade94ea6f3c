"""Faults of the reports about meters' faults."""

from __future__ import annotations

from typing import ClassVar

from vending.shop.faults import ShopError


class UnknownFaultReportError(ShopError):
    """There is no report of this number."""

    code: ClassVar[str] = "unknown_fault_report"


class FaultReportClosedError(ShopError):
    """The report was closed before, by somebody else or with other words."""

    code: ClassVar[str] = "fault_report_closed"
