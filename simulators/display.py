"""What a meter's display shows: figures, and the answers to test tokens.

Of the tests in a class 1 token (IEC 62055-41, clause 6.2.4) those that the standard names are
shown as what they are; the others, and a maker's own, as ``test <n>``, n being the bit's number.
"""

from __future__ import annotations

from typing import Final

from simulators.contact import Order, RemoteControl
from simulators.meter_state import MeterState
from simulators.purse import Purse
from simulators.supply import Supply
from vending.sts import InitiateMeterTest

ALL_SEGMENTS: Final = "8888-8888-8888-8888-8888"

ALL_TESTS: Final = 0
BREAKER_TEST: Final = 1
DISPLAY_TEST: Final = 2
CONSUMPTION_TEST: Final = 3
KRN_TEST: Final = 4
TARIFF_INDEX_TEST: Final = 5


def kwh(wh: int) -> str:
    """Wh as kWh with one decimal, cut off (never rounded up), exact: ``12.3 kWh``."""
    return f"{wh // 1000}.{wh % 1000 // 100} kWh"


def supply_line(supply: Supply) -> str:
    """``supply on``, or ``supply off: `` and every reason."""
    reasons = ", ".join(reason.value for reason in supply.open_reasons)
    return f"supply off: {reasons}" if reasons else "supply on"


def money(purse: Purse) -> str:
    """The balance with two decimals, rounded down: ``12.34``."""
    minor = purse.balance_minor
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def remote_lines(remote: RemoteControl, second: int) -> tuple[str, ...]:
    """What orders by wire tell the customer."""
    lines = []
    if remote.is_alarm_on:
        lines.append("ALARM")
    if remote.trip_at is not None:
        lines.append(f"SUPPLY OFF IN {max(0, remote.trip_at - second)} s")
    if remote.order is Order.CLOSE_ALLOWED:
        lines.append("PRESS THE BUTTON TO SWITCH ON")
    return tuple(lines)


def asked_tests(test: InitiateMeterTest) -> tuple[int, ...]:
    """The numbers of the control bits that are set, ascending."""
    return tuple(n for n in range(test.control.bit_length()) if test.control >> n & 1)


def tests_breaker(test: InitiateMeterTest) -> bool:
    """Whether the token asks for the breaker test: by its own bit, or with all tests."""
    return test.manufacturer_code == 0 and not {ALL_TESTS, BREAKER_TEST}.isdisjoint(
        asked_tests(test)
    )


def test_lines(test: InitiateMeterTest, state: MeterState) -> tuple[str, ...]:
    """The lines for a test token, in order of the control bits; each line once.

    All tests (bit 0) shows whatever this meter can show.
    """
    lines: dict[str, None] = {}
    for number in asked_tests(test):
        named = _NAMED.get(number) if test.manufacturer_code == 0 else None
        shown = named(state) if named is not None else (f"test {number}",)
        lines.update(dict.fromkeys(shown))
    return tuple(lines)


def _segments(_state: MeterState) -> tuple[str, ...]:
    return (ALL_SEGMENTS,)


def _breaker(_state: MeterState) -> tuple[str, ...]:
    return ("breaker test",)


def _consumption(state: MeterState) -> tuple[str, ...]:
    return (f"consumed {kwh(state.supply.registers.consumed_wh)}",)


def _krn(state: MeterState) -> tuple[str, ...]:
    return (f"KRN {state.key.krn}",)


def _tariff_index(state: MeterState) -> tuple[str, ...]:
    return (f"TI {state.key.tariff_index}",)


def _everything(state: MeterState) -> tuple[str, ...]:
    supply = state.supply
    limit = supply.power_limit_w
    unbalance = supply.phase_unbalance_limit_w
    lines = (
        *_segments(state),
        *_breaker(state),
        *_consumption(state),
        *_krn(state),
        *_tariff_index(state),
        f"EA {state.nameplate.algorithm.value:02d}",
        f"KT {state.key.key_type.value}",
        f"SGC {state.key.sgc}",
        f"KEN {state.key.ken}",
        f"credit {kwh(supply.registers.remaining_wh)}",
        "limit none" if limit is None else f"limit {limit} W",
    )
    return lines if unbalance is None else (*lines, f"unbalance limit {unbalance} W")


_NAMED: Final = {
    ALL_TESTS: _everything,
    BREAKER_TEST: _breaker,
    DISPLAY_TEST: _segments,
    CONSUMPTION_TEST: _consumption,
    KRN_TEST: _krn,
    TARIFF_INDEX_TEST: _tariff_index,
}
