"""Tests that run on an event loop, with fixtures as any other."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

P = ParamSpec("P")
TEST_S = 60


def on_a_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a coroutine test on a loop of its own, within a minute."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(TEST_S):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run
