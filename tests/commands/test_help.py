"""The help lists every command once."""

from __future__ import annotations

from cli import _COMMANDS, _SECTIONS
from tests.commands.running import meterhouse


def test_each_command_stands_in_one_section() -> None:
    listed = [name for names in _SECTIONS.values() for name in names.split()]
    assert sorted(listed) == sorted(_COMMANDS)


def test_the_help_shows_them_all() -> None:
    said = meterhouse("--help").stdout
    assert all(f"  {name} " in said for name in _COMMANDS)
