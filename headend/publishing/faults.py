"""Faults of publishing."""

from __future__ import annotations

from typing import ClassVar

from headend.faults import HeadEndError


class BrokerEntryError(HeadEndError):
    """The broker's address, prefix, password file or certificates cannot be used."""

    code: ClassVar[str] = "broker_entry"


class PublishingMissingError(HeadEndError):
    """The extra that speaks MQTT is not installed."""

    code: ClassVar[str] = "publishing_missing"
    is_system: ClassVar[bool] = True
