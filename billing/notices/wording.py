"""The texts of notices: one TOML file per language, the utility's own before ours.

A folder named by ``METERHOUSE_NOTICES`` may hold more languages, and other words for single events
of ours: each section of its ``fr.toml`` goes before ours.  A file whose texts could fail when a
message is made is refused, with what is wrong in it.
"""

from __future__ import annotations

import os
import re
import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from billing.notices.faults import NoticeRulesError
from billing.notices.port import FIELDS, Event, Fields
from billing.notices.rules import EVENTS, FOLDER_VARIABLE, STAFF_ALARMS

REFERENCE: Final = "en"
COMMON: Final = frozenset({"account", "utility"})
_STAFF: Final = Fields(frozenset("count role worst list first".split()), frozenset())
_CODE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")
_MARKS: Final = "decimal_mark grouping date months moment short_date short_moment money energy"
_FRAME: Final = "hello account join"
_SETTINGS: Final = ("language", "format", "frame", "reason")
_DATE_FIELDS: Final = frozenset("YmdHMB%")


@dataclass(frozen=True, slots=True)
class Text:
    """What an event says; ``en.toml`` says what each part is."""

    subject: str
    says: Sequence[str]
    do: Sequence[str]
    sms: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wording:
    """What notices say in one language."""

    code: str
    marks: Mapping[str, str]
    frame: Mapping[str, str]
    reasons: Mapping[str, str]
    texts: Mapping[str, Text]


def fields_of(event: str) -> Fields:
    """What the texts of an event may name."""
    return _STAFF if event == STAFF_ALARMS else FIELDS[Event(event)]


def find_wording(code: str, *others: str) -> Wording:
    """The texts in a language, or in the first other one that there is; English at last.

    Raises:
        NoticeRulesError: a file is broken.
    """
    folder = os.environ.get(FOLDER_VARIABLE, "")
    there = _codes(folder)
    for wanted in (code, *others, REFERENCE):
        for each in (wanted, wanted.partition("-")[0]):
            if each in there:
                return _wording(each, folder)
    raise AssertionError("English is always there")


def codes() -> tuple[str, ...]:
    """The codes of all languages, ours and the utility's."""
    return _codes(os.environ.get(FOLDER_VARIABLE, ""))


def placeholders(where: str, text: str) -> frozenset[str]:
    """The names that a text has.

    Raises:
        NoticeRulesError: it cannot be read.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as fault:
        raise NoticeRulesError(f"{where} cannot be read: {fault}.") from None
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    for name, spec, conversion in fields:
        if not re.fullmatch(r"[a-z_]+", name) or spec or conversion:
            raise NoticeRulesError(f"{where} has a placeholder that is no plain name: {{{name}}}.")
    return frozenset(name for name, _, _ in fields)


@cache
def _codes(folder: str) -> tuple[str, ...]:
    ours = [
        file.name.removesuffix(".toml")
        for file in (resources.files(__package__) / "languages").iterdir()
        if file.name.endswith(".toml")
    ]
    if not folder:
        return tuple(sorted(ours))
    if not Path(folder).is_dir():
        raise NoticeRulesError(f"{FOLDER_VARIABLE} names {folder!r}, which is no folder.")
    own = [path.stem for path in Path(folder).glob("*.toml") if path.stem != "rules"]
    wrong = [code for code in own if not _CODE.fullmatch(code)]
    if wrong:
        raise NoticeRulesError(
            f"A file of texts is named by its language, like fr.toml; not {wrong[0]}.toml."
        )
    return tuple(sorted({*ours, *own}))


@cache
def _wording(code: str, folder: str) -> Wording:
    content = dict(_ours(code))
    own = Path(folder) / f"{code}.toml"
    where = f"{code}.toml"
    if folder and own.exists():
        where = str(own)
        for section, entries in _read(own).items():
            before = content.get(section, {})
            content[section] = {**before, **entries} if section in _SETTINGS else entries
    wrong = list(_wrong(where, code, content))
    if wrong:
        raise NoticeRulesError(f"{where}: {'; '.join(wrong)}.")
    texts = {
        event: Text(*(content[event][part] for part in ("subject", "says", "do", "sms")))
        for event in EVENTS
    }
    return Wording(code, content["format"], content["frame"], content["reason"], texts)


def _ours(code: str) -> dict[str, dict[str, Any]]:
    file = resources.files(__package__) / "languages" / f"{code}.toml"
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise NoticeRulesError(f"{path} cannot be read: {fault}.") from None
    if not all(isinstance(entries, dict) for entries in content.values()):
        raise NoticeRulesError(f"{path}: everything stands in a section, as [bill].")
    return content


def _wrong(where: str, code: str, content: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for section in {*content} - {*EVENTS, *_SETTINGS}:
        yield f"[{section}] is not known"
    if content.get("language", {}).get("code") != code:
        yield f"language.code is not {code!r}, as the file's name says"
    for section, keys in (("format", _MARKS), ("frame", _FRAME)):
        for key in keys.split():
            if not isinstance(content.get(section, {}).get(key), str):
                yield f"{section}.{key} is missing"
    for key in ("date", "moment", "short_date", "short_moment"):
        text = content.get("format", {}).get(key, "")
        if not set(re.findall(r"%(.?)", str(text))) <= _DATE_FIELDS:
            yield f"format.{key} may hold %Y %m %B %d %H %M only"
    if not all(isinstance(text, str) for text in content.get("reason", {}).values()):
        yield "[reason] holds texts only"
    for event in EVENTS:
        entry = content.get(event)
        yield from (
            [f"[{event}] is missing"] if entry is None else _wrong_text(where, event, entry)
        )


def _wrong_text(where: str, event: str, entry: Mapping[str, Any]) -> Iterator[str]:
    fields = fields_of(event)
    if set(entry) != {"subject", "says", "do", "sms"} or not isinstance(entry["subject"], str):
        yield f"[{event}] has to have subject, says, do and sms"
        return
    for part in ("subject", "says", "do", "sms"):
        sentences = [entry[part]] if part == "subject" else entry[part]
        if not isinstance(sentences, list) or not all(isinstance(each, str) for each in sentences):
            yield f"{event}.{part} is no list of texts"
            continue
        named = [placeholders(f"{where}: {event}.{part}", each) for each in sentences]
        unknown = frozenset().union(*named) - fields.needed - fields.known - COMMON
        if unknown:
            yield f"{event}.{part} names what no notice says: {', '.join(sorted(unknown))}"
        if not any(names <= fields.needed | COMMON for names in named):
            yield f"{event}.{part} would be empty where only {sorted(fields.needed)} is known"
