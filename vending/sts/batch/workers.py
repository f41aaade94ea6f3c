"""Spreading chunks of work over processes, in order and with bounded memory.

Processes and not threads: DKGA04 runs in many short calls, between which Python's lock goes
back and forth, and a second thread makes it slower.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final, TypeVar, cast

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

# One chunk in work and one waiting for each process: enough that none runs dry.
_CHUNKS_PER_WORKER: Final = 2

# In a worker process: the function that it was started for.
_work: Callable[[Any], Any] | None = None


def spread(
    make_work: Callable[..., Callable[[Chunk], Result]],
    arguments: tuple[object, ...],
    chunks: Iterable[Chunk],
    workers: int,
) -> Iterator[Result]:
    """Apply ``make_work(*arguments)`` to each chunk in worker processes.

    Each process makes its own work once, so what it needs, keys for instance, is handed over
    once and not with each chunk.  New processes are started rather than forked: a fork copies
    locks that other threads of a server may hold.  A script that calls this therefore needs
    its ``if __name__ == "__main__":``.

    Args:
        make_work: a function of a module, as are its arguments' types: they are pickled.
        arguments: what to make the work of.
        chunks: read only as fast as results are taken.
        workers: how many processes.

    Yields:
        The results, in the order of the chunks.
    """
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(make_work, arguments),
    )
    waiting: deque[Future[Result]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_apply, chunk))
            if len(waiting) >= _CHUNKS_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start(make_work: Callable[..., Callable[[Any], Any]], arguments: tuple[object, ...]) -> None:
    global _work  # a worker process has one work for all its life
    _work = make_work(*arguments)


def _apply(chunk: Chunk) -> Any:
    return cast("Callable[[Any], Any]", _work)(chunk)
