"""Tariffs and situations, as many kinds as there are."""

from __future__ import annotations

from hypothesis import strategies as st

from vending import Currency
from vending.price.situation import DueCharge, Of, OpenDebt, Scheme, SchemeKind, Situation
from vending.price.tariff import (
    Block,
    Change,
    ChangeRule,
    ChannelFee,
    Rounding,
    Step,
    Tariff,
    Tax,
    Taxed,
)

ZAR = Currency.named("ZAR")
AMOUNTS = st.integers(1, 200_000)
_BEFORE_ENERGY = [Step.FEE, Step.CHARGES, Step.ARREARS, Step.TAXES]


@st.composite
def taxes(draw: st.DrawFn) -> tuple[Tax, ...]:
    """Up to three taxes, on each other too."""
    made: list[Tax] = []
    for number in range(draw(st.integers(0, 3))):
        on = draw(st.lists(st.sampled_from(Taxed), min_size=1, unique=True))
        under = draw(st.lists(st.sampled_from([t.code for t in made]), unique=True)) if made else []
        made.append(
            Tax(
                f"t{number}",
                f"Tax {number}",
                draw(st.integers(0, 10_000)),
                tuple(on),
                tuple(under),
                draw(st.sampled_from(Rounding)),
            )
        )
    return tuple(made)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Block, ...]:
    """One to four blocks, of rising or falling prices."""
    bounds = sorted(draw(st.sets(st.integers(1, 800), max_size=3)))
    prices = st.integers(20_000, 10**6)
    return (*(Block(draw(prices), bound) for bound in bounds), Block(draw(prices)))


FEES = st.builds(
    ChannelFee,
    channel=st.just("card"),
    fixed_minor=st.integers(0, 500),
    rate_bp=st.integers(0, 9_999),
    at_most_minor=st.none() | st.integers(1, 2_000),
)
CHANGES = st.builds(
    Change, rule=st.sampled_from(ChangeRule), cash_unit_minor=st.sampled_from([1, 5, 10, 100])
)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    """A tariff with anything in it."""
    return Tariff(
        name="Drawn",
        blocks=draw(blocks()),
        order=(*draw(st.permutations(_BEFORE_ENERGY)), Step.ENERGY),
        fees=(draw(FEES),) if draw(st.booleans()) else (),
        taxes=draw(taxes()),
        change=draw(CHANGES),
    )


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """A scheme that does not block."""
    kind = draw(st.sampled_from([kind for kind in SchemeKind if kind is not SchemeKind.BLOCK]))
    shares = kind in (SchemeKind.PERCENT, SchemeKind.LESSER)
    fixed = kind in (SchemeKind.FIXED, SchemeKind.LESSER)
    return Scheme(
        kind,
        draw(st.integers(1, 10_000)) if shares else None,
        draw(st.integers(1, 5_000)) if fixed else None,
        draw(st.sampled_from(Of)),
    )


DEBTS = st.lists(
    st.builds(
        OpenDebt,
        debt_id=st.integers(1, 10**6),
        name=st.just("Debt"),
        left_minor=st.integers(1, 20_000),
        scheme=schemes(),
    ),
    max_size=4,
).map(tuple)
CHARGES = st.lists(
    st.builds(
        DueCharge,
        code=st.just("service"),
        name=st.just("Service"),
        month=st.sampled_from(["2026-10", "2026-11"]),
        amount_minor=st.integers(1, 2_000),
    ),
    max_size=2,
).map(tuple)
SITUATIONS = st.builds(
    Situation,
    channel=st.sampled_from(["card", "cash"]),
    month_units=st.integers(0, 1_000),
    charges=CHARGES,
    debts=DEBTS,
    carried_minor=st.integers(0, 500),
)
