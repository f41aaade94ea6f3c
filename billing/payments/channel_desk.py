"""The channel desk: set channels up, test them, see how they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import update

from billing.faults import BillingError
from billing.office import Office
from billing.payments.channels import (
    Adapter,
    Channel,
    find_channel,
    store_channel,
)
from billing.payments.faults import ChannelSettingsError
from billing.payments.health import Health, health_of_all, keep_failure, keep_test
from billing.payments.providers import provider_of
from billing.payments.tables import payment_channels
from billing.person import Right
from storage.audit import record
from vending.shop.requests import canonical_json

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
SETTINGS: Final = {
    "scheme": str,
    "key_file": str,
    "window_s": int,
    "headers": dict,
    "names": dict,
    "amount_in": str,
    "paid_status": str,
    "success": str,
    "success_type": str,
    "statement": dict,
}
"""What a channel may be told; never a secret, only the file that holds it."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test of a channel has found."""

    channel: str
    is_up: bool
    code: str
    """Of the fault; empty: none."""
    words: str


@dataclass(frozen=True, slots=True)
class ChannelDesk:
    """Payment channels (specs/utility.md 5)."""

    office: Office

    def channel(self, name: str) -> Channel:
        """A channel.

        Raises:
            RightMissingError: needs ``look``.
            UnknownChannelError: there is none of this name.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return find_channel(connection, name)

    def health(self) -> list[Health]:
        """How all channels stand.

        Raises:
            RightMissingError: needs ``look``.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return health_of_all(connection, self.office)

    def add(
        self, name: str, title: str, adapter: Adapter, *, stale_h: int | None = None
    ) -> Channel:
        """Add a channel: another bank, another wallet.

        Raises:
            RightMissingError: needs ``configure``.
            ChannelSettingsError: the name is taken, or cannot be one.
        """
        self.office.require(Right.CONFIGURE)
        if not _NAME.fullmatch(name) or not title.strip():
            raise ChannelSettingsError(
                "A channel has a name of at most 32 small letters, digits, - and _, and a title."
            )
        _require_hours(stale_h)
        with self.office.writing() as connection:
            if any(each.channel.name == name for each in health_of_all(connection, self.office)):
                raise ChannelSettingsError(f"There is a channel {name} already.")
            channel = Channel(name, title.strip(), adapter, stale_h)
            store_channel(connection, self.office, channel)
            self._record(connection, "channel.added", name, adapter.value)
        return channel

    def change(
        self,
        name: str,
        *,
        title: str | None = None,
        stale_h: int | None = None,
        is_open: bool | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Channel:
        """Change what is given; the rest stays.

        Args:
            name: which channel.
            title: as customers know it.
            stale_h: alarm after so many hours without a payment; 0: never.
            is_open: whether it takes money.
            settings: of `SETTINGS`; None as a value takes one away.

        Raises:
            RightMissingError: needs ``configure``.
            UnknownChannelError: there is none of this name.
            ChannelSettingsError: says what cannot be.
        """
        self.office.require(Right.CONFIGURE)
        if stale_h != 0:
            _require_hours(stale_h)
        changes = dict(settings or {})
        _require_settings(changes)
        with self.office.writing() as connection:
            found = find_channel(connection, name)
            store_channel(connection, self.office, found)
            kept = {**found.settings, **changes}
            channel = replace(
                found,
                title=found.title if title is None else title.strip(),
                stale_h=found.stale_h if stale_h is None else stale_h or None,
                is_open=found.is_open if is_open is None else is_open,
                settings={key: each for key, each in kept.items() if each is not None},
            )
            connection.execute(
                update(payment_channels)
                .where(payment_channels.c.channel == name)
                .values(
                    title=channel.title,
                    stale_h=channel.stale_h,
                    state="open" if channel.is_open else "closed",
                    settings=canonical_json(dict(channel.settings)).decode(),
                )
            )
            what = ", ".join(sorted(changes)) or ("open" if channel.is_open else "closed")
            self._record(connection, "channel.changed", name, what)
        return channel

    def test(self, name: str) -> Tested:
        """Try a channel as far as nothing moves, and keep what came of it.

        Raises:
            RightMissingError: needs ``configure``: what is found counts for the channel's health.
            UnknownChannelError: there is none of this name.
        """
        self.office.require(Right.CONFIGURE)
        channel = self.channel(name)
        try:
            words = provider_of(channel).test(self.office)
            code = ""
        except BillingError as fault:
            words, code = str(fault), fault.code
        with self.office.writing() as connection:
            if code:
                keep_failure(connection, self.office, name, code, words)
            else:
                keep_test(connection, self.office, name, words)
        return Tested(name, not code, code, words)

    def _record(self, connection: Any, action: str, name: str, detail: str) -> None:
        record(
            connection,
            self.office.now(),
            actor=self.office.person.name,
            action=action,
            subject=name,
            detail=detail,
        )


def _require_hours(stale_h: int | None) -> None:
    if stale_h is not None and not 0 < stale_h <= 24 * 366:
        raise ChannelSettingsError("The alarm comes after 1 hour to a year without payments.")


def _require_settings(settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        kind = SETTINGS.get(key)
        if kind is None or (value is not None and type(value) is not kind):
            raise ChannelSettingsError(
                f"A channel has no setting {key!r} of this kind; it has {', '.join(SETTINGS)}."
            )
    if len(canonical_json(dict(settings))) > 10_000:
        raise ChannelSettingsError("The settings of a channel are a few lines.")
