"""One process that sells: it tells each answer as soon as it has it, and may die at any moment."""

from __future__ import annotations

import gc
import logging
import os
import random
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Final

import structlog

from benchmarks.torture.asked import Plan
from benchmarks.torture.witness import digest_of
from vending import PublicTestKeys, Shop
from vending.shop.requests import Outcome

JUMPS_MIN: Final = (0, 0, 0, -1, -90, -3_000, 1, 45, 2_000)
"""What the clock is off by, anew at each look."""
_REPEATS: Final = (1, 1, 1, 2)
FAILED: Final = b"!"
"""Begins the last line of a worker that failed."""


def begin(url: str, plan: Plan, numbers: Sequence[int], seed: str) -> tuple[int, int]:
    """Fork a worker; gives its process id and the pipe on which it tells.

    What a process needs is imported and compiled before, so that a worker costs some
    milliseconds to begin.  The caller has no thread and no open database.
    """
    told, tell = os.pipe()
    gc.freeze()
    process = os.fork()
    if process:
        os.close(tell)
        return process, told
    status = 1
    try:
        os.close(told)
        _sell(url, plan, numbers, random.Random(seed), tell)
        status = 0
    except BaseException:  # noqa: BLE001 - told to the run, which ends with it
        os.write(tell, FAILED + traceback.format_exc().replace("\n", "\r").encode() + b"\n")
    finally:
        os._exit(status)


def _sell(url: str, plan: Plan, numbers: Sequence[int], chance: random.Random, tell: int) -> None:
    quiet()

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=chance.choice(JUMPS_MIN))

    with Shop.open(url, now=clock, security=PublicTestKeys()) as shop:
        for number in numbers:
            for _ in range(chance.choice(_REPEATS)):
                start = perf_counter()
                result = shop.vend(plan.request(number))
                seconds = perf_counter() - start
                if result.outcome is Outcome.UNKNOWN:
                    break  # it is asked again by whoever comes next
                line = f"{number} {digest_of(result.response).hex()} {seconds:.6f}\n"
                os.write(tell, line.encode())


def quiet() -> None:
    """Log failures only."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
