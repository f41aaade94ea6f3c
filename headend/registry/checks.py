"""What may be registered: names, addresses, URLs.  Nothing here touches a database."""

from __future__ import annotations

from typing import Final

from headend.faults import EntryError
from headend.registry.entries import LinkKind, NewDevice, NewLink
from protocols.dlt645.addresses import is_full, parse_address
from protocols.dlt645.controls import Edition
from protocols.errors import ProtocolError
from protocols.modbus.links import parse_bus_url
from protocols.transport import LineSettings, LinkOptions, parse_link_url, take_link_options

NAME_MAX: Final = 80
PROTOCOLS: Final = ("dlt645-2007", "dlt645-1997", "modbus")
_EDITIONS: Final = {"dlt645-2007": Edition.Y2007, "dlt645-1997": Edition.Y1997}
_ANY_LINE: Final = LineSettings(baud=2400)
"""Where a serial URL gives no speed, the protocol's own is used."""
_UNIT_MAX: Final = 247


def require_name(what: str, name: str) -> str:
    """A name that fits a line of a table; spaces around it are dropped.

    Raises:
        EntryError: empty, too long, or with characters that do not print.
    """
    clean = name.strip()
    if not 0 < len(clean) <= NAME_MAX or not clean.isprintable():
        raise EntryError(f"{what} must have 1 to {NAME_MAX} printable characters, not {name!r}.")
    return clean


def link_kind(new: NewLink) -> LinkKind:
    """What kind of line it is.

    Raises:
        EntryError: neither or both of URL and caller, or a URL that makes no sense.
    """
    if (new.url is None) == (new.caller is None):
        raise EntryError(
            f"Link {new.name}: give the URL of a line that we open, or the name that a modem "
            "calls in with; one of them."
        )
    if new.url is None:
        require_name("A modem's name", new.caller or "")
        return LinkKind.MODEM
    try:
        plain = parse_bus_url(new.url)[0] if new.url.startswith("modbus+") else new.url
        parse_link_url(take_link_options(plain, LinkOptions())[0], _ANY_LINE)
    except ProtocolError as fault:
        raise EntryError(f"Link {new.name}: {fault}") from None
    return LinkKind.SERIAL if plain.startswith("serial:") else LinkKind.TCP


def device_address(new: NewDevice) -> str:
    """The address as it is kept: 12 digits, or a Modbus unit.

    Raises:
        EntryError: none, or one that more than one meter answers to; a profile where there is
            none or none where one is needed; a ratio below one.
    """
    if new.protocol not in PROTOCOLS:
        raise EntryError(f"A meter speaks {', '.join(PROTOCOLS)}, not {new.protocol!r}.")
    if new.ratio < 1:
        raise EntryError(f"Meter {new.number}: the transformers' ratio is 1 or more.")
    if new.protocol == "modbus":
        return _unit(new)
    if new.profile is not None:
        raise EntryError(f"Meter {new.number}: a profile is for Modbus meters only.")
    try:
        address = parse_address(new.address or new.number, _EDITIONS[new.protocol])
    except ProtocolError as fault:
        raise EntryError(f"Meter {new.number}: {fault} Give its address with the number.") from None
    if not is_full(address):
        raise EntryError(f"Meter {new.number}: {address} is the address of many meters.")
    return address


def _unit(new: NewDevice) -> str:
    from protocols.modbus import ProfileError, load_profile

    text = new.address
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _UNIT_MAX):
        raise EntryError(
            f"Meter {new.number}: a Modbus meter's address is its unit, 1-{_UNIT_MAX}, "
            f"not {text!r}."
        )
    if new.profile is None:
        raise EntryError(
            f"Meter {new.number}: a Modbus meter needs a profile; `meterhouse profile list` "
            "shows them."
        )
    try:
        load_profile(new.profile)
    except ProfileError as fault:
        raise EntryError(f"Meter {new.number}: {fault}") from None
    return str(int(text))


def require_fitting(number: str, protocol: str, url: str | None) -> None:
    """Refuse a DL/T 645 meter on a line that carries Modbus.

    Raises:
        EntryError: it is one.
    """
    if url is not None and url.startswith("modbus+") and protocol != "modbus":
        raise EntryError(f"Meter {number} speaks {protocol}; the line {url} carries Modbus.")
