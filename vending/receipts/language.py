"""The texts of receipts, one TOML file per language.

``languages/en.toml`` is the reference: every other file has the same keys, and in each text the
same ``{placeholders}``; a file that differs is refused with what is wrong in it.  A folder named
by ``METERHOUSE_LANGUAGES`` may hold more languages, or other wordings of these: its ``fr.toml``
goes before ours.
"""

from __future__ import annotations

import os
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from vending.receipts.faults import LanguageFileError, UnknownLanguageError
from vending.receipts.receipt import Reason
from vending.shop.money import scaled

FOLDER_VARIABLE: Final = "METERHOUSE_LANGUAGES"
LANGUAGE_VARIABLE: Final = "METERHOUSE_LANGUAGE"
REFERENCE: Final = "en"
_CODE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")
_PLACEHOLDER: Final = re.compile(r"[a-z_]+|[0-9]")
_DATE_FIELDS: Final = frozenset("YmdHMSZ%")
_DATES: Final = ("format.date", "format.short_date")
_MEASURES: Final = {"kWh": "electricity", "m3": "water", "min": "time"}
"""Units as reasons name them."""
_NUMBER: Final = re.compile(r"-?[0-9]+\.[0-9]+")


@dataclass(frozen=True, slots=True)
class Language:
    """What receipts say in one language."""

    code: str
    texts: Mapping[str, str]
    """By ``section.key``."""

    def say(self, key: str, **values: str) -> str:
        """A text with its values put in.

        Raises:
            KeyError: no such text; the check of the files excludes that for the layout's keys.
        """
        return self.texts[key].format(**values)

    def named(self, section: str, key: str, otherwise: str) -> str:
        """A thing's name, or ``otherwise`` for what this program has no word for."""
        return self.texts.get(f"{section}.{key}", otherwise)

    def sentence(self, reason: Reason | None, english: str) -> str:
        """A reason in this language; the English that is stored with it where there is none.

        English is always said as it was stored: so a receipt reads as when it was given out.
        """
        text = None if reason is None else self.texts.get(f"reason.{reason.code}")
        if reason is None or text is None or self.code == REFERENCE:
            return english
        values = [self._value(value) for value in reason.values]
        try:
            return text.format(*values)
        except IndexError:  # a newer program's reason, with other values
            return english

    def _value(self, text: str) -> str:
        if text in _MEASURES:
            return self.texts[f"unit.{_MEASURES[text]}"]
        return self.number(text)

    def number(self, text: str) -> str:
        """A decimal with this language's mark; anything else as it is."""
        if not _NUMBER.fullmatch(text):
            return text
        return text.replace(".", self.texts["format.decimal_mark"])

    def units(self, tenths: int, resource: str) -> str:
        """Tenths of a unit with the unit's sign."""
        unit = self.named("unit", resource, "")
        return f"{self.number(scaled(tenths, 1))} {unit}".rstrip()

    def amount(self, minor: int, minor_digits: int) -> str:
        """Money without its currency."""
        return self.number(scaled(minor, minor_digits))

    def money(self, minor: int, minor_digits: int, currency: str) -> str:
        """Money with its currency."""
        return self.say("format.money", currency=currency, amount=self.amount(minor, minor_digits))

    def moment(self, local: datetime, key: str = "date") -> str:
        """A local time."""
        return local.strftime(self.texts[f"format.{key}"])

    def place(self, number: int, count: int) -> str:
        """A token's place in the order of entry, 1 to ``count``."""
        if number == count:
            return self.texts["place.last"]
        return self.texts.get(f"place.{number}") or self.say("place.nth", number=str(number))


def find_language(code: str) -> Language:
    """The texts in a language.

    Raises:
        UnknownLanguageError: there is no such file.
        LanguageFileError: the file is broken.
    """
    return _load(code, os.environ.get(FOLDER_VARIABLE, ""))


