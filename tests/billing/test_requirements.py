"""Every requirement of the utility, 1 to 30, has a test that names its number."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent


def test_every_requirement_has_a_test_of_its_number() -> None:
    name = re.compile(r"^ *(?:async )?def test_req(\d+)_", re.MULTILINE)
    files = TESTS.rglob("test_*.py")
    named = {int(number) for file in files for number in name.findall(file.read_text())}
    assert sorted(named) == list(range(1, 31))
