"""What a till keeps beside the shop: the sale that it is about to ask for, and its last receipt.

A sale is noted, and the note is on the disk, before the shop is asked; it is struck out when the
clerk has seen the answer.  So a till that was killed, or whose machine lost its power, finds at
its next start what it has to ask about.  A voucher's PIN is never in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final

import vending
from commands.sign_in import state_file
from vending.errors import FaultFamily

_VERSION: Final = 1


class TillNoteError(Exception):
    """The till's note cannot be written or read."""

    code: ClassVar[str] = "till_note"
    family: ClassVar[FaultFamily] = FaultFamily.SYSTEM


class TillRunningError(Exception):
    """Another till of this terminal is running."""

    code: ClassVar[str] = "till_running"
    family: ClassVar[FaultFamily] = FaultFamily.BUSINESS


class Paid(StrEnum):
    """What pays for a noted sale."""

    MONEY = "money"
    VOUCHER = "voucher"


@dataclass(frozen=True, slots=True)
class Noted:
    """A sale that was asked for and whose answer the clerk has not seen."""

    paid: Paid
    client: str
    message_id: str
    meter: str
    amount_minor: int | None = None
    units: int | None = None
    tender: str = vending.Tender.CASH.value
    accept_key_change: bool = False
    confirmed_second: bool = False

    @classmethod
    def of(cls, request: vending.VendRequest) -> Noted:
        """The note of a sale for money."""
        return cls(
            Paid.MONEY,
            request.client,
            request.message_id,
            request.meter,
            request.amount_minor,
            request.units,
            request.tender.value,
            request.accept_key_change,
            request.confirmed_second,
        )

    @classmethod
    def of_voucher(cls, request: vending.RedeemRequest) -> Noted:
        """The note of a sale for a voucher, without its secret."""
        return cls(
            Paid.VOUCHER,
            request.client,
            request.message_id,
            request.meter,
            tender=vending.Tender.VOUCHER.value,
        )

    def request(self, *, operator: str, terminal: str) -> vending.VendRequest:
        """The same sale, to be asked for again."""
        return vending.VendRequest(
            client=self.client,
            message_id=self.message_id,
            meter=self.meter,
            amount_minor=self.amount_minor,
            tender=vending.Tender(self.tender),
            operator=operator,
            terminal=terminal,
            units=self.units,
            accept_key_change=self.accept_key_change,
            confirmed_second=self.confirmed_second,
        )


@dataclass(frozen=True, slots=True)
class LastSale:
    """What this till gave out last."""

    client: str
    message_id: str
    receipt_no: int


@dataclass(frozen=True, slots=True)
class _Page:
    noted: Noted | None = None
    last: LastSale | None = None


class Notebook:
    """The till's file, for one terminal of one shop and one user of the machine.

    Raises:
        TillNoteError: there is a file that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._page = _read(path)

    @property
    def noted(self) -> Noted | None:
        """The sale that has to be asked about before anything else."""
        return self._page.noted

    @property
    def last(self) -> LastSale | None:
        """What was given out last."""
        return self._page.last

    def note(self, noted: Noted) -> None:
        """Note a sale; when this returns it outlives the machine's power.

        Raises:
            TillNoteError: it cannot be kept, so that it must not be asked for.
        """
        self._write(replace(self._page, noted=noted))

    def strike_out(self, last: LastSale | None = None) -> None:
        """The noted sale has ended, and the clerk knows how."""
        self._write(_Page(None, last or self._page.last))

    def _write(self, page: _Page) -> None:
        try:
            _replace(self._path, json.dumps({"version": _VERSION, **asdict(page)}))
        except OSError as fault:
            raise TillNoteError(
                f"The till's note {self._path} cannot be written ({fault.strerror}): without it "
                "nothing is sold here. Make room, or set XDG_STATE_HOME to a folder of yours."
            ) from fault
        self._page = page


@contextmanager
def open_notebook(database: str, terminal: str) -> Iterator[Notebook]:
    """The notebook of a terminal, for this till alone.

    Raises:
        TillRunningError: another till of this terminal is running.
        TillNoteError: the note cannot be read, or not be kept.
    """
    name = hashlib.sha256(terminal.encode()).hexdigest()[:8]
    path = state_file(database, f"till-{name}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise TillNoteError(
            f"The till has no place for its note ({path.parent}: {fault.strerror}). Set "
            "XDG_STATE_HOME to a folder of yours."
        ) from fault
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TillRunningError(
                f"A till of terminal {terminal or '(none)'} is running already: go on there, or "
                "name this one with --terminal."
            ) from None
        yield Notebook(path)
    finally:
        os.close(lock)


def _read(path: Path) -> _Page:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Page()
    except (OSError, ValueError):
        raise _unreadable(path) from None
    try:
        if kept["version"] != _VERSION:
            raise _unreadable(path)
        return _Page(_noted(kept["noted"]), kept["last"] and LastSale(**kept["last"]))
    except (KeyError, TypeError, ValueError):
        raise _unreadable(path) from None


def _noted(kept: dict[str, Any] | None) -> Noted | None:
    return None if kept is None else Noted(**{**kept, "paid": Paid(kept["paid"])})


def _unreadable(path: Path) -> TillNoteError:
    return TillNoteError(
        f"The till's note {path} cannot be read. A sale may be in it: compare the last receipts "
        "with the drawer (meterhouse vend last METER), then move the file away."
    )


def _replace(path: Path, text: str) -> None:
    """Never half a note, and on the disk when it returns."""
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
