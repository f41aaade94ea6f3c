"""The discipline of a line, over real TCP connections."""

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from protocols.errors import RemoteProtocolError
from protocols.transport import (
    Link,
    LinkBusy,
    LinkClosed,
    LinkDown,
    LinkOptions,
    NoAnswer,
    Priority,
    open_link,
)
from tests.protocols.transport.peers import (
    IMPATIENT,
    Ask,
    Caller,
    answer_all,
    answer_to,
    gateway,
    in_loop,
)

PATIENT = replace(IMPATIENT, retries=2)


async def settled(link: Link) -> None:
    """Wait until no request is out."""
    async with asyncio.timeout(5):
        while link.awaiting:
            await asyncio.sleep(0.01)


@in_loop
async def test_an_answer_comes_and_is_counted() -> None:
    async with gateway(answer_all) as peer:
        link = await open_link(peer.url)
        assert await link.run(Ask("m1")) == "1"
        assert await link.run(Ask("m2", "volts")) == "1"
        statistics = link.statistics
        await link.aclose()
    assert statistics.total.requests == statistics.total.answers == 2
    assert statistics.meters["m2"].bytes_sent == len(b"?m2:volts\n")
    assert statistics.meters["m2"].bytes_received == len(b"!m2:volts=1\n")
    delays = statistics.meters["m1"]
    assert delays.delay_us_min == delays.delay_us_avg == delays.delay_us_max
    assert isinstance(delays.delay_us_avg, int)
    assert statistics.connects == 1


@in_loop
async def test_an_answer_in_pieces_behind_noise_and_a_foreign_answer() -> None:
    async def serve(caller: Caller) -> None:
        question = await caller.question()
        await caller.send(b"\x00\xff\n")
        await caller.send(answer_to(b"?m9:q"))
        for byte in answer_to(question):
            await caller.send(bytes((byte,)))
            await asyncio.sleep(0.002)
        await caller.question()

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        assert await link.run(Ask("m1")) == "1"
        await link.aclose()


@in_loop
async def test_a_silent_meter_costs_one_time_out_and_the_next_meter_is_answered() -> None:
    asked: list[bytes] = []

    async def serve(caller: Caller) -> None:
        while True:
            asked.append(await caller.question())
            if not asked[-1].startswith(b"?dead"):
                await caller.send(answer_to(asked[-1]))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        started = time.monotonic()
        dead, alive = await asyncio.gather(
            link.run(Ask("dead")), link.run(Ask("m2")), return_exceptions=True
        )
        took_s = time.monotonic() - started
        statistics = link.statistics
        await link.aclose()
    assert isinstance(dead, NoAnswer)
    assert "Meter dead on tcp://127.0.0.1" in str(dead)
    assert "nothing came" in str(dead)
    assert alive == "1"
    assert asked == [b"?dead:q", b"?m2:q"]
    assert 0.3 < took_s < 3
    assert statistics.meters["dead"].timeouts == 1
    assert statistics.disconnects == 0
    assert peer.connections == 1


@in_loop
async def test_a_slow_peer_is_waited_for_as_long_as_bytes_come() -> None:
    async def serve(caller: Caller) -> None:
        question = await caller.question()
        for byte in answer_to(question):
            await caller.send(bytes((byte,)))
            await asyncio.sleep(0.08)  # longer in all than the first time-out, never a gap

    async with gateway(serve) as peer:
        link = await open_link(
            peer.url, options=LinkOptions(delay_ms_first=100, delay_ms_min=20, margin_ms=50)
        )
        assert await link.run(Ask("m1", repeatable=False)) == "1"
        await link.aclose()


@in_loop
async def test_bytes_that_never_end_do_not_hold_the_line() -> None:
    async def serve(caller: Caller) -> None:
        if (await caller.question()).startswith(b"?babble"):
            while True:
                await caller.send(b"U" * 512)
                await asyncio.sleep(0.005)

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        with pytest.raises(NoAnswer, match=r"bytes came, but no answer in them"):
            await asyncio.wait_for(link.run(Ask("babble")), 10)
        assert link.statistics.total.bad_frames == 1
        await link.aclose()


@in_loop
async def test_silence_inside_a_frame_is_told_to_the_exchange() -> None:
    async def serve(caller: Caller) -> None:
        question = await caller.question()
        await caller.send(b"!m1:q=ha")  # a frame cut short ...
        await asyncio.sleep(0.4)
        await caller.send(answer_to(question))  # ... and the answer to the repeated request
        await caller.question()

    async with gateway(serve) as peer:
        options = LinkOptions(delay_ms_first=1500, byte_gap_ms=100, retries=0)
        link = await open_link(peer.url, options=options)
        ask = Ask("m1")
        assert await link.run(ask) == "1"
        assert ask.seen[:2] == [b"!m1:q=ha", b""]
        await link.aclose()


