"""A tariff: how money becomes units, as data.  Pure values.

================  ===========================================================================
part              what it says
================  ===========================================================================
`Tariff.order`    which deductions come when; energy takes what is left, so it is last
`ChannelFee`      what the channel (the tender) costs; its taxes are in it
`Charge`          a sum for each calendar month; unpaid months are collected, the last
                  ``months_max`` of them; its taxes come on top
arrears           collected as each debt's own `vending.price.situation.Scheme` says
`Tax`             a rate on energy, charges or fees, and on taxes before it
`Block`           price of the units up to a bound within a calendar month
`Change`          what becomes of money that buys no unit
================  ===========================================================================

Whole numbers throughout: money in minor units, prices in 1/1000 of a minor unit for ten units
(1 kWh, 1 m3, 1 min), rates in basis points, units in tenths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from math import gcd
from typing import Final

from vending.price.faults import TariffFormatError
from vending.price.words import percent_text, things_text
from vending.receipts.receipt import Reason
from vending.shop.resources import Resource
from vending.shop.values import require_text, require_whole
from vending.sts import AMOUNT_MAX

PRICE_SCALE: Final = 1_000
"""A price counts thousandths of a minor unit."""
RATE_SCALE: Final = 10_000
"""A rate counts basis points."""
UNITS_PER_MEASURE: Final = 10
"""A unit is a tenth of a kWh (m3, min)."""
PRICE_MAX: Final = 10**12
MONEY_MAX: Final = 10**15
MONTHS_MAX: Final = 120
"""So many unpaid months of a charge are looked back at, at most."""
_ITEMS_MAX: Final = 16
_NAME_MAX: Final = 64
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


class Step(StrEnum):
    """What takes its part of the money, one after the other."""

    FEE = "fee"
    """The fee of the channel."""
    CHARGES = "charges"
    """Fixed charges that are due, with their taxes."""
    ARREARS = "arrears"
    """Debts, each by its scheme."""
    TAXES = "taxes"
    """Taxes on energy.  An arrears step behind it takes its percentage "of the rest" from what
    the rest is without them; one before it, from the rest with them."""
    ENERGY = "energy"
    """Units, for everything that is left."""


DEFAULT_ORDER: Final = (Step.FEE, Step.CHARGES, Step.ARREARS, Step.TAXES, Step.ENERGY)
"""specs/vending.md, "Money to units"."""


class Taxed(StrEnum):
    """What a tax may be on."""

    ENERGY = "energy"
    CHARGES = "charges"
    FEE = "fee"


class Rounding(StrEnum):
    """How a tax becomes a whole number of minor units."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    UP = "up"
    DOWN = "down"

    def divide(self, number: int, by: int) -> int:
        """``number / by`` (neither negative), rounded."""
        whole, rest = divmod(number, by)
        if self is Rounding.HALF_UP:
            return whole + (2 * rest >= by)
        if self is Rounding.UP:
            return whole + (rest > 0)
        if self is Rounding.DOWN:
            return whole
        return whole + (2 * rest > by or (2 * rest == by and whole % 2))


class ChangeRule(StrEnum):
    """What becomes of money that buys no unit."""

    CASH = "cash"
    """It is given back in cash."""
    CARRY = "carry"
    """It pays for the next sale at the same service point."""


