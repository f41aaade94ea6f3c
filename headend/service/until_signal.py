"""Runs a worker until it is told to stop: SIGTERM or Ctrl-C; a second one ends it at once.

Ended at once is as good as killed: nothing is lost, others take over what it had in hand.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

from headend.service.service import Service

AT_ONCE: Final = 130
_THREADS_S: Final = 5.0
_AFTER_STOP_S: Final = 20.0


async def run(
    service: Service,
    started: Callable[[], None],
    *,
    stop_s: float,
    status_of: Callable[[BaseException], int] = lambda _: 1,
) -> None:
    """Start, work, stop.

    Args:
        service: the worker.
        started: called when it works.
        stop_s: how long its stop may take, as in its `Limits`.
        status_of: the exit status for what ended it, should a thread hold the process up.

    Raises:
        Exception: what ended a part of it that must not end; it has been stopped then.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    status = 0

    def tell() -> None:
        if told.is_set():
            os._exit(AT_ONCE)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    try:
        await service.start()
        started()
        await _until(told, service)
    except BaseException as fault:
        status = status_of(fault)
        raise
    finally:
        told.set()
        try:
            async with asyncio.timeout(stop_s + _AFTER_STOP_S):
                await service.stop()
        except BaseException as fault:
            status = status or status_of(fault)
            raise
        finally:
            _end_within(_THREADS_S, status)


async def _until(told: asyncio.Event, service: Service) -> None:
    """Wait for a signal, or for a fault, which is raised."""
    stop = asyncio.ensure_future(told.wait())
    fault = asyncio.ensure_future(service.failed())
    done, _ = await asyncio.wait({stop, fault}, return_when=asyncio.FIRST_COMPLETED)
    for task in (stop, fault):
        task.cancel()
    if fault in done:
        await fault


def _end_within(seconds: float, status: int) -> None:
    """A thread that still waits for a database must not keep the process, nor hide its fault."""

    def watch() -> None:
        time.sleep(seconds)
        os._exit(status)

    threading.Thread(target=watch, daemon=True).start()
