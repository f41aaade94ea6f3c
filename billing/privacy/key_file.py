"""Where the key for personal fields comes from: a file that is not in the database.

One key a line, 64 hexadecimal digits, the newest first.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from billing.privacy.faults import SealKeyError
from billing.privacy.seal import KEY_BYTES, Seal

VARIABLE: Final = "METERHOUSE_PERSONAL_KEY_FILE"
_BYTES_MAX: Final = 10_000
_RETIRED_MAX: Final = 100


def open_seal(path: Path) -> Seal:
    """The seal with the keys of a file.

    Raises:
        SealKeyError: the file cannot be read, others can read it, or it holds no keys.
    """
    return Seal(*_keys(path))


def _keys(path: Path) -> list[bytes]:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SealKeyError(f"Others can read the key file {path}: chmod 600 it.")
        with path.open(encoding="ascii") as file:
            lines = file.read(_BYTES_MAX).split()
        return [bytes.fromhex(line) for line in lines]
    except OSError:
        raise SealKeyError(
            f"The key file for personal fields, {path}, cannot be read. Bring it back from its "
            f"backup, or name it with {VARIABLE}."
        ) from None
    except ValueError:
        raise SealKeyError(
            f"The key file {path} holds something else than keys of 64 hexadecimal digits."
        ) from None


def make_key_file(path: Path) -> None:
    """Make a file with a new key, readable by its owner alone.

    Raises:
        SealKeyError: there is a file already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise SealKeyError(f"The key file {path} cannot be made: {fault.strerror}.") from None
    _write(descriptor, [os.urandom(KEY_BYTES)])


def add_new_key(path: Path) -> int:
    """Put a new key before those of a file; gives how many there are now.

    The file is replaced as a whole: it holds the old keys, or all of them, at any moment.

    Raises:
        SealKeyError: the file cannot be read or written.
    """
    keys = [os.urandom(KEY_BYTES), *_keys(path)]
    Seal(*keys)
    _replace(path, keys)
    return len(keys)


def retire_old_keys(path: Path) -> Path:
    """Keep the newest key alone; gives the file into which the others went.

    Make sure before that nothing is sealed under them any more.

    Raises:
        SealKeyError: there are no others, or a file cannot be read or written.
    """
    newest, *others = _keys(path)
    if not others:
        raise SealKeyError(f"The key file {path} holds one key alone: there is no old one.")
    for number in range(1, _RETIRED_MAX):
        aside = path.with_name(f"{path.name}.retired-{number}")
        if not aside.exists():
            break
    else:
        raise SealKeyError(f"There are too many files {path}.retired-*: destroy those.")
    _replace(aside, others)
    _replace(path, [newest])
    return aside


def _replace(path: Path, keys: list[bytes]) -> None:
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _write(descriptor, keys)
        beside.replace(path)
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as fault:
        raise SealKeyError(f"The key file {path} cannot be written: {fault.strerror}.") from None


def _write(descriptor: int, keys: list[bytes]) -> None:
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("".join(key.hex() + "\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
