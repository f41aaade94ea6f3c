"""The gathered frames, and how a test reads them."""

import json
from pathlib import Path
from typing import Any, Final

from protocols.dlt645.codec import Frame

VECTORS: Final[list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "dlt645.json").read_text(encoding="utf-8")
)["vectors"]
GOOD: Final = [vector for vector in VECTORS if vector["checksum_ok"]]
BAD: Final = [vector for vector in VECTORS if not vector["checksum_ok"]]


def name_of(vector: dict[str, Any]) -> str:
    """A test's name for a frame."""
    return str(vector["id"])


def wire_of(vector: dict[str, Any]) -> bytes:
    """Its bytes as recorded."""
    return bytes.fromhex(vector["hex"])


def frame_of(vector: dict[str, Any]) -> Frame:
    """What it says."""
    data = bytes.fromhex(vector["data_minus_33"])
    return Frame(vector["address"], int(vector["control"], 16), data)


def frame_named(name: str) -> Frame:
    """The frame of a vector."""
    return next(frame_of(vector) for vector in VECTORS if vector["id"] == name)
