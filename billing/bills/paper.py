"""What stands on the paper of a bill, in a language: the data of its template.  Pure.

Amounts are turned round here: what is charged is a plain number, what is for the customer has a
minus.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from billing.bills.bill import USE_MONTHS, Addressee, Bill, BilledSupply, BillLine, Document
from billing.bills.kinds import Group
from billing.bills.wording import HARD_SPACE, REFERENCE, Wording
from vending.receipts.pdf import qr_code
from vending.shop.money import Currency

_PLOT_MM: Final = 26.0
_BLOCK: Final = re.compile(r"block([0-9]+)")
_RATE: Final = re.compile(r"t([0-9])")
_WORDS_COUNT: Final = ("adjustment", "other", "write_off", "taken_back", "settled_anew", "fee")
"""Lines whose words a person wrote: they are said in every language."""
_ENERGY_GROUPS: Final = (Group.ENERGY,)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A bill that is to be set on paper."""

    bill: Bill
    document: Document
    addressee: Addressee
    recipient: int = 0
    """Which of the addressee's recipients the letter is for."""
    corrects: tuple[str, datetime] | None = None
    """Of an adjustment: number and date of the bill that it takes the place of."""


def paper(sheet: Sheet, wording: Wording, zone: tzinfo, currency: Currency) -> dict[str, Any]:
    """The data of the template ``bill.typ`` for one bill.

    Args:
        sheet: what is on it.
        wording: the language.
        zone: the utility's.
        currency: of the amounts.
    """
    bill, document = sheet.bill, sheet.document
    setting = _Setting(wording, zone, currency)
    account = bill.number.rpartition("-")[0]
    return {
        "lang": wording.code,
        "utility": document.utility,
        "title": wording.say(f"title.{bill.kind.value}"),
        "number": bill.number,
        "page": wording.say("head.page", number=bill.number, page="§p", pages="§n"),
        "letter": _letter(sheet),
        "head": _head(bill, document, account, setting),
        "takes_place": _takes_place(sheet, setting),
        "pay": _pay(bill, document, account, setting),
        "sums": _sums(bill, setting),
        "sums_title": wording.say("sum.title"),
        "notes": _notes(bill, setting),
        "points": _points(document, sheet.addressee, setting),
        "columns": {
            name: wording.say(f"table.{name}")
            for name in ("what", "when", "quantity", "rate", "amount", "subtotal")
        },
        "readings": {
            name: wording.say(f"point.{name}")
            for name in ("meter", "register", "first", "last", "used")
        },
        "other_title": wording.say("table.other"),
        "others": _others(document, setting),
        "use": _use(bill, document, setting),
        "information": document.information,
    }


def payment_code(bill: Bill, currency: Currency) -> str:
    """What the QR code of a bill says: account, bill, amount, for a channel's scanner."""
    account = bill.number.rpartition("-")[0]
    return (
        f"meterhouse:pay?account={account}&bill={bill.number}"
        f"&amount={currency.text(bill.to_pay_minor)}&currency={currency.code}"
    )


@dataclass(frozen=True, slots=True)
class _Setting:
    wording: Wording
    zone: tzinfo
    currency: Currency

    def charge(self, minor: int) -> str:
        """An amount of the ledger, turned round."""
        return self.wording.amount(-minor, self.currency)

    def percent(self, percent: Decimal) -> str:
        """Percent, without needless zeros."""
        whole = percent == percent.to_integral_value()
        plain = percent.quantize(Decimal(1)) if whole else percent.normalize()
        text = self.wording.say("format.percent", number=self.wording.number(plain))
        return text.replace(" ", HARD_SPACE)

    def span(self, since: datetime | None, until: datetime | None) -> str:
        """Days from and to, both included; a moment is its day."""
        if since is None:
            return ""
        first = since.astimezone(self.zone).date()
        if until is None:
            return self.wording.day(first)
        last = max(first, (until - timedelta(microseconds=1)).astimezone(self.zone).date())
        if first == last:
            return self.wording.day(first)
        return self.wording.say(
            "format.from_to", since=self.wording.day(first), until=self.wording.day(last)
        )


