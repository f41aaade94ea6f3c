"""How channels are set up: which adapter sends, with which settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from billing.notices.channels.port import Adapter
from billing.notices.faults import NoticeChannelSettingsError

_ADAPTERS: Final = {
    "smtp": ("billing.notices.channels.smtp:SmtpChannel", ("email",)),
    "file": ("billing.notices.channels.files:FolderChannel", ("email", "sms", "wechat")),
    "http": ("billing.notices.channels.http_gateway:HttpGateway", ("sms",)),
    "wecom": ("billing.notices.channels.wecom:WeComChannel", ("wechat",)),
    "apprise": ("billing.notices.channels.apprise_bridge:AppriseChannel", ("sms", "wechat")),
}
ADAPTERS: Final = tuple(_ADAPTERS)
_MAY_HOLD_KEYS: Final = ("body", "auth_prefix")
_HIDDEN: Final = "**"


def adapter_of(channel: str, name: str, settings: str | Mapping[str, Any]) -> Adapter:
    """What sends the messages of a channel.

    Args:
        channel: ``email``, ``sms``, ``wechat``.
        name: of the adapter.
        settings: its fields, as JSON or as values; texts are made numbers where those are wanted.

    Raises:
        NoticeChannelSettingsError: there is no such adapter, or a setting cannot be used.
    """
    where, channels = _ADAPTERS.get(name, ("", ()))
    if channel not in channels:
        fitting = [each for each, (_, fit) in _ADAPTERS.items() if channel in fit]
        raise NoticeChannelSettingsError(
            f"{channel} is sent by one of: {', '.join(fitting) or 'nothing'}; not by {name!r}."
        )
    given = json.loads(settings) if isinstance(settings, str) else dict(settings)
    module, _, attribute = where.partition(":")
    made: Callable[..., Adapter] = getattr(import_module(module), attribute)
    return made(**_typed(made, name, given))


def settings_shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for who may look, and not set them.

    Providers want their keys where it suits them: of an address host and port alone are shown, and
    nothing of what goes to the provider with each message.
    """
    return {name: _shown(name, value) for name, value in settings.items()}


def _shown(name: str, value: Any) -> Any:
    if name in _MAY_HOLD_KEYS:
        return _HIDDEN
    if not isinstance(value, str) or "://" not in value:
        return value
    host = urlsplit(value).netloc.rpartition("@")[2]
    return f"{value.partition('://')[0]}://{host}/{_HIDDEN}"


def _typed(made: Any, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    known = {each.name: each for each in fields(made)}
    wrong = sorted(set(given) - set(known))
    if wrong:
        raise NoticeChannelSettingsError(
            f"{name} has no settings {', '.join(wrong)}; it has {', '.join(known)}."
        )
    missing = [
        each.name for each in known.values() if each.default is MISSING and each.name not in given
    ]
    if missing:
        raise NoticeChannelSettingsError(f"{name} needs the settings {', '.join(missing)}.")
    return {each: _as_wanted(each, known[each].type, value) for each, value in given.items()}


def _as_wanted(name: str, wanted: Any, value: Any) -> Any:
    if wanted in ("int", int):
        try:
            return int(value)
        except (TypeError, ValueError):
            raise NoticeChannelSettingsError(f"{name} is a whole number.") from None
    if not isinstance(value, str):
        raise NoticeChannelSettingsError(f"{name} is a text.")
    return value
