"""Every fault has a code and a meaning of its own, stands in docs/errors.md, and is really met."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from billing.collecting.faults import PlanError as DebtPlanError
from headend.collection.faults import PlanError as ReadingPlanError
from tools.asserted_codes import asserted_codes
from tools.errors_page import PAGE, faults, templates_of
from tools.provocations import provocations, provoked
from tools.provocations.scene import Scene
from vending.errors import FaultFamily, VendingError
from vending.people.faults import BindingError, UnknownOperatorError

TESTS = Path(__file__).parent.parent
OF_THE_ROOM = {each.code: each for each in faults()}
CODE_OF_CLASS = {each.__name__: each.code for each in faults()}

NOT_PROVOKED: dict[str, str] = {
    "shop_error": "a stored answer of a newer version whose code this one does not know",
    "shop_system_error": "a fault of the storage room that has no class here yet",
    "not_by_order": "no desk is left that makes a token without an order: it guards the next one",
}
"""Codes to which there is no way, and why."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "shop.db"
    Scene.make_template(path)
    return path


@pytest.fixture
def scene(template: Path, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene.in_folder(tmp_path, template)
    yield scene
    scene.close()


@pytest.mark.parametrize("code", provocations())
def test_each_way_leads_to_its_code(code: str, scene: Scene) -> None:
    fault = provoked(provocations()[code], scene)
    assert isinstance(fault, VendingError), repr(fault)
    assert fault.code == code, str(fault)
    if fault.family is not FaultFamily.SYSTEM:  # those may end with the system's own words
        assert str(fault).endswith((".", "?")), "a message is a sentence that says what to do"


def test_each_class_has_a_code_of_its_own_and_says_what_it_means() -> None:
    assert len(OF_THE_ROOM) == len(faults())
    for fault in faults():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", fault.code), fault
        assert fault.__doc__, fault
        assert "code" in vars(fault), f"{fault.__name__} has the code of its parent"


@pytest.mark.parametrize("code", sorted(OF_THE_ROOM.keys() - provocations().keys()))
def test_a_code_without_a_way_here_is_asserted_by_another_test(code: str) -> None:
    """Those are met by the tests of their own subject, which expect the class or the code."""
    if code in NOT_PROVOKED:
        return
    assert code in _asserted(), f"No test expects {code}: add a way to it in tools/provocations."


def test_what_cannot_be_provoked_is_not_on_that_list_for_nothing() -> None:
    assert not NOT_PROVOKED.keys() & (provocations().keys() | _asserted())


def test_a_code_in_a_table_of_cases_is_not_asserted(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "# meter_blocked\nCASES = ['below_minimum', MeterExistsError]\n"
        "def test_it(shop):\n"
        "    with pytest.raises(faults.UnknownMeterError):\n"
        "        shop.vend(1)\n"
        "    assert code_of(shop.vend(2)) == 'above_maximum'\n"
    )
    assert asserted_codes(tmp_path, CODE_OF_CLASS) == {"unknown_meter", "above_maximum"}


def test_each_code_stands_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [code for code in OF_THE_ROOM if f"| `{code}` |" not in page] == []


def test_messages_in_the_code_are_read_with_their_gaps() -> None:
    assert templates_of(UnknownOperatorError) == ["There is no operator of this name in this shop."]
    assert "There is no vendor {vendor_id} in this shop." in templates_of(BindingError)


def test_classes_of_one_name_keep_their_messages_apart() -> None:
    assert templates_of(DebtPlanError)
    assert templates_of(ReadingPlanError)
    assert not set(templates_of(DebtPlanError)) & set(templates_of(ReadingPlanError))


@cache
def _asserted() -> frozenset[str]:
    return frozenset(asserted_codes(TESTS, CODE_OF_CLASS))
