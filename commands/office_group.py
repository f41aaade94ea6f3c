"""``meterhouse office``: what belongs to the office as a whole."""

from __future__ import annotations

import click

from commands.office_key import key


@click.group()
def office() -> None:
    """The office as a whole: the key for personal fields."""


office.add_command(key)
