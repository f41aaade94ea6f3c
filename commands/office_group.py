"""``meterhouse office``: what belongs to the office as a whole."""

from __future__ import annotations

import click

from commands.office_key import key
from commands.office_run import run


@click.group()
def office() -> None:
    """The office as a whole: what it does by itself, the key for personal fields."""


for _command in (run, key):
    office.add_command(_command)
