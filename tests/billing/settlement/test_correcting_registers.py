"""Corrections of single registers and of demand: all settlements come to what a count from the
right figures comes to, in fractions (requirement 13)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from fractions import Fraction
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.ledger.posting import balance
from billing.office import Office
from billing.settlement.correcting import correct, follow_corrections
from billing.settlement.faults import NothingToCorrectError
from billing.settlement.run import settle_day
from billing.settlement.spans import midnight
from billing.settlement.tables import settlements
from headend.store.corrections import contradictions, correct_reading, settle
from headend.store.intervals import add_intervals
from headend.store.packing import pack
from headend.values import IntervalValue, Reading, Source
from tests.billing.settlement.made import NAMES, Home, home, judged, rate

FIRST = date(2026, 11, 1)
A_DAY = timedelta(days=1)
DAYS = 6
MONTH_DAYS = 30
_CODES = count()
"""Each example has a tariff of its own."""
TIMES = """
code = "times"
name = "Times of use"
[energy]
rates = { t1 = "0.8123", t2 = "0.3077" }
[blocks]
period = "month"
steps = [{ up_to = 40, adds = "0" }, { adds = "0.0519" }]
[[taxes]]
code = "vat"
name = "VAT"
percent = "13"
on = ["energy"]
"""
DEMAND = """
code = "demand"
name = "Demand"
[energy]
rate = "0.5017"
[demand]
per_month = "36.17"
"""
GAP_WH = 2_999
"""Of registers of time of use that differ from the total by less, nobody is asked."""


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    used=st.lists(
        st.tuples(st.integers(3_000, 15_000), st.integers(3_000, 15_000)),
        min_size=DAYS,
        max_size=DAYS,
    ),
    day=st.integers(1, DAYS),
    wrong_by=st.integers(-2_900, GAP_WH - 99).filter(bool),
    both=st.booleans(),
)
def test_req13_a_corrected_register_of_time_of_use_is_settled_as_if_it_had_been_right(
    office: Office,
    used: Sequence[tuple[int, int]],
    day: int,
    wrong_by: int,
    both: bool,
) -> None:
    code = next(_CODES)
    rate(office, TIMES.replace('"times"', f'"times{code}"'), FIRST)
    one = home(office, since=FIRST, tariff=f"times{code}")
    shown = [(sum(a for a, _ in used[:n]), sum(b for _, b in used[:n])) for n in range(DAYS + 1)]
    for number, (t1, t2) in enumerate(shown):
        by = wrong_by if number == day else 0
        # of one register alone: it no longer adds up to the total, by less than is asked about
        one.read(FIRST + number * A_DAY, t1 + t2, t1=t1 + by, t2=t2 - (by if both else 0))
    judged(office, FIRST + DAYS * A_DAY)
    assert settle_day(office, FIRST + (DAYS - 1) * A_DAY).settled >= DAYS
    _correct(office, one, "t1", day, shown[day][0])
    if both:
        _correct(office, one, "t2", day, shown[day][1])
    follow_corrections(office)
    energy = sum(a * Fraction("0.8123") + b * Fraction("0.3077") for a, b in used)
    above = max(0, sum(shown[-1]) - 40_000) * Fraction("0.0519")
    assert _charged(office, one) == (energy + above) * Fraction(113, 100) / 10


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kilowatts=st.lists(st.integers(1, 400), min_size=DAYS, max_size=DAYS),
    day=st.integers(0, DAYS - 1),
    right=st.integers(1, 400),
)
def test_req13_a_corrected_demand_charges_the_month_as_if_it_had_been_right(
    office: Office, kilowatts: list[int], day: int, right: int
) -> None:
    assert office.station is not None
    code = next(_CODES)
    rate(office, DEMAND.replace('"demand"', f'"demand{code}"'), FIRST)
    one = home(office, since=FIRST, tariff=f"demand{code}")
    for number in range(DAYS + 1):
        one.read(FIRST + number * A_DAY, number * 10_000)
    for number, kilowatt in enumerate(kilowatts):
        _peak(office, one, number, kilowatt)
    judged(office, FIRST + DAYS * A_DAY)
    assert settle_day(office, FIRST + (DAYS - 1) * A_DAY).settled >= DAYS
    assert _charged(office, one) == _with_demand(kilowatts)
    pack(office.station)
    if right != kilowatts[day]:
        _peak(office, one, day, right)
        with office.reading() as connection:
            (found,) = contradictions(connection, device_id=one.device_id)
        settle(office.station, found.number, take_other=True, reason="the clock was set")
        kilowatts[day] = right
        moment = midnight(FIRST + day * A_DAY, office.zone) + timedelta(hours=10)
        with suppress(NothingToCorrectError):  # another day's demand is as high
            correct(office, one.supply_id, moment, moment, "the demand was wrong")
    assert _charged(office, one) == _with_demand(kilowatts)


def _with_demand(kilowatts: Sequence[int]) -> Fraction:
    """Minor units."""
    energy = 10 * DAYS * Fraction("50.17")
    return energy + max(kilowatts) * Fraction(3617) * DAYS / MONTH_DAYS


def _peak(office: Office, one: Home, day: int, kilowatt: int) -> None:
    """The highest mean power of a day."""
    start = midnight(FIRST + day * A_DAY, office.zone) + timedelta(hours=10)
    value = IntervalValue(one.device_id, "power_active_total", start, 60, kilowatt * 1_000_000)
    with office.writing() as connection:
        add_intervals(connection, [value])


def _correct(office: Office, one: Home, register: str, day: int, value: int) -> None:
    assert office.station is not None
    at = midnight(FIRST + day * A_DAY, office.zone)
    reading = Reading(one.device_id, NAMES[register], at, 0, Source.FREEZE)
    correct_reading(office.station, reading, value=value, reason="misread")


def _charged(office: Office, one: Home) -> Fraction:
    """What was posted, and the fraction that rounding has left."""
    with office.reading() as connection:
        rows = connection.execute(
            select(settlements)
            .where(settlements.c.supply_id == one.supply_id)
            .order_by(settlements.c.seq)
        ).all()
        assert balance(connection, one.account_id) == -sum(row.amount_minor for row in rows)
    posted: int = sum(row.amount_minor for row in rows)
    return posted + Fraction(rows[-1].carried)
