"""A notice in words: sentences whose values are known, in the reader's language.

Pure: values and texts in, texts out.  Amounts, days and moments are written as the language does;
moments in the utility's zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from billing.notices.parts import fold
from billing.notices.wording import Wording, placeholders
from vending.shop.money import Currency, scaled


@dataclass(frozen=True, slots=True)
class Told:
    """A notice in words, each way."""

    subject: str
    letter: str
    """For e-mails: greeting, what has happened, what to do, whose account."""
    chat: str
    """For WeChat."""
    sms: str
    """For short messages; in the GSM alphabet where that can be."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all notices of an office share."""

    utility: str
    zone: tzinfo
    currency: Currency


def render(
    wording: Wording,
    setting: Setting,
    event: str,
    about: Mapping[str, str | int],
    *,
    account: str = "",
    name: str = "",
) -> Told:
    """A notice in words.

    Args:
        wording: the language.
        setting: the office's.
        event: what it tells of.
        about: as `billing.notices.port.Notice.about`.
        account: the account's number; empty: of no account.
        name: the reader's; empty: no greeting.
    """
    text = wording.texts[event]
    common = {"utility": setting.utility, **({"account": account} if account else {})}
    long = {**common, **_values(wording, setting, about, short=False)}
    short = {**common, **_values(wording, setting, about, short=True)}
    join = wording.frame["join"]
    subject = text.subject.format(**long)
    says, do = _said(text.says, long), _said(text.do, long)
    paragraphs = [
        wording.frame["hello"].format(name=name) if name else "",
        join.join(says),
        join.join(do),
        wording.frame["account"].format(account=account) if account else "",
        setting.utility,
    ]
    head = f"{setting.utility}: " if setting.utility else ""
    sms = head + join.join(_said(text.sms, short))
    return Told(
        subject=subject,
        letter="\n\n".join(each for each in paragraphs if each) + "\n",
        chat="\n".join(each for each in (subject, join.join(says), join.join(do)) if each),
        sms=fold(sms) or sms,
    )


def money(wording: Wording, currency: Currency, minor: int) -> str:
    """An amount as the language writes it."""
    whole, _, part = scaled(abs(minor), currency.minor_digits).partition(".")
    amount = ("-" if minor < 0 else "") + _grouped(whole, wording.marks["grouping"])
    if part:
        amount += wording.marks["decimal_mark"] + part
    return wording.marks["money"].format(amount=amount, currency=currency.code)


def _said(sentences: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Those of which everything is known."""
    return [
        each.format(**values) for each in sentences if placeholders("a text", each) <= set(values)
    ]


def _values(
    wording: Wording, setting: Setting, about: Mapping[str, str | int], *, short: bool
) -> dict[str, str]:
    return {
        name: _value(wording, setting, name, value, short=short) for name, value in about.items()
    }


def _value(wording: Wording, setting: Setting, name: str, value: str | int, *, short: bool) -> str:
    length = "short_" if short else ""
    if name.endswith("_minor"):
        return money(wording, setting.currency, int(value))
    if name.endswith("_wh"):
        return wording.marks["energy"].format(number=_kwh(wording, int(value)))
    if name.endswith("_at"):
        local = datetime.fromisoformat(str(value)).astimezone(setting.zone)
        return _dated(wording, local, wording.marks[f"{length}moment"])
    if name.endswith("_on"):
        return _dated(wording, date.fromisoformat(str(value)), wording.marks[f"{length}date"])
    if name == "reason":
        return wording.reasons.get(str(value), str(value))
    return str(value)


def _kwh(wording: Wording, wh: int) -> str:
    tenths, sign = (abs(wh) + 50) // 100, "-" if wh < 0 else ""
    whole, tenth = divmod(tenths, 10)
    number = sign + _grouped(str(whole), wording.marks["grouping"])
    return f"{number}{wording.marks['decimal_mark']}{tenth}" if tenth else number


def _dated(wording: Wording, day: date, form: str) -> str:
    months = wording.marks["months"].split()
    if months:
        form = form.replace("%B", months[day.month - 1])
    return day.strftime(form)


def _grouped(digits: str, mark: str) -> str:
    return f"{int(digits):,}".replace(",", mark)
