"""The paced line itself: bytes neither faster than the wire, nor lost, nor out of order."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.line import Pacer
from tests.protocols.transport.peers import in_loop


@pytest.mark.parametrize("baud", [2400, 9600, 115_200])
def test_a_piece_comes_in_order_and_not_before_its_time(baud: int) -> None:
    @in_loop
    async def run() -> None:
        loop = asyncio.get_running_loop()
        arrived: list[tuple[float, bytes]] = []
        pacer = Pacer(11 / baud, lambda data: arrived.append((loop.time(), data)))
        started = loop.time()
        pacer.put(bytes(range(60)))
        while pacer.busy:
            await asyncio.sleep(0.001)
        assert b"".join(data for _, data in arrived) == bytes(range(60))
        count = 0
        for at, data in arrived:
            count += len(data)
            assert at - started >= count * 11 / baud - 1e-3

    run()


@settings(max_examples=20)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=10))
def test_nothing_is_lost_or_mixed(pieces: list[bytes]) -> None:
    @in_loop
    async def run() -> None:
        arrived = bytearray()
        pacer = Pacer(1e-5, arrived.extend)
        for piece in pieces:
            pacer.put(piece)
            await asyncio.sleep(0)
        while pacer.busy:
            await asyncio.sleep(0.001)
        assert bytes(arrived) == b"".join(pieces)

    run()


@in_loop
async def test_a_flood_is_bounded_and_counted() -> None:
    pacer = Pacer(1.0, lambda _data: None)
    pacer.put(bytes(70_000))
    assert pacer.lost_bytes == 70_000 - 65_536
    pacer.stop()
    assert not pacer.busy
