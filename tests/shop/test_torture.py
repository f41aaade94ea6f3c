"""A small torture run (``python -m benchmarks.torture`` is the large one)."""

from __future__ import annotations

import random

from benchmarks.torture import make_shop, require_sound, run
from tests.shop.databases import Databases


def test_duplicates_kills_and_jumping_clocks_lose_nothing_and_double_nothing(
    databases: Databases,
) -> None:
    url = databases.empty()
    seed = random.randrange(1 << 32)
    vends = 250
    vendor_id = make_shop(url)
    witness = run(url, vends, seed, workers=3)
    counted = require_sound(url, witness, vends, vendor_id)
    assert counted["requests"] == vends, f"seed {seed}"
    databases.discard(url)
