"""The demo's story: three homes, a clerk, and a clock that runs fast.

Everything is real but the time: the sales go through the shop's database, the tokens are typed
key by key into simulated meters that hold nothing but their own decoder key.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Final

from commands.demo.account_home import AccountHome
from commands.demo.account_scenes import AccountScenes
from commands.demo.events import Event, KeyPress, Kind, Step, Tick
from commands.demo.homes import Home
from commands.demo.statement import HomeFigures, ShopFigures
from simulators import (
    ConstantLoad,
    DailyLoad,
    HouseholdLoad,
    KeypadMeter,
    LoadProfile,
    MeterKey,
    Nameplate,
    Outcome,
    TokenResult,
)
from simulators.display import kwh
from vending import (
    Currency,
    KeyChangeRequest,
    NewMeter,
    Price,
    Receipt,
    Shop,
    Tender,
    Utility,
    VendRequest,
    receipt_text,
)
from vending.sts import EncryptionAlgorithm, make_drn
from vending.sts.amount import WH_PER_UNIT
from vending.sts.public_test_key import PUBLIC_TEST_VENDING_KEY, TEST_KEY_GENERATION

START: Final = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
LENGTH: Final = timedelta(days=3)
_TICK: Final = timedelta(minutes=10)
_NOTICES_AFTER: Final = timedelta(minutes=20)
"""How long a family sits in the dark before somebody walks to the shop."""
_PRICE: Final = Price(per_kwh=22_500, tax_bp=1_600)  # 22.50 cents and 16 %
_TOP_UP_MINOR: Final = 400
_CLIENT: Final = "demo"

_Scene = Callable[[], Iterator[Step]]


@dataclass(slots=True)
class Story:
    """The shop, the homes and what happens to them.

    Args:
        url: the database of a shop that is not there yet.
        seed: draws what the homes use.
    """

    url: str
    seed: int
    now: datetime = START
    shop: Shop = field(init=False)
    homes: list[Home] = field(init=False)
    neighbour: AccountHome = field(init=False)
    """Prepaid as they are, but by an account: no token, no keys to press."""
    account: AccountScenes = field(init=False)
    unexpected: list[str] = field(default_factory=list)
    """Answers of a meter that the story did not count on; the demo fails with them."""
    _agenda: list[tuple[datetime, int, _Scene]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        seller = Utility("Sunny Valley Power", Currency.named("USD"), zone="Africa/Nairobi",
                         address="1 Market Road", vendor="Corner Shop")  # fmt: skip
        self.shop = Shop.create(self.url, seller, _PRICE, now=lambda: self.now)
        busy = DailyLoad(((0, 120), (360, 900), (540, 400), (1020, 1_400), (1320, 200)), 180)
        misty1, sta = EncryptionAlgorithm.MISTY1, EncryptionAlgorithm.STA
        self.homes = [
            self._install("Amina", "00000011", misty1, HouseholdLoad(seed=self.seed)),
            self._install("Bakary", "00000022", sta, busy),
            self._install("Chipo", "00000033", misty1, HouseholdLoad(seed=self.seed + 1)),
        ]
        amina, bakary, chipo = self.homes
        self._at(0, partial(self._buy, amina, 1_200))
        self._at(10, partial(self._buy, bakary, 150))
        self._at(20, partial(self._buy, chipo, 500))
        self._at(180, partial(self._replay, amina))
        self._at(240, partial(self._mistype, chipo, 300))
        self._at(330, partial(self._borrow, bakary, amina))
        self._at(1_560, partial(self._change_key, chipo))
        self._at(1_620, partial(self._buy, chipo, 600))
        self.neighbour = AccountHome(self.url, self.shop.utility, lambda: self.now)
        self.account = AccountScenes(self.neighbour, START, self._plan, self.shop.utility.local)
        self.account.begin()

    def close(self) -> None:
        """Let the database go."""
        self.neighbour.close()
        self.shop.close()

    def play(self) -> Iterator[Step]:
        """Everything, in the order of time."""
        opening = "The shop opens: public test keys, a flat price, 16 % tax; three dark homes."
        opening += " A fourth will pay on account."
        yield Event(self._local(), Kind.NOTE, opening)
        end = START + LENGTH
        while self.now < end:
            while self._agenda and self._agenda[0][0] <= self.now:
                yield from heapq.heappop(self._agenda)[2]()
            due = self._agenda[0][0] if self._agenda else end
            yield from self._pass_time(min(self.now + _TICK, max(due, self.now), end))
        yield Event(self._local(), Kind.NOTE, "The books are closed.")

    # --- scenes ---------------------------------------------------------------------------

    def _buy(self, home: Home, amount_minor: int) -> Iterator[Step]:
        receipt = yield from self._sell(home, amount_minor)
        yield from self._type(home, receipt.token, Outcome.ACCEPT)

    def _replay(self, home: Home) -> Iterator[Step]:
        yield self._event(Kind.NOTE, "types the morning's token once more", home)
        yield from self._type(home, home.tokens[-1], Outcome.USED_ERROR)

    def _mistype(self, home: Home, amount_minor: int) -> Iterator[Step]:
        receipt = yield from self._sell(home, amount_minor)
        token = receipt.token
        slip = token[:10] + str((int(token[10]) + 1) % 10) + token[11:]
        yield self._event(Kind.NOTE, "is interrupted and gets one digit wrong", home)
        yield from self._type(home, slip, Outcome.CRC_ERROR)
        yield from self._type(home, token, Outcome.ACCEPT)

    def _borrow(self, home: Home, neighbour: Home) -> Iterator[Step]:
        receipt = yield from self._sell(neighbour, 250)
        yield self._event(Kind.NOTE, f"tries the token of {neighbour.name}", home)
        yield from self._type(home, receipt.token, Outcome.CRC_ERROR)
        yield from self._type(neighbour, receipt.token, Outcome.ACCEPT)

    def _change_key(self, home: Home) -> Iterator[Step]:
        request = KeyChangeRequest(
            _CLIENT, self._message_id(), home.drn, krn=2, reason="key revision 1 is retired"
        )
        receipt = self.shop.key_change(request).require_done()
        yield self._event(
            Kind.KEY_CHANGE, f"gets a key change: {len(receipt.tokens)} tokens", home, receipt
        )
        parts = (Outcome.FIRST_KCT, Outcome.SECOND_KCT, Outcome.THIRD_KCT)
        for token, outcome in zip(receipt.tokens, (*parts, Outcome.ACCEPT), strict=True):
            yield from self._type(home, token.digits, outcome)

    def _sell(self, home: Home, amount_minor: int) -> Generator[Step, None, Receipt]:
        request = VendRequest(
            _CLIENT, self._message_id(), home.drn, amount_minor, Tender.CASH,
            operator="Wanjiru", terminal="till 1",
        )  # fmt: skip
        receipt = self.shop.vend(request).require_done()
        home.paid_minor += amount_minor
        home.sold_wh += receipt.units * WH_PER_UNIT
        home.tokens.append(receipt.token)
        paid = self.shop.utility.currency.text(amount_minor)
        text = f"pays {paid} for {kwh(receipt.units * WH_PER_UNIT)}"
        yield self._event(Kind.SALE, text, home, receipt)
        return receipt

    def _type(self, home: Home, digits: str, expected: Outcome) -> Iterator[Step]:
        """Type a token; the others live on meanwhile."""
        was_lit = home.meter.is_lit
        answers: list[TokenResult] = []
        for answer in home.type_token(digits):
            self.now = home.meter.now
            yield KeyPress(self._local(), home.name)
            answers += [] if answer is None else [answer]
        (answer,) = answers
        if answer.outcome is not expected:
            self.unexpected.append(
                f"{home.name}'s meter answered {answer.outcome.value}, not {expected.value}"
            )
        kind = Kind.ACCEPTED if answer.is_accepted else Kind.REFUSED
        yield self._event(kind, f"{answer.outcome.value}: {answer.text}", home)
        yield from self._notice(home, was_lit=was_lit)
        for other in self.homes:
            if other is not home:
                yield from self._live(other)

    # --- time -----------------------------------------------------------------------------

    def _pass_time(self, until: datetime) -> Iterator[Step]:
        self.now = until
        for home in self.homes:
            yield from self._live(home)
        yield Tick(self._local())

    def _live(self, home: Home) -> Iterator[Step]:
        """Bring a home up to now."""
        was_lit, was_low = home.meter.is_lit, home.meter.is_low_credit
        home.advance(self.now)
        yield from self._notice(home, was_lit=was_lit)
        if home.meter.is_lit and home.meter.is_low_credit and not was_low:
            left = kwh(home.meter.registers.remaining_wh)
            yield self._event(Kind.WARNING, f"low credit: {left} left", home)

    def _notice(self, home: Home, *, was_lit: bool) -> Iterator[Step]:
        """Tell when the light went on or off; a family in the dark soon buys."""
        if home.meter.is_lit and not was_lit:
            yield self._event(Kind.LIGHT, "has light", home)
        elif was_lit and not home.meter.is_lit:
            reasons = ", ".join(reason.value for reason in home.meter.open_reasons)
            yield self._event(Kind.DARK, f"is in the dark: {reasons}", home)
            soon = self.now + _NOTICES_AFTER
            buys = partial(self._buy, home, _TOP_UP_MINOR)
            self._plan(soon, buys)

    # --- inside ---------------------------------------------------------------------------

    def _install(
        self, name: str, serial: str, algorithm: EncryptionAlgorithm, load: LoadProfile
    ) -> Home:
        drn = make_drn("00", serial)
        meter = self.shop.add_meter(NewMeter(drn, customer=name, algorithm=int(algorithm)))
        key = MeterKey.derived(
            TEST_KEY_GENERATION, PUBLIC_TEST_VENDING_KEY, meter.attributes(), meter.key.ken
        )
        return Home(name, drn, KeypadMeter.new(Nameplate(meter.pan, algorithm), key, START, load),
                    load)  # fmt: skip

    def _at(self, minute: int, scene: _Scene) -> None:
        self._plan(START + timedelta(minutes=minute), scene)

    def _plan(self, when: datetime, scene: _Scene) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), scene))

    def _message_id(self) -> str:
        return f"demo-{next(self._order):04}"

    def _event(self, kind: Kind, text: str, home: Home, receipt: Receipt | None = None) -> Event:
        printed = None if receipt is None else receipt_text(receipt)
        return Event(self._local(), kind, text, home.name, printed)

    def _local(self) -> datetime:
        return self.shop.utility.local(self.now)

    # --- the end --------------------------------------------------------------------------

    def figures(self) -> tuple[ShopFigures, list[HomeFigures]]:
        """What every party counted."""
        books = self.shop.statement()
        cash = sum(a.balance_minor for a in books.accounts if a.account == Tender.CASH.account)
        shop = ShopFigures(
            currency=books.currency,
            minor_digits=books.minor_digits,
            tendered_minor=books.tendered_minor,
            energy_minor=books.energy_minor,
            tax_minor=books.tax_minor,
            change_minor=books.change_minor,
            ledger_cash_minor=cash,
            ledger_unbalanced=sum(a.debits_minor - a.credits_minor for a in books.accounts),
            sold_wh=books.energy_wh,
        )
        return shop, [HomeFigures.of(home) for home in self.homes]

    def rig(self) -> None:
        """Lose one Wh behind the first meter's back, to see the statement notice."""
        home = self.homes[0]
        meter = home.meter
        state = meter.state
        meter.set_load(ConstantLoad(3_600), state.now)
        meter.advance(state.now + timedelta(seconds=1))
        self.now = meter.now
