"""A posted message on its way through the door, and the answer, which comes after the commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

import structlog

from billing.faults import BillingError, OfficeUnavailableError
from billing.office import Office
from billing.payments.channels import Adapter, Channel, claim_key
from billing.payments.door import take
from billing.payments.faults import (
    ChannelClosedError,
    ChannelSettingsError,
    HookMessageError,
    HookSignatureError,
    PaymentConflictError,
)
from billing.payments.health import keep_failure
from billing.payments.web_hook.message import Words, payment_of
from billing.payments.web_hook.signing import (
    WINDOW_S,
    Key,
    Scheme,
    Signed,
    load_key,
    require_signed,
)
from billing.person import Person

log = structlog.get_logger("billing.payments")
_STATUS: Final[dict[type[BillingError], int]] = {
    HookSignatureError: 401,
    HookMessageError: 400,
    PaymentConflictError: 409,
    ChannelClosedError: 503,
    OfficeUnavailableError: 503,
}
_HEADERS: Final = {
    "timestamp": "x-timestamp",
    "nonce": "x-nonce",
    "signature": "x-signature",
}
_WINDOW_S_MAX: Final = 3_600


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider is answered."""

    status: int
    body: str
    media_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Hook:
    """A channel's agreement with its provider, ready for work."""

    channel: str
    key: Key
    words: Words
    window_s: int
    headers: dict[str, str]
    success: Answer

    @classmethod
    def of(cls, channel: Channel) -> Hook:
        """From a channel's settings; reads its key from the file that they name.

        Raises:
            ChannelSettingsError, ChannelKeyError: say what is missing.
        """
        settings = channel.settings
        if channel.adapter is not Adapter.WEB_HOOK:
            raise ChannelSettingsError(f"{channel.name} is no channel of signed messages.")
        try:
            scheme = Scheme(settings.get("scheme", ""))
        except ValueError:
            raise ChannelSettingsError(
                f"Say how the provider of {channel.name} signs: "
                f"`meterhouse channel set {channel.name} --scheme {Scheme.HMAC_SHA256}` "
                f"(or {Scheme.RSA_SHA256}) --key-file FILE."
            ) from None
        named = settings.get("key_file")
        if not isinstance(named, str) or not named:
            raise ChannelSettingsError(f"Name the file with the key of {channel.name}.")
        window_s = settings.get("window_s", WINDOW_S)
        if type(window_s) is not int or not 0 < window_s <= _WINDOW_S_MAX:
            raise ChannelSettingsError(f"The window is 1 to {_WINDOW_S_MAX} seconds.")
        headers = settings.get("headers", {})
        if not isinstance(headers, dict) or set(headers) - set(_HEADERS):
            raise ChannelSettingsError(f"Headers are named for {', '.join(_HEADERS)}, no others.")
        success = Answer(
            200,
            str(settings.get("success", "success")),
            str(settings.get("success_type", "text/plain; charset=utf-8")),
        )
        return cls(
            channel.name,
            load_key(scheme, Path(named)),
            Words.of(settings),
            window_s,
            {**_HEADERS, **{name: str(each).lower() for name, each in headers.items()}},
            success,
        )

    def signed(self, headers: dict[str, str], body: bytes) -> Signed:
        """What was posted, with the headers of this provider."""
        found = {name: headers.get(header, "") for name, header in self.headers.items()}
        return Signed(found["timestamp"], found["nonce"], found["signature"], body)


@dataclass(slots=True)
class Receiver:
    """Takes what is posted for the channels that it was given.

    Failures are kept for the channels' health, one a minute for each kind.  What the provider has
    not signed is none of them: anybody can post it, and would say how a channel stands.

    Raises:
        ChannelSettingsError: two channels have one key, here or in another listener: what is
            signed does not name the channel, so that a message for one could be brought to the
            other, and would be taken again.
    """

    office: Office
    hooks: dict[str, Hook]
    taken: int = 0
    refused: int = 0
    _kept: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _counting: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        keys = {name: hook.key.identity for name, hook in sorted(self.hooks.items())}
        with self.office.writing() as connection:
            for name, identity in keys.items():
                other = claim_key(connection, self.office, name, identity)
                if other != name:
                    raise ChannelSettingsError(
                        f"{other} and {name} have one key: a message for one of them could be "
                        "taken by the other, too. Have the provider give each its own."
                    )

    def receive(self, channel: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one message; a payment is committed when it is answered with success.

        Args:
            channel: by which path it came.
            headers: names in lower case.
            body: as it was posted, byte by byte.
        """
        hook = self.hooks.get(channel)
        if hook is None:
            return Answer(404, "There is no such channel here.\n")
        try:
            self._take(hook, headers, body)
        except BillingError as fault:
            return self._refused(channel, fault)
        return hook.success

    def _take(self, hook: Hook, headers: dict[str, str], body: bytes) -> None:
        signed = hook.signed(headers, body)
        require_signed(hook.key, signed, self.office.now(), window_s=hook.window_s)
        payment = payment_of(body, hook.channel, hook.words, self.office.currency)
        if payment is None:
            return
        acting = self.office.acting(Person(f"channel {hook.channel}", frozenset()))
        with acting.writing() as connection:
            taken = take(connection, acting, payment)
        with self._counting:
            self.taken += taken.is_new
        log.info(
            "payment.taken",
            channel=hook.channel,
            payment=taken.payment_id,
            new=taken.is_new,
            state=taken.state.value,
        )

    def _refused(self, channel: str, fault: BillingError) -> Answer:
        with self._counting:
            self.refused += 1
        log.warning("payment.refused", channel=channel, code=fault.code)
        if type(fault) is not HookSignatureError:
            self._keep(channel, fault)
        status = next((each for kind, each in _STATUS.items() if isinstance(fault, kind)), 500)
        said = "try again later" if status >= 500 else str(fault)
        return Answer(status, f"{fault.code}: {said}\n")

    def _keep(self, channel: str, fault: BillingError) -> None:
        now, key = self.office.now(), (channel, fault.code)
        last = self._kept.get(key)
        if last is not None and (now - last).total_seconds() < 60:
            return
        self._kept[key] = now
        try:
            with self.office.writing() as connection:
                keep_failure(connection, self.office, channel, fault.code, str(fault))
        except BillingError as second:
            log.warning("payment.failure_not_kept", channel=channel, code=second.code)


Receive = Callable[[str, dict[str, str], bytes], Answer]
"""What the listener asks; runs in a thread."""
