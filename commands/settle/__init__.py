"""``meterhouse settle``: readings become amounts; what waits, reviews, corrections, reports."""

from __future__ import annotations

import click

from commands.settle.correcting import correct
from commands.settle.explaining import explain
from commands.settle.policies import capacity, policy
from commands.settle.reporting import report
from commands.settle.reviewing import review
from commands.settle.running import run, status


@click.group()
def settle() -> None:
    """Settle readings against accounts; review, correct, report (docs/settlement.md)."""


for _command in (run, status, review, correct, explain, report, policy, capacity):
    settle.add_command(_command)
