"""ESC/POS: the commands that till printers take (Epson's, and what others copy of them).

======================  ===========================================================
bytes                   meaning
======================  ===========================================================
ESC @                   forget all settings
FS & · FS .             two-byte Chinese characters (GB 18030) on · off
ESC t n                 code page n for single bytes
ESC a n                 0 left, 1 centre
ESC E n                 emphasised on, off
GS ! n                  size: 0x01 double height, 0x11 double width and height
GS ( k                  QR code: model, size, correction, data, print
GS V 66 n               feed n dots to the knife and cut
ESC p m t1 t2           pulse to drawer m, on t1 × 2 ms, off t2 × 2 ms
======================  ===========================================================
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from typing import Final

from vending.receipts.columns import COLUMNS
from vending.receipts.faults import PrinterSettingError
from vending.receipts.text import require_columns

_ESC: Final = b"\x1b"
_FS: Final = b"\x1c"
_GS: Final = b"\x1d"
_GB: Final = "gb18030"
_UNKNOWN: Final = "?"
_CODE_PAGE_MAX: Final = 255
_BMP_MAX: Final = 0xFFFF
_QR_DOTS: Final = 6


@dataclass(frozen=True, slots=True)
class Printer:
    """What a printer can do; the defaults suit 80 mm printers of the Epson kind.

    Raises:
        PaperWidthError: not 24 to 200 columns.
        PrinterSettingError: a code page or encoding that cannot be.
    """

    columns: int = COLUMNS
    """48 on 80 mm paper, 32 on 58 mm."""
    code_page: int = 16
    """The number of ``ESC t``: 16 is Windows 1252, which has all letters of French and
    Portuguese; 2 is code page 850, 3 is 860."""
    encoding: str = "cp1252"
    """What that code page is to Python."""
    has_chinese: bool = True
    """Whether it has a GB 18030 font."""
    has_qr: bool = True
    has_cutter: bool = True

    def __post_init__(self) -> None:
        require_columns(self.columns)
        if not 0 <= self.code_page <= _CODE_PAGE_MAX:
            raise PrinterSettingError("A printer's code page is a number from 0 to 255.")
        try:
            single = len("é".encode(self.encoding, "replace")) == 1
            codecs.lookup(self.encoding)
        except (LookupError, ValueError):
            single = False
        if not single or "a".encode(self.encoding, "replace") != b"a":
            raise PrinterSettingError(
                f"{self.encoding!r} is no code page of single bytes; use one like cp1252 or cp850."
            )


class Size(IntEnum):
    """How large letters are."""

    NORMAL = 0x00
    TALL = 0x01
    DOUBLE = 0x11


class _Font(IntEnum):
    PAGE = 0
    CHINESE = 1


class PrintJob:
    """Commands being written one behind the other; `bytes(job)` is what the printer gets."""

    def __init__(self, printer: Printer) -> None:
        self._printer: Final = printer
        self._out: Final = bytearray()
        self._send(_ESC + b"@" + _FS + b"." + _ESC + b"t" + bytes([printer.code_page]))

    def __bytes__(self) -> bytes:
        return bytes(self._out)

    def line(self, text: str, *, size: Size = Size.NORMAL, is_bold: bool = False) -> None:
        """A line of text; what the printer has no letter for comes out plain, or as ``?``."""
        if is_bold:
            self._send(_ESC + b"E\x01")
        if size is not Size.NORMAL:
            self._send(_GS + b"!" + bytes([size]))
        self._text(text)
        if size is not Size.NORMAL:
            self._send(_GS + b"!\x00")
        if is_bold:
            self._send(_ESC + b"E\x00")
        self._send(b"\n")

    def centred(self, text: str, *, size: Size) -> None:
        """A line that the printer centres, for sizes that columns do not count."""
        self._send(_ESC + b"a\x01")
        self.line(text, size=size)
        self._send(_ESC + b"a\x00")

    def qr_code(self, text: str) -> None:
        """A QR code in the middle, correction level M; nothing on a printer without it."""
        if not self._printer.has_qr:
            return
        self._send(_ESC + b"a\x01")
        self._qr_function(b"A2\x00")
        self._qr_function(b"C" + bytes([_QR_DOTS]))
        self._qr_function(b"E1")
        self._qr_function(b"P0" + text.encode())
        self._qr_function(b"Q0")
        self._send(b"\n" + _ESC + b"a\x00")

    def cut(self) -> None:
        """Feed past the knife and cut; feed only on a printer without one."""
        self._send(_GS + b"VB\x03" if self._printer.has_cutter else b"\n" * 4)

    def open_drawer(self) -> None:
        """Kick the cash drawer on the first connector."""
        self._send(_ESC + b"p\x00\x19\xfa")

    def _send(self, content: bytes) -> None:
        self._out.extend(content)

    def _qr_function(self, parameters: bytes) -> None:
        content = b"1" + parameters
        self._send(_GS + b"(k" + len(content).to_bytes(2, "little") + content)

    def _text(self, text: str) -> None:
        runs = groupby(self._letters(text), key=lambda letter: letter[0])
        for font, letters in runs:
            content = b"".join(letter for _, letter in letters)
            self._send(_FS + b"&" + content + _FS + b"." if font is _Font.CHINESE else content)

    def _letters(self, text: str) -> Iterator[tuple[_Font, bytes]]:
        for letter in unicodedata.normalize("NFC", text):
            if letter.isprintable():
                yield from self._letter(letter)

    def _letter(self, letter: str) -> Iterator[tuple[_Font, bytes]]:
        """A letter's bytes, as many columns wide as `vending.receipts.columns` counts it."""
        if unicodedata.combining(letter):
            return
        is_wide = unicodedata.east_asian_width(letter) in "WF"
        if is_wide and self._printer.has_chinese and ord(letter) <= _BMP_MAX:
            yield _Font.CHINESE, letter.encode(_GB)
            return
        try:
            yield _Font.PAGE, letter.encode(self._printer.encoding)
        except UnicodeEncodeError:
            yield _Font.PAGE, self._plain(letter) * (2 if is_wide else 1)

    def _plain(self, letter: str) -> bytes:
        """The letter without its accent, where that is one: ``ő`` prints as ``o``."""
        base = unicodedata.normalize("NFKD", letter)[0]
        return base.encode("ascii", "replace") if base.isprintable() else _UNKNOWN.encode()
