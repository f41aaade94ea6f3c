"""How rates and memory are measured.

The best of several repeats is taken: other programs only ever make a run slower.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from time import perf_counter
from typing import Final, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Prepare = Callable[[int], Callable[[], object]]
"""Makes the work for so many items, ready to be timed.  A function of a module, since worker
processes import it."""

_REPEATS: Final = 5
_KIB_PER_MB: Final = 1_000_000 / 1_024

_start_together: Barrier | None = None


def rate(prepare: Prepare, count: int) -> float:
    """Items per second, in this process.

    Args:
        prepare: makes the work of ``count`` items.
        count: how many.
    """
    return rates([prepare], count)[0]


def rates(prepares: Sequence[Prepare], count: int, workers: int = 1) -> list[float]:
    """Items per second of several kinds of work, to be compared with each other.

    They take turns, so that whatever else the machine does meets all of them.

    Args:
        prepares: each makes the work of ``count`` items.
        count: how many items each worker does.
        workers: how many processes do it at the same time; their rates are added.
    """
    if workers == 1:
        shares = [_rates(prepares, count)]
    else:
        context = get_context("spawn")
        barrier = context.Barrier(workers)
        with ProcessPoolExecutor(workers, context, _meet_at, (barrier,)) as pool:
            futures = [pool.submit(_rates, prepares, count) for _ in range(workers)]
            shares = [future.result() for future in futures]
    # shares[worker][turn][kind]: the workers' rates are added, then the best turn counts.
    turns = [[sum(kind) for kind in zip(*turn, strict=True)] for turn in zip(*shares, strict=True)]
    return [max(kind) for kind in zip(*turns, strict=True)]


def _meet_at(barrier: Barrier) -> None:
    global _start_together
    _start_together = barrier


def _rates(prepares: Sequence[Prepare], count: int) -> list[list[float]]:
    """For each turn the rate of each kind of work."""
    works = [prepare(count) for prepare in prepares]
    return [[count / _duration(work) for work in works] for _ in range(_REPEATS)]


def _duration(work: Callable[[], object]) -> float:
    if _start_together is not None:
        _start_together.wait()
    start = perf_counter()
    work()
    return perf_counter() - start


def in_fresh_process(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Call a module's function in a new process, whose memory holds nothing else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def peak_rss_mb(workers: int = 0) -> float:
    """The most memory that this process has held, in MB.

    Args:
        workers: how many worker processes it has had at a time; each counts like the largest.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():
        # Linux lets ru_maxrss begin with the parent's peak; VmHWM begins with the process.
        own = next(
            int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line
        )
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return float(own + workers * children) / _KIB_PER_MB
