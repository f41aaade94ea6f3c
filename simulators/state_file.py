"""A meter's memory as a file, so that a power cut, or kill -9, loses nothing.

.. warning::
   **The file holds the meter's decoder key**, because a meter has it inside.  Whoever reads it
   can make tokens for this meter.  It is created with mode 0600 and says so in its first lines.

JSON with a version and a checksum.  It is written whole to a temporary file beside it, forced
to the disk and renamed over the old one, so at every moment there is one complete file.  A file
that is damaged, foreign or of a later version is refused and left as it is.

Energy is saved in watt-seconds, times as ISO 8601 UTC.  STA tables are not saved, only a check
of them: they are the operator's under licence.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from simulators.contact import NO_LOG, NO_ORDERS, ContactLog, Order, RemoteControl
from simulators.errors import SimulatorError, StateFileError, StateFileInUseError
from simulators.keypad import EntryLock
from simulators.meter_state import MeterKey, MeterState, PendingKeyChange
from simulators.nameplate import Nameplate
from simulators.purse import Purse
from simulators.supply import Registers, Supply
from simulators.token_memory import TokenMemory
from vending.sts import (
    SAMPLE_TABLES,
    Content,
    DecoderKey,
    EncryptionAlgorithm,
    KeySection,
    MeterPan,
    StaTables,
    StsError,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.content import MANAGEMENT_CLASS, parse_content

FORMAT: Final = "meterhouse keypad meter"
VERSION: Final = 2
_NOTICE: Final = (
    "SECRET: holds this meter's decoder key. Whoever reads it can make tokens for this meter."
)
_MODE: Final = 0o600
_CONTENT_BITS: Final = 44
_BYTES_MAX: Final = 1 << 20
"""A real file has some 3 kB; a larger one is not read to its end."""

_T = TypeVar("_T")


def save_state(state: MeterState, path: Path) -> None:
    """Write a meter's state; when this returns, it is on the disk.

    Raises:
        StateFileError: the file cannot be written; an older one is still complete.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        _write_through(temporary, _document(state))
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as fault:
        raise StateFileError(f"The meter's file {path} cannot be written: {fault}.") from fault


def load_state(path: Path, sta_tables: StaTables = SAMPLE_TABLES) -> MeterState:
    """Read a meter's state.

    Args:
        path: a file that `save_state` wrote.
        sta_tables: for EA 07; must be those that the meter had.

    Raises:
        StateFileError: missing, unreadable, damaged, foreign, of a later version, or of a meter
            with other STA tables.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_BYTES_MAX)
    except FileNotFoundError:
        raise StateFileError(f"There is no meter's file {path}.") from None
    except OSError as fault:
        raise StateFileError(f"The meter's file {path} cannot be read: {fault}.") from fault
    body = _checked_body(path, text)
    try:
        return _state(body, sta_tables)
    except (SimulatorError, StsError, ValueError, OverflowError) as fault:
        if isinstance(fault, StateFileError):
            raise
        raise StateFileError(f"The meter's file {path} holds no meter: {fault}") from fault


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other processes from running the meter of this file: it would take tokens twice.

    Holds a lock on ``.<name>.lock`` beside the file, which ends with the process at the latest.

    Raises:
        StateFileInUseError: another process has it.
        StateFileError: the folder does not exist or cannot be written.
    """
    beside = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as fault:
        raise StateFileError(f"The meter's file {path} cannot be locked: {fault}.") from fault
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateFileInUseError(
                f"Another process runs the meter of {path}; end it first."
            ) from None
        yield
    finally:
        os.close(handle)


# --- to the disk ---------------------------------------------------------------------------


def _write_through(path: Path, text: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, _MODE)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, _MODE)  # a left-over temporary file may have had another
        file.write(text)
        file.flush()
        os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- the document --------------------------------------------------------------------------


def _document(state: MeterState) -> bytes:
    body = _body(state)
    document = {
        "format": FORMAT,
        "notice": _NOTICE,
        "version": VERSION,
        "sha256": _checksum(body),
        "meter": body,
    }
    return json.dumps(document, indent=1).encode("ascii") + b"\n"


def _checksum(body: object) -> str:
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode("ascii")).hexdigest()


