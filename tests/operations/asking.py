"""Short ways to ask the shop, for tests of its operations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from storage.engine import open_engine
from vending import Outcome, Receipt, Shop, VendRequest, VendResult


def sell(
    shop: Shop, number: str, message_id: str, amount_minor: int | None = 10_000, **more: Any
) -> Receipt:
    """Sell; it must be done."""
    request = VendRequest("kiosk", message_id, number, amount_minor, **more)
    return shop.vend(request).require_done()


def code_of(result: VendResult) -> str:
    """The code of a refusal."""
    assert result.outcome is Outcome.FAILED, result
    assert result.receipt is None
    assert result.fault is not None
    return result.fault.code


def audit_actions(url: str) -> list[str]:
    """What the audit trail holds, oldest first."""
    engine = open_engine(url)
    with engine.connect() as connection:
        actions = list(
            connection.execute(text("SELECT action FROM audit_lines ORDER BY audit_id")).scalars()
        )
    engine.dispose()
    return actions
