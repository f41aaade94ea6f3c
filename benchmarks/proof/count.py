"""What must hold in the end.  What begins with ``!`` must be zero."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from benchmarks.proof.asked import Asked
from benchmarks.proof.house import House
from benchmarks.proof.ordering import PLAN, QUANTITY
from benchmarks.proof.run import Found
from benchmarks.proof.witness import TOKEN
from headend.collection.tables import round_devices, rounds
from headend.orders.tables import orders
from headend.orders.values import OrderKind, OrderState
from headend.registry.tables import links
from headend.store.tables import differing_values, quantities, readings
from headend.work.tables import jobs

SUCCESS_MIN: Final = 0.995
"""Of the living meters, in each hour."""
_EXAMPLES_MAX: Final = 5
_VISIT_S: Final = 120
"""A reading is the register's at some moment of its visit, which lasts no longer."""
_STEP_WH: Final = 10
"""DL/T 645 shows hundredths of a kWh; Modbus shows Wh, and its steps are among these."""
_OF_ORDERS: Final = (
    "orders lost",
    "orders doubled",
    "done but not seen by the meter",
    "seen by the meter more than once",
    "not done but seen by the meter",
)
_WANTED: Final = {OrderKind.RELAY_TRIP: "open", OrderKind.RELAY_CLOSE: "closed"}


def count(house: House, asked: Asked, found: Found) -> dict[str, Any]:
    """Hold the database against what the meters have seen."""
    counted: Counter[str] = Counter()
    examples: list[str] = []
    with house.station.reading() as connection:
        true_readings = _look_at_readings(connection, house, asked, found, counted, examples)
        hours = _hours(connection, house, asked, true_readings, counted)
        _look_at_orders(connection, house, found, counted)
        _look_at_rest(connection, counted)
    counted["! what had not ended"] = found.left
    short = [hour for hour in hours if hour < SUCCESS_MIN]
    counted["! hours below 99.5 % of the living"] = len(short)
    counted["! hours that were not read"] = asked.hours - len(hours)
    shares = {"success by hour": [round(100 * hour, 3) for hour in hours]}
    return shares | counted | {"examples": examples[:_EXAMPLES_MAX]}


_True = dict[int, list[datetime]]
"""By device: the moments of its readings that are true."""


def _look_at_readings(
    connection: Connection,
    house: House,
    asked: Asked,
    found: Found,
    counted: Counter[str],
    examples: list[str],
) -> _True:
    """Each stored value is what its meter's register was, at a moment of that visit."""
    addresses = {house.devices[number]: address for number, address in _addresses(house).items()}
    dead = {house.devices[number] for number in asked.dead}
    counted["! values that the meter never showed"] = 0
    counted["! values of dead meters"] = 0
    good: _True = defaultdict(list)
    query = (
        select(readings.c.device_id, readings.c.at, readings.c.value)
        .join(quantities, quantities.c.quantity_id == readings.c.quantity_id)
        .where(quantities.c.name == QUANTITY)
    )
    for row in connection.execute(query):
        counted["readings"] += 1
        counted["! values of dead meters"] += row.device_id in dead
        told, at = found.truth.told.get(addresses[row.device_id], []), int(row.at.timestamp())
        if _was_shown(told, at, row.value):
            good[row.device_id].append(row.at)
        else:
            counted["! values that the meter never showed"] += 1
            near = told[max(0, bisect_left(told, (at, 0)) - 2) :][:4]
            examples.append(
                f"device {row.device_id} of {addresses[row.device_id]} is said to have shown "
                f"{row.value} Wh at second {at}; it showed {near}"
            )
    return good


def _addresses(house: House) -> dict[int, str]:
    return {number: text.zfill(12) for number, text in house.numbers.items()}


def _was_shown(told: list[tuple[int, int]], at: int, value: int) -> bool:
    """Whether the meter told this within a visit that began at that second."""
    for second, wh in told[bisect_left(told, (at - 1, 0)) :]:
        if second > at + _VISIT_S:
            return False
        if wh in (value, value + (wh - value) % _STEP_WH):
            return True
    return False


