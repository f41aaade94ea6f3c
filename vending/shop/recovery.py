"""Requests whose outcome is unknown, as requests again."""

from __future__ import annotations

from typing import Any, Final

from vending.shop.books import Tender
from vending.shop.engineering import EngineeringAct, EngineeringRequest
from vending.shop.giving import FreeBasicRequest, FreeIssueRequest, ReplacementRequest
from vending.shop.intents import Outstanding
from vending.shop.requests import KeyChangeRequest, VendRequest

GiftRequest = FreeIssueRequest | FreeBasicRequest | ReplacementRequest
GIFTS: Final[dict[str, type[GiftRequest]]] = {
    "free_issue": FreeIssueRequest,
    "free_basic": FreeBasicRequest,
    "replacement": ReplacementRequest,
}


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


def engineering_request_of(unknown: Outstanding) -> EngineeringRequest:
    """The engineering token that was asked for."""
    asked = _asked(unknown)
    return EngineeringRequest(**{**asked, "act": EngineeringAct(asked["act"])})


def gift_request_of(unknown: Outstanding) -> GiftRequest:
    """The free units that were asked for; its operation is one of `GIFTS`."""
    return GIFTS[unknown.operation](**_asked(unknown))


def _asked(unknown: Outstanding) -> dict[str, Any]:
    return {
        **unknown.essence,
        "client": unknown.client,
        "message_id": unknown.message_id,
        "operator": unknown.operator,
        "terminal": unknown.terminal,
    }
