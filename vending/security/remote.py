"""The port to a security module that is not in this process: a licensed STS module, say.

Such a module makes a token on its own, so that a crash can fall between "token made" and
"token stored".  Therefore each order goes out under a message id of ours, and what was made
under an id can be fetched by it afterwards: the caller stores its intent with the id first,
submits, stores the tokens; after a crash it fetches before it submits again.

An order holds attributes only, never a key, and can be kept as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from vending.security.port import SecurityModule
from vending.sts import (
    BaseDate,
    Content,
    EncryptionAlgorithm,
    InvalidValueError,
    KeyAttributes,
    KeyExpiry,
    MeterPan,
    parse_base_date,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.content import parse_content

_CONTENT_BITS: Final = 44


@dataclass(frozen=True, slots=True)
class CreditOrder:
    """Make one token that carries ``content``: credit, or an engineering token."""

    content: Content
    key: KeyAttributes

    def to_json(self) -> dict[str, Any]:
        """As plain values: ``order`` is ``token``; the content as its 44 bits in hexadecimal."""
        return {
            "order": "token",
            "class": self.content.token_class,
            "subclass": int(self.content.subclass),
            "content": f"{self.content.content():011x}",
            "key": key_to_json(self.key),
        }


@dataclass(frozen=True, slots=True)
class KeyChangeOrder:
    """Make the set of tokens that moves a meter from one key to another."""

    old: KeyAttributes
    new: KeyAttributes
    ken: KeyExpiry
    rollover: bool

    def to_json(self) -> dict[str, Any]:
        """As plain values: ``order`` is ``key_change``."""
        return {
            "order": "key_change",
            "old": key_to_json(self.old),
            "new": key_to_json(self.new),
            "ken": self.ken,
            "rollover": self.rollover,
        }


TokenOrder = CreditOrder | KeyChangeOrder


@runtime_checkable
class RemoteSecurityModule(SecurityModule, Protocol):
    """A security module that keeps what it made, by our message ids.

    `make_token` and `make_key_change` of such a module are for trials; whatever is to be given
    out goes through `submit`.
    """

    def submit(self, message_id: str, order: TokenOrder) -> tuple[str, ...]:
        """Have tokens made; 20 digits each, in entry order.

        The same id again gives the same tokens and makes nothing more.

        Raises:
            ModuleUnreachableError: no answer.  Nothing is known: `fetch` by the same id.
            ModuleRefusedError: the module refused, and made nothing.
            SupplyGroupNotAuthorisedError: the module has not the key.
        """

    def fetch(self, message_id: str) -> tuple[str, ...] | None:
        """What was made under an id; None when the module has made nothing under it.

        Raises:
            ModuleUnreachableError: no answer.
        """


def order_from_json(document: object) -> TokenOrder:
    """Read an order back.

    Raises:
        InvalidValueError: not an order as `to_json` writes it.
    """
    try:
        return _order(document)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InvalidValueError("This is not an order for tokens.") from None


def _order(document: Any) -> TokenOrder:
    if document["order"] == "key_change":
        rollover = document["rollover"]
        if not isinstance(rollover, bool):
            raise InvalidValueError("rollover is true or false.")
        return KeyChangeOrder(
            key_from_json(document["old"]),
            key_from_json(document["new"]),
            parse_key_expiry(document["ken"]),
            rollover,
        )
    if document["order"] != "token":
        raise InvalidValueError("An order is for a token or for a key change.")
    bits = int(document["content"], 16)
    if not 0 <= bits < 1 << _CONTENT_BITS:
        raise InvalidValueError("A token's content has 44 bits.")
    content = parse_content(document["class"], document["subclass"], bits)
    content.content()  # only what may be issued
    return CreditOrder(content, key_from_json(document["key"]))


def key_to_json(key: KeyAttributes) -> dict[str, Any]:
    """What a decoder key depends on besides the vending key; no secret."""
    return {
        "meter_pan": str(key.meter_pan),
        "sgc": key.sgc,
        "krn": key.krn,
        "key_type": int(key.key_type),
        "tariff_index": key.tariff_index,
        "base_year": int(key.base_date),
        "ea": int(key.algorithm),
    }


def key_from_json(document: Any) -> KeyAttributes:
    """Read it back.

    Raises:
        InvalidValueError, CheckDigitError: a wrong value.
        KeyError, TypeError, AttributeError: not such a document.
    """
    base_date: BaseDate = parse_base_date(document["base_year"])
    return KeyAttributes(
        meter_pan=MeterPan.parse(document["meter_pan"]),
        sgc=parse_supply_group_code(document["sgc"]),
        krn=parse_key_revision(document["krn"]),
        key_type=parse_key_type(document["key_type"]),
        tariff_index=parse_tariff_index(document["tariff_index"]),
        base_date=base_date,
        algorithm=EncryptionAlgorithm(document["ea"]),
    )
