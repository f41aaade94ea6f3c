"""The texts of bills, one TOML file per language.

``languages/en.toml`` is the reference: every other file has the same keys, and in each text the
same ``{placeholders}``.  A folder ``bills`` in the folder that ``METERHOUSE_LANGUAGES`` names may
hold more languages, or other wordings of these (how to pay, above all): its ``fr.toml`` goes before
ours.
"""

from __future__ import annotations

import os
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from billing.bills.faults import BillTextsError
from vending.receipts.language import FOLDER_VARIABLE
from vending.shop.money import Currency

REFERENCE: Final = "en"
_FOLDER: Final = "bills"
HARD_SPACE: Final = "\u00a0"
_GROUP: Final = 3


@dataclass(frozen=True, slots=True)
class Wording:
    """What bills say in one language."""

    code: str
    texts: Mapping[str, str]
    """By ``section.key``."""

    def say(self, key: str, **values: str) -> str:
        """A text with its values put in.

        Raises:
            KeyError: no such text; the check of the files excludes that for our keys.
        """
        return self.texts[key].format(**values)

    def named(self, key: str, otherwise: str, **values: str) -> str:
        """A text, or what is said where there is none."""
        text = self.texts.get(key)
        return otherwise if text is None else text.format(**values)

    def day(self, day: date) -> str:
        """A day."""
        return day.strftime(self.texts["format.day"])

    def local_day(self, moment: datetime, zone: tzinfo) -> str:
        """The day of a moment."""
        return self.day(moment.astimezone(zone).date())

    def month(self, month: str) -> str:
        """A month, given as ``2026-11``."""
        return date.fromisoformat(f"{month}-01").strftime(self.texts["format.month"])

    def number(self, value: Decimal) -> str:
        """A decimal, its digits grouped, on one line."""
        sign = "−" if value < 0 else ""
        whole, _, part = format(abs(value), "f").partition(".")
        groups = [whole[max(0, end - _GROUP) : end] for end in range(len(whole), 0, -_GROUP)]
        text = self.texts["format.thousands"].join(reversed(groups))
        if part:
            text += self.texts["format.decimal_mark"] + part
        return (sign + text).replace(" ", HARD_SPACE)

    def amount(self, minor: int, currency: Currency) -> str:
        """Money without its currency."""
        return self.number(Decimal(minor).scaleb(-currency.minor_digits))

    def money(self, minor: int, currency: Currency) -> str:
        """Money with its currency."""
        text = self.say("format.money", amount=self.amount(minor, currency), currency=currency.code)
        return text.replace(" ", HARD_SPACE)

    def kwh(self, energy_wh: int) -> str:
        """Energy in kWh, three decimals."""
        return self.number(Decimal(energy_wh).scaleb(-3))


def find_wording(code: str, *others: str) -> Wording:
    """The texts in a language, or in the first of others that there is one for, or in English.

    A bill is not held back because its customer chose a language that has no texts.

    Raises:
        BillTextsError: a file is broken.
    """
    folder = os.environ.get(FOLDER_VARIABLE, "")
    files = _files(folder)
    for each in (code, *others):
        if each in files:
            return _load(each, folder)
    return _load(REFERENCE, folder)


def languages() -> tuple[str, ...]:
    """The codes of all languages, ours and the operator's."""
    return tuple(sorted(_files(os.environ.get(FOLDER_VARIABLE, ""))))


@cache
def _load(code: str, folder: str) -> Wording:
    where, content = _files(folder)[code]
    texts = _flat(where, content)
    reference = _flat("en.toml", _files("")[REFERENCE][1])
    wrong = [f"{key} is missing" for key in reference if key not in texts]
    for key, text in texts.items():
        if key not in reference:
            wrong.append(f"{key} is not known")
        elif _placeholders(where, text) != _placeholders("en.toml", reference[key]):
            wrong.append(f"{key} has other placeholders than the English: {reference[key]!r}")
    if texts.get("language.code") != code:
        wrong.append(f"language.code is not {code!r}, as the file's name says")
    if wrong:
        raise BillTextsError(f"{where}: {'; '.join(wrong)}.")
    return Wording(code, texts)


def _files(folder: str) -> dict[str, tuple[str, str]]:
    """Code → where it is, its content."""
    found = {
        file.name.removesuffix(".toml"): (file.name, file.read_text("utf-8"))
        for file in (resources.files(__package__) / "languages").iterdir()
        if file.name.endswith(".toml")
    }
    own = Path(folder) / _FOLDER
    if folder and own.is_dir():
        for path in sorted(own.glob("*.toml")):
            try:
                found[path.stem] = (str(path), path.read_text("utf-8"))
            except (OSError, UnicodeDecodeError) as fault:
                raise BillTextsError(f"{path} cannot be read: {fault}.") from fault
    return found


def _flat(where: str, content: str) -> dict[str, str]:
    try:
        sections = tomllib.loads(content)
    except tomllib.TOMLDecodeError as fault:
        raise BillTextsError(f"{where} is no TOML: {fault}.") from fault
    texts = {}
    for section, entries in sections.items():
        if not isinstance(entries, dict):
            raise BillTextsError(f"{where}: {section} stands outside of a section.")
        for key, text in entries.items():
            if not isinstance(text, str) or not text:
                raise BillTextsError(f"{where}: {section}.{key} is no text.")
            texts[f"{section}.{key}"] = text
    return texts


def _placeholders(where: str, text: str) -> frozenset[str]:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as fault:
        raise BillTextsError(f"{where}: a text cannot be read: {fault}.") from None
    for _, name, spec, conversion in parts:
        if name is not None and (not name.isidentifier() or spec or conversion):
            raise BillTextsError(f"{where}: {{{name}}} is no plain placeholder.")
    return frozenset(name for _, name, _, _ in parts if name is not None)
