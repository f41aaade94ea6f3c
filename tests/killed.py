"""A process that is killed before or after its n-th commit, for tests that come back afterwards."""

from __future__ import annotations

import itertools
import os
import signal
from typing import Final

from sqlalchemy import Connection, Engine, event

from storage import engine as storage_engine

_DIES: Final = "dies"


def kill_at(engine: Engine, step: float) -> None:
    """Have this process killed at a commit of what it writes.

    Args:
        engine: of the process; it has no other one that it writes with.
        step: 1 is before the first commit is sent, 1.5 when it has returned, and so on.
    """
    commits = itertools.count(1)
    keep = storage_engine._keep

    def before(connection: Connection) -> None:
        if not connection.get_execution_options().get(storage_engine._WRITE):
            return
        number = next(commits)
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if number + 0.5 == step:
            connection.info[_DIES] = True

    def after(engine: Engine, connection: Connection) -> None:
        if connection.info.get(_DIES):
            os.kill(os.getpid(), signal.SIGKILL)
        keep(engine, connection)

    event.listen(engine, "commit", before)
    storage_engine._keep = after
