"""However readings, corrections, exchanges and prices come: all settlements of a supply together
are what an independent count of its registers comes to."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from billing.ledger.posting import balance
from billing.office import Office
from billing.settlement.correcting import follow_corrections
from billing.settlement.looking import effective
from billing.settlement.run import settle_day, settle_waiting
from billing.settlement.spans import midnight
from billing.settlement.tables import settlements
from headend.registry.tables import end_devices, installations
from headend.store.corrections import correct_reading
from headend.values import Reading, Source
from tests.billing.settlement.made import Home, home, judged, rate

FIRST = date(2026, 11, 1)
CHANGE = date(2026, 11, 6)
A_DAY = timedelta(days=1)
DAYS = 9
Steps = tuple[tuple[int | None, Fraction], ...]
STEPS: Steps = ((50_000, Fraction(1, 2)), (70_000, Fraction(4, 5)), (None, Fraction(23, 19)))
DEARER: Steps = ((40_000, Fraction(3, 5)), (90_000, Fraction(1)), (None, Fraction(3, 2)))
DOCUMENT = """
code = "{code}"
name = "Steps"
[blocks]
period = "month"
steps = [{{ up_to = {a}, rate = "{ra}" }}, {{ up_to = {b}, rate = "{rb}" }}, {{ rate = "{rc}" }}]
"""


def _exchange(one: Home, at: datetime, last_wh: int) -> int:
    with one.office.writing() as connection:
        connection.execute(
            update(installations)
            .where(installations.c.device_id == one.device_id)
            .values(until=at, last_wh=last_wh)
        )
        point = connection.scalar(
            select(installations.c.point_id).where(installations.c.device_id == one.device_id)
        )
        count = connection.scalar(select(func.max(end_devices.c.device_id))) or 0
        device: int = connection.execute(
            insert(end_devices)
            .values(
                number=f"x{count + 1}",
                protocol="dlt645-2007",
                address=f"9{count + 1:011d}",
                kind="credit",
                ratio=1,
                state="active",
                added_at=at,
            )
            .returning(end_devices.c.device_id)
        ).scalar_one()
        connection.execute(
            insert(installations).values(
                point_id=point, device_id=device, since=at, first_wh=500, reason="worn",
                made_by="test",
            )
        )  # fmt: skip
    return device


def _cost(steps: Steps, begin: int, end: int) -> Fraction:
    """What the energy between two places of a ladder costs, in minor units."""
    cost, low = Fraction(0), 0
    for high, price in steps:
        top = end if high is None else min(high, end)
        cost += max(0, top - max(low, begin)) * price / 10
        low = low if high is None else high
    return cost


@example(  # an exchange lies further off than the next reading: that is the one to estimate by
    used=[311, 2131, 1553, 1716, 13162, 661, 394, 401, 487],
    missing={1},
    order=[1, 2, 7, 8, 6, 3, 5, 4, 9],
    exchanged=5,
    moves=[(5, 59)],
    code=1,
)
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    used=st.lists(st.integers(0, 30_000), min_size=DAYS, max_size=DAYS),
    missing=st.sets(st.integers(1, DAYS - 1), max_size=3),
    order=st.permutations(range(1, DAYS + 1)),
    exchanged=st.none() | st.integers(1, DAYS - 2),
    moves=st.lists(st.tuples(st.integers(1, DAYS - 1), st.integers(0, 100)), max_size=3),
    code=st.integers(0, 10**9),
)
def test_req13_all_settlements_are_an_independent_recount(
    office: Office,
    used: list[int],
    missing: set[int],
    order: list[int],
    exchanged: int | None,
    moves: list[tuple[int, int]],
    code: int,
) -> None:
    assert office.station is not None
    with office.reading() as connection:
        number = connection.scalar(select(func.count()).select_from(installations)) or 0
    name = f"s{number}x{code}"
    for since, steps in ((FIRST, STEPS), (CHANGE, DEARER)):
        (a, ra), (b, rb), (_, rc) = steps
        rounded = Decimal(rc.numerator) / Decimal(rc.denominator)
        document = DOCUMENT.format(
            code=name, a=(a or 0) // 1000, b=(b or 0) // 1000,
            ra=float(ra), rb=float(rb), rc=f"{rounded:.4f}",
        )  # fmt: skip
        rate(office, document, since)
    one = home(office, since=FIRST, tariff=name, mode="prepaid")
    judged(office, FIRST + (DAYS + 1) * A_DAY)
    truth = [sum(used[:day]) for day in range(DAYS + 1)]
    """Energy since the beginning, at each midnight."""
    device_of = dict.fromkeys(range(DAYS + 1), (one.device_id, 0))
    """Which meter is read at a midnight, and what is to be added to its register."""
    if exchanged is not None:
        device = _exchange(one, midnight(FIRST + exchanged * A_DAY, office.zone), truth[exchanged])
        for day in range(exchanged, DAYS + 1):
            device_of[day] = (device, truth[exchanged] - 500)
        missing = missing - {exchanged}
    for day in order:  # as readings come in, in any order
        if day in missing:
            continue
        device, base = device_of[day]
        one.read(FIRST + day * A_DAY, truth[day] - base, device_id=device)
        settle_day(office, FIRST + (DAYS - 1) * A_DAY)
    for day, percent in moves:  # corrected readings: some use moves over a midnight
        if day in missing or day == exchanged:
            continue
        device, base = device_of[day]
        low = max(truth[other] for other in range(day))
        high = min(truth[other] for other in range(day + 1, DAYS + 1))
        truth[day] = low + (high - low) * percent // 100
        at = midnight(FIRST + day * A_DAY, office.zone)
        reading = Reading(device, "energy_import_total", at, 0, Source.FREEZE)
        correct_reading(office.station, reading, value=truth[day] - base, reason="misread")
        follow_corrections(office)
    settle_waiting(office, at_once=True)
    with office.reading() as connection:
        rows = effective(connection, one.supply_id, office.now() - 400 * A_DAY, office.now())
        everything = connection.execute(
            select(settlements).where(settlements.c.supply_id == one.supply_id)
        ).all()
        paid = -balance(connection, one.account_id)
        (last,) = [row for row in everything if row.seq == len(everything)]
    assert sum(row.energy_wh for row in everything) == truth[DAYS]
    assert [row.since for row in rows][1:] == [row.until for row in rows][:-1]
    assert rows[-1].until == midnight(FIRST + DAYS * A_DAY, office.zone)
    # prices: each span's energy by the version of its day, on the ladder of the month
    exact, before = Fraction(0), 0
    for row in rows:
        new = row.since >= midnight(CHANGE, office.zone)
        steps = tuple(
            (top, Fraction(f"{Decimal(price.numerator) / Decimal(price.denominator):.4f}"))
            for top, price in (DEARER if new else STEPS)
        )
        exact += _cost(steps, before, before + row.energy_wh)
        before += row.energy_wh
    assert paid == sum(row.amount_minor for row in everything)
    assert paid + Fraction(last.carried) == exact
