"""A tariff as a document: what people write in a TOML or JSON file, and what the shop stores.

The schema, with examples, is in ``docs/tariffs.md``.  Money and prices are decimals in the
shop's currency and percentages are decimals, written as text (``"2.50"``); a TOML number is
taken by its digits, never as a float.  Units are written in kWh (m3, min) with at most one
digit after the point.  Unknown words are refused: a misspelt "charge" must not be forgotten.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from vending.price.faults import TariffFormatError
from vending.price.tariff import (
    DEFAULT_ORDER,
    Block,
    Change,
    ChangeRule,
    ChannelFee,
    Charge,
    Rounding,
    Step,
    Tariff,
    Tax,
    Taxed,
)
from vending.price.words import PERCENT_DIGITS, PRICE_DIGITS
from vending.shop.faults import AmountFormatError
from vending.shop.money import Currency, parse_scaled, scaled
from vending.shop.resources import parse_resource

_UNIT_DIGITS: Final = 1
_DOCUMENT_MAX: Final = 100_000
_Enum = TypeVar("_Enum", bound=StrEnum)


def read_toml(text: str, currency: Currency) -> Tariff:
    """A tariff from a TOML document.

    Raises:
        TariffFormatError: it cannot be read, or makes no sense; says where.
    """
    try:
        return from_data(tomllib.loads(_sized(text), parse_float=str), currency)
    except tomllib.TOMLDecodeError as fault:
        raise TariffFormatError(f"The tariff is not TOML: {fault}.") from None


def read_json(text: str, currency: Currency) -> Tariff:
    """A tariff from a JSON document.

    Raises:
        TariffFormatError: it cannot be read, or makes no sense; says where.
    """
    try:
        plain = json.loads(_sized(text), parse_float=str)
    except (ValueError, RecursionError) as fault:
        raise TariffFormatError(f"The tariff is not JSON: {fault}.") from None
    return from_data(plain, currency)


def from_data(plain: object, currency: Currency) -> Tariff:
    """A tariff from a document's values.

    Raises:
        TariffFormatError: it makes no sense; says where.
    """
    part = _Part(plain, "The tariff", currency)
    tariff = Tariff(
        name=part.text("name"),
        resource=parse_resource(part.text("resource", "electricity")),
        order=part.words("order", Step, DEFAULT_ORDER),
        blocks=part.parts("blocks", _block),
        taxes=part.parts("taxes", _tax),
        charges=part.parts("charges", _charge),
        fees=part.parts("fees", _fee),
        change=part.part("change", _change) or Change(),
        minimum_minor=part.money("minimum"),
        maximum_minor=part.money("maximum"),
        free_basic_units=part.units("free_basic") or 0,
    )
    part.require_empty()
    return tariff


def to_data(tariff: Tariff, currency: Currency) -> dict[str, Any]:
    """A tariff as a document's values; `from_data` reads them back as the same tariff."""

    def money(minor: int | None) -> str | None:
        return None if minor is None else currency.text(minor)

    def price(number: int) -> str:
        return scaled(number, currency.minor_digits + PRICE_DIGITS)

    def percent(number: int) -> str:
        return scaled(number, PERCENT_DIGITS)

    def units(number: int | None) -> str | None:
        return None if number is None else scaled(number, _UNIT_DIGITS)

    return _filled(
        {
            "name": tariff.name,
            "resource": tariff.resource.value,
            "order": [step.value for step in tariff.order],
            "blocks": [
                _filled({"up_to": units(block.up_to), "price": price(block.price)})
                for block in tariff.blocks
            ],
            "taxes": [
                {
                    "code": tax.code,
                    "name": tax.name,
                    "percent": percent(tax.rate_bp),
                    "on": [thing.value for thing in tax.on],
                    "on_taxes": list(tax.on_taxes),
                    "rounding": tax.rounding.value,
                }
                for tax in tariff.taxes
            ],
            "charges": [
                {
                    "code": charge.code,
                    "name": charge.name,
                    "per_day" if charge.per_day else "per_month": money(charge.amount_minor),
                    "from_month": charge.from_month,
                    "months_max": charge.months_max,
                }
                for charge in tariff.charges
            ],
            "fees": [
                _filled(
                    {
                        "channel": fee.channel,
                        "fixed": money(fee.fixed_minor),
                        "percent": percent(fee.rate_bp),
                        "at_most": money(fee.at_most_minor),
                    }
                )
                for fee in tariff.fees
            ],
            "change": {
                "rule": tariff.change.rule.value,
                "smallest_coin": money(tariff.change.cash_unit_minor),
            },
            "minimum": money(tariff.minimum_minor),
            "maximum": money(tariff.maximum_minor),
            "free_basic": units(tariff.free_basic_units),
        }
    )


def to_json(tariff: Tariff, currency: Currency) -> str:
    """A tariff as it is stored: one spelling for one tariff."""
    return json.dumps(
        to_data(tariff, currency), ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )


def _filled(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if value is not None}


def _sized(text: str) -> str:
    if not isinstance(text, str):
        raise TariffFormatError(f"A tariff is read from text, not {type(text).__name__}.")
    if len(text) > _DOCUMENT_MAX:
        raise TariffFormatError(f"A tariff has at most {_DOCUMENT_MAX} characters.")
    return text


_Item = TypeVar("_Item")


