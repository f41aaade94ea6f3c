"""The year, day by day: registers, settlements, payments, corrections, exchanges, kills."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import insert, update

from benchmarks.town.founding import TownClock, at_end_of
from benchmarks.town.people import NEW_PRICE, Household, day
from benchmarks.town.settler import settle
from billing.accounts.numbers import account_number
from billing.ledger.posting import balances
from billing.office import Office
from billing.payments.desk import PaymentDesk
from billing.payments.door import take
from billing.payments.payment import Payment, PaymentState
from billing.person import Person
from billing.settlement.correcting import follow_corrections
from headend.registry.tables import end_devices, installations
from headend.store.corrections import correct_reading
from headend.store.registers import add_readings
from headend.values import Reading, Source

Progress = Callable[[int, int], None]
NEW_METERS: Final = 10_000_000
"""A meter that came by exchange has this more than its household's number."""
_CHANNELS: Final = ("bank", "alipay", "wechat", "web", "kiosk")
_SECOND: Final = Person("second")
_ACCOUNTS: Final = 1_000
_CORRECTED_WITHIN: Final = 31
"""Days: what is read wrong in the end is put right after it."""
_KILL_WITHIN_S: Final = 0.6


class Year:
    """A town's year.

    Args:
        url: of its database.
        office: on it.
        clock: the office's.
        town: everybody.
        rnd: for what is not the town's own: orders, kills.
        kills: how many settlements are killed.
        days: how long the year lasts.
    """

    def __init__(
        self,
        url: str,
        office: Office,
        clock: TownClock,
        town: Sequence[Household],
        rnd: random.Random,
        kills: int,
        days: int,
    ) -> None:
        self._url: Final = url
        self._office: Final = office
        self._clock: Final = clock
        self._town: Final = town
        self._rnd: Final = rnd
        self._registers: Final = {each.number: dict.fromkeys(each.registers, 0) for each in town}
        self._meter: Final = {each.number: each.number for each in town}
        self._days: Final = days
        self._kill_on: Final = set(rnd.sample(range(days), min(kills, days)))
        self.killed = 0
        self.repeated = 0
        """Payments that a channel told twice."""
        self.undone = 0
        self.assigned = 0
        self.corrected = 0
        self.settle_s = 0.0

    def live(self, progress: Progress) -> None:
        """Everything, from the first day's end to the last one's."""
        for number in range(self._days):
            today = day(number)
            self._clock.now = at_end_of(today) + timedelta(hours=3)
            self._use(number, at_end_of(today))
            self._exchange(number, at_end_of(today))
            self._correct(number)
            self._settle("daily", number, today)
            if (today + timedelta(days=1)).day == 1:
                self._clock.now += timedelta(hours=4)
                self._settle("monthly", number, today)
            self._clock.now += timedelta(hours=6)
            self._pay(today)
            progress(number + 1, self._days)
        for number in range(self._days, self._days + _CORRECTED_WITHIN):
            self._correct(number)
        follow_corrections(self._office)

    # --- meters -----------------------------------------------------------------------------------

    def _use(self, number: int, at: datetime) -> None:
        """Energy flows; whose registers are wanted at this midnight is read."""
        tomorrow = day(number) + timedelta(days=1)
        readings = []
        for each in self._town:
            registers = self._registers[each.number]
            for name, wh in each.used_wh[number].items():
                registers[name] += wh
            if each.mode == "prepaid" or tomorrow.day == 1 or tomorrow == NEW_PRICE:
                wrong = each.wrong
                by_wh = 0 if wrong is None or wrong.day != number else wrong.by_wh
                readings += [self._reading(each, name, at, by_wh) for name in registers]
        self._rnd.shuffle(readings)
        with self._office.writing() as connection:
            add_readings(connection, readings)

    def _reading(self, household: Household, name: str, at: datetime, by_wh: int) -> Reading:
        quantity = f"energy_import_{name}"
        value = self._registers[household.number][name] + by_wh
        return Reading(self._meter[household.number], quantity, at, value, Source.FREEZE)

    def _exchange(self, number: int, at: datetime) -> None:
        leaving = [
            each
            for each in self._town
            if each.exchange is not None and each.exchange.after == number
        ]
        for each in leaving:
            assert each.exchange is not None
            new = each.number + NEW_METERS
            registers = self._registers[each.number]
            with self._office.writing() as connection:
                add_readings(connection, [self._reading(each, name, at, 0) for name in registers])
                connection.execute(
                    update(installations)
                    .where(installations.c.device_id == each.number)
                    .values(until=at, last_wh=registers["total"])
                )
                connection.execute(
                    insert(end_devices).values(
                        device_id=new,
                        number=f"{new:011d}",
                        protocol="dlt645-2007",
                        address=f"{new:012d}",
                        kind="credit",
                        ratio=1,
                        state="active",
                        added_at=at,
                    )
                )
                connection.execute(
                    insert(installations).values(
                        point_id=each.number,
                        device_id=new,
                        since=at,
                        first_wh=each.exchange.first_wh,
                        reason="worn out",
                        made_by="first",
                    )
                )
                self._meter[each.number] = new
                peak = each.exchange.first_wh // 3
                begin = {"total": each.exchange.first_wh, "t1": peak}
                begin["t2"] = begin["total"] - peak
                for name in registers:
                    registers[name] = begin[name]
                add_readings(connection, [self._reading(each, name, at, 0) for name in registers])

    def _correct(self, number: int) -> None:
        for each in self._town:
            wrong = each.wrong
            if wrong is None or wrong.corrected != number or wrong.day >= self._days:
                continue
            at = at_end_of(day(wrong.day))
            right = sum(each.used_wh[n]["total"] for n in range(wrong.day + 1))
            stored = Reading(
                self._meter[each.number],
                "energy_import_total",
                at,
                right + wrong.by_wh,
                Source.FREEZE,
            )
            assert self._office.station is not None
            correct_reading(self._office.station, stored, value=right, reason="read wrong")
            self.corrected += 1

    # --- money ------------------------------------------------------------------------------------

    def _settle(self, cycle: str, number: int, today: date) -> None:
        began = time.perf_counter()
        if number in self._kill_on:
            self._killed(cycle, today)
        settle(self._office, cycle, today, _ACCOUNTS)
        if cycle == "daily":
            follow_corrections(self._office)
        self.settle_s += time.perf_counter() - began

    def _killed(self, cycle: str, today: date) -> None:
        """Another process begins, and dies in the midst of it."""
        given = [self._url, cycle, today.isoformat(), self._clock.now.isoformat()]
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.town.settler", *given],
            stdout=subprocess.PIPE,
            text=True,
        ) as settler:
            assert settler.stdout is not None
            settler.stdout.readline()
            time.sleep(self._rnd.uniform(0, _KILL_WITHIN_S))
            settler.send_signal(signal.SIGKILL)
        self.killed += settler.returncode == -signal.SIGKILL

    def _pay(self, today: date) -> None:
        paying = [each for each in self._town if today.day == 3 + each.number % 24]
        if not paying:
            return
        self._rnd.shuffle(paying)
        with self._office.reading() as connection:
            stands = balances(connection, [each.number for each in paying])
        told = [(each, self._payment(each, today, -stands[each.number])) for each in paying]
        payments = [(each, payment) for each, payment in told if payment is not None]
        with self._office.writing() as connection:
            taken = [take(connection, self._office, payment) for _, payment in payments]
        for (household, payment), done in zip(payments, taken, strict=True):
            household.paid.append((payment.reference, payment.amount_minor))
            self._afterwards(household, payment, done.payment_id, today)

    def _payment(self, household: Household, today: date, owed: int) -> Payment | None:
        if household.mode == "prepaid":
            amount = self._rnd.randint(1, 4) * 100_00
        elif household.payer == "never" or (household.payer == "late" and today.month % 2):
            return None
        elif household.payer == "early":
            amount = (max(owed, 0) // 50_00 + 1) * 50_00
        elif household.payer == "partly":
            amount = owed // 2
        else:
            amount = owed
        if amount <= 0:
            return None
        channel = self._rnd.choice(_CHANNELS)
        reference = f"{today} {household.number}"
        if household.payer == "misnamed":
            return Payment(channel, reference, amount, number=f"?{household.number}")
        return Payment(channel, reference, amount, household.number)

    def _afterwards(
        self, household: Household, payment: Payment, payment_id: int, today: date
    ) -> None:
        """What goes wrong with a payment, and is put right."""
        desk = PaymentDesk(self._office)
        if household.payer == "twice":
            with self._office.writing() as connection:
                assert not take(connection, self._office, payment).is_new
            self.repeated += 1
        elif household.payer == "misnamed":
            row = desk.assign(payment_id, account_number(household.number), "by the payer's letter")
            assert row.state is PaymentState.POSTED
            self.assigned += 1
        elif household.payer == "bounces" and today.month % 3 == 0:
            desk.ask_undo(payment_id, "no funds", bounced=True)
            PaymentDesk(replace(self._office, person=_SECOND)).decide_undo(payment_id, approve=True)
            household.paid.pop()
            self.undone += 1