@dataclass(frozen=True, slots=True)
class Block:
    """The price of the units up to a bound, within a calendar month and a service point."""

    price: int
    """For ten units, before tax, in 1/1000 of a minor unit."""
    up_to: int | None = None
    """In units (tenths) of the month; None in the last block."""


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax."""

    code: str
    """For accounts and programs: ``vat``."""
    name: str
    """For receipts; may be empty, then it is called "tax"."""
    rate_bp: int
    on: tuple[Taxed, ...] = (Taxed.ENERGY,)
    on_taxes: tuple[str, ...] = ()
    """Codes of taxes before it whose amounts are taxed as well."""
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, slots=True)
class Charge:
    """A fixed sum for each calendar month."""

    code: str
    name: str
    amount_minor: int
    """For a month, or for a day of it; before tax."""
    from_month: str
    """The first month that it is due for: ``2026-01``."""
    per_day: bool = False
    """Whether the amount is for a day: a month costs as many as it has days; the first month
    of a meter, as many as are left of it."""
    months_max: int = 12
    """So many months, this one included, are collected at most; older ones lapse."""


@dataclass(frozen=True, slots=True)
class ChannelFee:
    """What a way of paying costs the customer.  The taxes on it are contained in it."""

    channel: str
    """``cash``, ``card``, ... as the tender is called."""
    fixed_minor: int = 0
    rate_bp: int = 0
    """Of the tendered amount, on top of the fixed sum."""
    at_most_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of money that buys no unit."""

    rule: ChangeRule = ChangeRule.CASH
    cash_unit_minor: int = 1
    """The smallest coin: change is given back in whole ones, and the rest of it is kept."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The taxes on one kind of thing: what they make up of it."""

    net: int
    """The thing itself, of ``whole``."""
    whole: int
    """Net and taxes."""
    taxes: tuple[tuple[int, int], ...]
    """(position of the tax in the tariff, its part of ``whole``)."""


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence in English, and for other languages."""

    text: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Tariff:
    """How money becomes units.

    Raises:
        TariffFormatError: it makes no sense; says where and why.
    """

    name: str
    blocks: tuple[Block, ...]
    resource: Resource = Resource.ELECTRICITY
    order: tuple[Step, ...] = DEFAULT_ORDER
    fees: tuple[ChannelFee, ...] = ()
    charges: tuple[Charge, ...] = ()
    taxes: tuple[Tax, ...] = ()
    change: Change = Change()
    minimum_minor: int | None = None
    """The smallest sale, where the shop's own limit is lower."""
    maximum_minor: int | None = None
    """The largest sale, where the shop's own limit is higher."""
    free_basic_units: int = 0
    """Free units (tenths) of a month; 0: none."""
    on_energy: Shares = field(init=False, repr=False, compare=False)
    on_charges: Shares = field(init=False, repr=False, compare=False)
    on_fee: Shares = field(init=False, repr=False, compare=False)
    tax_words: tuple[Words, ...] = field(init=False, repr=False, compare=False)
    """What a receipt says of each tax."""

    def __post_init__(self) -> None:
        _require_name("A tariff's name", self.name)
        _require_order(self)
        _require_blocks(self.blocks)
        _require_taxes(self.taxes)
        _require_charges(self.charges)
        _require_fees(self.fees)
        _require_limits(self)
        for name, thing in (
            ("on_energy", Taxed.ENERGY),
            ("on_charges", Taxed.CHARGES),
            ("on_fee", Taxed.FEE),
        ):
            object.__setattr__(self, name, _shares(self.taxes, thing))
        words = tuple(_tax_words(self.taxes, tax) for tax in self.taxes)
        object.__setattr__(self, "tax_words", words)

    @property
    def counts_blocks(self) -> bool:
        """Whether the price depends on what the month has seen already."""
        return len(self.blocks) > 1

    def fee_of(self, channel: str) -> ChannelFee | None:
        """What a way of paying costs."""
        return next((fee for fee in self.fees if fee.channel == channel), None)


