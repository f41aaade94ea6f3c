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


def open_seal(path: Path) -> Seal:
    """The seal with the keys of a file.

    Raises:
        SealKeyError: the file cannot be read, others can read it, or it holds no keys.
    """
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SealKeyError(f"Others can read the key file {path}: chmod 600 it.")
        with path.open(encoding="ascii") as file:
            lines = file.read(_BYTES_MAX).split()
        keys = [bytes.fromhex(line) for line in lines]
    except OSError:
        raise SealKeyError(
            f"The key file for personal fields, {path}, cannot be read. Bring it back from its "
            f"backup, or name it with {VARIABLE}."
        ) from None
    except ValueError:
        raise SealKeyError(
            f"The key file {path} holds something else than keys of 64 hexadecimal digits."
        ) from None
    return Seal(*keys)


def make_key_file(path: Path) -> None:
    """Make a file with a new key, readable by its owner alone.

    Raises:
        SealKeyError: there is a file already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise SealKeyError(f"The key file {path} cannot be made: {fault.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
