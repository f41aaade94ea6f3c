"""Seeded towns with one thief each, and everything else that makes a use drop or a loss rise."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from headend.watching.suspects import Customer, rank_suspects

DAYS: Final = 42
KINDS: Final = ("bypass", "part", "always", "reverse")


@dataclass(frozen=True, slots=True)
class Town:
    """An area of which one customer steals; what the meters say, and who it is."""

    supplied: list[int | None]
    customers: list[Customer]
    thief: int
    kind: str


def town(seed: int, kind: str, *, customers: int = 60) -> Town:
    """A town of a seed.

    Everybody: an own level (3 to 25 kWh a day), a weekly course, a common season and weather, own
    ups and downs of about 25 %.  A tenth goes on holiday for a week or two; some move out or buy an
    air conditioner; 2 % of the days are missing, 2 % of the meters have honest cover events.
    The lines lose 3 to 5 % of what goes through, and the supply meter is off by up to 0.5 %.

    The thief: a bypass from some day on; a part (30 to 70 %) from some day on; a part from before
    the first day; a meter wired the wrong way round from some day on.  Half of them leave an event.
    """
    rng = random.Random(f"{kind} {seed}")
    weather = [rng.gauss(1, 0.08) * (1 + 0.004 * day) for day in range(DAYS)]
    true = [_home(rng, weather) for _ in range(customers)]
    metered = [list(days) for days in true]
    out = [0] * customers
    usual = sorted(range(customers), key=lambda each: sum(true[each]))
    thief = rng.choice(usual[customers // 4 :])
    begins = rng.randrange(DAYS // 4, 3 * DAYS // 4)
    counted = rng.uniform(0.3, 0.7)
    for day in range(DAYS):
        if kind == "always" or day >= begins:
            if kind == "reverse":
                out[thief] += true[thief][day]
            share = counted if kind in ("part", "always") else 0.0
            metered[thief][day] = int(true[thief][day] * share)
    events: dict[int, dict[str, int]] = {
        home: {"cover_open": 1} for home in range(customers) if rng.random() < 0.02
    }
    if rng.random() < 0.5:
        events[thief] = {"magnetic_field" if kind in ("part", "always") else "cover_open": 1}
    lines, wrong = rng.uniform(0.03, 0.05), rng.uniform(-0.005, 0.005)
    supplied = [
        int(sum(days[day] for days in true) / (1 - lines * rng.gauss(1, 0.05)) * (1 + wrong))
        for day in range(DAYS)
    ]
    return Town(
        list(supplied),
        [
            Customer(
                home,
                f"{home:04d}",
                [None if rng.random() < 0.02 else wh for wh in metered[home]],
                events.get(home, {}),
                out_wh=out[home],
            )
            for home in range(customers)
        ],
        thief,
        kind,
    )


def place_of_thief(seed: int, kind: str) -> int:
    """The thief's rank, from 1; 0 when he is not on the list."""
    made = town(seed, kind)
    ranked = rank_suspects(made.supplied, made.customers)
    places = [place for place, each in enumerate(ranked, 1) if each.point_id == made.thief]
    return places[0] if places else 0


def _home(rng: random.Random, weather: list[float]) -> list[int]:
    level = rng.uniform(3_000, 25_000)
    weekend = rng.uniform(0.8, 1.4)
    away = range(0)
    if rng.random() < 0.1:
        begin = rng.randrange(DAYS)
        away = range(begin, begin + rng.randrange(7, 15))
    changes, factor = DAYS, 1.0
    if rng.random() < 0.1:
        changes, factor = rng.randrange(DAYS), rng.choice([0.02, 0.6, 1.5])
    days = []
    for day in range(DAYS):
        wh = level * weather[day] * rng.lognormvariate(0, 0.25)
        wh *= weekend if day % 7 >= 5 else 1
        wh *= 0.05 if day in away else 1
        days.append(int(wh * (factor if day >= changes else 1)))
    return days
