"""DBOS as it is used here: how it is set up, started, asked to run a turn.

Nothing outside of this module and `carrier` knows of it.  It is imported when it is needed: that
takes more than a second, and most commands have nothing to do with it.

Settings that matter (docs/decisions, 14): JSON, not pickles, in the database; a version of the
form of our jobs, not a hash of the program's text; one executor id per process; PostgreSQL
without LISTEN, since turns are polled for anyway.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import unquote

import structlog
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from headend.faults import StoreUnavailableError
from headend.work.queues import LINES, queue_of_worker

if TYPE_CHECKING:
    from dbos import DBOSClient, DBOSConfig

APPLICATION: Final = "meterhouse"
FORM: Final = "1"
"""Of the workflow `TURN` and its arguments; workers of another form leave its turns alone."""
TURN: Final = "line_turn"
THREADS_MAX: Final = 32
SQLITE_MIN: Final = (3, 42)
_ALIVE: Final = ("ENQUEUED", "PENDING", "DELAYED")
_SAID_AGAIN_S: Final = 30.0
_SUBJECT: Final = 40
_SUBJECTS_MAX: Final = 1000
Carry = Callable[[int, str], Awaitable[None]]
"""Carries the turn of a line out."""
log = structlog.get_logger("headend.work")


class SqliteTooOldError(StoreUnavailableError):
    """This Python's SQLite is too old for durable work."""

    code: ClassVar[str] = "sqlite_too_old"


def require_sqlite(
    python: tuple[int, ...] = sys.version_info[:2],
    version: tuple[int, ...] = sqlite3.sqlite_version_info,
) -> None:
    """Refuse a SQLite on which DBOS does not work; older Pythons' driver gets along with less.

    Raises:
        SqliteTooOldError: says what to do.
    """
    if python >= (3, 12) and version < SQLITE_MIN:
        raise SqliteTooOldError(
            f"This Python {'.'.join(map(str, python[:2]))} uses SQLite "
            f"{'.'.join(map(str, version))}; durable work needs 3.42 or newer with it. Use a "
            "newer SQLite library, Python 3.11, or PostgreSQL."
        )


def url_of(engine: Engine) -> str:
    """The database's URL as DBOS takes it."""
    url = engine.url
    if engine.dialect.name == "sqlite":
        path = unquote((url.database or "").removeprefix("file:"))
        return URL.create("sqlite", database=path).render_as_string(hide_password=False)
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def settings(engine: Engine, worker: str) -> DBOSConfig:
    """The configuration of a worker's process."""
    from dbos import DBOSPortableJSONSerializer

    return {
        "name": APPLICATION,
        "system_database_url": url_of(engine),
        "serializer": DBOSPortableJSONSerializer(),
        "application_version": FORM,
        "executor_id": worker,
        "max_executor_threads": THREADS_MAX,
        "sys_db_pool_size": 1 if engine.dialect.name == "sqlite" else 10,
        "use_listen_notify": False,
        "log_level": "WARNING",
    }


def make_tables(engine: Engine) -> None:
    """Make or renew DBOS's own tables; does nothing when they are as they should be.

    Raises:
        StoreUnavailableError: the database refused, or gave no answer.
        SqliteTooOldError: see `require_sqlite`.
    """
    if engine.dialect.name == "sqlite":
        require_sqlite()
    from dbos import DBOS

    quieten()
    try:
        DBOS.migrate(url_of(engine))
    except DBAPIError as fault:
        raise StoreUnavailableError(
            f"The tables of durable work could not be made: {str(fault.orig).partition(chr(10))[0]}"
        ) from None


def client(engine: Engine) -> DBOSClient:
    """What queues turns; it works on the connection that it is given, and opens none itself."""
    from dbos import DBOSClient, DBOSPortableJSONSerializer

    return DBOSClient(
        system_database_engine=engine,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
        lazy=True,
    )


def queue_turn(
    connection: Connection, asking: DBOSClient, queue: str, urgency: int, line: int, turn: str
) -> None:
    """Queue a turn in the caller's transaction."""
    asking.enqueue_in_transaction(
        connection,
        {
            "workflow_name": TURN,
            "queue_name": queue,
            "workflow_id": turn,
            "priority": urgency,
            "app_version": FORM,
        },
        line,
        turn,
    )


