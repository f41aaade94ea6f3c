"""The account loop: reading, settlement, warning, disconnect, payment, light, each read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

from commands.demo.account_figures import AccountFigures
from commands.demo.account_home import LOAD_W, NAME, AccountHome
from commands.demo.events import Event, Kind, Step
from simulators.display import kwh

_FIRST_MINOR: Final = 400
_LATER_MINOR: Final = 2_000
_UNTIL_PAID: Final = timedelta(minutes=40)
"""How long Dana sits in the dark before she pays."""
_OPENS: Final = timedelta(minutes=25)
_NIGHTS: Final = 3
_EXPLAINED: Final = timedelta(days=3, minutes=-20)
_WORDS: Final = {
    "payment_received": "is told: thank you, your money is there",
    "low_balance": "is told: your balance is low",
    "days_left": "is told: your balance lasts for some days",
    "disconnect_notice": "is told: supply goes off on {at}, unless you pay",
    "disconnected": "is told: supply is off",
    "reconnected": "is told: supply is on again",
}

Plan = Callable[[datetime, Callable[[], Iterator[Step]]], None]


@dataclass(slots=True)
class AccountScenes:
    """What happens to the home with an account.

    Args:
        home: it.
        start: when the story begins, UTC.
        plan: puts a scene on the story's agenda.
        local: a moment in the utility's time.
    """

    home: AccountHome
    start: datetime
    plan: Plan
    local: Callable[[datetime], datetime]
    _dark_since: datetime | None = None
    _dark_wh: int = 0
    """What she would have used while she sat in the dark."""
    unexpected: list[str] = field(default_factory=list)
    """What the story did not count on; the demo fails with it."""

    def begin(self) -> None:
        """Put what will happen on the agenda."""
        self.plan(self.start + _OPENS, self._open)
        for night in range(_NIGHTS):
            day = self.local(self.start).date() + timedelta(days=night)
            over = self.home.office.day_start(day + timedelta(days=1))
            self.plan(over, partial(self._settle, day))
        self.plan(self.start + _EXPLAINED, self._explain)

    # Scenes

    def _open(self) -> Iterator[Step]:
        self.home.open_account()
        yield self._event(
            Kind.NOTE,
            f"opens account {self.home.number}: prepaid, no tokens; her meter is on a line",
        )
        self.home.pay(_FIRST_MINOR, "phone-1")
        yield self._event(Kind.SALE, f"pays {self._money(_FIRST_MINOR)} by phone")
        yield from self._news()
        self._require("light", self.home.meter.keypad.is_lit)

    def _settle(self, day: date) -> Iterator[Step]:
        before = len(self.home.settlements)
        self.home.read()
        self.home.settle(day)
        settled = self.home.settlements[before:]
        self._require("a settlement", bool(settled))
        for each in settled:
            yield self._event(
                Kind.NOTE,
                f"is read and settled: {kwh(each.energy_wh)} for {self._money(each.amount_minor)}; "
                f"balance {self._balance}",
            )
        yield from self._news()
        at = self.home.status.standing.disconnect_at
        if at is not None:
            self.plan(at, self._cut)

    def _cut(self) -> Iterator[Step]:
        self._require("light before the order", self.home.meter.keypad.is_lit)
        self.home.look()
        self._require("darkness", not self.home.meter.keypad.is_lit)
        self._dark_since = self.home.office.now()
        (order,) = self.home.status.cut_orders
        yield self._event(Kind.DARK, f"is in the dark: {order.words}")
        yield from self._news()
        self.plan(self.home.office.now() + _UNTIL_PAID, self._pay)

    def _pay(self) -> Iterator[Step]:
        self.home.pay(_LATER_MINOR, "phone-2")
        yield self._event(
            Kind.SALE, f"pays {self._money(_LATER_MINOR)} by phone; balance {self._balance}"
        )
        yield from self._news()
        self.home.look()
        self._require("light after the payment", self.home.meter.keypad.is_lit)
        assert self._dark_since is not None, "who is in the dark pays"
        dark = self.home.office.now() - self._dark_since
        self._dark_wh = LOAD_W * dark // timedelta(hours=1)
        yield self._event(Kind.LIGHT, f"has light: {self.home.status.cut_orders[-1].words}")
        yield from self._news()

    def _explain(self) -> Iterator[Step]:
        self.home.wait()
        yield self._event(Kind.NOTE, "looks at her account, line by line", self._statement())
        self._require("one cut that has ended", self._went_round())

    def figures(self) -> AccountFigures:
        """What the office's books say, and what Dana counts herself."""
        settled = self.home.settlements
        used = LOAD_W * (settled[-1].until - settled[0].since) // timedelta(hours=1)
        return AccountFigures(
            name=NAME,
            number=self.home.number,
            paid_minor=self.home.paid_minor,
            settled_minor=sum(each.amount_minor for each in settled),
            balance_minor=self.home.balance_minor,
            settled_wh=sum(each.energy_wh for each in settled),
            used_wh=used - self._dark_wh,
        )

    # Inside

    def _statement(self) -> str:
        """The account as customers see it, 48 columns."""
        money = self._money
        lines = [f"Account {self.home.number}".center(48).rstrip(), ""]
        for each in self.home.entries:
            when = f"{self.local(each.posted_at):%a %H:%M}"
            words = each.entry.words[:20]
            amount = f"{money(each.entry.amount_minor):>8} {money(each.balance_minor):>8}"
            lines.append(f"{when} {words:<20} {amount}")
        last = self.home.settlements[-1]
        lines += ["", f"Settlement {last.source.split()[-1]}, explained:"]
        lines += [f"  {line.words}"[:48] for line in last.lines]
        return "\n".join(lines)

    def _went_round(self) -> bool:
        cut = self.home.status.cut
        return cut is not None and cut.state.value == "lit"

    def _news(self) -> Iterator[Step]:
        at = self.home.status.standing.disconnect_at
        when = "" if at is None else f"{self.local(at):%A %H:%M}"
        for event in self.home.news():
            words = _WORDS.get(event, f"is told: {event}").format(at=when)
            kind = Kind.NOTE if event == "payment_received" else Kind.WARNING
            yield self._event(kind, words)

    @property
    def _balance(self) -> str:
        return self._money(self.home.balance_minor)

    def _money(self, minor: int) -> str:
        return self.home.office.currency.text(minor)

    def _require(self, what: str, holds: bool) -> None:
        if not holds:
            self.unexpected.append(f"{NAME}'s account: there was to be {what}")

    def _event(self, kind: Kind, text: str, receipt: str | None = None) -> Event:
        return Event(self.local(self.home.office.now()), kind, text, NAME, receipt)
