"""Who sells, in which currency and zone, at what price, within which limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, bindparam, insert, select

from vending.shop.books import open_books
from vending.shop.faults import InvalidSettingError, NoPriceError
from vending.shop.money import Currency
from vending.shop.price import Price
from vending.shop.tables import prices, utility

_NAME_LENGTH_MAX: Final = 200
_SALE_MAX: Final = 10**15
_PRICE_AT: Final = (
    select(prices.c.price_id, prices.c.per_kwh, prices.c.tax_bp)
    .where(prices.c.valid_from <= bindparam("moment"))
    .order_by(prices.c.valid_from.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Utility:
    """The seller, as receipts show it, and the rules of the counter.

    Raises:
        InvalidSettingError: no name, an unknown zone, or limits that leave nothing to sell.
    """

    name: str
    currency: Currency
    zone: str = "UTC"
    """IANA time zone, in which receipts show times."""
    address: str = ""
    tax_number: str = ""
    vendor: str = ""
    """Who runs the tills on the utility's behalf; empty when the utility does."""
    minimum_minor: int = 1
    """The smallest amount of a sale."""
    maximum_minor: int = 10**9
    """The largest amount of a sale: a slip of the finger should not sell a fortune."""
    _zone_info: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidSettingError("The utility needs a name: receipts begin with it.")
        for what, text in (
            ("name", self.name),
            ("address", self.address),
            ("tax number", self.tax_number),
            ("vendor", self.vendor),
        ):
            require_line(f"The utility's {what}" if what != "vendor" else "The vendor", text)
        if not 0 < self.minimum_minor <= self.maximum_minor <= _SALE_MAX:
            raise InvalidSettingError(
                "The smallest sale must be above zero and not above the largest; that must be "
                "below 10**15 minor units."
            )
        object.__setattr__(self, "_zone_info", _zone(self.zone))

    def local(self, moment: datetime) -> datetime:
        """A moment in the utility's zone."""
        return moment.astimezone(self._zone_info)

    def midnight(self, day: date) -> datetime:
        """The moment at which a day begins in the utility's zone."""
        return datetime.combine(day, time(), self._zone_info)


def require_line(what: str, text: str) -> str:
    """Refuse what cannot stand on one line of a receipt.

    Raises:
        InvalidSettingError: longer than 200 characters, or with control characters.
    """
    if len(text) > _NAME_LENGTH_MAX or not (text.isprintable() or not text):
        raise InvalidSettingError(
            f"{what} must be one line of at most {_NAME_LENGTH_MAX} printable characters."
        )
    return text


def store_utility(connection: Connection, seller: Utility) -> None:
    """Write the one row of `utility` and open the books in its currency."""
    connection.execute(
        insert(utility),
        {
            "utility_id": 1,
            "name": seller.name,
            "address": seller.address,
            "tax_number": seller.tax_number,
            "vendor": seller.vendor,
            "currency": seller.currency.code,
            "minor_digits": seller.currency.minor_digits,
            "zone": seller.zone,
            "minimum_minor": seller.minimum_minor,
            "maximum_minor": seller.maximum_minor,
        },
    )
    open_books(connection, seller.currency.code)


def load_utility(connection: Connection) -> Utility:
    """Read it back."""
    row = connection.execute(select(utility)).one()
    return Utility(
        name=row.name,
        currency=Currency(row.currency, row.minor_digits),
        zone=row.zone,
        address=row.address,
        tax_number=row.tax_number,
        vendor=row.vendor,
        minimum_minor=row.minimum_minor,
        maximum_minor=row.maximum_minor,
    )


def add_price(connection: Connection, price: Price, valid_from: datetime) -> None:
    """From this moment on the price is another; what was sold before stays as it was."""
    connection.execute(
        insert(prices),
        {"valid_from": valid_from, "per_kwh": price.per_kwh, "tax_bp": price.tax_bp},
    )


def price_at(connection: Connection, moment: datetime) -> tuple[int, Price]:
    """The price's id and the price that is valid at a moment.

    Raises:
        NoPriceError: the first price is valid only later.
    """
    row = connection.execute(_PRICE_AT, {"moment": moment}).one_or_none()
    if row is None:
        raise NoPriceError(
            "No price is valid yet at this time: check the clock, or set a price from today."
        )
    return row.price_id, Price(row.per_kwh, row.tax_bp)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSettingError(
            f"There is no time zone {name!r}; use a name like Africa/Johannesburg or UTC."
        ) from None