def _letter(sheet: Sheet) -> list[str]:
    addressee = sheet.addressee
    if sheet.recipient < len(addressee.recipients):
        to = addressee.recipients[sheet.recipient]
        return [to.name, *_lines_of(to.post)]
    first = next(iter(addressee.addresses.values()), "")
    return [addressee.name, *_lines_of(first)]


def _lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _head(bill: Bill, document: Document, account: str, setting: _Setting) -> list[dict[str, str]]:
    wording = setting.wording
    since = min((each.since for each in document.supplies if each.since), default=None)
    until = max((each.until for each in document.supplies if each.until), default=None)
    rows = [
        ("account", account),
        ("bill", bill.number),
        ("made", wording.local_day(bill.made_at, setting.zone)),
    ]
    if since is not None and until is not None:
        rows.append(("period", setting.span(since, until)))
    rows.append(("due", wording.day(bill.due_on(setting.zone))))
    return [{"label": wording.say(f"head.{name}"), "value": value} for name, value in rows]


def _takes_place(sheet: Sheet, setting: _Setting) -> str:
    if sheet.corrects is None:
        return ""
    number, made_at = sheet.corrects
    return setting.wording.say(
        "head.takes_place", number=number, day=setting.wording.local_day(made_at, setting.zone)
    )


def _pay(bill: Bill, document: Document, account: str, setting: _Setting) -> dict[str, str]:
    wording = setting.wording
    if not bill.to_pay_minor:
        return {
            "label": wording.say("pay.nothing"),
            "amount": "",
            "until": wording.say(
                "format.label",
                label=wording.say("pay.credit"),
                text=wording.money(bill.total_minor, setting.currency),
            ),
            "how": "",
            "how_text": wording.say("pay.no_need"),
            "late_text": "",
            "qr": "",
        }
    return {
        "label": wording.say("pay.to_pay"),
        "amount": wording.money(bill.to_pay_minor, setting.currency),
        "until": wording.say("pay.until", day=wording.day(bill.due_on(setting.zone))),
        "how": wording.say("pay.how"),
        "how_text": wording.say("pay.how_text", account=account, bill=bill.number),
        "late_text": _late_text(document, setting),
        "qr": qr_code(payment_code(bill, setting.currency)),
    }


def _late_text(document: Document, setting: _Setting) -> str:
    if document.late_fee is None:
        return ""
    per_day_ppm, cap_bp = document.late_fee
    return setting.wording.say(
        "pay.late_text",
        per_day=setting.percent(Decimal(per_day_ppm).scaleb(-4)),
        cap=setting.percent(Decimal(cap_bp).scaleb(-2)),
    )


def _sums(bill: Bill, setting: _Setting) -> list[dict[str, Any]]:
    """Previous balance, what was added, and the total; sums of nothing are left out."""
    wording = setting.wording
    rows = [("opening", bill.opening_minor)]
    rows += [(group.value, bill.sums[group]) for group in Group if bill.sums[group]]
    shown: list[dict[str, Any]] = [
        {"label": wording.say(f"sum.{name}"), "amount": setting.charge(minor), "strong": False}
        for name, minor in rows
    ]
    label = wording.say("sum.total")
    shown.append({"label": label, "amount": setting.charge(bill.total_minor), "strong": True})
    return shown


def _notes(bill: Bill, setting: _Setting) -> list[str]:
    notes = []
    for name, minor in (("deposit_held", bill.deposit_minor), ("plan_left", -bill.plan_minor)):
        if minor:
            amount = setting.wording.money(minor, setting.currency)
            notes.append(setting.wording.say(f"sum.{name}", amount=amount))
    return notes


def _points(document: Document, addressee: Addressee, setting: _Setting) -> list[dict[str, Any]]:
    """Service points with their readings and energy lines."""
    found = []
    for supply in document.supplies:
        lines = [
            line
            for line in document.lines
            if line.supply_id == supply.supply_id and line.group in _ENERGY_GROUPS
        ]
        where = addressee.addresses.get(supply.supply_id, "")
        name = ", ".join(_lines_of(where)) or supply.point
        found.append(
            {
                "title": setting.wording.say("point.title", point=name),
                "registers": _registers(supply, setting),
                "lines": [_energy_row(line, setting) for line in lines],
                "subtotal": setting.charge(sum(line.amount_minor for line in lines)),
                "used": f"{setting.wording.kwh(supply.energy_wh)}{HARD_SPACE}kWh",
            }
        )
    return found