@in_loop
async def test_only_repeatable_requests_are_sent_again() -> None:
    asked: list[bytes] = []

    async def serve(caller: Caller) -> None:
        while True:
            asked.append(await caller.question())
            if asked.count(asked[-1]) == 3:
                await caller.send(answer_to(asked[-1]))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=PATIENT)
        assert await link.run(Ask("m1", "read")) == "1"
        with pytest.raises(NoAnswer):
            await link.run(Ask("m2", "trip", repeatable=False))
        statistics = link.statistics
        await link.aclose()
    assert asked == [b"?m1:read"] * 3 + [b"?m2:trip"]
    assert statistics.meters["m1"].retries == 2
    assert statistics.meters["m1"].answers == 1
    assert statistics.meters["m2"].retries == 0


@in_loop
async def test_a_meter_known_to_be_silent_is_asked_once() -> None:
    asked: list[bytes] = []

    async def serve(caller: Caller) -> None:
        while True:
            asked.append(await caller.question())

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=PATIENT)
        for _ in range(2):
            with pytest.raises(NoAnswer):
                await link.run(Ask("dead"))
        await link.aclose()
    assert len(asked) == 3 + 1


@in_loop
async def test_a_broken_answer_is_asked_for_again_or_raised() -> None:
    values = iter(("broken", "7", "broken"))

    async def serve(caller: Caller) -> None:
        while True:
            await caller.send(answer_to(await caller.question(), next(values)))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=PATIENT)
        assert await link.run(Ask("m1")) == "7"
        with pytest.raises(RemoteProtocolError, match="a broken answer"):
            await link.run(Ask("m1", repeatable=False))
        assert link.statistics.total.bad_frames == 2
        await link.aclose()


@in_loop
async def test_a_fault_of_the_exchange_reaches_its_caller_and_leaves_the_line() -> None:
    class Faulty(Ask):
        def receive(self, data: bytes) -> str | None:
            raise ZeroDivisionError

    async with gateway(answer_all) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        with pytest.raises(ZeroDivisionError):
            await link.run(Faulty("m1"))
        assert await link.run(Ask("m2")) == "1"
        assert peer.connections == 1
        await link.aclose()


@in_loop
async def test_a_broadcast_waits_for_nothing() -> None:
    asked: list[bytes] = []

    async def serve(caller: Caller) -> None:
        asked.append(await caller.question())
        asked.append(await caller.question())
        await caller.send(answer_to(asked[-1]))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        everyone = Ask("all", "time", answer_expected=False, repeatable=False)
        assert await link.run(everyone) is None
        assert await link.run(Ask("m1")) == "1"
        await link.aclose()
    assert asked == [b"?all:time", b"?m1:q"]


@in_loop
async def test_a_request_that_cannot_be_sent_does_not_hold_the_line() -> None:
    class NoBytes(Ask):
        @property
        def request(self) -> bytes:
            return "text"  # type: ignore[return-value]

    class NoRequest(Ask):
        @property
        def request(self) -> bytes:
            raise KeyError

    async with gateway(answer_all) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        with pytest.raises(KeyError):
            await link.run(NoRequest("m1"))
        with pytest.raises(TypeError):
            await link.run(NoBytes("m1"))
        assert await asyncio.wait_for(link.run(Ask("m2")), 5) == "1"
        await link.aclose()


# Turns.


@in_loop
async def test_one_request_at_a_time_first_come_first_served() -> None:
    asked: list[bytes] = []
    in_flight = 0

    async def serve(caller: Caller) -> None:
        nonlocal in_flight
        while True:
            asked.append(await caller.question())
            in_flight += 1
            assert in_flight == 1
            await asyncio.sleep(0)
            in_flight -= 1
            await caller.send(answer_to(asked[-1]))

    async with gateway(serve) as peer:
        link = await open_link(peer.url)
        await asyncio.gather(*(link.run(Ask(f"m{number}")) for number in range(100)))
        await link.aclose()
    assert asked == [b"?m%d:q" % number for number in range(100)]


