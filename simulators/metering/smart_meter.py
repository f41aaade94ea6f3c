"""A meter with a port: the keypad meter, and all that a meter on a wire knows besides.

Like the keypad meter it owns no clock and no thread: whoever runs it says what time it is, and it
catches up when it is asked.  Its past is computed, not stored (`flow`), so that tens of thousands
fit into one process.  Faces (`simulators.faces`) translate it to a wire.

Everything that happens to the meter goes through here, also what happens at its keypad: the meter
must know of it, to tell its past.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from protocols.token_block import fingerprint
from simulators.contact import RemoteControl
from simulators.keypad_meter import KeypadMeter
from simulators.load import LoadProfile, mixed
from simulators.meter_state import MeterState
from simulators.metering.access import FACTORY_ACCESS, Access
from simulators.metering.account import NO_ACCOUNT, Account
from simulators.metering.demand import Peaks, continued
from simulators.metering.electricity import Moment, moment
from simulators.metering.events import (
    NO_EVENTS,
    REVERSED,
    EventKind,
    EventLog,
    EventRecord,
)
from simulators.metering.flow import Flow, History, next_cut
from simulators.metering.freezes import FreezeKind, Freezes
from simulators.metering.meter_clock import MeterClock, midnight
from simulators.metering.meter_type import DEFAULT_TYPE, MeterType
from simulators.metering.parameters import Parameters
from simulators.metering.schedules import Due, Rule
from simulators.metering.tariff_plan import TariffPlan
from simulators.metering.token_port import NO_REPORT, TokenReport, class_of, report
from simulators.moments import EPOCH, second_of, utc
from simulators.purse import Purse
from simulators.results import TokenResult

_SEED_OF_DRIFT: Final = -11


class Cover(Enum):
    """What can be opened."""

    TERMINAL = EventKind.TERMINAL_COVER_OPENED
    METER = EventKind.COVER_OPENED


class SmartMeter:
    """One meter.  Every time is an aware `datetime` and none may lie before an earlier one."""

    __slots__ = (
        "_cut",
        "_demand_peaks",
        "_events",
        "_flow",
        "_history",
        "_keypad",
        "_past_peaks",
        "access",
        "account",
        "address",
        "cleared",
        "clock",
        "freezes",
        "open_covers",
        "output",
        "parameters",
        "programming_until",
        "seed",
        "token_report",
        "tokens_accepted",
        "type",
    )

    def __init__(
        self,
        address: str,
        state: MeterState,
        load: LoadProfile | None = None,
        *,
        meter_type: MeterType = DEFAULT_TYPE,
        seed: int = 0,
    ) -> None:
        """A meter that is put up now.

        Args:
            address: 12 digits, its number on DL/T 645.
            state: of its keypad; with `Nameplate.counts_money` it is a money meter, whose account
                is not open yet.
            load: what the home draws; nothing unless given.
            meter_type: ratings and factory settings, shared.
            seed: of everything that looks like chance in it.
        """
        second = second_of(state.now)
        self._keypad = KeypadMeter(state, load)
        self.type = meter_type
        self.address = address
        self.seed = seed
        span = 2 * meter_type.drift_ppm_max + 1
        drift = mixed(seed, _SEED_OF_DRIFT) % span - meter_type.drift_ppm_max
        self.clock = MeterClock.right(second, meter_type.utc_offset_min, drift)
        """The meter's own clock."""
        prices = meter_type.prices if state.nameplate.counts_money else ()
        self._flow = Flow(
            second,
            self._keypad.supply,
            state.has_power,
            self._keypad.load,
            meter_type.plan,
            prices,
        )
        self._history = History(self._flow)
        self.cleared = self._flow
        """The state at the last meter clear, or at first: registers count from here."""
        self._events: dict[EventKind, EventLog] | None = None
        self._demand_peaks = Peaks(second, second)
        self._past_peaks: dict[tuple[int, int], Peaks] | None = None
        self.access: Access = FACTORY_ACCESS
        self.account: Account = NO_ACCOUNT
        self.freezes = Freezes(second)
        self.parameters = Parameters()
        self.open_covers: frozenset[Cover] = frozenset()
        self.output = 0
        """What the multi-function output gives out (1DH)."""
        self.programming_until = 0
        """Second until which the programming key's press lasts."""
        self.token_report: TokenReport = NO_REPORT
        self.tokens_accepted = 0
        if state.nameplate.counts_money and state.supply.purse is None:
            limits = Purse().with_limits(
                overdraft=meter_type.overdraft_minor,
                close_from=meter_type.close_from_minor,
                warn_below=meter_type.alarm_1_minor,
            )
            self._keypad.set_purse(limits, state.now)
        self._begin_slot()
        self._remember()

    # --- time --------------------------------------------------------------------------------

    def advance(self, now: datetime) -> None:
        """Meter up to ``now``.

        Raises:
            TimeBackwardsError: ``now`` lies before a time given earlier.
            NaiveTimeError: ``now`` carries no zone.
        """
        now = utc(now)
        second = second_of(now)
        if second == self._flow.second and now >= self._keypad.now:
            return  # a second is metered at its beginning
        while self._cut <= second:
            cut = self._cut
            self._meter_to(EPOCH + timedelta(seconds=cut))
            self._begin_slot()
            local = self.clock.local(cut)
            if midnight(local) > midnight(self.clock.local(cut - 1)):
                self._history.keep_midnight(self._flow, self.clock)
        self._meter_to(now)

    def _meter_to(self, now: datetime) -> None:
        flow = self._flow
        tariff = flow.plan.tariff_at(self.clock.local(flow.second))
        self._keypad.advance(now)
        second = second_of(now)
        if second != flow.second or self._keypad.supply is not flow.supply:
            self._flow = flow.metered(self._keypad.supply, second, tariff)

    def _begin_slot(self) -> None:
        """Put the price of the tariff in force into the purse, and find the next change."""
        flow = self._flow
        purse = self._keypad.supply.purse
        if purse is not None and flow.prices:
            tariff = flow.plan.tariff_at(self.clock.local(flow.second))
            priced = purse.at_price(flow.prices[tariff - 1])
            if priced is not purse:
                self._keypad.set_purse(priced, self._keypad.now)
                self._flow = flow = flow._replace(supply=self._keypad.supply)
        self._cut = next_cut(flow, self.clock)

    def _remember(self) -> None:
        """Keep the state after an event; it is the present one, and the keypad's."""
        keypad = self._keypad
        self._flow = self._flow._replace(
            supply=keypad.supply, has_power=keypad.has_power, load=keypad.load
        )
        self._history.keep(self._flow)

    @property
    def now(self) -> datetime:
        """The last time that the meter was told, UTC."""
        return self._keypad.now

    @property
    def second(self) -> int:
        """The same as a whole second."""
        return second_of(self._keypad.now)

    @property
    def local(self) -> int:
        """What the meter's clock shows now (see `meter_clock`)."""
        return self.clock.local(self.second)

    def set_clock(self, local: int, now: datetime, operator: str | None = None) -> None:
        """Set the meter's clock.

        Args:
            local: what it is to show from now on.
            now: true time.
            operator: who programs it, for the record; None: a broadcast, which is not recorded.
        """
        self.advance(now)
        before = self.local
        self.clock = self.clock.set_to(local, self.second)
        self._begin_slot()
        self._remember()
        if operator is not None:
            self.record(EventKind.TIME_SET, operator=operator, detail=before)

    # --- the home and the mains ---------------------------------------------------------------

    def set_load(self, load: LoadProfile, now: datetime) -> None:
        """Let the home draw something else from now on."""
        self.advance(now)
        self._keypad.set_load(load, now)
        self._remember()

    def power_off(self, now: datetime) -> None:
        """The mains fail: nothing is consumed, and the port is dead."""
        self.advance(now)
        if not self.has_power:
            return
        self._keypad.power_off(now)
        self._remember()
        self.record(EventKind.POWER_DOWN)

    def power_on(self, now: datetime) -> None:
        """The mains are back."""
        self.advance(now)
        if self.has_power:
            return
        self._keypad.power_on(now)
        self._begin_slot()
        self._remember()
        self._end(EventKind.POWER_DOWN)

    def open_cover(self, now: datetime, cover: Cover = Cover.TERMINAL) -> None:
        """Open a cover: the meter takes it for tampering, with or without power."""
        self.advance(now)
        self._keypad.open_cover(now)
        self._remember()
        if cover not in self.open_covers:
            self.open_covers |= {cover}
            self.record(cover.value)

    def close_cover(self, now: datetime, cover: Cover = Cover.TERMINAL) -> None:
        """Shut a cover; a tamper condition stays until a token clears it."""
        self.advance(now)
        if cover not in self.open_covers:
            return
        self.open_covers -= {cover}
        if not self.open_covers:
            self._keypad.close_cover(now)
        self._remember()
        self._end(cover.value)

    def reverse_current(self, phases: int, now: datetime) -> None:
        """Let the current flow backwards in some phases, as after a wrong connection.

        What flows is consumed and paid for all the same, and counted as reverse energy.

        Args:
            phases: bit 0 for phase A; 0: all flow forwards.
            now: the time.
        """
        self.advance(now)
        phases &= (1 << self.phases) - 1
        before = self._flow.reversed
        self._flow = self._flow._replace(reversed=phases)
        self._remember()
        for phase, kind in enumerate(REVERSED):
            if phases >> phase & 1 and not before >> phase & 1:
                self.record(kind)
            elif before >> phase & 1 and not phases >> phase & 1:
                self._end(kind)

    # --- keypad, button, contact --------------------------------------------------------------

    def enter_token(self, digits: str, now: datetime) -> TokenResult:
        """Enter a whole token at the keypad; see `KeypadMeter.enter_token`."""
        self.advance(now)
        result = self._keypad.enter_token(digits, now)
        self._token_entered(result)
        return result

    def press(self, key: str, now: datetime) -> TokenResult | None:
        """Press one key of the keypad; see `KeypadMeter.press`."""
        self.advance(now)
        result = self._keypad.press(key, now)
        if result is not None:
            self._token_entered(result)
        return result

    def take_token(self, sequence: int, digits: str, now: datetime) -> bool:
        """Take a token from the port (docs/token-block.md); the answer is in `token_report`.

        Args:
            sequence: 1-9999, chosen by the sender.
            digits: 20 digits, nothing else.
            now: the time.

        Returns:
            False: the number was used for other digits, nothing was done.

        Raises:
            NoPowerError: the meter has no power.
            TokenBlockError: not 20 digits.
        """
        self.advance(now)
        last = self.token_report
        if last.sequence == sequence:
            return last.fingerprint == fingerprint(digits)
        kind = class_of(digits, self._keypad.state)
        result = self._keypad.take_token(digits, now)
        self.token_report = report(sequence, digits, kind, result)
        self._token_entered(result)
        return True

    def _token_entered(self, result: TokenResult) -> None:
        if result.is_accepted:
            self.tokens_accepted += 1
        self._remember()

    def press_button(self, now: datetime) -> None:
        """Press the button that closes the contact, where an order allows it."""
        self.advance(now)
        self._keypad.press_button(now)
        self._remember()

    def press_programming_key(self, now: datetime) -> None:
        """Press the sealed key that permits programming for `MeterType.programming_min`."""
        self.advance(now)
        self.programming_until = self.second + self.type.programming_min * 60

    def order(self, remote: RemoteControl, now: datetime) -> None:
        """Put an order by wire in force; `relay` knows the commands."""
        self.advance(now)
        self._keypad.order(remote, now)
        self._remember()

    # --- money -------------------------------------------------------------------------------

    def set_purse(self, purse: Purse, now: datetime, *, topped_up: bool = False) -> None:
        """Change the money in the meter; `prepayment` knows the commands."""
        self.advance(now)
        self._keypad.set_purse(purse, now)
        if topped_up:
            self._keypad.order(self._keypad.supply.remote.topped_up(), now)
        self._begin_slot()
        self._remember()

    def set_tariffs(self, plan: TariffPlan, prices: tuple[int, ...], now: datetime) -> None:
        """Another slot table, or other prices, from now on."""
        self.advance(now)
        self._flow = self._flow._replace(plan=plan, prices=prices)
        self._begin_slot()
        self._remember()

    # --- registers and the past --------------------------------------------------------------

    @property
    def keypad(self) -> KeypadMeter:
        """The meter inside, to look at: what it shows, its state, its contact.

        Do not let anything happen to it past this object.
        """
        return self._keypad

    @property
    def flow(self) -> Flow:
        """Registers and whatever metering goes on from, now."""
        return self._flow

    @property
    def has_power(self) -> bool:
        """Whether the mains are there."""
        return self._keypad.has_power

    @property
    def counts_money(self) -> bool:
        """Whether it is a money meter; otherwise it takes STS tokens."""
        return self._keypad.nameplate.counts_money

    @property
    def phases(self) -> int:
        """1 or 3."""
        return self._keypad.nameplate.phases

    @property
    def begins(self) -> int:
        """The second before which the meter knows nothing."""
        return max(self._history.begins, self.cleared.second)

    def flow_at(self, second: int) -> Flow | None:
        """The state at a second; None before `begins`, and in the future."""
        if not self.begins <= second <= self._flow.second:
            return None
        if second == self._flow.second:
            return self._flow
        return self._history.at(second, self.clock, self._keypad.nameplate)

    def frozen(self, kind: FreezeKind, n: int) -> Due | None:
        """The n-th last freeze of a kind, from 1; None where there is none, or not any more."""
        if not 1 <= n <= self._freezes_max(kind):
            return None
        due = self.freezes.series(kind).nth(n, self.clock, self.second)
        return due if due is not None and due.second >= self.begins else None

    def freeze_now(self, now: datetime) -> None:
        """Keep the registers of this moment (16H with 99999999)."""
        self.advance(now)
        due = Due(self.local, self.second)
        self.freezes = self.freezes.with_instant(due, self._freezes_max(FreezeKind.INSTANT))

    def set_freeze_rule(self, kind: FreezeKind, rule: Rule, now: datetime) -> None:
        """Freeze by another rule from now on; what was frozen stays."""
        self.advance(now)
        kept = self._freezes_max(kind)
        self.freezes = self.freezes.with_rule(kind, rule, self.clock, self.second, kept)

    def _freezes_max(self, kind: FreezeKind) -> int:
        type_ = self.type
        if kind is FreezeKind.DAILY:
            return type_.daily_freezes_max
        if kind is FreezeKind.HOURLY:
            return type_.hourly_freezes_max
        if kind is FreezeKind.SETTLEMENT:
            return type_.settlements_max
        if kind is FreezeKind.TIMED:
            return type_.timed_freezes_max
        return type_.instant_freezes_max

    def measured(self, flow: Flow | None = None) -> Moment:
        """Voltages, currents and powers at a state, or now."""
        flow = self._flow if flow is None else flow
        lit = flow.has_power and flow.supply.is_closed
        return moment(
            self.seed,
            flow.second,
            flow.load.watts_at(flow.second) if lit else 0,
            phases=self.phases,
            nominal_dv=self.type.nominal_dv,
            reversed_phases=flow.reversed,
        )

    def peaks(self) -> Peaks:
        """The greatest demands since the last demand clear or settlement."""
        since = max(self._demand_peaks.since, self._last_settlement())
        if since > self._demand_peaks.since:
            self._demand_peaks = Peaks(since, since)
        self._demand_peaks = self._peaks_from(self._demand_peaks, self.second)
        return self._demand_peaks

    def peaks_between(self, since: int, until: int) -> Peaks:
        """The greatest demands of a settled period."""
        known = self._past_peaks if self._past_peaks is not None else {}
        found = known.get((since, until))
        if found is None:
            found = self._peaks_from(Peaks(since, since), until)
            while len(known) > self.type.settlements_max:
                del known[next(iter(known))]
            known[since, until] = found
            self._past_peaks = known
        return found

    def _peaks_from(self, peaks: Peaks, until: int) -> Peaks:
        begins = self.begins
        if peaks.until < begins:
            peaks = Peaks(begins, begins)
        period_s = self.parameters.demand_period_min(self.type) * 60
        return continued(peaks, until, period_s, self.clock, self.flow_at)

    def _last_settlement(self) -> int:
        due = self.frozen(FreezeKind.SETTLEMENT, 1)
        return 0 if due is None else due.second

    def clear_demand(self, now: datetime, operator: str) -> None:
        """Let the greatest demands begin anew (19H)."""
        self.advance(now)
        self._demand_peaks = Peaks(self.second, self.second)
        self.record(EventKind.DEMAND_CLEAR, operator=operator)

    def clear_registers(self, now: datetime, operator: str) -> None:
        """Let energies, demands, freezes, load records and events begin anew (1AH).

        Credit, money and what was consumed for it are no registers of this kind: they stay.
        """
        self.advance(now)
        self.cleared = self._flow
        self._history = History(self._flow)
        self._demand_peaks = Peaks(self.second, self.second)
        self._past_peaks = None
        self.freezes = self.freezes.cleared(self.second)
        kept = self.events(EventKind.METER_CLEAR)
        self._events = {EventKind.METER_CLEAR: kept}
        self.record(EventKind.METER_CLEAR, operator=operator)

    # --- events ------------------------------------------------------------------------------

    def events(self, kind: EventKind) -> EventLog:
        """All that was recorded of one kind."""
        return NO_EVENTS if self._events is None else self._events.get(kind, NO_EVENTS)

    def record(self, kind: EventKind, *, operator: str = "00000000", detail: int = 0) -> None:
        """Record an event that begins now."""
        event = EventRecord(self.local, self.second, operator=operator, detail=detail)
        if self._events is None:
            self._events = {}
        self._events[kind] = self.events(kind).begun(event)

    def clear_events(
        self, kinds: tuple[EventKind, ...], now: datetime, operator: str, item: int
    ) -> None:
        """Forget events (1BH); that they were cleared is recorded and never forgotten."""
        self.advance(now)
        for kind in kinds:
            if self._events is not None and kind is not EventKind.EVENT_CLEAR:
                self._events.pop(kind, None)
        self.record(EventKind.EVENT_CLEAR, operator=operator, detail=item)

    def _end(self, kind: EventKind) -> None:
        if self._events is not None and kind in self._events:
            self._events[kind] = self._events[kind].ended(self.local, self.second)