def _checked_body(path: Path, text: bytes) -> _Fields:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # a file of brackets only nests without end
        raise StateFileError(f"{path} is damaged, or no meter's file: it is not JSON.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StateFileError(f"{path} is not the file of a simulated keypad meter.")
    version = document.get("version")
    if version not in (1, VERSION):
        raise StateFileError(
            f"{path} has version {version!r}; this program reads versions up to {VERSION}."
        )
    body = document.get("meter")
    if document.get("sha256") != _checksum(body):
        raise StateFileError(f"{path} is damaged: its checksum does not fit its contents.")
    return _Fields(body if version == VERSION else _from_version_1(body), "meter")


def _from_version_1(body: object) -> object:
    """Version 1 knew nothing of orders by wire, of money and of what the contact did."""
    try:
        given: Any = body
        supply = given["supply"]
        registers = {**supply["registers"], "uncredited_ws": 0}
        new = {"remote": _plain(NO_ORDERS), "log": _plain(NO_LOG), "purse": None}
        return {
            **given,
            "nameplate": {**given["nameplate"], "counts_money": False},
            "supply": {**supply, **new, "registers": registers},
        }
    except (TypeError, KeyError):
        return body  # not complete: refused where the missing field is taken


class _Fields:
    """The fields of one JSON object, each taken once and with its type."""

    __slots__ = ("_left", "_what")

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise StateFileError(f"The meter's file needs an object at {what!r}.")
        self._left = dict(value)
        self._what = what

    def take(self, name: str, kind: type[_T]) -> _T:
        """The field, exactly of this type (a truth value is no number)."""
        value = self._left.pop(name, None)
        if type(value) is not kind:
            raise StateFileError(f"The meter's file needs {kind.__name__} at {self._what}.{name}.")
        return value

    def take_or_none(self, name: str, kind: type[_T]) -> _T | None:
        """The same, where null is allowed."""
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return self.take(name, kind)

    def take_fields(self, name: str) -> _Fields:
        """An object inside this one."""
        return _Fields(self._left.pop(name, None), f"{self._what}.{name}")

    def take_fields_or_none(self, name: str) -> _Fields | None:
        """The same, where null is allowed."""
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return self.take_fields(name)

    def take_moment(self, name: str) -> datetime | None:
        """A time, or None."""
        text = self.take_or_none(name, str)
        return None if text is None else _moment(text)

    def end(self) -> None:
        """Refuse fields that nobody took."""
        if self._left:
            raise StateFileError(
                f"The meter's file has unknown fields at {self._what}: {', '.join(self._left)}."
            )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise StateFileError(f"The meter's file has a time without a zone: {text}.")
    return moment.astimezone(UTC)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


# --- the meter -----------------------------------------------------------------------------

_PARTS: Final = ("registers", "remote", "log", "purse")
"""Parts of a supply that are objects of their own."""
_RATINGS: Final = tuple(
    rating.name
    for rating in fields(Nameplate)
    if rating.name not in ("meter_pan", "algorithm", "sta_tables")
)
_RATING_TYPES: Final[dict[str, type]] = {"int": int, "bool": bool}


def _body(state: MeterState) -> dict[str, Any]:
    nameplate, key, supply = state.nameplate, state.key, state.supply
    return {
        "nameplate": {
            "meter_pan": str(nameplate.meter_pan),
            "ea": nameplate.algorithm.value,
            "sta_tables": _tables_check(nameplate),
            **{name: getattr(nameplate, name) for name in _RATINGS},
        },
        "key": {
            "decoder_key": key.decoder_key.secret.hex(),
            "key_type": key.key_type.value,
            "sgc": key.sgc,
            "krn": key.krn,
            "tariff_index": key.tariff_index,
            "ken": key.ken,
        },
        "now": _text(state.now),
        "has_power": state.has_power,
        "supply": {
            "registers": {f.name: getattr(supply.registers, f.name) for f in fields(Registers)},
            **{f.name: getattr(supply, f.name) for f in fields(Supply) if f.name not in _PARTS},
            "remote": _plain(supply.remote),
            "log": _plain(supply.log),
            "purse": None if supply.purse is None else _plain(supply.purse),
        },
        "used_tids": list(state.memory.tids),
        "pending": {
            "sections": [[s.subclass, s.content()] for s in state.pending.sections],
            "forgotten_at": _text(state.pending.forgotten_at),
        },
        "lock": {
            "rejections": state.lock.rejections,
            "locked_until": _text(state.lock.locked_until),
        },
        "tariff_rate": state.tariff_rate,
        "water_factor": state.water_factor,
    }


def _plain(part: RemoteControl | ContactLog | Purse) -> dict[str, Any]:
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return {name: _json(value) for name, value in values.items()}


def _json(value: object) -> object:
    if isinstance(value, Order):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _state(body: _Fields, sta_tables: StaTables) -> MeterState:
    state = MeterState(
        nameplate=_nameplate(body.take_fields("nameplate"), sta_tables),
        key=_key(body.take_fields("key")),
        now=_moment(body.take("now", str)),
        has_power=body.take("has_power", bool),
        supply=_supply(body.take_fields("supply")),
        memory=TokenMemory(_whole_numbers(body.take("used_tids", list))),
        pending=_pending(body.take_fields("pending")),
        lock=_lock(body.take_fields("lock")),
        tariff_rate=body.take_or_none("tariff_rate", int),
        water_factor=body.take_or_none("water_factor", int),
    )
    body.end()
    return state


def _nameplate(given: _Fields, sta_tables: StaTables) -> Nameplate:
    pan, algorithm = given.take("meter_pan", str), given.take("ea", int)
    check = given.take_or_none("sta_tables", str)
    ratings: dict[str, Any] = {
        rating.name: given.take(rating.name, _RATING_TYPES[str(rating.type)])
        for rating in fields(Nameplate)
        if rating.name in _RATINGS
    }
    given.end()
    nameplate = Nameplate(
        MeterPan.parse(pan), EncryptionAlgorithm(algorithm), sta_tables, **ratings
    )
    if check != _tables_check(nameplate):
        raise StateFileError("The meter's file is of a meter with other STA tables: give those.")
    return nameplate


def _tables_check(nameplate: Nameplate) -> str | None:
    if nameplate.algorithm is not EncryptionAlgorithm.STA:
        return None
    tables = nameplate.sta_tables
    return _checksum([tables.substitution, tables.permutation])[:16]


def _key(given: _Fields) -> MeterKey:
    key = MeterKey(
        decoder_key=DecoderKey.from_hex(given.take("decoder_key", str)),
        key_type=parse_key_type(given.take("key_type", int)),
        sgc=parse_supply_group_code(given.take("sgc", str)),
        krn=parse_key_revision(given.take("krn", int)),
        tariff_index=parse_tariff_index(given.take("tariff_index", str)),
        ken=parse_key_expiry(given.take("ken", int)),
    )
    given.end()
    return key


def _supply(given: _Fields) -> Supply:
    registers = given.take_fields("registers")
    supply = Supply(
        registers=Registers(
            accepted_ws=registers.take("accepted_ws", int),
            consumed_ws=registers.take("consumed_ws", int),
            remaining_ws=registers.take("remaining_ws", int),
            cleared_ws=registers.take("cleared_ws", int),
            uncredited_ws=registers.take("uncredited_ws", int),
        ),
        power_limit_w=given.take_or_none("power_limit_w", int),
        phase_unbalance_limit_w=given.take_or_none("phase_unbalance_limit_w", int),
        cover_is_open=given.take("cover_is_open", bool),
        is_tampered=given.take("is_tampered", bool),
        overload_since=given.take_or_none("overload_since", int),
        overload_until=given.take_or_none("overload_until", int),
        test_until=given.take_or_none("test_until", int),
        remote=_remote(given.take_fields("remote")),
        log=_log(given.take_fields("log")),
        purse=_purse(given.take_fields_or_none("purse")),
    )
    registers.end()
    given.end()
    return supply


def _remote(given: _Fields) -> RemoteControl:
    after_top_up = given.take_or_none("after_top_up", str)
    remote = RemoteControl(
        order=Order(given.take("order", str)),
        is_protected=given.take("is_protected", bool),
        is_alarm_on=given.take("is_alarm_on", bool),
        trip_at=given.take_or_none("trip_at", int),
        after_top_up=None if after_top_up is None else Order(after_top_up),
    )
    given.end()
    return remote


def _log(given: _Fields) -> ContactLog:
    log = ContactLog(
        is_closed=given.take_or_none("is_closed", bool),
        openings=given.take("openings", int),
        closings=given.take("closings", int),
        opened_at=_whole_numbers(given.take("opened_at", list)),
        closed_at=_whole_numbers(given.take("closed_at", list)),
    )
    given.end()
    return log


def _purse(given: _Fields | None) -> Purse | None:
    if given is None:
        return None
    purse = Purse(
        balance_grains=given.take("balance_grains", int),
        price=given.take("price", int),
        overdraft_grains=given.take("overdraft_grains", int),
        close_from_grains=given.take("close_from_grains", int),
        warn_below_grains=given.take("warn_below_grains", int),
        is_cut=given.take("is_cut", bool),
    )
    given.end()
    return purse


def _pending(given: _Fields) -> PendingKeyChange:
    sections = tuple(_section(entry) for entry in given.take("sections", list))
    pending = PendingKeyChange(sections, given.take_moment("forgotten_at"))
    given.end()
    return pending


def _section(entry: object) -> KeySection:
    if not (isinstance(entry, list) and len(entry) == 2):
        raise StateFileError("The meter's file holds a section of a key change of wrong form.")
    subclass, content = _whole_numbers(entry)
    if not 0 <= content < 1 << _CONTENT_BITS:
        raise StateFileError("The meter's file holds a section of a key change of wrong size.")
    section: Content = parse_content(MANAGEMENT_CLASS, subclass, content)
    if not isinstance(section, KeySection):
        raise StateFileError("The meter's file holds a section of a key change that is none.")
    return section


def _lock(given: _Fields) -> EntryLock:
    lock = EntryLock(given.take("rejections", int), given.take_moment("locked_until"))
    given.end()
    return lock


def _whole_numbers(values: list[Any]) -> tuple[int, ...]:
    if any(type(value) is not int for value in values):
        raise StateFileError("The meter's file needs whole numbers in its lists.")
    return tuple(values)
