"""Faults of printing: nothing is lost by them, the receipt is stored and can be printed again."""

from __future__ import annotations

from typing import ClassVar

from vending.errors import FaultFamily
from vending.shop.faults import ShopError, ShopSystemError


class UnknownLanguageError(ShopError):
    """There are no texts in this language."""

    code: ClassVar[str] = "unknown_language"


class PaperWidthError(ShopError):
    """No receipt can be laid out on so few columns."""

    code: ClassVar[str] = "paper_width"


class PrinterSettingError(ShopError):
    """A printer's setting has the wrong form."""

    code: ClassVar[str] = "printer_setting"


class LanguageFileError(ShopSystemError):
    """A file of texts is broken, or something is missing in it."""

    code: ClassVar[str] = "language_file"


class FontMissingError(ShopSystemError):
    """No font on this machine has the letters that a PDF needs."""

    code: ClassVar[str] = "font_missing"


class PdfError(ShopSystemError):
    """A PDF could not be made."""

    code: ClassVar[str] = "pdf"


class PrinterUnavailableError(ShopSystemError):
    """The printer does not answer."""

    code: ClassVar[str] = "printer_unavailable"
    family: ClassVar[FaultFamily] = FaultFamily.SYSTEM
