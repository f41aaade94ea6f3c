"""One way to each refusal: what has to be done in a real shop to be told each code.

A provocation is a function with the code that it leads to, run on a `Scene` of its own: a new
shop in a file, with a clock that stands still.  It raises the fault, or gives back the answer
that holds it.  `tools.errors_page` takes its example messages from here, and
``tests/people/test_every_refusal.py`` runs each of them.

A new fault class gets its provocation in the module of its subject; modules are found by
themselves.  One without is expected by a test of its subject, by class or by code
(`tools.asserted_codes`): to be named in a test file is not enough.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from tools.provocations.scene import Scene
from vending import VendResult

Provocation = Callable[[Scene], VendResult | None]
_KNOWN: dict[str, Provocation] = {}


def provokes(code: str) -> Callable[[Provocation], Provocation]:
    """Register the function as the way to a code."""

    def register(provocation: Provocation) -> Provocation:
        if code in _KNOWN:
            raise ValueError(f"There are two ways to {code}.")
        _KNOWN[code] = provocation
        return provocation

    return register


def provocations() -> dict[str, Provocation]:
    """All of them, by code."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_KNOWN.items()))


def provoked(provocation: Provocation, scene: Scene) -> Exception:
    """The fault that it leads to."""
    try:
        answer = provocation(scene)
    except Exception as fault:  # noqa: BLE001 - which one it is, is what is looked at
        return fault
    if answer is None or answer.fault is None:
        raise AssertionError("Nothing was refused.")
    return answer.fault