def _shares(taxes: tuple[Tax, ...], thing: Taxed) -> Shares:
    """Each tax's part of a thing with its taxes, over one common whole."""
    scale = RATE_SCALE ** len(taxes)
    parts: dict[str, int] = {}
    for tax in taxes:
        base = scale if thing in tax.on else 0
        base += sum(parts[code] for code in tax.on_taxes)
        # exact: each tax divides by RATE_SCALE once, and the scale has it once for each tax
        parts[tax.code] = base * tax.rate_bp // RATE_SCALE
    common = gcd(scale, *parts.values())
    net = scale // common
    found = tuple(
        (position, parts[tax.code] // common)
        for position, tax in enumerate(taxes)
        if parts[tax.code]
    )
    return Shares(net, net + sum(part for _, part in found), found)


def _tax_words(taxes: tuple[Tax, ...], tax: Tax) -> Words:
    percent = percent_text(tax.rate_bp)
    text = f"{percent} % {tax.name or 'tax'} on {things_text(tax.on)}"
    on = "_".join(thing.value for thing in Taxed if thing in tax.on)
    if not tax.name:
        return Words(text, Reason(f"unnamed_tax_on_{on}", (percent,)))
    if not tax.on_taxes:
        return Words(text, Reason(f"tax_on_{on}", (percent, tax.name)))
    under = ", ".join(each.name or "tax" for each in taxes if each.code in tax.on_taxes)
    reason = Reason(f"tax_on_{on}_and_taxes", (percent, tax.name, under))
    return Words(f"{text} and on {under}", reason)


def _require_order(tariff: Tariff) -> None:
    order = tariff.order
    if len(set(order)) != len(order) or not order or order[-1] is not Step.ENERGY:
        raise TariffFormatError("The order names each step once at most, and energy comes last.")
    for step, parts, what in (
        (Step.FEE, tariff.fees, "fees"),
        (Step.CHARGES, tariff.charges, "charges"),
        (Step.TAXES, tariff.taxes, "taxes"),
    ):
        if parts and step not in order:
            raise TariffFormatError(
                f"The tariff has {what}, but its order has no step '{step.value}'."
            )


def _require_blocks(blocks: tuple[Block, ...]) -> None:
    _require_count("blocks", blocks)
    if not blocks or blocks[-1].up_to is not None:
        raise TariffFormatError("The last block has no upper bound: it takes whatever is left.")
    before = 0
    for number, block in enumerate(blocks, 1):
        last = number == len(blocks)
        _require_range(f"The price of block {number}", block.price, 1 if last else 0, PRICE_MAX)
        if last:
            return
        if block.up_to is None:
            raise TariffFormatError(f"Block {number} needs an upper bound, for another follows.")
        _require_range(f"The bound of block {number}", block.up_to, 1, AMOUNT_MAX)
        if block.up_to <= before:
            raise TariffFormatError(f"Block {number} must reach further than the one before it.")
        before = block.up_to


def _require_taxes(taxes: tuple[Tax, ...]) -> None:
    _require_count("taxes", taxes)
    known: set[str] = set()
    for tax in taxes:
        _require_code("A tax's code", tax.code)
        _require_name(f"The name of tax {tax.code}", tax.name, empty=True)
        _require_range(f"The rate of tax {tax.code}", tax.rate_bp, 0, RATE_SCALE)
        if not set(tax.on_taxes) <= known or len(set(tax.on_taxes)) != len(tax.on_taxes):
            raise TariffFormatError(f"Tax {tax.code} may be on taxes before it only, once each.")
        if not tax.on or len(set(tax.on)) != len(tax.on):
            raise TariffFormatError(f"Tax {tax.code} is on energy, charges or fee, once each.")
        if tax.code in known:
            raise TariffFormatError(f"There are two taxes {tax.code}.")
        known.add(tax.code)


def _require_charges(charges: tuple[Charge, ...]) -> None:
    _require_count("charges", charges)
    _require_distinct("charges", (charge.code for charge in charges))
    for charge in charges:
        _require_code("A charge's code", charge.code)
        _require_name(f"The name of charge {charge.code}", charge.name)
        _require_range(f"Charge {charge.code}", charge.amount_minor, 1, MONEY_MAX)
        _require_range(f"The months of charge {charge.code}", charge.months_max, 1, MONTHS_MAX)
        if not _MONTH.fullmatch(str(charge.from_month)):
            raise TariffFormatError(f"Charge {charge.code} begins in a month like 2026-01.")


def _require_fees(fees: tuple[ChannelFee, ...]) -> None:
    _require_count("fees", fees)
    _require_distinct("fees", (fee.channel for fee in fees))
    for fee in fees:
        _require_code("A channel", fee.channel)
        _require_range(f"The fee of {fee.channel}", fee.fixed_minor, 0, MONEY_MAX)
        _require_range(f"The rate of the fee of {fee.channel}", fee.rate_bp, 0, RATE_SCALE - 1)
        if fee.at_most_minor is not None:
            _require_range(f"The fee of {fee.channel} at most", fee.at_most_minor, 1, MONEY_MAX)


def _require_limits(tariff: Tariff) -> None:
    _require_range("The smallest coin", tariff.change.cash_unit_minor, 1, MONEY_MAX)
    _require_range("The free basic units", tariff.free_basic_units, 0, AMOUNT_MAX)
    least, most = tariff.minimum_minor, tariff.maximum_minor
    for what, limit in (("smallest", least), ("largest", most)):
        if limit is not None:
            _require_range(f"The {what} sale", limit, 1, MONEY_MAX)
    if least is not None and most is not None and least > most:
        raise TariffFormatError("The smallest sale must not be above the largest.")


def _require_range(what: str, number: object, least: int, most: int) -> None:
    whole = require_whole(what, number, fault=TariffFormatError)
    if not least <= whole <= most:
        raise TariffFormatError(f"{what} must lie between {least} and {most}.")


def _require_code(what: str, code: object) -> None:
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise TariffFormatError(
            f"{what} is a word of small letters, digits and _, like vat; not {code!r}."
        )


def _require_name(what: str, name: object, *, empty: bool = False) -> None:
    text = require_text(what, name, length_max=_NAME_MAX, fault=TariffFormatError)
    if not empty and not text.strip():
        raise TariffFormatError(f"{what} must not be empty.")


def _require_count(what: str, items: tuple[object, ...]) -> None:
    if len(items) > _ITEMS_MAX:
        raise TariffFormatError(f"A tariff has at most {_ITEMS_MAX} {what}.")


def _require_distinct(what: str, codes: Iterable[str]) -> None:
    found = list(codes)
    if len(set(found)) != len(found):
        raise TariffFormatError(f"Two {what} have the same name: each needs its own.")