class _Part:
    """A table of the document: each word of it is taken once, and none may be left."""

    def __init__(self, plain: object, where: str, currency: Currency) -> None:
        if not isinstance(plain, Mapping):
            raise TariffFormatError(f"{where} must be a table of names and values.")
        self.where = where
        self.currency = currency
        self._left = dict(plain)

    def require_empty(self) -> None:
        """Refuse words that nobody asked for."""
        if self._left:
            unknown = ", ".join(sorted(map(repr, self._left)))
            raise TariffFormatError(f"{self.where} has words that are not known: {unknown}.")

    def take(self, name: str) -> Any:
        """A value, or None."""
        return self._left.pop(name, None)

    def text(self, name: str, otherwise: str | None = None) -> str:
        """A text."""
        value = self.take(name)
        if value is None and otherwise is not None:
            return otherwise
        if not isinstance(value, str):
            raise TariffFormatError(f"{self.where} needs a text '{name}'.")
        return value

    def whole(self, name: str, otherwise: int) -> int:
        """A whole number."""
        value = self.take(name)
        if value is None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, int):
            raise TariffFormatError(f"{self.where}: '{name}' is a whole number.")
        return value

    def money(self, name: str) -> int | None:
        """An amount in minor units."""
        whose = f"An amount in {self.currency.code} has"
        return self._decimal(name, self.currency.minor_digits, whose)

    def price(self, name: str) -> int | None:
        """A price in 1/1000 of a minor unit."""
        whose = f"A price in {self.currency.code} has"
        return self._decimal(name, self.currency.minor_digits + PRICE_DIGITS, whose)

    def percent(self, name: str) -> int | None:
        """A rate in basis points."""
        return self._decimal(name, PERCENT_DIGITS, "A percentage has")

    def units(self, name: str) -> int | None:
        """Tenths of a unit."""
        return self._decimal(name, _UNIT_DIGITS, "A number of units has")

    def needed(self, name: str, value: _Item | None) -> _Item:
        """A value that must be there."""
        if value is None:
            raise TariffFormatError(f"{self.where} needs '{name}'.")
        return value

    def word(self, name: str, kind: type[_Enum], otherwise: _Enum) -> _Enum:
        """One of a few words."""
        value = self.take(name)
        return otherwise if value is None else self._word(name, kind, value)

    def words(
        self, name: str, kind: type[_Enum], otherwise: tuple[_Enum, ...]
    ) -> tuple[_Enum, ...]:
        """Some of a few words."""
        return tuple(self._word(name, kind, value) for value in self._list(name, otherwise))

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts."""
        return tuple(str(value) for value in self._list(name, ()))

    def parts(self, name: str, read: Callable[[_Part], _Item]) -> tuple[_Item, ...]:
        """Tables of one kind."""
        return tuple(
            self._read(value, f"{self.where}: {name} {number}", read)
            for number, value in enumerate(self._list(name, ()), 1)
        )

    def part(self, name: str, read: Callable[[_Part], _Item]) -> _Item | None:
        """A table, or None."""
        value = self.take(name)
        return None if value is None else self._read(value, f"{self.where}: {name}", read)

    def _read(self, value: object, where: str, read: Callable[[_Part], _Item]) -> _Item:
        part = _Part(value, where, self.currency)
        item = read(part)
        part.require_empty()
        return item

    def _list(self, name: str, otherwise: tuple[Any, ...]) -> tuple[Any, ...]:
        value = self.take(name)
        if value is None:
            return otherwise
        if not isinstance(value, list):
            raise TariffFormatError(f"{self.where}: '{name}' is a list.")
        return tuple(value)

    def _word(self, name: str, kind: type[_Enum], value: object) -> _Enum:
        try:
            return kind(str(value))
        except ValueError:
            known = ", ".join(each.value for each in kind)
            raise TariffFormatError(
                f"{self.where}: '{name}' may say {known}; not {value!r}."
            ) from None

    def _decimal(self, name: str, digits: int, whose: str) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise TariffFormatError(f"{self.where}: '{name}' is a decimal like \"2.50\".")
        try:
            return parse_scaled(str(value), digits, f"{self.where}: '{name}'", whose)
        except AmountFormatError as fault:
            raise TariffFormatError(str(fault)) from None


def _block(part: _Part) -> Block:
    return Block(part.needed("price", part.price("price")), part.units("up_to"))


def _tax(part: _Part) -> Tax:
    code = part.text("code")
    return Tax(
        code=code,
        name=part.text("name", code.upper()),
        rate_bp=part.needed("percent", part.percent("percent")),
        on=part.words("on", Taxed, (Taxed.ENERGY,)),
        on_taxes=part.texts("on_taxes"),
        rounding=part.word("rounding", Rounding, Rounding.HALF_UP),
    )


def _charge(part: _Part) -> Charge:
    by_month, by_day = part.money("per_month"), part.money("per_day")
    if (by_month is None) == (by_day is None):
        raise TariffFormatError(f"{part.where} needs either 'per_month' or 'per_day'.")
    amount = by_month if by_month is not None else by_day
    assert amount is not None
    return Charge(
        code=part.text("code"),
        name=part.text("name"),
        amount_minor=amount,
        from_month=part.text("from_month"),
        per_day=by_day is not None,
        months_max=part.whole("months_max", 12),
    )


def _fee(part: _Part) -> ChannelFee:
    return ChannelFee(
        channel=part.text("channel"),
        fixed_minor=part.money("fixed") or 0,
        rate_bp=part.percent("percent") or 0,
        at_most_minor=part.money("at_most"),
    )


def _change(part: _Part) -> Change:
    coin = part.money("smallest_coin")
    return Change(
        part.word("rule", ChangeRule, ChangeRule.CASH),
        1 if coin is None else coin,
    )
