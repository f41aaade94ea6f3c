"""``meterhouse place``: substations, feeders, transformer areas; where service points are."""

from __future__ import annotations

import click
from rich.tree import Tree

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.station import open_station


@click.group()
def place() -> None:
    """The network: substations, feeders, transformer areas."""


@place.command()
@click.argument("kind", type=click.Choice(["substation", "feeder", "area"]))
@click.argument("name")
@click.option("--below", help="The place that feeds it; a substation has none.")
@database_option
def add(kind: str, name: str, below: str | None, database: str) -> None:
    """Register a place: KIND is substation, feeder or area."""
    from headend.registry.desk import Registry
    from headend.registry.entries import PlaceKind

    with open_station(database) as station:
        Registry(station).add_place(PlaceKind(kind), name, below)
    console.print(f"The {kind} {name} is registered.")


@place.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """Show the network as a tree, with the number of service points at each place."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        found = Registry(station).places()
    if as_json:
        print_json(
            [
                {"name": e.name, "kind": e.kind.value, "below": e.parent, "points": e.points}
                for e in found
            ]
        )
        return
    if not found:
        console.print("No places. Begin with `meterhouse place add substation NAME`.")
        return
    below: dict[str | None, list[str]] = {}
    words = {}
    for each in found:
        below.setdefault(each.parent, []).append(each.name)
        points = f"  service points: {each.points}" if each.points else ""
        words[each.name] = f"{each.kind.value} {each.name}{points}"
    for top in below.get(None, []):
        console.print(_tree(top, words, below))


def _tree(name: str, words: dict[str, str], below: dict[str | None, list[str]]) -> Tree:
    tree = Tree(words[name])
    for each in below.get(name, []):
        tree.add(_tree(each, words, below))
    return tree


@place.command()
@click.argument("point")
@click.argument("to", required=False)
@click.option("--parent-point", help="The point whose meter it is a sub-meter of.")
@database_option
def move(point: str, to: str | None, parent_point: str | None, database: str) -> None:
    """Put the service point POINT at the place TO; without TO it belongs to none."""
    from headend.registry.desk import Registry

    with open_station(database) as station:
        Registry(station).move_point(point, place=to, parent=parent_point)
    console.print(f"Service point {point} is at {to or 'no place'}.")
