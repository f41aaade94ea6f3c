"""Prepaid accounts whose meters hang on real sockets, and everything that acts on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ParamSpec, TypeVar

from sqlalchemy import insert, select

from billing.accounts.looking import account
from billing.accounts.tables import supplies
from billing.ledger.books import REVENUE, ensure_account, received
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import balance, post
from billing.notices.tables import notices
from billing.office import Office
from billing.person import Person
from billing.prepaid.cuts import Cut, CutState, cuts_of, lines_of
from billing.prepaid.desk import PrepaidDesk
from billing.prepaid.policy import set_policy
from billing.prepaid.standing import Level
from billing.prepaid.states import moves_of
from billing.prepaid.sweep import sweep
from billing.prepaid.tables import prepaid_states
from billing.prepaid.watcher import PrepaidWatcher
from headend.orders.policy import set_policy as set_order_policy
from headend.orders.tables import orders
from headend.orders.values import Order
from headend.registry.tables import installations
from simulators.street_plan import BusPlan
from storage.ledger import AccountKind
from tests.billing.made import make_account
from tests.headend.orders.scene import ANNA, MONDAY_MORNING, Scene, scene_of
from tests.headend.running import on_a_loop
from tests.headend.talk.streets import LISTEN
from tests.shop.conftest import Clock

P = ParamSpec("P")
T = TypeVar("T")
COUNTER = received("counter")


@dataclass
class Town:
    """What a test holds in its hands."""

    office: Office
    scene: Scene
    accounts: list[int] = field(default_factory=list)
    """The account of each meter."""

    def use(self, account_id: int, amount_minor: int) -> None:
        """Settle so much against an account."""
        self.post(Entry(account_id, EntryKind.ENERGY, -amount_minor, REVENUE, "settlement 1", "x"))

    def pay(self, account_id: int, amount_minor: int, source: str = "payment 1") -> None:
        """Take a payment."""
        self.post(Entry(account_id, EntryKind.PAYMENT, amount_minor, COUNTER, source, "y"))

    def post(self, *entries: Entry) -> None:
        """Post in one transaction."""
        with self.office.writing() as connection:
            post(connection, self.office, entries)

    def balance(self, account_id: int) -> int:
        """What is on it."""
        with self.office.reading() as connection:
            return balance(connection, account_id)

    def level(self, account_id: int) -> Level:
        """How it stands."""
        with self.office.reading() as connection:
            state = connection.scalar(
                select(prepaid_states.c.state).where(prepaid_states.c.account_id == account_id)
            )
            return Level(state or "ok")

    def words(self, account_id: int) -> str:
        """Why it stands so."""
        with self.office.reading() as connection:
            return moves_of(connection, account_id)[-1].words

    def history_words(self, account_id: int) -> str:
        """All that was said of it."""
        with self.office.reading() as connection:
            return " ".join(line.words for line in moves_of(connection, account_id))

    def see_to(self, account_id: int) -> None:
        """A person has seen to the meter, and asks for the light again."""
        number = self.number(account_id)
        PrepaidDesk(self.office.acting(Person("zoe"))).reconnect(number, why="the meter is mended")

    def number(self, account_id: int) -> str:
        """The account's number."""
        with self.office.reading() as connection:
            return account(connection, account_id).number

    def disconnect_at(self, account_id: int) -> datetime | None:
        """What was announced."""
        with self.office.reading() as connection:
            return connection.scalar(
                select(prepaid_states.c.disconnect_at).where(
                    prepaid_states.c.account_id == account_id
                )
            )

    def cuts(self, account_id: int) -> list[Cut]:
        """Its cuts, the latest first."""
        with self.office.reading() as connection:
            return cuts_of(connection, account_id)

    def history(self, cut: Cut) -> list[str]:
        """The states that a cut went through."""
        with self.office.reading() as connection:
            return [line.state.value for line in lines_of(connection, cut.cut_id)]

    def told(self, account_id: int) -> list[str]:
        """The events of which its people were told, in their order."""
        with self.office.reading() as connection:
            return list(
                connection.scalars(
                    select(notices.c.event)
                    .where(notices.c.account_id == account_id)
                    .order_by(notices.c.notice_id)
                )
            )

    def orders(self) -> list[Order]:
        """All orders of the head-end, the first first."""
        return list(reversed(self.scene.orders.list(limit=1_000)))

    def sent(self, kind: str) -> int:
        """How many orders of a kind have left."""
        with self.office.reading() as connection:
            found = connection.scalars(
                select(orders.c.order_id).where(
                    orders.c.kind == kind, orders.c.sending_at.is_not(None)
                )
            )
            return len(found.all())

    async def sweep(self) -> int:
        """What the office does when it is called."""
        return await asyncio.to_thread(sweep, self.office)

    async def all(self) -> None:
        """The office, the head-end, the office again: until nothing is due."""
        await self.sweep()
        await self.scene.run()
        await self.sweep()

    async def cut_to(self, account_id: int, to: CutState) -> None:
        """Let an account be cut: ordered only, or until it is dark."""
        if to is CutState.DARK:
            await self.until_cut(account_id, 60_00)
            return
        await self.do(self.use, account_id, 60_00)
        await self.sweep()
        at = self.disconnect_at(account_id)
        assert at is not None
        await self.scene.at(at)
        await self.sweep()

    async def until_cut(self, account_id: int, amount_minor: int) -> None:
        """Use so much that the account falls below its floor, and wait until it is dark."""
        await asyncio.to_thread(self.use, account_id, amount_minor)
        await self.sweep()
        at = await asyncio.to_thread(self.disconnect_at, account_id)
        assert at is not None, await asyncio.to_thread(self.words, account_id)
        await self.scene.at(at)
        await self.all()

    async def do(self, act: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Something off the event loop."""
        return await asyncio.to_thread(act, *given, **named)


@asynccontextmanager
async def town_of(
    office: Office,
    clock: Clock,
    meters: int = 1,
    *,
    at: datetime = MONDAY_MORNING,
    floor_minor: int = 0,
    warn_minor: int = 20_00,
    balance_minor: int = 50_00,
) -> AsyncIterator[Town]:
    """A street of meters, each of a prepaid account of its own; supply comes back by itself."""
    assert office.station is not None
    clock.now = at
    plan = BusPlan(listen=LISTEN, meters=meters, load=100)
    async with scene_of(office.station, clock, plan, at=at) as scene:
        acting = replace(office, watchers=(PrepaidWatcher(),), work=scene.work)
        town = Town(acting, scene)
        await asyncio.to_thread(_settle_in, town, floor_minor, warn_minor, balance_minor)
        yield town


def _settle_in(town: Town, floor_minor: int, warn_minor: int, balance_minor: int) -> None:
    set_order_policy(town.scene.as_(ANNA), {"close_keypad": "close"})
    with town.office.writing() as connection:
        ensure_account(connection, COUNTER, AccountKind.ASSET, town.office.currency.code)
        for device in town.scene.devices:
            account_id = make_account(
                connection,
                town.office,
                mode="prepaid",
                floor_minor=floor_minor,
                warn_minor=warn_minor,
            )
            point_id = connection.scalar(
                select(installations.c.point_id).where(
                    installations.c.device_id == device.device_id
                )
            )
            connection.execute(
                insert(supplies).values(
                    account_id=account_id, point_id=point_id, since=town.office.now()
                )
            )
            town.accounts.append(account_id)
    if balance_minor:
        town.post(
            *(
                Entry(each, EntryKind.PAYMENT, balance_minor, COUNTER, "payment 0", "first")
                for each in town.accounts
            )
        )


def strict(office: Office, **changes: int | str) -> None:
    """No leniency, unless it is named."""
    none: dict[str, int | str] = {"first_grace_h": 0, "small_grace_h": 0, "good_grace_h": 0}
    set_policy(office, none | changes)


def in_town(
    office: Office, clock: Clock
) -> Callable[[Callable[[Town, int], Awaitable[None]]], Callable[[], None]]:
    """Run a coroutine on a loop of its own, with one account that nobody is lenient with."""

    def prepared(test: Callable[[Town, int], Awaitable[None]]) -> Callable[[], None]:
        @on_a_loop
        async def go() -> None:
            async with town_of(office, clock) as town:
                strict(town.office)
                (account,) = town.accounts
                await test(town, account)

        return go

    return prepared


__all__: Sequence[str] = ["COUNTER", "Town", "in_town", "strict", "town_of"]
