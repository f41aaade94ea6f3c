"""Messages as files in a folder: for tests, and for utilities that send them by other means.

A file is written beside its place and moved there: it is whole, or it is not there.  The same
message always has the same name, so that a repetition changes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from billing.notices.channels.port import Fate, Outcome, Parcel, Sender
from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError

_PLAIN: Final = re.compile(r"[^A-Za-z0-9.@_-]")


@dataclass(frozen=True, slots=True)
class FolderChannel:
    """A folder into which messages are written.

    Raises:
        NoticeChannelSettingsError: no folder is named.
    """

    folder: str
    send_s_max: int = 60

    def __post_init__(self) -> None:
        if not self.folder:
            raise NoticeChannelSettingsError("Name the folder: folder=/var/spool/notices.")

    @contextmanager
    def open(self) -> Iterator[Sender]:
        """The folder, which must be there."""
        self.check()
        yield self

    def check(self) -> str:
        """Whether files can be made in the folder."""
        if not os.access(self.folder, os.W_OK | os.X_OK) or not Path(self.folder).is_dir():
            raise NoticeChannelDownError(
                f"The folder {self.folder} is not there, or not ours to write."
            )
        return f"Messages are written into {self.folder}."

    def send(self, parcel: Parcel) -> Outcome:
        """Write one."""
        name = _PLAIN.sub("_", parcel.reference)
        text = f"To: {parcel.address}\nSubject: {parcel.subject}\n\n{parcel.text}"
        files = [(f"{name}.txt", text.encode())]
        files += [
            (f"{name}.{_PLAIN.sub('_', each.name)}", each.content) for each in parcel.attachments
        ]
        try:
            for file, content in reversed(files):
                _write(Path(self.folder), file, content)
        except OSError as fault:
            return Outcome(Fate.AGAIN, f"The file could not be written: {fault.strerror}.")
        return Outcome(Fate.SENT, "It is in the folder.")


def _write(folder: Path, name: str, content: bytes) -> None:
    beside = folder / f".{name}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / name)
