"""The file of a backup: a ZIP with the data and the manifest.

It is written beside its place and put there when it is whole and on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from storage.backup.faults import BackupBrokenError, BackupFileError

FORM: Final = "meterhouse backup 1"
MANIFEST: Final = "manifest.json"
PIECE_BYTES: Final = 1 << 20
_MANIFEST_BYTES_MAX: Final = 10_000_000
_PACKING_LEVEL: Final = 1
_UNPACKING: Final = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError)
"""How a file that is damaged fails."""
Progress = Callable[[int, int | None], None]
"""Is told how much is done, of how much."""
Counting = Callable[[str], AbstractContextManager[Progress]]
"""Shows one piece of work and its progress."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; all of it is of one moment."""

    kind: str
    """``sqlite`` or ``postgresql``."""
    schema: str
    """Version of the tables."""
    program: str
    made_at: str
    """ISO 8601, UTC."""
    rows: Mapping[str, int]
    """By table."""
    sums: Mapping[str, int]
    """Of amounts and energies, by ``table.column``."""
    audit_head: str
    """``number:hash`` of the last line of the trail."""
    member: str = ""
    """Of the data, in the ZIP file."""
    data_bytes: int = 0
    data_sha256: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether all of it is of its kind: a file says whatever somebody has written."""
        texts = (self.kind, self.schema, self.program, self.made_at, self.audit_head, self.member)
        return (
            all(type(each) is str for each in (*texts, self.data_sha256))
            and type(self.data_bytes) is int
            and all(
                type(counted) is dict and all(type(each) is int for each in counted.values())
                for counted in (self.rows, self.sums)
            )
        )

    def to_json(self) -> bytes:
        """As the file holds it."""
        document = {"form": FORM, **asdict(self)}
        return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read it.

        Raises:
            BackupFileError: it is none of ours.
        """
        unread = BackupFileError("This is no backup that this program can read.")
        try:
            document: dict[str, Any] = json.loads(text)
            form = document.pop("form")
            manifest = cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise unread from None
        if form != FORM or not manifest.is_sound:
            raise unread
        return manifest


@contextmanager
def writing_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A new file; it is in its place when the block has ended well, and gone otherwise.

    Raises:
        BackupFileError: there is a file already, or it cannot be written.
    """
    if path.exists():
        raise BackupFileError(f"There is a file {path} already: choose another name.")
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)
        # what lies there may be another's, readable by all, or lead elsewhere
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise BackupFileError(f"There is a file {path} already: choose another name.") from None
    except OSError as fault:
        raise BackupFileError(f"{path} cannot be written: {fault.strerror or fault}.") from None
    finally:
        partial.unlink(missing_ok=True)


def add_data(
    archive: zipfile.ZipFile,
    name: str,
    data: IO[bytes],
    *,
    packed: bool,
    progress: Progress,
    total: int | None,
) -> tuple[int, str]:
    """Put the data into the file; gives its size and its SHA-256.

    Args:
        archive: being written.
        name: of the member.
        data: to be read to its end.
        packed: whether it is packed already.
        progress: is told the bytes.
        total: how many there are about.
    """
    archive.compression = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    archive.compresslevel = None if packed else _PACKING_LEVEL
    digest, done = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as out:
        while piece := data.read(PIECE_BYTES):
            out.write(piece)
            digest.update(piece)
            done += len(piece)
            progress(done, max(done, total) if total else None)
    return done, digest.hexdigest()


@contextmanager
def reading_archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """A backup's file and its manifest.

    Raises:
        BackupFileError: there is none, or it is no backup.
    """
    with ExitStack() as opened:
        try:
            archive = opened.enter_context(zipfile.ZipFile(path))
            info = archive.getinfo(MANIFEST)
            if info.file_size > _MANIFEST_BYTES_MAX:
                raise BackupFileError(f"{path} is no backup: its manifest is too large.")
            manifest = Manifest.from_json(archive.read(MANIFEST))
            archive.getinfo(manifest.member)
        except OSError as fault:
            raise BackupFileError(f"{path} cannot be read: {fault.strerror or fault}.") from None
        except (*_UNPACKING, KeyError):
            raise BackupFileError(
                f"{path} is no backup, or a part of one: take another copy of it."
            ) from None
        yield archive, manifest


def pieces_of(archive: zipfile.ZipFile, manifest: Manifest, progress: Progress) -> Iterator[bytes]:
    """The data, piece by piece.

    Raises:
        BackupBrokenError: it is not what was written.
        BackupFileError: it cannot be read any more.
    """
    digest, done = hashlib.sha256(), 0
    try:
        with archive.open(manifest.member) as data:
            while piece := data.read(PIECE_BYTES):
                digest.update(piece)
                done += len(piece)
                if done > manifest.data_bytes:
                    break
                progress(done, manifest.data_bytes)
                yield piece
    except OSError as fault:
        raise BackupFileError(
            f"The backup cannot be read: {fault.strerror or fault}. Take another copy."
        ) from None
    except _UNPACKING as fault:
        raise BackupBrokenError(f"The backup is damaged: {fault}. Take another copy.") from None
    if (done, digest.hexdigest()) != (manifest.data_bytes, manifest.data_sha256):
        raise BackupBrokenError("The backup is damaged: its SHA-256 is another. Take another copy.")
