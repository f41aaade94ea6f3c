"""Who sells, in which currency and zone, at what price, within which limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, func, insert, select

from storage.prepared import Prepared, Values
from vending.shop.books import open_books
from vending.shop.faults import InvalidSettingError, NoPriceError
from vending.shop.money import Currency
from vending.shop.price import Price
from vending.shop.tables import prices, utility
from vending.shop.values import require_text, require_whole

_NAME_LENGTH_MAX: Final = 200
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")
_SALE_MAX: Final = 10**15
_LAST_PRICE: Final = Prepared(
    select(
        prices.c.price_id,
        prices.c.per_kwh,
        prices.c.tax_bp,
        select(func.min(prices.c.set_at)).scalar_subquery().label("first_set_at"),
    )
    .order_by(prices.c.price_id.desc())
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
    language: str = "en"
    """In which receipts are printed where nobody says otherwise."""
    _zone_info: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for what, text in (
            ("name", self.name),
            ("address", self.address),
            ("tax number", self.tax_number),
            ("vendor", self.vendor),
        ):
            require_line(f"The utility's {what}" if what != "vendor" else "The vendor", text)
        if not self.name.strip():
            raise InvalidSettingError("The utility needs a name: receipts begin with it.")
        require_text("The language", self.language, fault=InvalidSettingError)
        if not _LANGUAGE.fullmatch(self.language):
            raise InvalidSettingError(
                f"A language is a code like en, zh, fr, pt or pt-BR; not {self.language!r}."
            )
        for limit in (self.minimum_minor, self.maximum_minor):
            require_whole("The limit of a sale", limit, fault=InvalidSettingError)
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
        InvalidSettingError: no text, longer than 200 characters, or with control characters.
    """
    return require_text(what, text, length_max=_NAME_LENGTH_MAX, fault=InvalidSettingError)


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
            "language": seller.language,
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
        language=row.language,
    )


def add_price(connection: Connection, price: Price, set_at: datetime) -> None:
    """From now on the price is another; what was sold before stays as it was.

    The order of setting decides, not ``set_at``: a clock that was wrong must not bring an
    earlier price back.
    """
    connection.execute(
        insert(prices),
        {"set_at": set_at, "per_kwh": price.per_kwh, "tax_bp": price.tax_bp},
    )


def last_price(connection: Connection) -> Price:
    """The price that was set last."""
    row = _LAST_PRICE.first(connection)
    return Price(row.per_kwh, row.tax_bp)


def asks_price() -> tuple[Prepared, Values]:
    """What `price_at` asks."""
    return _LAST_PRICE, {}


def price_at(connection: Connection, now: datetime) -> tuple[int, Price]:
    """The id and the price of a sale that is made now: the price that was set last.

    Raises:
        NoPriceError: the clock says a time before the first price was set.
    """
    row = _LAST_PRICE.first(connection)
    if now < row.first_set_at:
        raise NoPriceError(
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, but the shop's first price was set on "
            f"{row.first_set_at:%Y-%m-%d %H:%M}: put the clock right. If it is right, set the "
            "price anew (meterhouse price set)."
        )
    return row.price_id, Price(row.per_kwh, row.tax_bp)


def _zone(name: str) -> ZoneInfo:
    require_line("The time zone", name)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSettingError(
            f"There is no time zone {name!r}; use a name like Africa/Johannesburg or UTC."
        ) from None
