"""Modems that call in, over real sockets."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from protocols.transport import (
    HeartBeat,
    LinkClosed,
    LinkDown,
    ListenerOptions,
    ModemEvent,
    ModemEventKind,
    ModemListener,
    NoAnswer,
    Registration,
    RemoteIdentity,
    UnknownModemError,
)
from tests.protocols.transport.peers import (
    IMPATIENT,
    Ask,
    Caller,
    answer_all,
    answer_to,
    in_loop,
)

BY_LINE = Registration(pattern=re.compile(rb"REG (?P<id>\w+)"), delimiter=b"\n", answer=b"OK\n")
BEAT = HeartBeat(pattern=re.compile(rb"BEAT"), answer=b"beat\n")


class Exchange:
    """A listener, its port and what it told."""

    def __init__(self, listener: ModemListener, events: list[ModemEvent]) -> None:
        self.listener = listener
        self.events = events
        self.port = 0

    def kinds(self, name: str) -> list[str]:
        return [event.kind.value for event in self.events if event.id == name]

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not happened():
                await asyncio.sleep(0.005)

    async def dial(self, first: bytes = b"") -> Caller:
        caller = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        if first:
            await caller.send(first)
        return caller

    async def modem(self, name: str) -> Caller:
        """A modem that has registered."""
        caller = await self.dial(f"REG {name}\n".encode())
        assert await caller.reader.readexactly(3) == b"OK\n"
        return caller


@asynccontextmanager
async def listening(
    registration: Registration | RemoteIdentity = BY_LINE,
    options: ListenerOptions | None = None,
    heart_beat: HeartBeat | None = BEAT,
) -> AsyncIterator[Exchange]:
    events: list[ModemEvent] = []
    listener = ModemListener(
        registration,
        heart_beat=heart_beat,
        options=options,
        link_options=lambda _name: IMPATIENT,
        on_event=events.append,
    )
    exchange = Exchange(listener, events)
    exchange.port = await listener.listen("127.0.0.1", 0)
    try:
        yield exchange
    finally:
        await listener.aclose()


@asynccontextmanager
async def serving(
    caller: Caller, serve: Callable[[Caller], Awaitable[None]]
) -> AsyncIterator[None]:
    async def quietly() -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(caller)

    task = asyncio.create_task(quietly())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        caller.writer.close()


async def hung_up(caller: Caller) -> bool:
    """Whether the listener ended the call."""
    try:
        async with asyncio.timeout(5):
            while await caller.reader.read(100):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    else:
        return True
    finally:
        caller.writer.close()


@in_loop
async def test_a_modem_registers_and_is_a_link() -> None:
    async with listening() as exchange:
        waiting = asyncio.create_task(exchange.listener.link("site7", 5))
        await asyncio.sleep(0)
        modem = await exchange.modem("site7")
        async with serving(modem, answer_all):
            link = await waiting
            assert link.name == "modem:site7"
            assert await link.run(Ask("m1")) == "1"
            assert await exchange.listener.link("site7") is link
            assert dict(exchange.listener.links) == {"site7": link}
        await exchange.until(lambda: exchange.kinds("site7") == ["joined", "left"])
        assert exchange.events[0].remote.startswith("127.0.0.1:")
        with pytest.raises(LinkDown, match="modem:site7 is not connected"):
            await link.run(Ask("m1"))
        with pytest.raises(UnknownModemError, match="site7 is not connected"):
            await exchange.listener.link("site7")
        with pytest.raises(UnknownModemError, match="did not call in"):
            await exchange.listener.link("site7", 0.05)


@in_loop
async def test_a_registration_in_pieces_with_a_frame_behind_it() -> None:
    fixed = Registration(pattern=re.compile(rb"(?P<id>\d{15})"), length=15)
    async with listening(fixed) as exchange:
        modem = await exchange.dial(b"8612345")
        await asyncio.sleep(0.02)
        await modem.send(b"67890123late")
        link = await exchange.listener.link("861234567890123", 5)
        async with serving(modem, answer_all):
            assert await link.run(Ask("m1")) == "1"
        assert link.statistics.stale_bytes == 4


@in_loop
async def test_the_same_modem_calling_again_replaces_its_old_connection() -> None:
    async with listening() as exchange:
        old = await exchange.modem("site7")
        link = await exchange.listener.link("site7", 5)
        in_flight = asyncio.create_task(link.run(Ask("m1", repeatable=False)))
        queued = asyncio.create_task(link.run(Ask("m2")))
        assert await old.question() == b"?m1:q"
        new = await exchange.modem("site7")
        with pytest.raises(LinkDown, match="called in anew"):
            await in_flight
        async with serving(new, answer_all):
            assert await queued == "1"  # who only waited is served by the new connection
            assert await hung_up(old)
            assert await exchange.listener.link("site7") is link
            assert exchange.kinds("site7") == ["joined", "replaced"]
            assert link.statistics.meters["m1"].requests == 1  # what was learned stays
        await exchange.until(lambda: exchange.kinds("site7")[-1] == "left")
        statistics = exchange.listener.statistics
        assert (statistics.joined, statistics.replaced, statistics.left) == (1, 1, 1)


@in_loop
async def test_a_modem_that_comes_back_finds_its_link() -> None:
    async with listening() as exchange:
        first = await exchange.modem("site7")
        link = await exchange.listener.link("site7", 5)
        first.reset()
        await exchange.until(lambda: not link.connected)
        second = await exchange.modem("site7")
        async with serving(second, answer_all):
            assert await exchange.listener.link("site7", 5) is link
            assert await link.run(Ask("m1")) == "1"
        assert exchange.kinds("site7")[:3] == ["joined", "left", "joined"]


@in_loop
async def test_a_reset_while_a_meter_is_asked_is_link_down() -> None:
    async with listening() as exchange:
        modem = await exchange.modem("site7")
        link = await exchange.listener.link("site7", 5)
        task = asyncio.create_task(link.run(Ask("m1")))
        await modem.question()
        modem.reset()
        with pytest.raises(LinkDown, match="broke while meter m1"):
            await task


@in_loop
async def test_a_silent_meter_behind_a_modem_is_no_answer() -> None:
    async with listening() as exchange:
        modem = await exchange.modem("site7")
        link = await exchange.listener.link("site7", 5)
        with pytest.raises(NoAnswer):
            await link.run(Ask("m1"))
        assert link.connected
        modem.writer.close()


@in_loop
async def test_heart_beats_are_swallowed_and_answered() -> None:
    async with listening() as exchange:
        modem = await exchange.modem("site7")
        link = await exchange.listener.link("site7", 5)
        await modem.send(b"BE")
        await asyncio.sleep(0.02)
        await modem.send(b"AT")
        assert await modem.reader.readexactly(5) == b"beat\n"
        assert exchange.listener.statistics.heart_beats == 1
        async with serving(modem, answer_all):
            assert await link.run(Ask("m1")) == "1"


@in_loop
async def test_a_heart_beat_between_the_pieces_of_an_answer_disturbs_nothing() -> None:
    async def serve(modem: Caller) -> None:
        answer = answer_to(await modem.question())
        await modem.send(b"BEAT")
        await asyncio.sleep(0.02)
        await modem.send(answer[:4])
        await asyncio.sleep(0.02)
        await modem.send(b"BEATBEAT")
        await asyncio.sleep(0.02)
        await modem.send(answer[4:])
        assert await modem.reader.readexactly(5) == b"beat\n"  # only now, and once
        await answer_all(modem)

    async with listening() as exchange:
        modem = await exchange.modem("site7")
        link = await exchange.listener.link("site7", 5)
        async with serving(modem, serve):
            ask = Ask("m1")
            assert await link.run(ask) == "1"
            assert b"".join(ask.seen) == b"!m1:q=1\n"
            assert await link.run(Ask("m2")) == "1"
        assert exchange.listener.statistics.heart_beats == 3


@in_loop
async def test_heart_beats_keep_a_modem_and_silence_loses_it() -> None:
    async with listening(options=ListenerOptions(idle_s=0.3)) as exchange:
        modem = await exchange.modem("site7")
        for _ in range(6):
            await asyncio.sleep(0.1)
            await modem.send(b"BEAT")
        assert "site7" in exchange.listener.links
        assert await hung_up(modem)
        await exchange.until(lambda: exchange.kinds("site7") == ["joined", "left"])
        assert "nothing heard for" in exchange.events[-1].reason


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 200, b"REG \n"])
def test_garbage_is_sent_away(garbage: bytes) -> None:
    @in_loop
    async def run() -> None:
        async with listening() as exchange:
            assert await hung_up(await exchange.dial(garbage))
            await exchange.until(lambda: len(exchange.events) == 1)
            assert exchange.events[0].kind is ModemEventKind.REFUSED
            assert exchange.listener.statistics.refused_registration == 1
            assert not exchange.listener.links

    run()


@in_loop
async def test_who_does_not_register_in_time_is_sent_away() -> None:
    async with listening(options=ListenerOptions(register_s=0.1)) as exchange:
        assert await hung_up(await exchange.dial(b"REG site"))
        assert exchange.events[0].reason == "did not register in time"
        assert exchange.listener.statistics.unregistered == 0


@in_loop
async def test_a_flood_of_unknown_callers_leaves_room_for_modems() -> None:
    options = ListenerOptions(unregistered_max=5, calls_per_minute_max=1000, register_s=0.3)
    async with listening(options=options) as exchange:
        modem = await exchange.modem("site7")
        flood = [await exchange.dial() for _ in range(50)]
        await exchange.until(lambda: exchange.listener.statistics.calls == 51)
        statistics = exchange.listener.statistics
        assert statistics.unregistered == 5
        assert statistics.refused_unregistered == 45
        link = await exchange.listener.link("site7")
        async with serving(modem, answer_all):
            assert await link.run(Ask("m1")) == "1"  # who is registered is not touched
            await exchange.until(lambda: exchange.listener.statistics.unregistered == 0)
            late = await exchange.modem("site8")
            late.writer.close()
        for caller in flood:
            caller.writer.close()


@in_loop
async def test_one_address_may_not_call_too_often() -> None:
    async with listening(options=ListenerOptions(calls_per_minute_max=3)) as exchange:
        callers = [await exchange.modem(f"site{number}") for number in range(3)]
        assert await hung_up(await exchange.dial(b"REG site9\n"))
        assert exchange.listener.statistics.refused_rate == 1
        for caller in callers:
            caller.writer.close()


@in_loop
async def test_ids_that_are_not_welcome() -> None:
    options = ListenerOptions(accept=lambda name: name.startswith("site"))
    async with listening(options=options) as exchange:
        assert await hung_up(await exchange.dial(b"REG thief\n"))
        assert exchange.events[0].reason == "thief is not welcome"
        (await exchange.modem("site7")).writer.close()


@in_loop
async def test_the_registry_is_bounded_and_forgets_who_is_gone_longest() -> None:
    async with listening(options=ListenerOptions(links_max=2)) as exchange:
        first = await exchange.modem("one")
        gone = await exchange.listener.link("one")
        first.writer.close()
        await exchange.until(lambda: not gone.connected)
        callers = [await exchange.modem("two"), await exchange.modem("three")]
        assert gone.closed
        assert await hung_up(await exchange.dial(b"REG four\n"))  # full of modems that are here
        assert set(exchange.listener.links) == {"two", "three"}
        for caller in callers:
            caller.writer.close()


@in_loop
async def test_modems_known_by_where_they_call_from() -> None:
    async with listening(RemoteIdentity.ADDRESS) as exchange:
        modem = await exchange.dial()
        link = await exchange.listener.link("127.0.0.1", 5)
        async with serving(modem, answer_all):
            assert await link.run(Ask("m1")) == "1"
    async with listening(RemoteIdentity.ADDRESS_AND_PORT) as exchange:
        modem = await exchange.dial()
        host, port = modem.writer.get_extra_info("sockname")
        link = await exchange.listener.link(f"{host}:{port}", 5)
        async with serving(modem, answer_all):
            assert await link.run(Ask("m1")) == "1"


@in_loop
async def test_a_link_closed_by_its_user_ends_the_call_and_the_next_call_is_a_new_link() -> None:
    async with listening() as exchange:
        modem = await exchange.modem("site7")
        link = await exchange.listener.link("site7")
        await link.aclose()
        assert await hung_up(modem)
        await exchange.until(lambda: exchange.kinds("site7") == ["joined", "left"])
        again = await exchange.modem("site7")
        other = await exchange.listener.link("site7")
        assert other is not link
        async with serving(again, answer_all):
            assert await other.run(Ask("m1")) == "1"


@in_loop
async def test_closing_sends_everybody_away() -> None:
    async with listening() as exchange:
        modem = await exchange.modem("site7")
        unknown = await exchange.dial()
        link = await exchange.listener.link("site7")
        asking = asyncio.create_task(link.run(Ask("m1")))
        waiting = asyncio.create_task(exchange.listener.link("site8", 5))
        await modem.question()
        await exchange.listener.aclose()
        for task in (asking, waiting):
            with pytest.raises(LinkClosed):
                await task
        with pytest.raises(LinkClosed):
            await exchange.listener.link("site7")
        assert await hung_up(modem)
        assert await hung_up(unknown)


@in_loop
async def test_many_modems_at_once() -> None:
    options = ListenerOptions(calls_per_minute_max=1000, unregistered_max=100)
    async with listening(options=options) as exchange, contextlib.AsyncExitStack() as stack:
        for number in range(60):
            modem = await exchange.modem(f"site{number}")
            await stack.enter_async_context(serving(modem, answer_all))
        links = exchange.listener.links.values()
        answers = await asyncio.gather(
            *(link.run(Ask(f"m{number}")) for link in links for number in range(10))
        )
        assert answers == ["1"] * 600
        assert exchange.listener.statistics.connected == 60


@in_loop
async def test_a_port_that_is_taken_is_said() -> None:
    async with listening() as exchange:
        with pytest.raises(LinkDown, match="cannot be opened"):
            await exchange.listener.listen("127.0.0.1", exchange.port)
