"""All that a meter must not forget, as one immutable value.

What a power cut does lose, the half-typed entry and the message on the display, is not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from simulators.errors import SimulatorValueError
from simulators.keypad import EntryLock
from simulators.nameplate import Nameplate
from simulators.supply import Supply
from simulators.token_memory import TokenMemory
from vending.sts import (
    DecoderKey,
    KeyAttributes,
    KeyChange,
    KeyExpiry,
    KeyGeneration,
    KeyRevision,
    KeySection,
    KeyType,
    SupplyGroupCode,
    TariffIndex,
    TokenCipher,
    VendingKey,
    cipher_for,
    derive_decoder_key,
)

NEVER_EXPIRES: Final = KeyExpiry(255)
"""The KEN that no TID passes."""


@dataclass(frozen=True, slots=True)
class MeterKey:
    """The decoder key in the meter, and what the meter knows about it."""

    decoder_key: DecoderKey
    """64 bits (EA 07) or 128 bits (EA 11).  Never shown."""
    key_type: KeyType
    sgc: SupplyGroupCode
    krn: KeyRevision
    tariff_index: TariffIndex
    ken: KeyExpiry = NEVER_EXPIRES

    @classmethod
    def derived(
        cls,
        dkga: KeyGeneration,
        vending_key: VendingKey,
        attributes: KeyAttributes,
        ken: KeyExpiry = NEVER_EXPIRES,
    ) -> MeterKey:
        """The key that a meter of a supply group holds, as its manufacturer puts it in.

        Raises:
            StsError: the key cannot be derived.
        """
        return cls(
            decoder_key=derive_decoder_key(dkga, vending_key, attributes),
            key_type=attributes.key_type,
            sgc=attributes.sgc,
            krn=attributes.krn,
            tariff_index=attributes.tariff_index,
            ken=ken,
        )

    def after(self, change: KeyChange) -> MeterKey:
        """The key after a complete set; a set without supply group leaves it as it was."""
        return MeterKey(
            decoder_key=change.new_key,
            key_type=change.key_type,
            sgc=self.sgc if change.sgc is None else change.sgc,
            krn=change.krn,
            tariff_index=change.tariff_index,
            ken=change.ken,
        )


@dataclass(frozen=True, slots=True)
class PendingKeyChange:
    """Sections of a key change that is not complete."""

    sections: tuple[KeySection, ...] = field(default=(), repr=False)
    """At most one of each kind, in the order of entry."""
    forgotten_at: datetime | None = None

    def __post_init__(self) -> None:
        kinds = {section.subclass for section in self.sections}
        if len(kinds) < len(self.sections) or bool(kinds) != (self.forgotten_at is not None):
            raise SimulatorValueError("A pending key change has each section once, and an end.")

    def at(self, now: datetime) -> PendingKeyChange:
        """The sections that still count: none after the time-out."""
        if self.forgotten_at is None or now < self.forgotten_at:
            return self
        return PendingKeyChange()


@dataclass(frozen=True, slots=True)
class MeterState:
    """A meter between two events.

    Raises:
        SimulatorValueError: the key's length does not fit the nameplate's algorithm.
    """

    nameplate: Nameplate
    key: MeterKey
    now: datetime
    """The last time that the meter was told, UTC."""
    has_power: bool = True
    supply: Supply = field(default_factory=Supply)
    memory: TokenMemory = field(default_factory=TokenMemory)
    pending: PendingKeyChange = field(default_factory=PendingKeyChange)
    lock: EntryLock = field(default_factory=EntryLock)
    tariff_rate: int | None = None
    """Raw 16 bits, in meters that take it."""
    water_factor: int | None = None
    """Raw 16 bits, in meters that take it."""

    def __post_init__(self) -> None:
        if self.key.decoder_key.bits != self.nameplate.algorithm.key_bits:
            raise SimulatorValueError(
                f"The decoder key has {self.key.decoder_key.bits} bits; encryption algorithm "
                f"{self.nameplate.algorithm.value:02d} needs {self.nameplate.algorithm.key_bits}."
            )

    def cipher(self) -> TokenCipher:
        """The cipher under the key of now.

        Made anew for each token: tens of thousands of meters would otherwise hold as many key
        schedules, for the sake of a token a month.
        """
        return cipher_for(self.nameplate.algorithm, self.key.decoder_key, self.nameplate.sta_tables)
