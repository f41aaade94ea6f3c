"""docs/errors.md from the code: every fault that a user of shop, head-end or office can meet.

``python -m tools.errors_page`` writes the page; with ``--check`` it says whether the page is
what the code says, and exits with status 1 when it is not.  The meaning is the class's own
docstring.  The message is one that was really given, by the way to it in `tools.provocations`;
where there is none yet, the page shows the message's text as it stands in the code.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

import structlog

import billing
import headend
import vending
from billing.faults import BillingError
from commands.output import EXIT_OUTCOME_UNKNOWN, EXIT_REFUSED, EXIT_WRONG_REQUEST
from headend.faults import HeadEndError
from tools.provocations import provocations, provoked
from tools.provocations.scene import Scene
from vending.errors import FaultFamily, VendingError
from vending.shop.faults import OutcomeUnknownError

_Root = TypeVar("_Root")
_Fault = TypeVar("_Fault", HeadEndError, BillingError)
ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "errors.md"
_EXIT: Final = {
    FaultFamily.BUSINESS: EXIT_REFUSED,
    FaultFamily.PROTOCOL: EXIT_WRONG_REQUEST,
    FaultFamily.SYSTEM: 5,
}
_FAMILIES: Final = {
    FaultFamily.BUSINESS: (
        "Business: the clerk can put it right",
        "A rule or a wrong value. Under a message id the refusal is the answer, and is stored.",
    ),
    FaultFamily.PROTOCOL: (
        "Protocol: the calling program has to be put right",
        "Nothing was done, nothing is stored.",
    ),
    FaultFamily.SYSTEM: (
        "System: whoever runs the installation has to act",
        "Nothing was done, unless it says otherwise; asking again with the same id is safe.",
    ),
}
_HEAD: Final = """# Faults

Made from the code by `make errors`; do not edit it by hand.

Each fault has one code, which never changes. Commands with `--json` answer
`{"error": {"code": "...", "message": "..."}}`; without, they print code and message. The library
raises the class. A message says what to do; none holds a key, a password or a full token.

Besides these, the command itself says `usage` (exit status 2: wrong arguments) and `unexpected`
(exit status 5: a full disk, or a mistake of ours). What the database's room calls
`commit_unknown` reaches users as `outcome_unknown`.
"""


_HEAD_END: Final = """
## The head-end

