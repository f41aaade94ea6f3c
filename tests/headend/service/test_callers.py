"""Who called though nobody knows them is written down, within limits."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from headend.service import callers
from headend.service.callers import Calls, note, unknown
from headend.station import Station

ROOT = Path(__file__).parent.parent.parent.parent


def test_calls_are_counted_and_ever_new_names_are_not_all_kept(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "CALLERS_MAX", 50)
    now = station.now()
    later = now + timedelta(minutes=5)
    with station.writing() as connection:
        note(connection, {"a": Calls(2, "10.0.0.1:4"), "b": Calls(1, "10.0.0.2:4")}, now)
        note(connection, {"a": Calls(3, "10.0.0.9:4"), "x" * 90: Calls(1, "")}, later)
        found = unknown(connection)
    assert {each.caller: each.calls for each in found} == {"a": 5, "x" * 64: 1, "b": 1}
    assert found[-1].caller == "b"
    (a,) = (each for each in found if each.caller == "a")
    assert (a.first_at, a.last_at, a.remote) == (now, later, "10.0.0.9:4")
    many = {f"n{number:02}": Calls(1, "") for number in range(60)}
    with station.writing() as connection:
        note(connection, many, later)
        assert len(unknown(connection, 100)) == 50


def test_the_command_lists_them(station: Station, database_url: str) -> None:
    with station.writing() as connection:
        note(connection, {"hill-9": Calls(7, "10.1.1.1:5")}, station.now())
    asked = [sys.executable, "cli.py", "link", "callers", "--database", database_url]
    shown = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "hill-9" in shown.stdout
    listed = subprocess.run(
        [*asked, "--json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ((each,),) = (json.loads(listed.stdout),)
    assert (each["modem"], each["calls"], each["remote"]) == ("hill-9", 7, "10.1.1.1:5")
