"""Faults of key change campaigns."""

from __future__ import annotations

from typing import ClassVar

from vending.shop.faults import ShopError


class UnknownCampaignError(ShopError):
    """There is no campaign of this name."""

    code: ClassVar[str] = "unknown_campaign"


class CampaignExistsError(ShopError):
    """There is a campaign of this name already."""

    code: ClassVar[str] = "campaign_exists"


class CampaignStateError(ShopError):
    """The campaign is not in the state that this act needs."""

    code: ClassVar[str] = "campaign_state"


class CampaignEmptyError(ShopError):
    """No meter is chosen, or nothing would change."""

    code: ClassVar[str] = "campaign_empty"