Exit status 3: what was asked can be put right; 5: whoever runs the installation has to act. Faults
of lines and meters (`no_answer`, `link_down`, a meter's refusal) are the wire's: exit status 7.

| code | exit | what it means | message |
| --- | --- | --- | --- |
"""
_OFFICE: Final = """
## The office

Exit status 3: what was asked can be put right; 5: whoever runs the installation has to act.

| code | exit | what it means | message |
| --- | --- | --- | --- |
"""


def main() -> int:
    page = make_page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
        count = len(faults()) + len(head_end_faults()) + len(office_faults())
        print(f"{PAGE.relative_to(ROOT)}: {count} codes")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
        print(f"errors: {PAGE.relative_to(ROOT)} is what the code says")
        return 0
    print("FAULT docs/errors.md is not what the code says: run `make errors`")
    return 1


def faults() -> list[type[VendingError]]:
    """Every fault class of the vending room, by code; roots that nobody raises are left out."""
    for module in pkgutil.walk_packages(vending.__path__, "vending."):
        importlib.import_module(module.name)
    raised = _raised_names()
    found = {each for each in _subclasses(VendingError) if each.__module__.startswith("vending.")}
    return sorted(
        (each for each in found if not each.__subclasses__() or full_name(each) in raised),
        key=lambda each: each.code,
    )


def head_end_faults() -> list[type[HeadEndError]]:
    """Every fault class of the head-end that is raised, by code."""
    return _raised_of(headend, HeadEndError)


def office_faults() -> list[type[BillingError]]:
    """Every fault class of the office that is raised, by code."""
    return _raised_of(billing, BillingError)


def _raised_of(room: ModuleType, root: type[_Fault]) -> list[type[_Fault]]:
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)
    raised = _raised_names()
    return sorted(
        (each for each in _subclasses(root) if full_name(each) in raised),
        key=lambda each: each.code,
    )


def make_page() -> str:
    """The page's text."""
    examples = example_messages()
    parts = [_HEAD]
    for family, (title, words) in _FAMILIES.items():
        rows = [_row(each, examples) for each in faults() if each.family is family]
        parts.append(
            f"\n## {title}\n\n{words}\n\n"
            "| code | exit | what it means | message |\n| --- | --- | --- | --- |\n" + "".join(rows)
        )
    parts.append(_HEAD_END + "".join(_row(each, {}) for each in head_end_faults()))
    parts.append(_OFFICE + "".join(_row(each, {}) for each in office_faults()))
    return "".join(parts)


def example_messages() -> dict[str, str]:
    """A message that was really given, for each code that there is a way to."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    messages = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Scene.make_template(folder / "template.db")
        for code, provocation in provocations().items():
            stage = folder / code
            stage.mkdir()
            scene = Scene.in_folder(stage, folder / "template.db")
            try:
                messages[code] = str(provoked(provocation, scene)).replace(f"{stage}/", "")
            finally:
                scene.close()
    return messages


def _row(fault: type[VendingError | HeadEndError | BillingError], examples: dict[str, str]) -> str:
    if issubclass(fault, HeadEndError | BillingError):
        status = _EXIT[FaultFamily.SYSTEM if fault.is_system else FaultFamily.BUSINESS]
    else:
        status = EXIT_OUTCOME_UNKNOWN if fault is OutcomeUnknownError else _EXIT[fault.family]
    meaning = " ".join((inspect.getdoc(fault) or "").split())
    if fault.code in examples:
        message = _cell(examples[fault.code])
    else:
        message = " <br> ".join(f"*{_cell(text)}*" for text in templates_of(fault)[:2])
    return f"| `{fault.code}` | {status} | {_cell(meaning)} | {message} |\n"


def _cell(text: str) -> str:
    for sign in "\\|*_<>":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _subclasses(root: type[_Root]) -> Iterator[type[_Root]]:
    for each in root.__subclasses__():
        yield each
        yield from _subclasses(each)


# --- messages as the code has them ------------------------------------------------------------


def templates_of(fault: type[Exception]) -> list[str]:
    """The texts with which a class is made in the code; what is filled in stands in braces."""
    return _templates().get(full_name(fault), [])


def full_name(fault: type[Exception]) -> str:
    """Rooms have classes of one name: `PlanError` is a plan of readings, or of instalments."""
    return f"{fault.__module__}.{fault.__qualname__}"


def _raised_names() -> set[str]:
    return set(_templates())


_ROOMS: Final = ("billing", "headend", "vending")
_FOUND: dict[str, list[str]] = {}


def _templates() -> dict[str, list[str]]:
    if not _FOUND:
        for path in sorted(found for room in _ROOMS for found in (ROOT / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = _names_in(tree, ".".join(path.relative_to(ROOT).with_suffix("").parts))
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    _keep(names.get(node.func.id, ""), node)
    return _FOUND


def _names_in(tree: ast.Module, module: str) -> dict[str, str]:
    """The full names of the fault classes that a file makes or imports, by its names for them."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            names[node.name] = f"{module}.{node.name}"
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(_ROOMS):
            for each in node.names:
                if each.name.endswith("Error"):
                    fault = getattr(importlib.import_module(node.module), each.name)
                    names[each.asname or each.name] = full_name(fault)
    return names


def _keep(name: str, call: ast.Call) -> None:
    if not name:
        return
    texts = _FOUND.setdefault(name, [])
    text = _text(call.args[0]) if call.args else ""
    if text and text not in texts:
        texts.append(text)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "{" + ast.unparse(node.value).rpartition(".")[2] + "}"
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return ""


if __name__ == "__main__":
    sys.exit(main())
