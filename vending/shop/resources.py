"""What a meter counts, and so what a unit is.

===========  ==============  =====================
resource     token subclass  a unit of a token
===========  ==============  =====================
electricity  0.0             0.1 kWh
water        0.1             0.1 m3
gas          0.2             0.1 m3
time         0.3             0.1 minute
===========  ==============  =====================
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vending.shop.faults import InvalidSettingError
from vending.sts import Service


class Resource(StrEnum):
    """What is sold to a meter."""

    ELECTRICITY = "electricity"
    WATER = "water"
    GAS = "gas"
    TIME = "time"

    @property
    def service(self) -> Service:
        """As a credit token names it."""
        return _SERVICES[self]

    @property
    def measure(self) -> str:
        """What ten units are: ``kWh``, ``m3``, ``min``."""
        return _MEASURES[self]

    @property
    def label(self) -> str:
        """For a receipt."""
        return str(self.value).capitalize()


_SERVICES: Final = {
    Resource.ELECTRICITY: Service.ELECTRICITY,
    Resource.WATER: Service.WATER,
    Resource.GAS: Service.GAS,
    Resource.TIME: Service.TIME,
}
_MEASURES: Final = {
    Resource.ELECTRICITY: "kWh",
    Resource.WATER: "m3",
    Resource.GAS: "m3",
    Resource.TIME: "min",
}


def parse_resource(name: object) -> Resource:
    """Read a resource's name.

    Raises:
        InvalidSettingError: no such resource.
    """
    try:
        return Resource(str(name))
    except ValueError:
        known = ", ".join(each.value for each in Resource)
        raise InvalidSettingError(f"There is no resource {name!r}; use one of {known}.") from None