def languages() -> tuple[str, ...]:
    """The codes of all languages, ours and the operator's."""
    return tuple(sorted(_files(os.environ.get(FOLDER_VARIABLE, ""))))


@cache
def _load(code: str, folder: str) -> Language:
    files = _files(folder)
    if code not in files:
        raise UnknownLanguageError(
            f"There are no receipts in {code!r}; choose one of {', '.join(sorted(files))}, or put "
            f"a file {code}.toml into the folder that {FOLDER_VARIABLE} names."
        )
    where, content = files[code]
    texts = dict(_flat(where, _parsed(where, content)))
    require_like_reference(where, texts)
    if texts["language.code"] != code:
        raise LanguageFileError(
            f"{where}: language.code is {texts['language.code']!r}, but the file's name says "
            f"{code!r}. Make them the same."
        )
    return Language(code, texts)


def require_like_reference(where: str, texts: Mapping[str, str]) -> None:
    """Refuse texts that could fail when a receipt is printed.

    Raises:
        LanguageFileError: says which texts are missing, needless or wrong.
    """
    reference = _reference()
    wrong = [f"{key} is missing" for key in reference if key not in texts]
    for key, text in texts.items():
        if key not in reference:
            wrong.append(f"{key} is not known")
            continue
        fields = _placeholders(where, key, text)
        if fields != _placeholders("en.toml", key, reference[key]):
            wrong.append(f"{key} has other placeholders than the English: {reference[key]!r}")
        if key in _DATES and not _is_date_format(text):
            wrong.append(f"{key} may hold %Y %m %d %H %M %S %Z only")
        if not text.strip() or not text.isprintable():
            wrong.append(f"{key} is empty, or has signs that cannot be printed")
    if wrong:
        raise LanguageFileError(f"{where}: {'; '.join(wrong)}.")


def _is_date_format(text: str) -> bool:
    return all(field in _DATE_FIELDS for field in re.findall(r"%(.?)", text))


def _placeholders(where: str, key: str, text: str) -> frozenset[str]:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as fault:
        raise LanguageFileError(f"{where}: {key} cannot be read: {fault}.") from None
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    for name, spec, conversion in fields:
        if not _PLACEHOLDER.fullmatch(name) or spec or conversion:
            raise LanguageFileError(
                f"{where}: {key} has a placeholder that is no plain name or digit: {{{name}}}."
            )
    return frozenset(name for name, _, _ in fields)


@cache
def _reference() -> Mapping[str, str]:
    text = (resources.files(__package__) / "languages" / "en.toml").read_text("utf-8")
    return dict(_flat("en.toml", tomllib.loads(text)))


def _files(folder: str) -> dict[str, tuple[str, str]]:
    """Code → where it is, its content."""
    found = {
        file.name.removesuffix(".toml"): (file.name, file.read_text("utf-8"))
        for file in (resources.files(__package__) / "languages").iterdir()
        if file.name.endswith(".toml")
    }
    if not folder:
        return found
    if not Path(folder).is_dir():
        raise LanguageFileError(f"{FOLDER_VARIABLE} names {folder!r}, which is no folder.")
    for path in sorted(Path(folder).glob("*.toml")):
        if not _CODE.fullmatch(path.stem):
            raise LanguageFileError(
                f"{path}: a file of texts is named by its language, like fr.toml or pt-BR.toml."
            )
        try:
            found[path.stem] = (str(path), path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as fault:
            raise LanguageFileError(f"{path} cannot be read: {fault}.") from fault
    return found


def _parsed(where: str, content: str) -> dict[str, object]:
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as fault:
        raise LanguageFileError(f"{where} is no TOML: {fault}.") from fault


def _flat(where: str, content: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for section, entries in content.items():
        if not isinstance(entries, dict):
            raise LanguageFileError(f"{where}: {section} stands outside of a section.")
        for key, text in entries.items():
            if not isinstance(text, str):
                raise LanguageFileError(f"{where}: {section}.{key} is no text.")
            yield f"{section}.{key}", text
