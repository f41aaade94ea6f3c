"""The options of publishing over MQTT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from headend.publishing.publisher import Publisher

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE: Any = click.Path(exists=True, dir_okay=False, path_type=Path)


def mqtt_options(command: _Command) -> _Command:
    """Give a command what `publisher_of` takes."""
    options = (
        click.option(
            "--mqtt", "mqtt_url", metavar="URL",
            help="Publish readings and alarms: mqtt://[user@]host[:1883], mqtts:// with TLS. "
            "The password comes from METERHOUSE_MQTT_PASSWORD or a file.",
        ),
        click.option(
            "--mqtt-prefix", metavar="TOPIC", default="meterhouse", show_default=True,
            help="How all topics begin.",
        ),
        click.option(
            "--mqtt-discovery", metavar="TOPIC",
            help="Tell Home Assistant of each quantity; homeassistant is where it listens.",
        ),
        click.option(
            "--mqtt-password-file", type=_FILE, envvar="METERHOUSE_MQTT_PASSWORD_FILE",
            show_envvar=True, help="The broker's password, in its first line; mode 0600.",
        ),
        click.option(
            "--mqtt-ca", type=_FILE, help="Certificates (PEM) to trust instead of the system's.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def publisher_of(
    mqtt_url: str | None,
    mqtt_prefix: str,
    mqtt_discovery: str | None,
    mqtt_password_file: Path | None,
    mqtt_ca: Path | None,
) -> Publisher | None:
    """What publishes, or None where nothing shall be.

    Raises:
        PublishingMissingError: the extra is not installed.
        BrokerEntryError: an option makes no sense.
    """
    if mqtt_url is None:
        return None
    from headend.publishing.broker import broker_at
    from headend.publishing.publisher import Publisher, require_mqtt

    require_mqtt()
    return Publisher(
        broker_at(
            mqtt_url,
            password_file=mqtt_password_file,
            ca_file=mqtt_ca,
            prefix=mqtt_prefix,
            discovery=mqtt_discovery,
        )
    )
