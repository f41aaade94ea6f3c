"""How every command speaks: consoles, ``--json``, faults and exit status."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar, runtime_checkable

import click
from rich.console import Console

from protocols.errors import LocalProtocolError, ProtocolError
from vending.errors import FaultFamily

# Names of people and shops go through these: no brackets or colons in them are ever markup.
console: Final = Console(highlight=False, markup=False, emoji=False)
"""For people, on standard output."""
error_console: Final = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""For people, on standard error."""

EXIT_CHECK_FAILED: Final = 1
EXIT_REFUSED: Final = 3
EXIT_WRONG_REQUEST: Final = 4
EXIT_OUTCOME_UNKNOWN: Final = 6
EXIT_WIRE: Final = 7
"""The meter or its line: silent, broken, garbled, or the meter has no such thing."""
_EXIT_STATUS: Final = {FaultFamily.BUSINESS: 3, FaultFamily.PROTOCOL: 4, FaultFamily.SYSTEM: 5}

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(slots=True)
class CliState:
    """What one run of the command knows about itself."""

    as_json: bool = False


def json_option(command: _Command) -> _Command:
    """Give a command ``--json`` (parameter ``as_json``): one JSON document on stdout."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: bool) -> bool:
        state = ctx.find_object(CliState)
        if state is not None:
            state.as_json = value
        return value

    option = click.option(
        "--json", "as_json", is_flag=True, callback=remember, help="Answer in JSON."
    )
    return option(command)


@contextmanager
def counting(
    what: str, *, as_json: bool, total: int | None = None
) -> Iterator[Callable[..., None]]:
    """Progress with the time left, on a terminal: call it with what is done, and the total."""
    from rich.progress import Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    shown = not as_json and error_console.is_terminal
    with Progress(*columns, console=error_console, disable=not shown, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total=total: bar.update(task, completed=done, total=total)


def print_json(value: object) -> None:
    """One JSON document on a line of its own."""
    click.echo(json.dumps(value, ensure_ascii=False))


@runtime_checkable
class Fault(Protocol):
    """What the faults of all rooms share: a stable ``code``; their text is the message."""

    code: ClassVar[str]


class UnexpectedError(Exception):
    """Something that no room foresaw: a full disk, a closed stream, or a mistake of ours."""

    code: ClassVar[str] = "unexpected"
    family: ClassVar[FaultFamily] = FaultFamily.SYSTEM

    @classmethod
    def of(cls, fault: Exception) -> UnexpectedError:
        """Say what happened and where, without quoting values: they might be secret."""
        if isinstance(fault, OSError) and fault.strerror:
            return cls(f"The system refused: {fault.strerror}.")
        frames = traceback.extract_tb(fault.__traceback__)
        where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return cls(
            f"{type(fault).__name__}{where}. This is a mistake of ours: please report this line "
            "and the command."
        )


def fault_object(fault: Fault) -> dict[str, dict[str, str]]:
    """A fault as every JSON answer gives it."""
    return {"error": {"code": fault.code, "message": str(fault)}}


def report_fault(fault: Fault, *, as_json: bool) -> int:
    """Print a fault for its reader and give the exit status of its family."""
    if as_json:
        print_json(fault_object(fault))
    else:
        error_console.print("error ", style="red", end="")
        error_console.print(f"{fault.code}  ", style="dim", end="")
        error_console.print(str(fault), markup=False, soft_wrap=True)
    return exit_status(fault)


def exit_status(fault: Fault) -> int:
    """The exit status of a fault's family."""
    if isinstance(fault, ProtocolError):
        return EXIT_WRONG_REQUEST if isinstance(fault, LocalProtocolError) else EXIT_WIRE
    if getattr(fault, "is_system", False):  # the head-end's
        return _EXIT_STATUS[FaultFamily.SYSTEM]
    return _EXIT_STATUS[getattr(fault, "family", FaultFamily.BUSINESS)]
