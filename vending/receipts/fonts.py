"""Which fonts a PDF needs, beyond those inside the typesetter.

Letters of European scripts come from the fonts that the typesetter carries, so that a PDF of
them is the same bytes on every machine.  All others (Chinese above all) come from the machine's
fonts, or from the folder that ``METERHOUSE_FONTS`` names: a font is chosen by the letters that
it really has, read from its ``cmap`` table (ISO/IEC 14496-22, formats 4 and 12).
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vending.receipts.faults import FontMissingError

if TYPE_CHECKING:
    import typst

FONTS_VARIABLE: Final = "METERHOUSE_FONTS"
_CARRIED: Final = (
    (0x0000, 0x036F),  # Latin, its accents
    (0x0370, 0x052F),  # Greek, Cyrillic
    (0x1E00, 0x1EFF),  # more Latin
    (0x2010, 0x205E),  # dashes, quotes
    (0x20AC, 0x20AC),  # euro
    (0x2116, 0x2122),
    (0x2190, 0x2199),  # arrows
    (0x2212, 0x2212),
    (0x2260, 0x2265),
)
"""What Libertinus Serif and DejaVu Sans Mono inside typst hold."""
_PREFERRED: Final = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
)
_SFNT_COLLECTION: Final = b"ttcf"
_Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class FontChoice:
    """Fonts for one document."""

    fonts: typst.Fonts
    families: tuple[str, ...]
    """To be named behind the typesetter's own."""


def fonts_for(text: str) -> FontChoice:
    """Fonts that hold every letter of a text.

    Raises:
        FontMissingError: no font here has some of them; says what to install.
    """
    wanted = {ord(letter) for letter in text if not _is_in(_CARRIED, ord(letter))}
    wanted = {code for code in wanted if chr(code).isprintable()}
    folder = os.environ.get(FONTS_VARIABLE, "")
    if not wanted:
        return FontChoice(_carried_fonts(), ())
    families = []
    for family, ranges in _found(folder):
        held = {code for code in wanted if _is_in(ranges, code)}
        if held:
            families.append(family)
            wanted -= held
        if not wanted:
            return FontChoice(_machine_fonts(folder), tuple(families))
    missing = "".join(chr(code) for code in sorted(wanted)[:10])
    raise FontMissingError(
        f"No font on this machine has the letters {missing!r}. For Chinese install one (Debian: "
        "apt install fonts-noto-cjk, or the smaller fonts-wqy-microhei), or put a font file that "
        f"has them into a folder and name the folder in {FONTS_VARIABLE}. The receipt is stored: "
        "print it again then, or as text."
    )


def _is_in(ranges: _Ranges, code: int) -> bool:
    index = bisect_right(ranges, (code, 0x110000)) - 1
    return index >= 0 and ranges[index][0] <= code <= ranges[index][1]


@cache
def _carried_fonts() -> typst.Fonts:
    import typst

    return typst.Fonts(include_system_fonts=False)


@cache
def _machine_fonts(folder: str) -> typst.Fonts:
    import typst

    if not folder:
        return typst.Fonts()
    if not Path(folder).is_dir():
        raise FontMissingError(
            f"{FONTS_VARIABLE} names {folder!r}, which is no folder. Put font files (.ttf, .otf, "
            ".ttc) into a folder and name that."
        )
    return typst.Fonts(font_paths=[folder])


@cache
def _found(folder: str) -> tuple[tuple[str, _Ranges], ...]:
    """Families with what they hold: the folder's first, then the well-known, then the rest."""
    regular = {
        (font.family, font.path, font.index): None
        for font in _machine_fonts(folder).fonts()
        if font.path is not None and font.style == "normal"
    }
    own = str(Path(folder).resolve()) if folder else None

    def rank(family: str, path: str) -> tuple[bool, int, str]:
        place = _PREFERRED.index(family) if family in _PREFERRED else len(_PREFERRED)
        is_own = own is not None and str(Path(path).resolve()).startswith(own)
        return (not is_own, place, family)

    ordered = sorted(regular, key=lambda font: (rank(font[0], font[1]), font[1], font[2]))
    covers: dict[str, _Ranges] = {}
    for family, path, index in ordered:
        if family not in covers:
            covers[family] = _letters_of(path, index)
    return tuple(covers.items())


@cache
def _letters_of(path: str, index: int) -> _Ranges:
    """The code points of a font file, as sorted ranges; none when it cannot be read."""
    try:
        found = sorted(_read_cmap(Path(path).read_bytes(), index))
    except (OSError, struct.error):
        return ()
    merged: list[tuple[int, int]] = []
    for first, last in found:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _read_cmap(content: bytes, index: int) -> Iterator[tuple[int, int]]:
    start = 0
    if content[:4] == _SFNT_COLLECTION:
        (start,) = struct.unpack_from(">I", content, 12 + 4 * index)
    (table_count,) = struct.unpack_from(">H", content, start + 4)
    for number in range(table_count):
        tag, _, offset, _ = struct.unpack_from(">4sIII", content, start + 12 + 16 * number)
        if tag == b"cmap":
            yield from _read_subtables(content, offset)


def _read_subtables(content: bytes, cmap: int) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">H", content, cmap + 2)
    offsets = {struct.unpack_from(">HHI", content, cmap + 4 + 8 * n)[2] for n in range(count)}
    for offset in sorted(offsets):
        (form,) = struct.unpack_from(">H", content, cmap + offset)
        if form == 4:
            yield from _read_format_4(content, cmap + offset)
        elif form == 12:
            yield from _read_format_12(content, cmap + offset)


def _read_format_4(content: bytes, at: int) -> Iterator[tuple[int, int]]:
    (doubled,) = struct.unpack_from(">H", content, at + 6)
    ends = struct.unpack_from(f">{doubled // 2}H", content, at + 14)
    starts = struct.unpack_from(f">{doubled // 2}H", content, at + 16 + doubled)
    for first, last in zip(starts, ends, strict=True):
        if first != 0xFFFF:
            yield first, last


def _read_format_12(content: bytes, at: int) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">I", content, at + 12)
    for number in range(count):
        first, last, _ = struct.unpack_from(">III", content, at + 16 + 12 * number)
        yield first, last
