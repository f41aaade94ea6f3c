"""What all meters of one type share: ratings, factory settings, the sizes of their memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulators.errors import SimulatorValueError
from simulators.metering.esam import PUBLIC_TEST_ESAM, Esam
from simulators.metering.tariff_plan import FOUR_TARIFFS, TARIFFS, TariffPlan

PASSWORD_LEVELS: Final = 10
FACTORY_PASSWORD: Final = "000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterType:
    """One type of meter.  Share one among thousands.

    Raises:
        SimulatorValueError: a rating that no meter has.
    """

    model: str = "MH-SIM-1"
    maker: str = "meterhouse"
    software: str = "simulated 1.0"
    nominal_dv: int = 2_200
    """Voltage to neutral in tenths of a volt."""
    rated_current: str = "5(60)A"
    current_max: str = "60A"
    impulses_per_kwh: int = 1_200
    utc_offset_min: int = 480
    """The zone of the meter's clock: minutes ahead of UTC."""
    drift_ppm_max: int = 20
    """Each meter's own drift is drawn between minus and plus this."""
    plan: TariffPlan = FOUR_TARIFFS
    prices: tuple[int, ...] = (8_400, 7_000, 5_600, 3_000)
    """Of T1-T4 in 1/10000 of the currency per kWh, on meters that count money."""
    demand_period_min: int = 15
    load_interval_min: int = 15
    load_records_max: int = 2_976
    """31 days of quarters of an hour."""
    daily_freezes_max: int = 62
    hourly_freezes_max: int = 62
    """The identifiers count no further."""
    timed_freezes_max: int = 60
    instant_freezes_max: int = 3
    settlements_max: int = 12
    passwords: tuple[str, ...] = (FACTORY_PASSWORD,) * PASSWORD_LEVELS
    """Of levels 0-9, six digits each."""
    password_tries: int = 5
    password_lock_min: int = 1_440
    needs_programming_key: bool = True
    """Whether a new address (15H) is taken only after the programming key was pressed."""
    programming_min: int = 30
    """How long it then is."""
    has_relay_error_word: bool = False
    """Whether relay control is refused with the two bytes of the 2013 rules, not with ERR."""
    esam: Esam = PUBLIC_TEST_ESAM
    """Who checks MACs and opens ciphers."""
    needs_authentication: bool = False
    """Whether payments are taken only after an identity authentication (070000FF)."""
    authentication_min: int = 30
    """How long an authentication lasts, unless 070001FF says otherwise."""
    alarm_1_minor: int = 5_000
    alarm_2_minor: int = 2_000
    overdraft_minor: int = 0
    hoarding_minor: int = 99_999_900
    close_from_minor: int = 0
    """The amounts of 04001001-05, in minor units."""

    def __post_init__(self) -> None:
        sizes = (
            self.demand_period_min,
            self.load_interval_min,
            self.load_records_max,
            self.settlements_max,
            self.password_tries,
            self.nominal_dv,
        )
        if min(sizes) < 1 or self.drift_ppm_max < 0:
            raise SimulatorValueError("Periods, capacities and voltages are 1 or more.")
        if len(self.prices) != TARIFFS or min(self.prices) < 0:
            raise SimulatorValueError(f"A meter has {TARIFFS} prices, 0 or more.")
        if len(self.passwords) != PASSWORD_LEVELS:
            raise SimulatorValueError(f"A meter has passwords of {PASSWORD_LEVELS} levels.")


DEFAULT_TYPE: Final = MeterType()
