"""Values of changes as the log keeps them: canonical JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def document(values: Mapping[str, Any]) -> str:
    """Values as the log keeps them."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def values_of(text: str | None) -> dict[str, Any]:
    """They again; empty where there is nothing (any more)."""
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def words_of(values: Mapping[str, Any]) -> str:
    """Values on one line, for people."""
    return ", ".join(f"{name}: {value}" for name, value in values.items() if value is not None)