def _hours(
    connection: Connection, house: House, asked: Asked, good: _True, counted: Counter[str]
) -> list[float]:
    """The part of the living meters that each hour has read, rightly."""
    living = set(house.devices.values()) - {house.devices[number] for number in asked.dead}
    visits: Counter[int] = Counter()
    shares: list[float] = []
    counted["! visits without a reading"] = 0
    for row in connection.execute(
        select(rounds.c.round_id, rounds.c.made_at, rounds.c.closes_at, rounds.c.ended_at)
        .where(rounds.c.name == PLAN)
        .order_by(rounds.c.round_id)
    ).all():
        read = _read_by(connection, row.round_id)
        visits.update(read)
        for why, number in _missed_by(connection, row.round_id, living):
            counted[f"living meters missed: {why}"] += number
        since, until = row.made_at.replace(microsecond=0), row.ended_at or row.closes_at
        kept = {each for each in read if any(since <= at <= until for at in good[each])}
        counted["! visits without a reading"] += len(read - kept)
        if len(shares) < asked.hours:
            shares.append(len(living & kept) / len(living))
    counted["visits that read"] = visits.total()
    counted["! readings stored twice"] = sum(
        max(0, len(moments) - visits[device]) for device, moments in good.items()
    )
    return shares


def _read_by(connection: Connection, round_id: int) -> set[int]:
    """The devices that a round has read."""
    query = select(round_devices.c.device_id).where(
        round_devices.c.round_id == round_id, round_devices.c.state == "read"
    )
    return set(connection.scalars(query))


def _missed_by(
    connection: Connection, round_id: int, living: set[int]
) -> Iterator[tuple[str, int]]:
    """Why living meters were not read."""
    rows = connection.execute(
        select(round_devices.c.device_id, round_devices.c.why, links.c.kind)
        .outerjoin(links, links.c.link_id == round_devices.c.link_id)
        .where(round_devices.c.round_id == round_id, round_devices.c.state != "read")
    )
    missed = Counter(f"{row.why} ({row.kind})" for row in rows if row.device_id in living)
    yield from sorted(missed.items())


def _look_at_orders(
    connection: Connection, house: House, found: Found, counted: Counter[str]
) -> None:
    """Each order was given, has ended, and did to its meter what it says: once, or not at all."""
    addresses = _addresses(house)
    of_device = {device: addresses[number] for number, device in house.devices.items()}
    given = found.ordering
    names = {f"relay_trip-{number}" for number in given.trips}
    names |= {f"relay_close-{number}" for number in given.closes}
    names |= {f"{receipt}/1" for receipt, _ in given.sales.values()}
    done: dict[str, Counter[str]] = defaultdict(Counter)
    for name in _OF_ORDERS:
        counted[f"! {name}"] = 0
    known: Counter[str] = Counter()
    for row in connection.execute(
        select(orders.c.message_id, orders.c.kind, orders.c.device_id, orders.c.state)
    ):
        known[row.message_id] += 1
        kind, state = OrderKind(row.kind), OrderState(row.state)
        counted[f"{kind.value}: {state.value}"] += 1
        effect = TOKEN if kind is OrderKind.TOKEN else _WANTED[kind]
        if state is OrderState.DONE:
            done[of_device[row.device_id]][effect] += 1
    counted["orders"] = known.total()
    counted["! orders lost"] = len(names - known.keys())
    counted["! orders doubled"] = (known - Counter(known.keys())).total() + len(
        known.keys() - names
    )
    for address in of_device.values():
        seen, meant = Counter(found.truth.obeyed.get(address, [])), done[address]
        counted["! done but not seen by the meter"] += (meant - seen).total()
        for effect, times in (seen - meant).items():
            which = "seen by the meter more than once" if meant[effect] else (
                "not done but seen by the meter"
            )  # fmt: skip
            counted[f"! {which}"] += times
    _look_at_credit(house, found, done, counted)


def _look_at_credit(
    house: House, found: Found, done: dict[str, Counter[str]], counted: Counter[str]
) -> None:
    """What was sold and delivered is in the meter, to the tenth of a kWh; nothing else is."""
    counted["! credit that is not what was sold"] = 0
    for number, address in _addresses(house).items():
        units = found.ordering.sales.get(number, (0, 0))[1] if done[address][TOKEN] else 0
        wrong = found.truth.credited_wh[address] != units * 100
        counted["! credit that is not what was sold"] += wrong


def _look_at_rest(connection: Connection, counted: Counter[str]) -> None:
    """Nothing contradicts anything, and no job was left or given up."""
    counted["! values that contradict kept ones"] = _number(
        connection, select(func.count()).select_from(differing_values)
    )
    counted["! jobs that failed"] = _number(
        connection, select(func.count()).where(jobs.c.state == "failed")
    )
    counted["! jobs that nobody runs any more"] = _number(
        connection, select(func.count()).where(jobs.c.state == "running")
    )
    counted["jobs"] = _number(connection, select(func.count()).select_from(jobs))
    counted["jobs begun again"] = _number(connection, select(func.count()).where(jobs.c.lost > 0))


def _number(connection: Connection, query: Any) -> int:
    return int(connection.scalar(query) or 0)