def _registers(supply: BilledSupply, setting: _Setting) -> list[dict[str, str]]:
    wording = setting.wording
    rows = []
    for each in supply.registers:
        rate = _RATE.fullmatch(each.register)
        name = (
            wording.say("point.rate", number=rate[1])
            if rate
            else wording.named(f"point.{each.register}", each.register)
        )
        rows.append(
            {
                "meter": each.meter,
                "register": name,
                "first": wording.kwh(each.first_wh),
                "last": wording.kwh(each.last_wh),
                "used": wording.kwh(each.last_wh - each.first_wh),
                "mark": wording.say("point.estimated") if each.is_estimated else "",
            }
        )
    return rows


def _energy_row(line: BillLine, setting: _Setting) -> dict[str, str]:
    return {
        "what": _what(line, setting),
        "when": setting.span(line.since, line.until),
        "quantity": _quantity(line, setting),
        "rate": _rate(line, setting),
        "amount": setting.charge(line.amount_minor),
    }


def _quantity(line: BillLine, setting: _Setting) -> str:
    if line.quantity is None or line.unit in ("%", "contained"):
        return ""
    unit = setting.wording.named(f"unit.{line.unit}", line.unit)
    places = 0 if line.quantity == line.quantity.to_integral_value() else 3
    quantity = line.quantity.quantize(Decimal(1).scaleb(-places))
    return f"{setting.wording.number(quantity)}{HARD_SPACE}{unit}"


def _rate(line: BillLine, setting: _Setting) -> str:
    if line.rate is None:
        return ""
    if line.unit in ("%", "contained"):
        return setting.percent(line.rate)
    return setting.wording.number(line.rate)


def _others(document: Document, setting: _Setting) -> list[dict[str, str]]:
    """Lines of everything that is not energy of a service point."""
    points = {each.supply_id for each in document.supplies}
    return [
        {
            "what": _what(line, setting),
            "when": setting.span(line.since, line.until),
            "quantity": _quantity(line, setting),
            "amount": setting.charge(line.amount_minor),
        }
        for line in document.lines
        if line.group not in _ENERGY_GROUPS or line.supply_id not in points
    ]


def _what(line: BillLine, setting: _Setting) -> str:
    wording = setting.wording
    if line.kind:
        block = _BLOCK.fullmatch(line.code)
        if block:
            return wording.say("line.block", number=block[1])
        return line.words if line.code != "free" else wording.say("line.free")
    if line.code == "late_fee":
        return wording.say("line.late_fee", number=line.words)
    label = wording.named(f"line.{line.code}", line.words)
    if line.words and (wording.code == REFERENCE or line.code in _WORDS_COUNT):
        return wording.say("format.label", label=label, text=line.words)
    return label


def _use(bill: Bill, document: Document, setting: _Setting) -> dict[str, Any]:
    """The plot: a bar for each of the last thirteen months that anything is known of."""
    months = _months(bill.made_at.astimezone(setting.zone).date(), document.use_wh)
    values = [document.use_wh.get(month) for month in months]
    known = [value for value in values if value is not None]
    if not known or max(known) <= 0:
        return {"title": "", "bars": []}
    top = max(known)
    return {
        "title": setting.wording.say("use.title"),
        "height": _PLOT_MM,
        "bars": [
            {
                "month": setting.wording.month(month),
                "height": _PLOT_MM * max(0, value or 0) / top,
                "value": ""
                if value is None
                else setting.wording.number(Decimal(value).scaleb(-3).quantize(Decimal(1))),
                "strong": place in (0, len(months) - 1),
            }
            for place, (month, value) in enumerate(zip(months, values, strict=True))
        ],
    }


def _months(made_on: date, use_wh: Mapping[str, int]) -> Sequence[str]:
    """Thirteen months up to the last one that something is known of, or that of the bill."""
    last = max(use_wh, default=f"{made_on:%Y-%m}")
    month = date.fromisoformat(f"{last}-01")
    months = []
    for _ in range(USE_MONTHS):
        months.append(f"{month:%Y-%m}")
        month = (month - timedelta(days=1)).replace(day=1)
    return months[::-1]
