"""How each event is told: ``rules.toml``, and the utility's own before it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import structlog

from billing.notices.channels.port import CHANNELS
from billing.notices.faults import NoticeRulesError
from billing.notices.port import Event
from billing.notices.quiet import Span, parse_span

_log: Final = structlog.get_logger("notices")
FOLDER_VARIABLE: Final = "METERHOUSE_NOTICES"
STAFF_ALARMS: Final = "staff_alarms"
EVENTS: Final = (*(event.value for event in Event), STAFF_ALARMS)
RANKS: Final = (0, 1, 2)
_EVERY: Final = "*"
_NUMBERS: Final = ("rank", "keep_h", "confirm_days", "lead_h")
_FLAGS: Final = ("must", "for_bills", "callback")
_HOURS_MAX: Final = 24 * 366
_FIELD: Final = re.compile(r"([a-z_]+_(at|on))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """How one event is told; ``rules.toml`` says what each of these is."""

    event: str
    ways: str
    also: tuple[str, ...]
    must: bool
    for_bills: bool
    rank: int
    keep_h: int
    keep_field: str
    confirm_days: int
    callback: bool
    lead_h: int
    quiet: Mapping[str, Span]


def rule_of(event: str) -> Rule:
    """The rule of an event.

    Raises:
        NoticeRulesError: the utility's file cannot be used.
    """
    return _rules(os.environ.get(FOLDER_VARIABLE, ""))[event]


def rule_or_ours(event: str) -> Rule:
    """The rule of an event; ours, where the utility's file cannot be used.

    For those who ask for a notice: a payment is not refused for a slip in a file of rules.  The
    sweep, which sends, says what is wrong with it.
    """
    try:
        return rule_of(event)
    except NoticeRulesError as fault:
        _log.warning("notice_rules", code=fault.code)
        return _rules("")[event]


def all_rules() -> tuple[Rule, ...]:
    """The rules of all events.

    Raises:
        NoticeRulesError: the utility's file cannot be used.
    """
    return tuple(_rules(os.environ.get(FOLDER_VARIABLE, "")).values())


@cache
def _rules(folder: str) -> dict[str, Rule]:
    ours = tomllib.loads((resources.files(__package__) / "rules.toml").read_text("utf-8"))
    own = _own(folder)
    wrong = sorted(set(own) - {_EVERY, *EVENTS})
    if wrong:
        raise NoticeRulesError(f"rules.toml: there are no events named {', '.join(wrong)}.")
    return {
        event: _rule(
            event,
            {
                **ours[_EVERY],
                **own.get(_EVERY, {}),
                **ours.get(event, {}),
                **own.get(event, {}),
            },
        )
        for event in EVENTS
    }


def _own(folder: str) -> dict[str, dict[str, Any]]:
    path = Path(folder) / "rules.toml"
    if not folder or not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise NoticeRulesError(f"{path} cannot be read: {fault}.") from None
    if not all(isinstance(entry, dict) for entry in found.values()):
        raise NoticeRulesError(f"{path}: everything stands below an event, as [bill].")
    return found


def _rule(event: str, entry: dict[str, Any]) -> Rule:
    try:
        rule = Rule(
            event=event,
            **{
                **entry,
                "also": tuple(entry["also"]),
                "quiet": {name: parse_span(text) for name, text in entry["quiet"].items()},
            },
        )
    except (TypeError, AttributeError, ValueError) as fault:
        raise NoticeRulesError(f"The rule of {event} cannot be read: {fault}.") from None
    wrong = [name for name in _FLAGS if not isinstance(getattr(rule, name), bool)]
    for name in _NUMBERS:
        value = getattr(rule, name)
        if type(value) is not int or not 0 <= value <= _HOURS_MAX:
            wrong.append(name)
    if rule.rank not in RANKS:
        wrong.append("rank")
    if rule.ways not in ("preferred", "all"):
        wrong.append("ways")
    if not {*rule.also, *rule.quiet} <= set(CHANNELS):
        wrong.append("a channel")
    if not _FIELD.fullmatch(str(rule.keep_field)):
        wrong.append("keep_field")
    if rule.keep_h == 0:
        wrong.append("keep_h")
    if wrong:
        raise NoticeRulesError(f"The rule of {event} has wrong values: {', '.join(wrong)}.")
    return rule
