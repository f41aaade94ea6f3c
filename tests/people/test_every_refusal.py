"""Every fault has a code and a meaning of its own, stands in docs/errors.md, and is really met."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tools.errors_page import PAGE, faults, templates_of
from tools.provocations import provocations, provoked
from tools.provocations.scene import Scene
from vending.errors import FaultFamily, VendingError

TESTS = Path(__file__).parent.parent
OF_THE_ROOM = {each.code: each for each in faults()}

NOT_PROVOKED: dict[str, str] = {
    "shop_error": "a stored answer of a newer version whose code this one does not know",
    "shop_system_error": "a fault of the storage room that has no class here yet",
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


@pytest.mark.parametrize(
    "code",
    sorted(
        code
        for code, fault in OF_THE_ROOM.items()
        if fault.family is not FaultFamily.SYSTEM and code not in provocations()
    ),
)
def test_a_code_without_a_way_here_is_met_by_another_test(code: str) -> None:
    """Those are met by the tests of their own subject, which must name the class or the code."""
    if code in NOT_PROVOKED:
        return
    fault = OF_THE_ROOM[code]
    wanted = re.compile(rf"\b{fault.__name__}\b|[\"']{code}[\"']")
    assert any(wanted.search(source) for source in _sources()), (
        f"No test meets {code}: add a way to it in tools/provocations."
    )


def test_each_code_stands_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [code for code in OF_THE_ROOM if f"| `{code}` |" not in page] == []


def test_messages_in_the_code_are_read_with_their_gaps() -> None:
    assert templates_of("UnknownOperatorError") == [
        "There is no operator of this name in this shop."
    ]
    assert "There is no vendor {vendor_id} in this shop." in templates_of("BindingError")


@cache
def _sources() -> tuple[str, ...]:
    paths = (path for path in TESTS.rglob("test_*.py") if path != Path(__file__))
    return tuple(path.read_text(encoding="utf-8") for path in paths)
