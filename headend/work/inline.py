"""The port of durable work within one process: for tests, and for commands that run once.

Nothing of it survives the process.  What it keeps of the port: a job is queued with its
transaction's commit and at no other time, a key once, the more urgent first, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event

from headend.work.port import Handler, Job, Urgency


class _Transaction:
    """What one transaction has asked for, until it ends."""

    def __init__(self) -> None:
        self.acts: list[tuple[bool, str, Job | None]] = []
        """Queue or cancel, key, job; in the order of asking."""
        self.savepoints: list[int] = []


class InlineWork:
    """A queue in memory."""

    is_stopping: Final = False
    """It runs until nothing waits."""

    def __init__(self) -> None:
        self._waiting: Final[dict[str, Job]] = {}
        self._seen: Final[set[str]] = set()
        self._open: Final[dict[int, _Transaction]] = {}
        self._listened: Final[WeakSet[Engine]] = WeakSet()

    def enqueue(self, connection: Connection, job: Job) -> None:
        """Queue a job with the caller's commit."""
        self._transaction(connection).acts.append((True, job.key, job))

    def cancel(self, connection: Connection, key: str) -> None:
        """Take a job that has not begun out of the queue, with the caller's commit."""
        self._transaction(connection).acts.append((False, key, None))

    def most_urgent(self, connection: Connection) -> dict[int, Urgency]:
        """How urgent the first job is that waits, by line."""
        found: dict[int, Urgency] = {}
        for job in self._waiting.values():
            found[job.line] = min(job.urgency, found.get(job.line, job.urgency))
        return found

    @property
    def waiting(self) -> list[Job]:
        """The jobs that wait, in the order in which they would be carried out."""
        return sorted(self._waiting.values(), key=lambda job: (job.urgency, job.key))

    async def run(self, handlers: Mapping[str, Handler]) -> int:
        """Carry out all jobs, those too that come meanwhile; gives their number.

        Unlike the service, which logs what a handler raises, this lets it through; that job is
        over, the others wait on.

        Raises:
            KeyError: no handler for a kind of job.
        """
        done = 0
        while self._waiting:
            job = self._waiting.pop(self.waiting[0].key)
            await handlers[job.kind](job)
            done += 1
        return done

    def _transaction(self, connection: Connection) -> _Transaction:
        transaction = self._open.get(id(connection))
        if transaction is None:
            transaction = self._open[id(connection)] = _Transaction()
            self._listen(connection.engine)
        return transaction

    def _listen(self, engine: Engine) -> None:
        if engine in self._listened:
            return
        self._listened.add(engine)
        event.listen(engine, "commit", self._committed)
        event.listen(engine, "rollback", self._undone)
        event.listen(engine, "savepoint", self._savepoint)
        event.listen(engine, "release_savepoint", self._released)
        event.listen(engine, "rollback_savepoint", self._back_to_savepoint)

    def _committed(self, connection: Connection) -> None:
        transaction = self._open.pop(id(connection), _Transaction())
        for queues, key, job in transaction.acts:
            if not queues:
                self._waiting.pop(key, None)
            elif key not in self._seen and job is not None:
                self._seen.add(key)
                self._waiting[key] = job

    def _undone(self, connection: Connection) -> None:
        self._open.pop(id(connection), None)

    def _savepoint(self, connection: Connection, _name: str | None) -> None:
        transaction = self._transaction(connection)
        transaction.savepoints.append(len(transaction.acts))

    def _released(self, connection: Connection, _name: str, _context: Any) -> None:
        savepoints = self._transaction(connection).savepoints
        if savepoints:
            savepoints.pop()

    def _back_to_savepoint(self, connection: Connection, _name: str, _context: Any) -> None:
        transaction = self._transaction(connection)
        begin = transaction.savepoints.pop() if transaction.savepoints else 0
        del transaction.acts[begin:]