@in_loop
async def test_on_demand_goes_first_but_not_for_ever() -> None:
    asked: list[bytes] = []

    async def serve(caller: Caller) -> None:
        while True:
            asked.append(await caller.question())
            await caller.send(answer_to(asked[-1]))

    async with gateway(serve) as peer:
        link = await open_link(peer.url)
        routine = [link.run(Ask(f"r{number}")) for number in range(4)]
        urgent = [link.run(Ask(f"u{number}"), priority=Priority.ON_DEMAND) for number in range(20)]
        await asyncio.gather(*routine, *urgent)
        await link.aclose()
    order = "".join(chr(name[1]) for name in asked)
    assert order == "r" + "u" * 8 + "r" + "u" * 8 + "r" + "u" * 4 + "r"
    for lane in (b"?r", b"?u"):
        numbers = [int(name[2:-2]) for name in asked if name.startswith(lane)]
        assert numbers == sorted(numbers)


@in_loop
async def test_the_queue_is_bounded() -> None:
    async with gateway(answer_all) as peer:
        link = await open_link(peer.url, options=replace(IMPATIENT, waiting_max=3))
        results = await asyncio.gather(
            *(link.run(Ask(f"m{number}")) for number in range(6)), return_exceptions=True
        )
        await link.aclose()
    assert results[:4] == ["1"] * 4
    assert all(isinstance(result, LinkBusy) for result in results[4:])


# Callers who go away.


@in_loop
async def test_a_cancelled_request_keeps_the_line_until_its_answer_came() -> None:
    asked: list[bytes] = []
    go_on = asyncio.Event()

    async def serve(caller: Caller) -> None:
        asked.append(await caller.question())
        await go_on.wait()
        assert len(asked) == 1  # nothing else was sent meanwhile
        await caller.send(answer_to(asked[0]))
        while True:
            asked.append(await caller.question())
            await caller.send(answer_to(asked[-1], "2"))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=LinkOptions(delay_ms_first=5000))
        first = asyncio.create_task(link.run(Ask("m1")))
        while not asked:
            await asyncio.sleep(0.01)
        second = asyncio.create_task(link.run(Ask("m1")))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.sleep(0.05)
        assert len(asked) == 1
        go_on.set()
        assert await second == "2"  # its own answer, not the one to the cancelled request
        assert link.statistics.total.answers == 2
        await link.aclose()


@in_loop
async def test_a_cancelled_request_without_an_answer_frees_the_line_in_time() -> None:
    async def serve(caller: Caller) -> None:
        await caller.question()
        await caller.send(answer_to(await caller.question()))
        await caller.question()

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(link.run(Ask("m1")), 0.05)
        assert link.awaiting
        assert await link.run(Ask("m2")) == "1"
        assert link.statistics.meters["m1"].timeouts == 1
        await link.aclose()


@in_loop
async def test_callers_who_leave_the_queue_leave_no_trace() -> None:
    async with gateway(answer_all) as peer:
        link = await open_link(peer.url)
        tasks = [asyncio.create_task(link.run(Ask(f"m{number}"))) for number in range(30)]
        await asyncio.sleep(0)
        for task in tasks[1::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[::2] == ["1"] * 15
        assert all(isinstance(result, asyncio.CancelledError) for result in results[1::2])
        assert link.statistics.waiting == 0
        assert await link.run(Ask("m")) == "1"
        await link.aclose()


@in_loop
async def test_cancelling_at_any_moment_leaves_a_line_that_works() -> None:
    async def serve(caller: Caller) -> None:
        while True:
            question = await caller.question()
            await asyncio.sleep(0.001)
            await caller.send(answer_to(question, question.decode()))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        for step in range(40):
            tasks = [asyncio.create_task(link.run(Ask("m", f"{step}.{n}"))) for n in range(4)]
            for _ in range(step % 20):
                await asyncio.sleep(0)
            tasks[step % 4].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for number, result in enumerate(results):
                if number != step % 4 or not isinstance(result, asyncio.CancelledError):
                    assert result == f"?m:{step}.{number}"
        await settled(link)
        assert link.statistics.waiting == 0
        await link.aclose()


# Left-overs.


@in_loop
async def test_a_late_answer_is_counted_and_not_taken_for_the_next_one() -> None:
    async def serve(caller: Caller) -> None:
        late = answer_to(await caller.question(), "late")
        await asyncio.sleep(0.5)
        await caller.send(late)
        await caller.send(answer_to(await caller.question(), "new"))
        await caller.question()

    async with gateway(serve) as peer:
        options = replace(IMPATIENT, delay_ms_max=2000)
        link = await open_link(peer.url, options=options)
        with pytest.raises(NoAnswer):
            await link.run(Ask("m1"))
        await asyncio.sleep(0.4)
        assert link.statistics.stale_bytes == len(b"!m1:q=late\n")
        assert await link.run(Ask("m1")) == "new"
        await link.aclose()


@in_loop
async def test_a_slow_gateway_is_learned_from_its_late_answers() -> None:
    async def serve(caller: Caller) -> None:
        while True:
            question = await caller.question()
            await asyncio.sleep(0.5)
            await caller.send(answer_to(question))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=replace(IMPATIENT, delay_ms_max=3000))
        with pytest.raises(NoAnswer):
            await link.run(Ask("m1"))
        await asyncio.sleep(0.4)
        for _ in range(3):
            assert await link.run(Ask("m1")) == "1"
        with pytest.raises(NoAnswer):  # learned for each meter by itself
            await link.run(Ask("m2"))
        assert link.statistics.meters["m1"].timeouts == 1
        await link.aclose()


