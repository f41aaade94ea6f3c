"""The published figures, and how a test reads them."""

import json
from pathlib import Path
from typing import Any, Final

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "sts.json").read_text()
)

DECODER_KEYS: Final[list[dict[str, Any]]] = VECTORS["decoder_keys"]
KEY_CHANGES: Final[list[dict[str, Any]]] = VECTORS["key_change"]
TOKENS: Final[list[dict[str, Any]]] = [
    vector | {"class": token_class}
    for section, token_class in (
        ("misty1_credit", 0),
        ("sta_sample_credit", 0),
        ("class1", 1),
        ("misty1_management", 2),
    )
    for vector in VECTORS[section]
]
"""Every published token with its class."""

STA_KEY: Final = "e653341f9d5bf36f"
MISTY1_KEY: Final = "f94b6ed353c3bfdb113e2d3a7ea3c41d"
"""Public decoder keys of the figures."""


def name_of(vector: dict[str, Any]) -> str:
    """A test's name for a figure."""
    return str(vector.get("case") or vector.get("token") or vector.get("decoder_key"))
