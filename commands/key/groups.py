"""``meterhouse key group``."""

from __future__ import annotations

from typing import Final

import click

from commands.counter import database_option, open_shop, operator_option
from commands.key.show import print_groups
from commands.output import json_option

_KINDS: Final = ("default", "unique", "common")
_POLICIES: Final = ("fault", "offer", "auto")


@click.group()
def group() -> None:
    """Supply groups: add, list, policy for outdated keys."""


@group.command(name="add")
@click.argument("sgc")
@click.option("--name", default="", help="What people call it.")
@click.option("--kind", type=click.Choice(_KINDS), default="unique", show_default=True)
@click.option("--policy", type=click.Choice(_POLICIES), default="fault", show_default=True)
@operator_option
@database_option
@json_option
def group_add(
    sgc: str, name: str, kind: str, policy: str, operator: str, database: str, as_json: bool
) -> None:
    """Register supply group SGC."""
    with open_shop(database) as shop:
        added = shop.keys.add_group(sgc, name, kind=kind, policy=policy, operator=operator)
    print_groups([added], as_json=as_json)


@group.command(name="policy")
@click.argument("sgc")
@click.argument("policy", type=click.Choice(_POLICIES))
@operator_option
@database_option
@json_option
def group_policy(sgc: str, policy: str, operator: str, database: str, as_json: bool) -> None:
    """What a sale does for a meter of SGC on an outdated key: refuse, offer, change it."""
    with open_shop(database) as shop:
        changed = shop.keys.set_policy(sgc, policy, operator=operator)
    print_groups([changed], as_json=as_json)


@group.command(name="list")
@database_option
@json_option
def group_list(database: str, as_json: bool) -> None:
    """List the supply groups."""
    with open_shop(database) as shop:
        print_groups(shop.keys.groups(), as_json=as_json)