@in_loop
async def test_what_must_not_be_repeated_is_waited_for_however_fast_the_meter_was() -> None:
    async def serve(caller: Caller) -> None:
        while True:
            question = await caller.question()
            if question.endswith(b":trip"):
                await asyncio.sleep(0.6)
            await caller.send(answer_to(question))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=LinkOptions(delay_ms_first=1500, retries=0))
        for _ in range(20):
            await link.run(Ask("m1"))
        assert await link.run(Ask("m1", "trip", repeatable=False)) == "1"
        await link.aclose()


@in_loop
async def test_bytes_that_wait_in_the_socket_are_thrown_away_before_a_request() -> None:
    asked, sent = asyncio.Event(), asyncio.Event()

    async def serve(caller: Caller) -> None:
        await caller.send(answer_to(await caller.question(), "first"))
        await asked.wait()
        await caller.send(answer_to(b"?m1:q", "stale"))
        sent.set()
        await caller.send(answer_to(await caller.question(), "second"))
        await caller.question()

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        assert await link.run(Ask("m1")) == "first"
        asked.set()
        await sent.wait()
        time.sleep(0.05)
        assert await link.run(Ask("m1")) == "second"
        assert link.statistics.stale_bytes == len(b"!m1:q=stale\n")
        await link.aclose()


@in_loop
async def test_the_own_echo_is_not_taken_for_the_delay() -> None:
    async def serve(caller: Caller) -> None:
        question = await caller.question()
        await caller.send(question[:2])
        await asyncio.sleep(0.01)
        await caller.send(question[2:] + b"\n")
        await asyncio.sleep(0.1)
        await caller.send(answer_to(question))
        await caller.reader.read()

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        assert await link.run(Ask("m1")) == "1"
        total = link.statistics.total
        with pytest.raises(NoAnswer, match="nothing came"):
            await link.run(Ask("m2"))
        await link.aclose()
    assert total.echo_bytes == len(b"?m1:q\n")
    assert total.delay_us_min is not None
    assert total.delay_us_min > 90_000


# Broken lines.


@in_loop
async def test_a_reset_in_the_middle_of_a_frame_is_link_down_and_the_next_request_reconnects() -> (
    None
):
    first = True

    async def serve(caller: Caller) -> None:
        nonlocal first
        question = await caller.question()
        if first:
            first = False
            await caller.send(answer_to(question)[:4])
            await asyncio.sleep(0.05)
            caller.reset()
            return
        await caller.send(answer_to(question))
        await caller.question()

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=PATIENT)
        with pytest.raises(LinkDown, match=r"broke while meter m1 was asked.*not known"):
            await link.run(Ask("m1"))
        assert not link.connected
        assert await link.run(Ask("m1")) == "1"
        statistics = link.statistics
        await link.aclose()
    assert peer.connections == 2
    assert statistics.disconnects == 1
    assert statistics.connects == 2


@in_loop
async def test_a_peer_that_hangs_up_while_idle_is_called_again() -> None:
    async def serve(caller: Caller) -> None:
        await caller.send(answer_to(await caller.question()))

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        for number in range(3):
            assert await link.run(Ask(f"m{number}")) == "1"
            async with asyncio.timeout(5):
                while link.connected:
                    await asyncio.sleep(0.01)
        assert peer.connections == 3
        await link.aclose()


@in_loop
async def test_a_half_closed_connection_is_broken() -> None:
    async def serve(caller: Caller) -> None:
        await caller.question()
        caller.writer.write_eof()
        await caller.reader.read()

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        with pytest.raises(LinkDown, match="closed by the other side"):
            await link.run(Ask("m1"))
        await link.aclose()


