"""Prices against sums with fractions that share no code with them (`spreadsheet`)."""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariffs.pricing import price
from billing.tariffs.spelling import to_data
from billing.tariffs.tariff import Tariff
from billing.tariffs.values import ChargeLine, Usage
from billing.tariffs.version import TariffVersion, VersionSpan
from tests.billing.tariffs.settler import Supply, settle, usage_of
from tests.billing.tariffs.spreadsheet import rows
from tests.billing.tariffs.strategies import ZONE, cuts_of, midnight, supplies, tariffs

_NEAR = Fraction(1, 10**7)
"""Major units: shares of months are kept to 10^-6 of a minor unit, at both ends of a part."""


@settings(max_examples=80, deadline=None)
@given(st.data(), tariffs(), supplies())
def test_req12_every_line_is_what_the_second_opinion_says(
    data: st.DataObject, tariff: Tariff, supply: Supply
) -> None:
    begin, end = supply.counts[0].since, supply.counts[-1].until
    version = TariffVersion(1, midnight(2026, 1, 1), tariff)
    span = VersionSpan(version, begin, end, ends=data.draw(st.booleans()))
    cuts = sorted(data.draw(cuts_of(supply)))
    # a usage somewhere in the month, with all that was settled before it
    since = data.draw(st.sampled_from([begin, *cuts]))
    done = [each for each in settle(supply, cuts, [span]) if each.until <= since]
    until = data.draw(st.sampled_from([*(cut for cut in cuts if cut > since), end]))
    usage = usage_of(supply, since, until, span, done)
    priced = price(version, usage, ZONE)
    _same(priced.lines, rows(to_data(tariff), _plain(usage, version, ZONE)), usage)


def _plain(usage: Usage, version: TariffVersion, zone: tzinfo) -> dict[str, Any]:
    before = usage.month_before
    kinds = version.plan.power_factor.kinds if version.plan.power_factor else ()
    assert before is not None
    charges = sum((before.charges.get(kind, Decimal(0)) for kind in kinds), Decimal(0))

    def local(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment.astimezone(zone)

    return {
        "since": local(usage.since),
        "until": local(usage.until),
        "wh": usage.energy_wh,
        "before": usage.before_wh,
        "varh": usage.reactive_varh,
        "demand_w": usage.demand_w,
        "capacity": usage.capacity,
        "supply_since": local(usage.supply_since),
        "supply_ends": usage.supply_ends,
        "version_since": local(version.since),
        "version_ends": usage.version_ends,
        "month_before": {
            "active_wh": before.active_wh,
            "reactive_varh": before.reactive_varh,
            "charges": Fraction(charges) / 100,
        },
    }


def _same(lines: tuple[ChargeLine, ...], told: list[tuple[str, Fraction]], usage: Usage) -> None:
    ours: dict[str, Fraction] = {}
    for line in lines:
        ours[line.code] = ours.get(line.code, Fraction(0)) + Fraction(line.amount) / 100
    theirs: dict[str, Fraction] = {}
    for code, amount in told:
        theirs[code] = theirs.get(code, Fraction(0)) + amount
    if usage.demand_before_w:  # the second opinion does not know what was charged for it
        for code in ("demand", "demand_excess", "power_factor", "extra", "vat", "city"):
            ours.pop(code, None)
            theirs.pop(code, None)
    for code in ours.keys() | theirs.keys():
        zero = Fraction(0)
        assert abs(ours.get(code, zero) - theirs.get(code, zero)) <= _NEAR, code
