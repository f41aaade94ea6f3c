"""Networks and links in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from headend.faults import AlreadyRegisteredError, EntryError, NotRegisteredError
from headend.registry.checks import link_kind, require_name
from headend.registry.entries import Link, LinkKind, Network, NewLink, Standing
from headend.registry.tables import end_devices, links, networks


def insert_network(connection: Connection, new: Network) -> None:
    """Register a budget.

    Raises:
        EntryError: a name or number that cannot be.
        AlreadyRegisteredError: the name is taken.
    """
    name = require_name("A network's name", new.name)
    if new.connects_per_s_max < 1 or new.open_links_max < 1:
        raise EntryError(f"Network {name}: both budgets are 1 or more.")
    if connection.scalar(select(networks.c.network_id).where(networks.c.name == name)):
        raise AlreadyRegisteredError(f"There is a network {name} already.")
    connection.execute(
        insert(networks).values(
            name=name,
            connects_per_s_max=new.connects_per_s_max,
            open_links_max=new.open_links_max,
        )
    )


def list_networks(connection: Connection) -> list[Network]:
    """All budgets, by name."""
    rows = connection.execute(select(networks).order_by(networks.c.name))
    return [Network(row.name, row.connects_per_s_max, row.open_links_max) for row in rows]


def insert_link(connection: Connection, new: NewLink, now: datetime) -> int:
    """Register a line; gives its id.

    Raises:
        EntryError: see `link_kind`.
        AlreadyRegisteredError: name, URL or caller is taken.
        NotRegisteredError: no such network.
    """
    name = require_name("A link's name", new.name)
    kind = link_kind(new)
    for column, value in (
        (links.c.name, name),
        (links.c.url, new.url),
        (links.c.caller, new.caller),
    ):
        if value is None:
            continue
        taken = connection.scalar(select(links.c.name).where(column == value))
        if taken is not None:
            raise AlreadyRegisteredError(f"Link {taken} has the {column.name} {value} already.")
    row = connection.execute(
        insert(links)
        .values(
            name=name,
            kind=kind.value,
            url=new.url,
            caller=new.caller,
            network_id=None if new.network is None else _network_id(connection, new.network),
            state=Standing.ACTIVE.value,
            added_at=now,
        )
        .returning(links.c.link_id)
    )
    return int(row.scalar_one())


def link_row(connection: Connection, name: str) -> Any:
    """A link's row.

    Raises:
        NotRegisteredError: no such link.
    """
    row = connection.execute(select(links).where(links.c.name == name)).first()
    if row is None:
        raise NotRegisteredError(f"There is no link {name}; `meterhouse link list` shows them.")
    return row


def set_link_standing(connection: Connection, name: str, standing: Standing) -> None:
    """Suspend a line, or resume it.

    Raises:
        NotRegisteredError: no such link.
    """
    link_id = link_row(connection, name).link_id
    connection.execute(update(links).where(links.c.link_id == link_id).values(state=standing.value))


def change_link_url(connection: Connection, name: str, url: str) -> None:
    """Reach a line that we open somewhere else.

    Raises:
        NotRegisteredError: no such link.
        EntryError: it is a modem's, or the URL makes no sense.
        AlreadyRegisteredError: another link has this URL.
    """
    row = link_row(connection, name)
    if row.kind == LinkKind.MODEM:
        raise EntryError(f"Link {name} is a modem that calls in: it has no URL.")
    kind = link_kind(NewLink(name, url))
    taken = connection.scalar(
        select(links.c.name).where(links.c.url == url, links.c.link_id != row.link_id)
    )
    if taken is not None:
        raise AlreadyRegisteredError(f"Link {taken} has the url {url} already.")
    connection.execute(
        update(links).where(links.c.link_id == row.link_id).values(url=url, kind=kind.value)
    )


def list_links(connection: Connection) -> list[Link]:
    """All lines, by name, each with the number of its meters."""
    meters = (
        select(func.count())
        .where(end_devices.c.link_id == links.c.link_id, end_devices.c.state != "removed")
        .scalar_subquery()
    )
    query = (
        select(links, networks.c.name.label("network"), meters.label("meters"))
        .outerjoin(networks)
        .order_by(links.c.name)
    )
    return [
        Link(
            link_id=row.link_id,
            name=row.name,
            kind=LinkKind(row.kind),
            url=row.url,
            caller=row.caller,
            network=row.network,
            standing=Standing(row.state),
            meters=row.meters,
        )
        for row in connection.execute(query)
    ]


def _network_id(connection: Connection, name: str) -> int:
    found = connection.scalar(select(networks.c.network_id).where(networks.c.name == name))
    if found is None:
        raise NotRegisteredError(
            f"There is no network {name}; add it with `meterhouse link network {name}`."
        )
    return int(found)
