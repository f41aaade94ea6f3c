"""Every requirement of the utility, 1 to 30, has a test that names its number."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent


def test_every_requirement_has_a_test_of_its_number() -> None:
    named = {
        int(number)
        for file in TESTS.rglob("test_*.py")
        for number in re.findall(r"^ *(?:async )?def test_req(\d+)_", file.read_text(), re.MULTILINE)
    }
    assert sorted(named) == list(range(1, 31))