@in_loop
async def test_a_connection_that_nobody_serves_is_made_anew_after_enough_silence() -> None:
    async def serve(caller: Caller) -> None:
        if peer.connections == 1:
            await caller.reader.read()  # half-open: takes everything, says nothing
        else:
            await answer_all(caller)

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=replace(IMPATIENT, silent_max=3))
        for number in range(3):
            with pytest.raises(NoAnswer):
                await link.run(Ask(f"m{number}"))
        assert await link.run(Ask("m3")) == "1"
        assert peer.connections == 2
        await link.aclose()


@in_loop
async def test_a_line_that_is_down_fails_at_once_until_its_back_off_is_over() -> None:
    async with gateway(answer_all) as peer:
        url = peer.url
    options = replace(IMPATIENT, backoff_ms_first=300, jitter=lambda: 1.0)
    with pytest.raises(LinkDown, match="cannot be reached"):
        await open_link(url, options=options)
    link = await open_link(url, options=options, connect=False)
    with pytest.raises(LinkDown, match="cannot be reached"):
        await link.run(Ask("m1"))
    results = await asyncio.gather(
        *(link.run(Ask(f"m{number}")) for number in range(20)), return_exceptions=True
    )
    assert all("next attempt in" in str(result) for result in results)
    assert link.statistics.connect_failures == 1
    await asyncio.sleep(0.35)
    with pytest.raises(LinkDown, match="cannot be reached"):
        await link.run(Ask("m1"))
    assert link.statistics.connect_failures == 2
    await link.aclose()


@in_loop
async def test_a_gateway_that_throws_callers_out_is_not_hammered() -> None:
    async def serve(caller: Caller) -> None:
        caller.reset()

    async with gateway(serve) as peer:
        options = replace(IMPATIENT, backoff_ms_first=10_000, jitter=lambda: 1.0)
        link = await open_link(peer.url, options=options, connect=False)
        for _ in range(20):
            with pytest.raises(LinkDown):
                await link.run(Ask("m1"))
        assert peer.connections == 1
        await link.aclose()


@in_loop
async def test_callers_in_the_queue_survive_a_broken_line() -> None:
    async def serve(caller: Caller) -> None:
        question = await caller.question()
        if peer.connections == 1:
            await caller.send(b"x")
            caller.reset()
            return
        await caller.send(answer_to(question))
        await answer_all(caller)

    async with gateway(serve) as peer:
        link = await open_link(peer.url, options=IMPATIENT)
        results = await asyncio.gather(
            *(link.run(Ask(f"m{number}")) for number in range(5)), return_exceptions=True
        )
        assert isinstance(results[0], LinkDown)
        assert results[1:] == ["1"] * 4
        await link.aclose()


@in_loop
async def test_closing_fails_everyone_and_for_good() -> None:
    async def serve(caller: Caller) -> None:
        await caller.reader.read()

    async with gateway(serve) as peer:
        link = await open_link(peer.url)
        tasks = [asyncio.create_task(link.run(Ask(f"m{number}"))) for number in range(5)]
        await asyncio.sleep(0.05)
        await link.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, LinkClosed) for result in results)
        with pytest.raises(LinkClosed):
            await link.run(Ask("m1"))
        await link.aclose()
        assert link.statistics.disconnects == 0


@in_loop
async def test_a_host_that_does_not_answer_costs_the_connect_time_out() -> None:
    listener = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, backlog=1)
    host, port = listener.sockets[0].getsockname()
    # Nobody accepts on a port whose backlog is full, so the handshake hangs.
    for server in listener.sockets:
        asyncio.get_running_loop().remove_reader(server.fileno())
    fillers = []
    for _ in range(8):
        with contextlib.suppress(TimeoutError):
            fillers.append(await asyncio.wait_for(asyncio.open_connection(host, port), 0.2))
    link = await open_link(
        f"tcp://{host}:{port}", options=replace(IMPATIENT, connect_ms=200), connect=False
    )
    with pytest.raises(LinkDown, match=r"did not accept a connection in 0\.2 s"):
        await link.run(Ask("m1"))
    await link.aclose()
    for _, writer in fillers:
        writer.close()
    listener.close()


@in_loop
async def test_a_bounded_number_of_meters_is_remembered_and_all_are_counted() -> None:
    async with gateway(answer_all) as peer:
        link = await open_link(peer.url, options=replace(IMPATIENT, meters_max=3))
        for number in range(10):
            await link.run(Ask(f"m{number}"))
        statistics = link.statistics
        await link.aclose()
    assert list(statistics.meters) == ["m7", "m8", "m9"]
    assert statistics.total.answers == 10
