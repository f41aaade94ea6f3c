"""What a meter is when it leaves the factory, and no token changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulators.errors import SimulatorValueError
from vending.sts import SAMPLE_TABLES, EncryptionAlgorithm, MeterPan, StaTables


@dataclass(frozen=True, slots=True)
class Nameplate:
    """An electricity meter's identity, functions and ratings.  Share one among like meters.

    Raises:
        SimulatorValueError: a rating that no meter has.
    """

    meter_pan: MeterPan
    algorithm: EncryptionAlgorithm = EncryptionAlgorithm.MISTY1
    sta_tables: StaTables = field(default=SAMPLE_TABLES, repr=False)
    """For EA 07 only; not saved with the meter's state."""
    phases: int = 1
    """1, or 3: takes a phase power unbalance limit too."""
    takes_tariff_rate: bool = False
    takes_water_factor: bool = False
    takes_three_token_set: bool = False
    """3KCT with a 64-bit key, which no published figure confirms."""
    credit_max_wh: int = 999_999_900
    """Top of the credit register: 999,999.9 kWh.  Credit that would pass it is an OverflowError."""
    low_credit_wh: int = 5_000
    """Credit below this is warned of."""
    key_change_timeout_s: int = 900
    """An incomplete key change is forgotten this long after its last section."""
    overload_trip_s: int = 10
    """How long an overload is borne before the contact opens."""
    overload_retry_s: int = 60
    """How long the contact then stays open."""
    breaker_test_s: int = 3
    """How long a breaker test opens the contact."""
    counts_money: bool = False
    """Local prepayment in money (`purse`): the meter takes payments by wire, no credit tokens."""

    def __post_init__(self) -> None:
        if self.algorithm is EncryptionAlgorithm.DEA:
            raise SimulatorValueError("Encryption algorithm 09 (DEA) is deprecated: use 07 or 11.")
        if self.phases not in (1, 3):
            raise SimulatorValueError(f"A meter has 1 phase or 3, not {self.phases}.")
        seconds = (self.key_change_timeout_s, self.overload_retry_s, self.breaker_test_s)
        if (
            min(seconds) < 1
            or min(self.overload_trip_s, self.credit_max_wh, self.low_credit_wh) < 0
        ):
            raise SimulatorValueError(
                "A meter's ratings are whole numbers, 0 or more; times at least 1 s."
            )

    def is_made_by(self, code: int, digits: int) -> bool:
        """Whether a class 1 token's manufacturer code, of 2 or 4 digits, is this meter's own."""
        return f"{code:0{digits}d}" == self.meter_pan.manufacturer
