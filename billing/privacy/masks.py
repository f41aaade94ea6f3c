"""Personal fields as lists and logs show them: enough to tell two apart, too little to use.

Every word keeps its first letter; the number of asterisks says nothing about the number of
letters.
"""

from __future__ import annotations

from typing import Final

_STARS: Final = "**"
_DIGITS_SHOWN: Final = 2
_SHORT: Final = 6


def masked_name(name: str) -> str:
    """``Li Wei`` as ``L** W**``."""
    return " ".join(word[0] + _STARS for word in name.split())


def masked_number(number: str | None) -> str:
    """A phone number, or the number of a document: the last two digits alone."""
    if not number:
        return ""
    shown = number[-_DIGITS_SHOWN:] if len(number) >= _SHORT else ""
    return _STARS * 2 + shown


def masked_email(address: str | None) -> str:
    """``li@example.org`` as ``l**@e**``."""
    if not address:
        return ""
    local, _, domain = address.partition("@")
    return f"{local[:1]}{_STARS}@{domain[:1]}{_STARS}"


def masked_text(text: str | None) -> str:
    """An address, or whatever else: that there is one, and how it begins."""
    return text.strip()[0] + _STARS if text and text.strip() else ""
