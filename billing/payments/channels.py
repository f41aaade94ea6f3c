"""The channels by which money comes in (specs/utility.md 5): data, with a few known from the start.

Settings name files of secrets; what is in those files is never in the database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, select

from billing.ledger.books import received
from billing.office import Office
from billing.payments.faults import ChannelClosedError, UnknownChannelError
from billing.payments.tables import channel_keys, payment_channels
from storage.engine import insert_if_new
from storage.ledger import AccountKind, accounts
from vending.shop.requests import canonical_json

SUSPENSE: Final = "billing.suspense"
"""Money that came in and belongs to no account yet."""


class Adapter(StrEnum):
    """How payments of a channel reach the door."""

    COUNTER = "counter"
    """A person takes them, in a shift where the house wants shifts."""
    FILE = "file"
    """The provider's or bank's file is read."""
    WEB_HOOK = "web_hook"
    """The provider posts them, signed."""
    VOUCHER = "voucher"
    """Printed secrets of the vending house."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A payment channel."""

    name: str
    title: str
    """As customers know it."""
    adapter: Adapter
    stale_h: int | None = None
    """Alarm when nothing came for so many hours; None: never."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_open: bool = True


KNOWN: Final = {
    each.name: each
    for each in (
        Channel("counter", "Counter", Adapter.COUNTER),
        Channel("bank", "Bank", Adapter.FILE, 96),
        Channel("alipay", "Alipay", Adapter.WEB_HOOK, 24),
        Channel("wechat", "WeChat Pay", Adapter.WEB_HOOK, 24),
        Channel("kiosk", "Kiosk", Adapter.WEB_HOOK, 48),
        Channel("web", "Web and mobile", Adapter.WEB_HOOK, 24),
        Channel("voucher", "Voucher", Adapter.VOUCHER),
    )
}
"""Every office has these; one is written down when it is used or set up for the first time."""


def find_channel(connection: Connection, name: str) -> Channel:
    """A channel; one of `KNOWN` is there without having been added.

    Raises:
        UnknownChannelError: there is none of this name.
    """
    row = connection.execute(
        select(payment_channels).where(payment_channels.c.channel == name)
    ).one_or_none()
    if row is not None:
        return channel_of(row)
    if name not in KNOWN:
        raise UnknownChannelError(
            f"There is no payment channel {name!r}; `meterhouse channel list` shows them."
        )
    return KNOWN[name]


def channel_for_money(connection: Connection, office: Office, name: str) -> Channel:
    """A channel that takes money, written down with its account of the books.

    Args:
        connection: in a write transaction.
        office: the office.
        name: the channel's.

    Raises:
        UnknownChannelError: there is none of this name.
        ChannelClosedError: it takes none.
    """
    row = connection.execute(
        select(payment_channels).where(payment_channels.c.channel == name)
    ).one_or_none()
    if row is None:
        channel = find_channel(connection, name)
        store_channel(connection, office, channel)
        return channel
    channel = channel_of(row)
    if not channel.is_open:
        raise ChannelClosedError(
            f"The channel {name} is closed. Open it again (`meterhouse channel set {name} --open`) "
            "or take the money by another."
        )
    return channel


def store_channel(connection: Connection, office: Office, channel: Channel) -> None:
    """Write a channel down unless it is, and open its account of the books."""
    row = {
        "channel": channel.name,
        "title": channel.title,
        "adapter": channel.adapter.value,
        "state": "open" if channel.is_open else "closed",
        "stale_h": channel.stale_h,
        "settings": canonical_json(dict(channel.settings)).decode(),
        "added_at": office.now(),
    }
    insert_if_new(connection, payment_channels, row)
    for account, kind in (
        (received(channel.name), AccountKind.ASSET),
        (SUSPENSE, AccountKind.LIABILITY),
    ):
        values = {"account": account, "currency": office.currency.code, "kind": kind.value}
        insert_if_new(connection, accounts, values)


def claim_key(connection: Connection, office: Office, name: str, identity: bytes) -> str:
    """Say that a key is a channel's; gives the channel whose it is, for ever.

    Args:
        connection: in a write transaction.
        office: the office.
        name: the channel's.
        identity: the key's (`web_hook.signing.Key`).

    Raises:
        UnknownChannelError: there is no channel of this name.
    """
    store_channel(connection, office, find_channel(connection, name))
    row = {"key_digest": identity, "channel": name, "since": office.now()}
    insert_if_new(connection, channel_keys, row)
    return str(
        connection.execute(
            select(channel_keys.c.channel).where(channel_keys.c.key_digest == identity)
        ).scalar_one()
    )


def channel_of(row: Any) -> Channel:
    """A channel from its row."""
    return Channel(
        name=row.channel,
        title=row.title,
        adapter=Adapter(row.adapter),
        stale_h=row.stale_h,
        settings=json.loads(row.settings),
        is_open=row.state == "open",
    )
