"""Every fault of the office has a code of its own, stands in docs/errors.md, and is met."""

from __future__ import annotations

import re
from pathlib import Path

from tools.asserted_codes import asserted_codes
from tools.errors_page import PAGE, faults, head_end_faults, office_faults

TESTS = Path(__file__).parent.parent
BY_CODE = {each.code: each for each in office_faults()}
CODE_OF_CLASS = {each.__name__: each.code for each in office_faults()}


def test_each_class_has_a_code_that_nothing_else_has() -> None:
    assert len(BY_CODE) == len(office_faults())
    others = {each.code for each in faults()} | {each.code for each in head_end_faults()}
    assert not BY_CODE.keys() & others
    for fault in office_faults():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", fault.code), fault
        assert fault.__doc__, fault
        assert "code" in vars(fault), f"{fault.__name__} has the code of its parent"


def test_each_code_stands_in_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [code for code in BY_CODE if f"| `{code}` |" not in page] == []


def test_a_test_expects_each_code() -> None:
    expected = asserted_codes(TESTS / "billing", CODE_OF_CLASS)
    assert sorted(BY_CODE.keys() - expected) == []
