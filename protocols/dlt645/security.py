"""What stands in security commands 03H: prepayment on ESAM meters (spec section 3, grade B).

Amounts and counts are **binary** here, in cents and purchases, low byte first (the byte order is
read from one vendor's recordings, v107; D for the standard's meters).  MACs and ciphers are the
operator's ESAM's affair: bytes in wire order, passed through.

A purchase count makes a recharge safe to ask about: after a lost answer read `StatusQuery` (or
03330201) before anything is sent again.

====================  =========================================  ===========================
DI                    request data after C0-C3                   answer data after DI
====================  =========================================  ===========================
070000FF              `IdentityAuthentication`                   `AuthenticationResult`
070001FF              `AuthenticationValidity`                   none
070002FF              none                                       `EndOfAuthentication`
070101FF, 070102FF    `Purchase`                                 none
070103FF              `WalletInitialisation`                     none
078001FF              `EsamFileRead`                             `EsamFile`
078102FF              none                                       `PrepaymentStatus`
070201..04, 070301    key blocks: bytes                          bytes
vendor, v107, v108    `VendorOrder`                              bytes
====================  =========================================  ===========================
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from protocols.dlt645.errors import FieldRangeError, LayoutError
from protocols.dlt645.fields import require_byte, require_bytes
from protocols.dlt645.requests import Security

IDENTITY_AUTHENTICATION: Final = 0x070000FF
AUTHENTICATION_VALIDITY: Final = 0x070001FF
END_AUTHENTICATION: Final = 0x070002FF
OPEN_ACCOUNT: Final = 0x070101FF
RECHARGE: Final = 0x070102FF
WALLET_INITIALISATION: Final = 0x070103FF
READ_ESAM_FILE: Final = 0x078001FF
STATUS_QUERY: Final = 0x078102FF
VENDOR_REFUND: Final = 0x070108FF

_WORD_MAX: Final = 0xFFFF_FFFF
_DECIMAL: Final = frozenset("0123456789")


def _require_word(what: str, value: int) -> None:
    if not 0 <= value <= _WORD_MAX:
        raise FieldRangeError(f"{what} {value} does not fit four bytes.")


def _encode_number(what: str, digits: str, length: int) -> bytes:
    if len(digits) != 2 * length or not _DECIMAL.issuperset(digits):
        raise FieldRangeError(f"{what} must be {2 * length} digits.")
    return bytes.fromhex(digits)[::-1]


def _unpack(layout: struct.Struct, data: bytes) -> tuple[object, ...]:
    if len(data) != layout.size:
        raise LayoutError(f"{len(data)} bytes where {layout.size} belong.")
    return layout.unpack(data)


def _number(wire: object) -> str:
    assert isinstance(wire, bytes)
    return wire[::-1].hex()


@dataclass(frozen=True, slots=True)
class IdentityAuthentication:
    """070000FF: cipher 8, random number 8, diversification factor 8."""

    cipher: bytes
    random: bytes
    diversification: bytes

    def __post_init__(self) -> None:
        for name in ("cipher", "random", "diversification"):
            require_bytes(name, getattr(self, name), 8)

    def encode(self) -> bytes:
        return self.cipher + self.random + self.diversification

    @classmethod
    def parse(cls, data: bytes) -> Self:
        require_layout(data, 24)
        return cls(data[:8], data[8:16], data[16:])


def require_layout(data: bytes, length: int) -> None:
    """Refuse data of another length.

    Raises:
        LayoutError: they have it.
    """
    if len(data) != length:
        raise LayoutError(f"{len(data)} bytes where {length} belong.")


@dataclass(frozen=True, slots=True)
class AuthenticationResult:
    """The answer to 070000FF."""

    random: bytes
    """4 bytes, for the MACs of what follows."""
    esam_number: bytes
    """8 bytes."""

    def __post_init__(self) -> None:
        require_bytes("random", self.random, 4)
        require_bytes("ESAM number", self.esam_number, 8)

    def encode(self) -> bytes:
        return self.random + self.esam_number

    @classmethod
    def parse(cls, data: bytes) -> Self:
        require_layout(data, 12)
        return cls(data[:4], data[4:])


@dataclass(frozen=True, slots=True)
class AuthenticationValidity:
    """070001FF: how long the authentication lasts."""

    minutes: int
    """0-9999, BCD on the wire."""
    mac: bytes

    def __post_init__(self) -> None:
        require_byte("Minutes", self.minutes, 0, 9999)
        require_bytes("MAC", self.mac, 4)

    def encode(self) -> bytes:
        return bytes.fromhex(f"{self.minutes:04d}")[::-1] + self.mac

    @classmethod
    def parse(cls, data: bytes) -> Self:
        require_layout(data, 6)
        digits = data[1::-1].hex()
        if not digits.isdecimal():
            raise LayoutError("The minutes are not BCD.")
        return cls(int(digits), data[2:])


_END_OF_AUTHENTICATION: Final = struct.Struct("<6sII4s")
_STATUS: Final = struct.Struct("<I4sI4s6s4s")
_PURCHASE: Final = struct.Struct("<II4s6s4s")
_WALLET: Final = struct.Struct("<I4sI4s")
_VENDOR_ORDER: Final = struct.Struct("<I8s4s6s4s")


@dataclass(frozen=True, slots=True)
class EndOfAuthentication:
    """The answer to 070002FF."""

    client_number: str
    """12 digits."""
    remaining_cents: int
    purchase_count: int
    key_info: bytes
    """4 bytes."""

    def encode(self) -> bytes:
        return _END_OF_AUTHENTICATION.pack(
            _encode_number("The client number", self.client_number, 6),
            self.remaining_cents,
            self.purchase_count,
            require_bytes("Key info", self.key_info, 4),
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        client, remaining, count, key_info = _unpack(_END_OF_AUTHENTICATION, data)
        assert isinstance(remaining, int)
        assert isinstance(count, int)
        assert isinstance(key_info, bytes)
        return cls(_number(client), remaining, count, key_info)


@dataclass(frozen=True, slots=True)
class Purchase:
    """070101FF open account, 070102FF recharge.

    The meter takes it only if the count is its own plus one; an equal count is a repeated order
    and adds nothing (SERR bit 1).  An account is opened with count 0 or 1.
    """

    amount_cents: int
    count: int
    mac1: bytes
    client_number: str
    """12 digits."""
    mac2: bytes

    length: ClassVar[int] = _PURCHASE.size

    def __post_init__(self) -> None:
        _require_word("Amount", self.amount_cents)
        _require_word("Purchase count", self.count)
        require_bytes("MAC1", self.mac1, 4)
        _encode_number("The client number", self.client_number, 6)
        require_bytes("MAC2", self.mac2, 4)

    def encode(self) -> bytes:
        client = _encode_number("The client number", self.client_number, 6)
        return _PURCHASE.pack(self.amount_cents, self.count, self.mac1, client, self.mac2)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        amount, count, mac1, client, mac2 = _unpack(_PURCHASE, data)
        assert isinstance(amount, int)
        assert isinstance(count, int)
        assert isinstance(mac1, bytes)
        assert isinstance(mac2, bytes)
        number = _number(client)
        if not number.isdecimal():
            raise LayoutError("The client number is not BCD.")
        return cls(amount, count, mac1, number, mac2)


@dataclass(frozen=True, slots=True)
class WalletInitialisation:
    """070103FF: set the wallet to a start value; only under the public key."""

    amount_cents: int
    mac1: bytes
    count: int
    mac2: bytes

    def __post_init__(self) -> None:
        _require_word("Amount", self.amount_cents)
        _require_word("Purchase count", self.count)
        require_bytes("MAC1", self.mac1, 4)
        require_bytes("MAC2", self.mac2, 4)

    def encode(self) -> bytes:
        return _WALLET.pack(self.amount_cents, self.mac1, self.count, self.mac2)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        amount, mac1, count, mac2 = _unpack(_WALLET, data)
        assert isinstance(amount, int)
        assert isinstance(mac1, bytes)
        assert isinstance(count, int)
        assert isinstance(mac2, bytes)
        return cls(amount, mac1, count, mac2)


@dataclass(frozen=True, slots=True)
class EsamFileRead:
    """078001FF: which part of which file; two bytes each, in wire order."""

    length: bytes
    start: bytes
    file: bytes
    directory: bytes

    def __post_init__(self) -> None:
        for name in ("length", "start", "file", "directory"):
            require_bytes(name, getattr(self, name), 2)

    def encode(self) -> bytes:
        return self.length + self.start + self.file + self.directory

    @classmethod
    def parse(cls, data: bytes) -> Self:
        require_layout(data, 8)
        return cls(data[:2], data[2:4], data[4:6], data[6:])


@dataclass(frozen=True, slots=True)
class EsamFile:
    """The answer to 078001FF: the request's 8 bytes again, the file's, a MAC."""

    asked: EsamFileRead
    data: bytes
    mac: bytes

    def encode(self) -> bytes:
        return self.asked.encode() + self.data + require_bytes("MAC", self.mac, 4)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        if len(data) < 12:
            raise LayoutError("An ESAM file's answer has at least 12 bytes.")
        return cls(EsamFileRead.parse(data[:8]), data[8:-4], data[-4:])


@dataclass(frozen=True, slots=True)
class PrepaymentStatus:
    """The answer to 078102FF: what the meter holds, each sum with its MAC."""

    remaining_cents: int
    remaining_mac: bytes
    purchase_count: int
    count_mac: bytes
    client_number: str
    """12 digits."""
    key_info: bytes

    def encode(self) -> bytes:
        return _STATUS.pack(
            self.remaining_cents,
            require_bytes("MAC", self.remaining_mac, 4),
            self.purchase_count,
            require_bytes("MAC", self.count_mac, 4),
            _encode_number("The client number", self.client_number, 6),
            require_bytes("Key info", self.key_info, 4),
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        remaining, mac1, count, mac2, client, key_info = _unpack(_STATUS, data)
        assert isinstance(remaining, int)
        assert isinstance(mac1, bytes)
        assert isinstance(count, int)
        assert isinstance(mac2, bytes)
        assert isinstance(key_info, bytes)
        return cls(remaining, mac1, count, mac2, _number(client), key_info)


@dataclass(frozen=True, slots=True)
class VendorOrder:
    """One vendor's recharge and refund (v107, v108): an order number instead of a count.

    Not the standard; recorded, so that `frame decode` can show it.
    """

    amount_cents: int
    order_number: str
    """16 hexadecimal digits as sent; what they count is the vendor's affair."""
    mac1: bytes
    meter_number: str
    """12 digits."""
    mac2: bytes

    length: ClassVar[int] = _VENDOR_ORDER.size

    def encode(self) -> bytes:
        return _VENDOR_ORDER.pack(
            self.amount_cents,
            require_bytes("Order number", bytes.fromhex(self.order_number), 8),
            require_bytes("MAC1", self.mac1, 4),
            _encode_number("The meter number", self.meter_number, 6),
            require_bytes("MAC2", self.mac2, 4),
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        amount, order, mac1, meter, mac2 = _unpack(_VENDOR_ORDER, data)
        assert isinstance(amount, int)
        assert isinstance(order, bytes)
        assert isinstance(mac1, bytes)
        assert isinstance(mac2, bytes)
        return cls(amount, order.hex(), mac1, _number(meter), mac2)


def open_account(operator: str, purchase: Purchase) -> Security:
    """The first purchase.

    Raises:
        FieldRangeError: a count above 1.
    """
    if purchase.count > 1:
        raise FieldRangeError("An account is opened with purchase count 0 or 1.")
    return Security(OPEN_ACCOUNT, operator, purchase.encode())


def recharge(operator: str, purchase: Purchase) -> Security:
    """A further purchase, whose count is the meter's own plus one."""
    return Security(RECHARGE, operator, purchase.encode())


def status_query(operator: str) -> Security:
    """What the meter holds; the one security command that may be asked at any time."""
    return Security(STATUS_QUERY, operator)
