"""Which fault codes the tests assert: read from their source, statement by statement.

A code counts when a test expects its class (``pytest.raises(UnknownMeterError)``), or when an
``assert`` names the code or the class.  A code that merely stands in a test file, in a table of
cases or in a comment, does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def asserted_codes(folder: Path, code_of_class: Mapping[str, str]) -> set[str]:
    """The codes that the tests below a folder assert.

    Args:
        folder: of the tests.
        code_of_class: the code of each fault class, by the class's name.
    """
    codes = set(code_of_class.values())
    found: set[str] = set()
    for path in folder.rglob("test_*.py"):
        for node in _expectations(ast.parse(path.read_text(encoding="utf-8"))):
            for each in ast.walk(node):
                name = _name(each)
                if name in code_of_class:
                    found.add(code_of_class[name])
                elif isinstance(each, ast.Constant) and each.value in codes:
                    found.add(each.value)
    return found


def _expectations(module: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(module):
        if isinstance(node, ast.Assert):
            yield node.test
        elif isinstance(node, ast.Call) and _name(node.func) == "raises" and node.args:
            yield node.args[0]


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
