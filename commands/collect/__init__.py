"""``meterhouse collect``: what is owed, and what is done about it."""

from __future__ import annotations

import click

from commands.collect.agreed import defer, plan, write_off
from commands.collect.cases import cases, drop, effect, run, show, step
from commands.collect.debts import ageing
from commands.collect.judging import forecast, rules, score

__all__ = ["collect"]


@click.group()
def collect() -> None:
    """Arrears: ageing, steps, instalments, later due dates, scores, forecast, write-offs."""


for _each in (
    ageing,
    cases,
    show,
    step,
    run,
    drop,
    effect,
    plan,
    defer,
    score,
    forecast,
    rules,
    write_off,
):
    collect.add_command(_each)
