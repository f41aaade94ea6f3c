"""Requests whose outcome is unknown, as requests again."""

from __future__ import annotations

from typing import Any

from vending.shop.books import Tender
from vending.shop.intents import Outstanding
from vending.shop.requests import KeyChangeRequest, VendRequest


def vend_request_of(unknown: Outstanding) -> VendRequest:
    """The sale that was asked for.

    The customer's answers were yes: the intent would not be there otherwise.
    """
    return VendRequest(
        **{
            **_asked(unknown),
            "tender": Tender(unknown.essence["tender"]),
            "confirmed_second": True,
            "accept_key_change": True,
        }
    )


def key_change_request_of(unknown: Outstanding) -> KeyChangeRequest:
    """The key change that was asked for."""
    return KeyChangeRequest(**_asked(unknown))


def _asked(unknown: Outstanding) -> dict[str, Any]:
    return {
        **unknown.essence,
        "client": unknown.client,
        "message_id": unknown.message_id,
        "operator": unknown.operator,
        "terminal": unknown.terminal,
    }