class _Forward(logging.Handler):
    """What DBOS says by `logging`, as events of ours.

    While the database is away it says the same at each poll; once in a while is enough.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage().partition("\n")[0]
        subject, now = words[:_SUBJECT], time.monotonic()
        if now - self._said.get(subject, -_SAID_AGAIN_S) < _SAID_AGAIN_S:
            return
        if len(self._said) >= _SUBJECTS_MAX:
            self._said.clear()
        self._said[subject] = now
        log.log(record.levelno, "engine.says", words=words)


def quieten() -> None:
    """DBOS tells about itself by `logging`; only what is wrong belongs into our log."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    logger.handlers[:] = [_Forward()]
    logger.propagate = False


class Running:
    """DBOS at work in this process: there is one at most.

    Made on the event loop that the turns shall run on.
    """

    def __init__(self, engine: Engine, worker: str, carry: Carry) -> None:
        from dbos import DBOS

        quieten()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="meterhouse-engine")
        DBOS(config=settings(engine, worker))

        @DBOS.workflow(name=TURN)
        async def line_turn(line: int, turn: str) -> None:
            await carry(line, turn)

        self._turn = line_turn
        DBOS.listen_queues([LINES, queue_of_worker(worker)])

    def launch(self) -> None:
        """Begin; what this worker had in hand when it died is queued again.

        Raises:
            StoreUnavailableError: the database refused, or gave no answer.
        """
        from dbos import DBOS

        try:
            DBOS.launch()
        except DBAPIError as fault:
            raise StoreUnavailableError(
                f"Durable work could not begin: {str(fault.orig).partition(chr(10))[0]}"
            ) from None

    async def open_queues(self, worker: str, lines_max: int, poll_s: float) -> None:
        """Take turns from now on.  Limits of the common queue are all workers' alike."""
        from dbos import DBOS

        for queue in (LINES, queue_of_worker(worker)):
            await DBOS.register_queue_async(
                queue,
                worker_concurrency=lines_max,
                polling_interval_sec=poll_s,
                on_conflict="always_update",
            )

    async def stop(self, finish_s: float) -> None:
        """Take no new turns, wait for those in hand for a bounded time, and end."""
        from dbos import DBOS

        loop = asyncio.get_running_loop()
        end = partial(
            DBOS.destroy, destroy_registry=True, workflow_completion_timeout_sec=int(finish_s)
        )
        await loop.run_in_executor(self._threads, end)
        # DBOS had made its threads the loop's, and has ended them: what follows needs others.
        loop.set_default_executor(ThreadPoolExecutor(4, thread_name_prefix="meterhouse-end"))
        self._threads.shutdown(wait=False)
        logging.getLogger("dbos").handlers[:] = []


def turns_begun_by(worker: str) -> list[str]:
    """The turns that a worker had begun and not ended.  Not on the event loop."""
    from dbos import DBOS

    return [
        each.workflow_id
        for each in DBOS.list_workflows(
            executor_id=worker, status="PENDING", name=TURN, load_input=False, load_output=False
        )
    ]


def is_with(turn: str, worker: str) -> bool:
    """Whether DBOS holds that this worker has the turn in hand.  Not on the event loop."""
    from dbos import DBOS

    found = DBOS.list_workflows(workflow_ids=[turn], load_input=False, load_output=False)
    return any(each.status == "PENDING" and each.executor_id == worker for each in found)


def turns_over(turns: list[str]) -> set[str]:
    """Which of these turns DBOS knows to be over, or does not know.  Not on the event loop."""
    from dbos import DBOS

    if not turns:
        return set()
    known = DBOS.list_workflows(workflow_ids=turns, load_input=False, load_output=False)
    alive = {each.workflow_id for each in known if each.status in _ALIVE}
    return set(turns) - alive


def resume(turns: list[str]) -> None:
    """Have turns begun again, by whichever worker comes first.  Not on the event loop."""
    from dbos import DBOS

    if turns:
        DBOS.resume_workflows(turns, queue_name=LINES)


def forget_before(moment: datetime, limit: int) -> int:
    """Delete what DBOS keeps of turns that ended before; their number.  Not on the event loop."""
    from dbos import DBOS

    ended = DBOS.list_workflows(
        status=["SUCCESS", "ERROR", "CANCELLED"],
        completed_before=moment.isoformat(),
        limit=limit,
        load_input=False,
        load_output=False,
    )
    if ended:
        DBOS.delete_workflows([each.workflow_id for each in ended])
    return len(ended)
