"""A shop to provoke faults in."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from vending import (
    Currency,
    FaultReportRequest,
    Meter,
    MeterFault,
    NewMeter,
    Price,
    Shop,
    Utility,
    VendRequest,
    VendResult,
)
from vending.people.credentials import Credentials, Password

METERS: Final = ("07000000013", "07000000021", "07000000039")
UTILITY: Final = Utility(
    name="City Power",
    currency=Currency.named("ZAR"),
    zone="Africa/Johannesburg",
    minimum_minor=500,
    maximum_minor=10_000_00,
)
PRICE: Final = Price(per_kwh=250_000, tax_bp=1500)
CHIEF: Final = Password("chief", "the chief's password")
CLERK: Final = Password("carla", "the clerk's password")


@dataclass
class Scene:
    """A new shop, which a provocation may do anything to."""

    folder: Path
    now: datetime = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    _opened: list[Shop] = field(default_factory=list)

    @classmethod
    def in_folder(cls, folder: Path, template: Path) -> Scene:
        """A scene in an empty folder, with a copy of a made shop."""
        scene = cls(folder)
        shutil.copyfile(template, folder / "shop.db")
        return scene

    @staticmethod
    def make_template(path: Path) -> None:
        """A made shop, to be copied."""
        began = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
        Shop.create(f"sqlite:///{path}", UTILITY, PRICE, now=lambda: began).close()

    @property
    def url(self) -> str:
        """The shop's database."""
        return f"sqlite:///{self.folder}/shop.db"

    @property
    def shop(self) -> Shop:
        """The shop as an open house, opened once."""
        return self._opened[0] if self._opened else self.open()

    def open(self, credentials: Credentials | None = None) -> Shop:
        """The shop as whoever comes in."""
        shop = Shop.open(self.url, now=lambda: self.now, rnd=lambda: 5, credentials=credentials)
        self._opened.append(shop)
        return shop

    def later(self, **span: int) -> None:
        """Let time pass."""
        self.now += timedelta(**span)

    def meter(self, which: int = 0, **attributes: Any) -> Meter:
        """A registered meter."""
        return self.shop.add_meter(NewMeter(METERS[which], **attributes))

    def request(self, message_id: str = "1", amount: int = 5_000, **more: Any) -> VendRequest:
        """A request for a sale to the first meter."""
        return VendRequest("till", message_id, METERS[0], amount, **more)

    def sell(self, message_id: str = "1", amount: int = 5_000, **more: Any) -> VendResult:
        """A sale to the first meter."""
        return self.shop.vend(self.request(message_id, amount, **more))

    def report_fault(self) -> int:
        """A report about the first meter; gives its number."""
        request = FaultReportRequest("till", "fault", METERS[0], MeterFault.DISPLAY)
        return self.shop.meter_faults.report(request).require_done()

    def closed(self) -> Shop:
        """The shop with an administrator, who has come in, and a clerk."""
        self.shop.people.add_operator(CHIEF.name, CHIEF.password, ["administrator"])
        chief = self.open(CHIEF)
        chief.people.add_operator(CLERK.name, CLERK.password, ["clerk"])
        return chief

    def close(self) -> None:
        """Let go of the shop."""
        for shop in self._opened:
            shop.close()
