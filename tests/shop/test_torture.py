"""A small torture of a shop; `make torture` is the large one."""

from __future__ import annotations

import random

from benchmarks.torture import Torture
from tests.shop.databases import Databases

VENDS = 120


def test_killed_and_doubled_tills_lose_and_double_nothing(databases: Databases) -> None:
    seed = random.SystemRandom().randrange(2**32)
    url = databases.empty()
    run = Torture(url, vends=VENDS, seed=seed, tills=3, kill_every=30, meters=8)
    found = run.run(lambda known: None)
    assert found.faults == [], f"seed {seed}"
    assert found.requests == VENDS == found.done + found.refused
    # the count itself can fail: an answer that differs, a receipt that nobody was answered
    run._answers["m0"].add(("another", "done"))
    run._count()
    assert len(run.found.faults) >= 2
    databases.discard(url)
