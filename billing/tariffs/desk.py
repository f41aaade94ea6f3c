"""Tariffs as people handle them: propose, approve, withdraw, look."""

from __future__ import annotations

from datetime import date
from typing import Final

from billing.office import Office
from billing.person import Right
from billing.tariffs.store import (
    Listed,
    add_version,
    approve_version,
    listed,
    versions_between,
    withdraw_version,
)
from billing.tariffs.tariff import Tariff
from billing.tariffs.version import TariffVersion


class RateDesk:
    """The office's tariffs.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self.office: Final = office

    def add(self, document: str | Tariff, *, since: date) -> TariffVersion:
        """Propose a version; see `store.add_version`.

        Raises:
            RightMissingError, RateDocumentError, RateValidityError: as they say.
        """
        self.office.require(Right.TARIFFS)
        with self.office.writing() as connection:
            return add_version(connection, self.office, document, since=since)

    def approve(self, code: str, version: int) -> None:
        """Be the second person of a version; see `store.approve_version`.

        Raises:
            RightMissingError, UnknownRateError, RateStateError, SameApproverError,
            RateValidityError: as they say.
        """
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            approve_version(connection, self.office, code, version)

    def withdraw(self, code: str, version: int, reason: str) -> None:
        """Take a version back before it begins; see `store.withdraw_version`.

        Raises:
            RightMissingError, UnknownRateError, RateStateError, RateValidityError: as they say.
        """
        self.office.require(Right.TARIFFS)
        with self.office.writing() as connection:
            withdraw_version(connection, self.office, code, version, reason)

    def list(self, code: str | None = None) -> list[Listed]:
        """Versions of one tariff, or of all, by code and begin.

        Raises:
            RightMissingError, UnknownRateError: as they say.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return listed(connection, code)

    def valid_on(self, code: str, day: date) -> TariffVersion:
        """The version that is valid when a day begins.

        Raises:
            RightMissingError, UnknownRateError, NoRateValidError: as they say.
        """
        self.office.require(Right.LOOK)
        begin = self.office.day_start(day)
        with self.office.reading() as connection:
            return versions_between(connection, code, begin, begin.replace(microsecond=1))[
                0
            ].version
