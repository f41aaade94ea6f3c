"""``meterhouse link add|list|…``: the lines that the head-end speaks on."""

from __future__ import annotations

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.station import open_station


@click.command()
@click.argument("name")
@click.argument("url", required=False)
@click.option("--modem", "caller", metavar="ID", help="A modem that calls in with this name.")
@click.option("--network", help="The budget that it shares; see `meterhouse link network`.")
@database_option
def add(name: str, url: str | None, caller: str | None, network: str | None, database: str) -> None:
    """Register the line NAME: one that we open, by its URL, or a modem that calls in.

    \b
    meterhouse link add shop serial:///dev/ttyUSB0?baud=2400
    meterhouse link add north-1 tcp://10.0.0.7:4001
    meterhouse link add hall modbus+tcp://10.0.0.9
    meterhouse link add hill-3 --modem MH00000003 --network cell-7
    """
    from headend.registry.desk import Registry
    from headend.registry.entries import NewLink

    with open_station(database) as station:
        Registry(station).add_link(NewLink(name, url, caller, network))
    console.print(f"Link {name} is registered.")


@click.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List the lines, with the number of meters on each."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        found = Registry(station).links()
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "kind": each.kind.value,
                    "url": each.url,
                    "modem": each.caller,
                    "network": each.network,
                    "state": each.standing.value,
                    "meters": each.meters,
                }
                for each in found
            ]
        )
        return
    if not found:
        console.print("No lines. Add one with `meterhouse link add NAME URL`.")
        return
    table = Table()
    for column in ("link", "reached by", "network", "state", "meters"):
        table.add_column(column, justify="right" if column == "meters" else "left", overflow="fold")
    for each in found:
        way = each.url or f"calls in as {each.caller}"
        table.add_row(each.name, way, each.network or "-", each.standing.value, f"{each.meters:,}")
    console.print(table)


@click.command()
@click.argument("name")
@click.argument("url")
@database_option
def change(name: str, url: str, database: str) -> None:
    """Reach the line NAME at another URL from now on."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        Registry(station).change_link(name, url)
    console.print(f"Link {name} is at {url}.")


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Why.")
@database_option
def suspend(name: str, reason: str, database: str) -> None:
    """Leave the line NAME alone until it is resumed."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        Registry(station).suspend_link(name, reason=reason)
    console.print(f"Link {name} is left alone; `meterhouse link resume {name}` ends that.")


@click.command()
@click.argument("name")
@database_option
def resume(name: str, database: str) -> None:
    """Speak on the line NAME again."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        Registry(station).resume_link(name)
    console.print(f"Link {name} is spoken on again.")


@click.command()
@click.argument("name", required=False)
@click.option(
    "--connects-per-s",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="New connections per second, over all its lines.",
)
@click.option(
    "--open-links",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Lines that may be open at once.",
)
@database_option
@json_option
def network(
    name: str | None, connects_per_s: int, open_links: int, database: str, as_json: bool
) -> None:
    """Register the network NAME, a budget that lines share; without NAME list them."""
    from headend.registry.desk import Registry
    from headend.registry.entries import Network

    with open_station(database) as station:
        registry = Registry(station)
        if name is not None:
            registry.add_network(Network(name, connects_per_s, open_links))
        found = registry.networks()
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "connects_per_s_max": each.connects_per_s_max,
                    "open_links_max": each.open_links_max,
                }
                for each in found
            ]
        )
        return
    for each in found:
        console.print(
            f"{each.name}: {each.connects_per_s_max} new connections a second, "
            f"{each.open_links_max} lines open"
        )
    if not found:
        console.print("No networks: lines have no common budget.")
